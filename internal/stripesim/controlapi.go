package stripesim

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// controlRoutes registers the control API. It requires no key, because only tests
// and operators of the simulator use it.
func (s *Server) controlRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]controlFunc{
		"GET /_sim/faults":                          s.ctlFaults,
		"POST /_sim/faults":                         s.ctlAddFault,
		"POST /_sim/webhook_faults":                 s.ctlAddWebhookFault,
		"DELETE /_sim/faults":                       s.ctlClearFaults,
		"DELETE /_sim/faults/{id}":                  s.ctlRemoveFault,
		"POST /_sim/keys/prune":                     s.ctlPruneKey,
		"GET /_sim/clock":                           s.ctlClock,
		"POST /_sim/clock":                          s.ctlSetClock,
		"GET /_sim/settings":                        s.ctlSettings,
		"POST /_sim/settings":                       s.ctlSetSettings,
		"POST /_sim/customers":                      s.ctlCustomer,
		"POST /_sim/payment_methods":                s.ctlPaymentMethod,
		"POST /_sim/charges/{id}/dispute":           s.ctlDispute,
		"POST /_sim/charges/{id}/refund":            s.ctlRefund,
		"POST /_sim/disputes/{id}/resolve":          s.ctlResolve,
		"POST /_sim/refunds/{id}/end":               s.ctlEndRefund,
		"POST /_sim/payment_intents/{id}/challenge": s.ctlChallenge,
		"POST /_sim/setup_intents/{id}/challenge":   s.ctlChallenge,
		"POST /_sim/events/replay":                  s.ctlReplay,
		"POST /_sim/events/forge":                   s.ctlForge,
		"GET /_sim/deliveries":                      s.ctlDeliveries,
		"POST /_sim/wait_idle":                      s.ctlWaitIdle,
		"GET /_sim/requests":                        s.ctlRequests,
		"GET /_sim/export":                          s.ctlExport,
		"GET /_sim/state":                           s.ctlState,
		"POST /_sim/reset":                          s.ctlReset,
		"POST /_sim/webhook":                        s.ctlWebhook,
	} {
		mux.HandleFunc(pattern, h.serve)
	}
}

// controlFunc answers a control request with a value to be encoded as JSON.
type controlFunc func(r *http.Request) (any, error)

// badRequestError is the error of an invalid control request.
type badRequestError struct{ error }

func (f controlFunc) serve(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes*4)
	v, err := f(r)
	status := http.StatusOK
	var refusal *apiError
	var bad badRequestError
	switch {
	case err == nil:
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.As(err, &refusal), errors.As(err, &bad):
		status = http.StatusBadRequest
	default:
		status = http.StatusInternalServerError
	}
	if err != nil {
		v = map[string]any{"error": err.Error(), "result": v}
	}
	w.Header()["Content-Type"] = jsonHeader
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // fails only if the client has gone
}

// decode reads the JSON body, which may be empty. It refuses unknown fields,
// because a misspelled option of a fault would otherwise be ignored.
func decode[T any](r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil && r.ContentLength != 0 {
		return v, badRequestError{err}
	}
	return v, nil
}

// live returns the mode of a read request.
func live(r *http.Request) bool { return r.URL.Query().Get("livemode") == "true" }

func ok() any { return map[string]bool{"ok": true} }

func asBadRequest(v any, err error) (any, error) {
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, badRequestError{err}
	}
	return v, err
}

func (s *Server) ctlFaults(*http.Request) (any, error) {
	return map[string]any{"faults": s.Faults(), "webhook_faults": s.WebhookFaults()}, nil
}

func (s *Server) ctlAddFault(r *http.Request) (any, error) {
	f, err := decode[Fault](r)
	if err != nil {
		return nil, err
	}
	id, err := s.AddFault(f)
	return asBadRequest(map[string]string{"id": id}, err)
}

func (s *Server) ctlAddWebhookFault(r *http.Request) (any, error) {
	f, err := decode[WebhookFault](r)
	if err != nil {
		return nil, err
	}
	id, err := s.AddWebhookFault(f)
	return asBadRequest(map[string]string{"id": id}, err)
}

