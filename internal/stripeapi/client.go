package stripeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/fundrail/fundrail/internal/wallet"
)

// APIVersion is the version of Stripe's API that every request asks for. Webhook
// endpoints should be created with it as well.
const APIVersion = stripe.APIVersion

// DefaultTimeout limits one call, from dialing to the last byte of the answer. It
// is shorter than the timeout of the jobs that make calls.
const DefaultTimeout = 20 * time.Second

// Limiter delays calls so that they stay below Stripe's rate limit. The type
// *rate.Limiter of golang.org/x/time is one.
type Limiter interface {
	// Wait blocks until the call may be made. It returns an error if the context
	// ends first, or would.
	Wait(ctx context.Context) error
}

// Config configures a Client for one mode.
type Config struct {
	Mode wallet.Mode
	// SecretKey is a secret (sk_) or restricted (rk_) key of that mode.
	SecretKey string
	// URL is the address of Stripe's API. Empty means the real Stripe.
	URL string
	// Timeout limits one call. Zero means DefaultTimeout.
	Timeout time.Duration
	// HTTPClient makes the requests. Nil means a client tuned for many calls to one
	// host. It is copied, not changed: the copy gets the timeout and does not
	// follow redirects.
	HTTPClient *http.Client
	// Limiter is consulted before each call. Nil means no limit.
	Limiter Limiter
	// Breaker stops the calls during an outage of Stripe. Nil means that calls are
	// never stopped.
	Breaker *Breaker
	// Tracer starts a span for each call that belongs to a trace. Nil means no
	// spans.
	Tracer trace.Tracer
	// OnCall is called after each answer was sorted. It must be safe for concurrent
	// use and must not block. It may be nil.
	OnCall func(Call)
	// Now is the clock that measures Call.Took. It is required with OnCall.
	Now func() time.Time
}

// Call describes one call to Stripe, for metrics and logs.
type Call struct {
	// Op is the operation, such as charge or get_refund.
	Op string
	// Kind is the outcome of a call about a PaymentIntent. For other calls it is
	// succeeded, or the kind of the error.
	Kind wallet.OutcomeKind
	// Status is the HTTP status, 0 when there was no answer.
	Status    int
	RequestID string
	Took      time.Duration
	// Date is the time of the answer by Stripe's clock, in whole seconds. It is
	// zero when the answer had no date.
	Date time.Time
}

// Client calls Stripe in one mode. It is safe for concurrent use.
type Client struct {
	backend stripe.Backend
	breaker *Breaker
	key     string
	limiter Limiter
	mode    wallet.Mode
	now     func() time.Time
	onCall  func(Call)
	tracer  trace.Tracer
}

// New returns a client. It refuses a key whose mode is not cfg.Mode or cannot be
// determined. It also refuses a live key for a plain http address outside this
// host, which would show the key to the network.
func New(cfg Config) (*Client, error) {
	if err := checkKey(cfg.Mode, cfg.SecretKey); err != nil {
		return nil, err
	}
	if err := checkURL(cfg.Mode, cfg.URL); err != nil {
		return nil, err
	}
	if cfg.OnCall != nil && cfg.Now == nil {
		return nil, errors.New("stripe: OnCall needs Now")
	}
	noTime := func() time.Time { return time.Time{} }
	c := &Client{breaker: cfg.Breaker, key: cfg.SecretKey, limiter: cfg.Limiter, mode: cfg.Mode, now: noTime, onCall: func(Call) {}, tracer: cfg.Tracer}
	if cfg.OnCall != nil {
		c.now, c.onCall = cfg.Now, cfg.OnCall
	}
	// The backend replaces missing settings by package-wide defaults, so all of
	// them are set.
	c.backend = stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		EnableTelemetry:   new(false),
		HTTPClient:        httpClient(cfg),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull}, // other levels print answers, which hold secrets
		MaxNetworkRetries: new(int64(0)),                                  // the backend's back-off ignores the context
		URL:               new(baseURL(cfg.URL)),
	})
	return c, nil
}

// Mode returns the mode that the client calls Stripe in.
func (c *Client) Mode() wallet.Mode { return c.mode }

func checkKey(mode wallet.Mode, key string) error {
	kind, rest, _ := strings.Cut(key, "_")
	keyMode, secret, _ := strings.Cut(rest, "_")
	if kind != "sk" && kind != "rk" || keyMode != string(wallet.ModeLive) && keyMode != string(wallet.ModeTest) || secret == "" {
		return fmt.Errorf("stripe: the secret key for %s mode is not of the form sk_%s_… or rk_%s_…", mode, mode, mode)
	}
	if keyMode != string(mode) {
		return fmt.Errorf("stripe: the secret key for %s mode is a key of %s mode", mode, keyMode)
	}
	return nil
}