func (s *Server) ctlClearFaults(*http.Request) (any, error) {
	s.ClearFaults()
	return ok(), nil
}

func (s *Server) ctlRemoveFault(r *http.Request) (any, error) {
	if !s.RemoveFault(r.PathValue("id")) {
		return nil, ErrNotFound
	}
	return ok(), nil
}

func (s *Server) ctlPruneKey(r *http.Request) (any, error) {
	in, err := decode[struct {
		Key string `json:"key"`
	}](r)
	if err != nil {
		return nil, err
	}
	if !s.PruneKey(in.Key) {
		return nil, ErrNotFound
	}
	return ok(), nil
}

type clockState struct {
	Now    time.Time `json:"now"`
	Offset Duration  `json:"offset"` // from the base clock
	Timers []*timer  `json:"timers"`
}

func (s *Server) ctlClock(*http.Request) (any, error) {
	return clockState{Now: s.Now().UTC(), Offset: Duration(s.clock.getOffset()), Timers: s.clock.pending()}, nil
}

func (s *Server) ctlSetClock(r *http.Request) (any, error) {
	in, err := decode[struct {
		Advance Duration  `json:"advance"`
		Set     time.Time `json:"set"`
	}](r)
	if err != nil {
		return nil, err
	}
	if in.Advance < 0 || !in.Set.IsZero() && in.Set.Before(s.Now()) {
		return nil, badRequestError{errors.New("the clock only moves forward")}
	}
	if !in.Set.IsZero() {
		s.SetTime(in.Set)
	}
	s.Advance(time.Duration(in.Advance))
	return s.ctlClock(r)
}

type settingsState struct {
	ListLag        *Duration `json:"list_lag"`
	RateLimit      *int      `json:"rate_limit"`
	RequestLatency *Duration `json:"request_latency"`
	SearchLag      *Duration `json:"search_lag"`
	SignatureSkew  *Duration `json:"signature_skew"`
}

func (s *Server) ctlSettings(*http.Request) (any, error) {
	limit := int(s.limiter.perSecond.Load())
	at := func(ns int64) *Duration { d := Duration(ns); return &d }
	return settingsState{
		ListLag: at(s.settings.listLag.Load()), RateLimit: &limit, RequestLatency: at(s.latency.Load()),
		SearchLag: at(s.settings.searchLag.Load()), SignatureSkew: at(s.settings.skew.Load()),
	}, nil
}

// ctlSetSettings changes the settings that the request contains.
func (s *Server) ctlSetSettings(r *http.Request) (any, error) {
	in, err := decode[settingsState](r)
	if err != nil {
		return nil, err
	}
	for d, set := range map[*Duration]func(time.Duration){
		in.ListLag: s.SetListLag, in.RequestLatency: s.SetRequestLatency, in.SearchLag: s.SetSearchLag,
		in.SignatureSkew: s.SetSignatureSkew,
	} {
		if d != nil {
			set(time.Duration(*d))
		}
	}
	if in.RateLimit != nil {
		s.SetRateLimit(*in.RateLimit)
	}
	return s.ctlSettings(r)
}

func (s *Server) ctlCustomer(r *http.Request) (any, error) {
	in, err := decode[NewCustomer](r)
	if err != nil {
		return nil, err
	}
	cus, err := s.CreateCustomer(in)
	if err != nil {
		return asBadRequest(nil, err)
	}
	return rendering(&cus), nil
}

func (s *Server) ctlPaymentMethod(r *http.Request) (any, error) {
	in, err := decode[SavedCard](r)
	if err != nil {
		return nil, err
	}
	pm, err := s.CreatePaymentMethod(in)
	if err != nil {
		return asBadRequest(nil, err)
	}
	return rendering(&pm), nil
}

// rendering returns an object as Stripe's API shows it.
func rendering(r renderer) json.RawMessage { return r.appendJSON(nil, nil) }

func (s *Server) ctlDispute(r *http.Request) (any, error) {
	in, err := decode[DisputeOptions](r)
	if err != nil {
		return nil, err
	}
	d, err := s.OpenDispute(r.PathValue("id"), in)
	if err != nil {
		return nil, err
	}
	return rendering(&d), nil
}

func (s *Server) ctlRefund(r *http.Request) (any, error) {
	in, err := decode[struct {
		Amount int64 `json:"amount"`
	}](r)
	if err != nil {
		return nil, err
	}
	re, err := s.CreateRefund(r.PathValue("id"), in.Amount)
	if err != nil {
		return nil, err
	}
	return rendering(&re), nil
}

func (s *Server) ctlResolve(r *http.Request) (any, error) {
	in, err := decode[struct {
		Won bool `json:"won"`
	}](r)
	if err != nil {
		return nil, err
	}
	d, err := s.ResolveDispute(r.PathValue("id"), in.Won)
	if err != nil {
		return nil, err
	}
	return rendering(&d), nil
}

func (s *Server) ctlEndRefund(r *http.Request) (any, error) {
	in, err := decode[struct {
		Status string `json:"status"`
	}](r)
	if err != nil {
		return nil, err
	}
	re, err := s.EndRefund(r.PathValue("id"), in.Status)
	if err != nil {
		return asBadRequest(nil, err)
	}
	return rendering(&re), nil
}

func (s *Server) ctlChallenge(r *http.Request) (any, error) {
	in, err := decode[struct {
		Outcome string `json:"outcome"`
	}](r)
	if err != nil {
		return nil, err
	}
	status, err := s.CompleteChallenge(r.PathValue("id"), in.Outcome)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, badRequestError{err}
	}
	return map[string]string{"status": status}, err
}

func (s *Server) ctlReplay(r *http.Request) (any, error) {
	in, err := decode[struct {
		ReplayOptions
		IDs []string `json:"ids"`
	}](r)
	if err != nil {
		return nil, err
	}
	return ok(), s.Replay(in.IDs, in.ReplayOptions)
}

func (s *Server) ctlForge(r *http.Request) (any, error) {
	in, err := decode[Forgery](r)
	if err != nil {
		return nil, err
	}
	status, err := s.Forge(r.Context(), in)
	return map[string]int{"status": status}, err
}

func (s *Server) ctlDeliveries(r *http.Request) (any, error) {
	return map[string]any{"attempts": s.Attempts(r.URL.Query().Get("event")), "counts": s.Deliveries()}, nil
}

func (s *Server) ctlWaitIdle(r *http.Request) (any, error) {
	in, err := decode[struct {
		Timeout Duration `json:"timeout"`
	}](r)
	if err != nil {
		return nil, err
	}
	wait := time.Duration(in.Timeout)
	defaultDuration(&wait, 30*time.Second)
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	err = s.WaitIdle(ctx)
	return s.Deliveries(), err
}

func (s *Server) ctlRequests(*http.Request) (any, error) { return s.Requests(), nil }

func (s *Server) ctlExport(r *http.Request) (any, error) { return s.Export(live(r)), nil }

func (s *Server) ctlState(r *http.Request) (any, error) {
	l := live(r)
	return map[string]any{
		"charges": s.Charges(l), "customers": s.Customers(l), "disputes": s.Disputes(l), "payment_intents": s.Intents(l),
		"payment_methods": s.PaymentMethods(l), "refunds": s.Refunds(l),
	}, nil
}

func (s *Server) ctlReset(*http.Request) (any, error) {
	s.Reset()
	return ok(), nil
}

func (s *Server) ctlWebhook(r *http.Request) (any, error) {
	in, err := decode[struct {
		Live    bool     `json:"livemode"`
		Secrets []string `json:"secrets"`
		URL     string   `json:"url"`
	}](r)
	if err != nil {
		return nil, err
	}
	if in.URL != "" && !strings.HasPrefix(in.URL, "http") {
		return nil, badRequestError{errors.New("url must start with http")}
	}
	if in.Live {
		s.SetLiveWebhook(in.URL, in.Secrets...)
		return ok(), nil
	}
	s.SetWebhook(in.URL, in.Secrets...)
	return ok(), nil
}