func checkURL(mode wallet.Mode, address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("stripe: the URL of the API is not of the form https://host")
	}
	if mode == wallet.ModeLive && u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("stripe: a live key needs an https URL")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func baseURL(address string) string {
	if address == "" {
		return stripe.APIURL
	}
	return address
}

// request is one call. op is its name in errors and metrics.
type request struct {
	op     string
	method string
	path   string
	// key is the idempotency key. Without it stripe-go gives a write a random key,
	// which protects against a repetition by the transport only.
	key string
	// params is a pointer to one of stripe-go's parameter structs, or nil.
	params any
}

// call makes one call, decodes the answer into v and reports the call.
func (c *Client) call(ctx context.Context, r request, v stripe.LastResponseSetter) error {
	_, err := c.send(ctx, r, encode(r.params), v)
	return err
}

// send is call for parameters that are already encoded. It also returns what the
// transport saw.
func (c *Client) send(ctx context.Context, r request, body *form.Values, v stripe.LastResponseSetter) (*exchange, error) {
	x, err := c.exchange(ctx, r, body, v)
	if err == nil && !complete(v) {
		err = unreadable(r.op, x)
	}
	if err != nil {
		c.report(r, x, err.Kind)
		return x, err
	}
	c.report(r, x, wallet.OutcomeSucceeded)
	return x, nil
}

// complete reports whether a decoded answer has the fields that the request asked
// for. Any JSON object can be decoded, and an empty one must not pass for an empty
// list.
func complete(v stripe.LastResponseSetter) bool {
	answer, ok := v.(interface{ complete() bool })
	return !ok || answer.complete()
}

func (c *Client) report(r request, x *exchange, kind wallet.OutcomeKind) {
	c.onCall(Call{Op: r.op, Kind: kind, Status: x.status, RequestID: x.requestID, Took: x.took, Date: x.date})
}

// exchange makes one call and sorts the answer. It does not report the call.
func (c *Client) exchange(ctx context.Context, r request, body *form.Values, v stripe.LastResponseSetter) (*exchange, *Error) {
	x := new(exchange)
	if err := c.mayStart(ctx); err != nil {
		return x, notSent(r.op, err)
	}
	end, err := c.breaker.begin()
	if err != nil {
		return x, notSent(r.op, err)
	}
	ctx, traced := c.trace(ctx, r)
	e := c.do(ctx, r, body, v, x)
	traced(x, e)
	end(verdictOf(ctx, x, e))
	return x, e
}

// trace starts a span for a call that belongs to a trace. The span holds the
// operation and its result, and no parameters.
func (c *Client) trace(ctx context.Context, r request) (context.Context, func(*exchange, *Error)) {
	if c.tracer == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, func(*exchange, *Error) {}
	}
	ctx, span := c.tracer.Start(ctx, "stripe "+r.op, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("mode", string(c.mode))))
	return ctx, func(x *exchange, e *Error) {
		span.SetAttributes(attribute.Int("http.response.status_code", x.status), attribute.String("stripe_request_id", x.requestID))
		if e != nil {
			span.SetStatus(codes.Error, string(e.Kind))
		}
		span.End()
	}
}

// do sends the request and sorts the answer.
func (c *Client) do(ctx context.Context, r request, body *form.Values, v stripe.LastResponseSetter, x *exchange) *Error {
	params := &stripe.Params{Context: context.WithValue(ctx, exchangeKey{}, x)}
	if r.key != "" {
		params.IdempotencyKey = &r.key
	}
	start := c.now()
	err := c.backend.CallRaw(r.method, r.path, c.key, body, params, v)
	x.took = c.now().Sub(start)
	if err != nil {
		return sortError(r.op, x, err)
	}
	if x.status != http.StatusOK {
		return unreadable(r.op, x)
	}
	return nil
}

func (c *Client) mayStart(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.limiter == nil {
		return nil
	}
	return c.limiter.Wait(ctx)
}

func encode(params any) *form.Values {
	body := new(form.Values)
	if params != nil {
		form.AppendTo(body, params)
	}
	return body
}

// lower spells a currency as Stripe's requests expect it.
func lower(c wallet.Currency) *string { return new(strings.ToLower(string(c))) }

// optional returns nil for an empty string, which leaves the parameter out.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
