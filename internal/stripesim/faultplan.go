package stripesim

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// faultPlan is the combined effect of the rules that apply to a request.
type faultPlan struct {
	body          string
	failAfter     *Fault
	failBefore    *Fault
	hang          time.Duration
	latencyAfter  time.Duration
	latencyBefore time.Duration
	processing    time.Duration
	prune         bool
	refuse        *Fault // answered before the idempotency layer
	resetAfter    bool
	resetBefore   bool
}

func (s *Server) planFaults(c *call) faultPlan {
	var plan faultPlan
	if !s.faults.any.Load() {
		return plan
	}
	subject := &subject{
		facts: c.facts, idemKey: c.key, live: c.acct.live,
		method: c.r.Method, path: strings.TrimSuffix(c.r.URL.Path, "/"),
	}
	hits := s.faults.hit(subject)
	for i := range hits {
		plan.add(&hits[i])
	}
	return plan
}

func (p *faultPlan) add(f *Fault) {
	after := f.When == After
	switch f.Kind {
	case FaultBody:
		p.body = f.Body
	case FaultHang:
		p.hang = time.Duration(f.Delay)
	case FaultLatency:
		if after {
			p.latencyAfter += time.Duration(f.Delay)
			return
		}
		p.latencyBefore += time.Duration(f.Delay)
	case FaultProcessing:
		p.processing = time.Duration(f.Delay)
	case FaultPruneKey:
		p.prune = true
	case FaultReset:
		p.resetAfter, p.resetBefore = p.resetAfter || after, p.resetBefore || !after
	case FaultStatus:
		switch {
		case f.preempts():
			p.refuse = f
		case after:
			p.failAfter = f
		default:
			p.failBefore = f
		}
	}
}

// preempts reports whether the answer is sent before the idempotency layer, as
// Stripe does for these statuses.
func (f *Fault) preempts() bool {
	return slices.Contains([]int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests,
	}, f.Status)
}

// forReplay returns the plan for a stored answer: faults before the effect happen
// after it, and stored faults do not apply.
func (p faultPlan) forReplay() faultPlan {
	if p.failAfter != nil && p.failAfter.Stored {
		p.failAfter = nil
	}
	if p.failBefore != nil && !p.failBefore.Stored {
		p.failAfter = p.failBefore
	}
	p.resetAfter = p.resetAfter || p.resetBefore
	return p
}

// answer returns the answer of a FaultStatus.
func (f *Fault) answer(requestID string) answer {
	if f.HTML {
		page := fmt.Sprintf("<html>\r\n<head><title>%[1]d %[2]s</title></head>\r\n<body>\r\n<center><h1>%[1]d %[2]s"+
			"</h1></center>\r\n</body>\r\n</html>\r\n", f.Status, http.StatusText(f.Status))
		return answer{raw: []byte(page), status: f.Status, html: true, retry: f.ShouldRetry}
	}
	err := f.err()
	err.requestID = requestID
	return answer{body: err, status: f.Status, retry: f.ShouldRetry}
}

func (f *Fault) err() *apiError {
	var err *apiError
	switch {
	case f.Status == http.StatusTooManyRequests && f.Code == "lock_timeout":
		err = lockTimeout()
	case f.Status == http.StatusTooManyRequests:
		err = rateLimited()
	case f.Status == http.StatusConflict:
		err = keyInUse("")
	case f.Status == http.StatusUnauthorized:
		err = unauthorized("Invalid API Key provided.")
	case f.Status >= http.StatusInternalServerError:
		err = internalError()
	default:
		err = invalid("", "", "This request was refused on purpose.")
	}
	err.status = f.Status
	if f.Code != "" {
		err.code = f.Code
	}
	return err
}

// deliver sends the answer, changed by the faults of the plan.
func (c *call) deliver(plan faultPlan, ans answer, rec *keyRecord) {
	if plan.resetBefore && ans.status == 0 {
		c.cut(true)
		return
	}
	c.awaitEvents()
	c.sleep(plan.latencyAfter)
	switch {
	case plan.hang > 0:
		c.hang(plan.hang)
	case plan.resetAfter:
		c.cut(true)
	case plan.failAfter != nil && !plan.failAfter.Stored:
		c.write(plan.failAfter.answer(c.id), nil)
	case plan.body != "":
		c.garble(plan.body, ans, rec)
	default:
		c.write(ans, rec)
	}
}

// awaitEvents waits for the deliveries that a rule sends before the answer.
func (c *call) awaitEvents() {
	if !c.s.hooks.any.Load() {
		return
	}
	delivered := make(chan struct{})
	go func() { c.early.Wait(); close(delivered) }()
	select {
	case <-delivered:
	case <-c.s.done:
	case <-time.After(c.s.cfg.WebhookTimeout):
	}
}

// hang keeps the client waiting, then closes the connection without an answer.
func (c *call) hang(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.r.Context().Done():
	case <-c.s.done:
	}
	c.cut(false)
}

// cut closes the connection, with a reset or normally. If the connection cannot be
// taken over, as in HTTP/2, the server aborts the request.
func (c *call) cut(reset bool) {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // best effort: a normal close also ends the answer
	}
	_ = conn.Close()
}

// garble sends an answer with an unusable body.
func (c *call) garble(how string, ans answer, rec *keyRecord) {
	body := ans.render(nil)
	ans.status = http.StatusOK
	switch how {
	case BodyCut:
		c.writeBytes(ans, rec, body[:len(body)/2], len(body))
		_ = http.NewResponseController(c.w).Flush()
		c.cut(false)
	case BodyEmpty:
		c.writeBytes(ans, rec, nil, 0)
	case BodyInvalid:
		body = []byte("<!-- upstream timed out -->")
		c.writeBytes(ans, rec, body, len(body))
	default:
		body = body[:len(body)/2]
		c.writeBytes(ans, rec, body, len(body))
	}
}

// facts returns what rules can match of a request: its parameters and the objects
// that its path or parameters name.
func (c *call) facts() facts {
	f := facts{amount: c.form.int("amount"), customer: c.form.str("customer"), ids: []string{c.path}}
	if m, err := metadataParam(&c.form); err == nil {
		f.metadata = append(f.metadata, Metadata(nil).merge(m))
	}
	if pm := c.form.str("payment_method"); pm != "" {
		f.paymentMethod = append(f.paymentMethod, pm)
	}
	for _, id := range []string{c.path, c.form.str("payment_intent"), c.form.str("charge")} {
		if id != "" {
			f.ids = append(f.ids, id)
			f.about(c.acct.lookup, c.acct.lookup(id))
		}
	}
	for _, pm := range f.paymentMethod {
		if m, ok := c.acct.lookup(pm).(*PaymentMethod); ok {
			f.paymentMethod = append(f.paymentMethod, m.Card)
		}
	}
	return f
}

// about adds an object. For an object that belongs to an intent it adds the intent
// as well.
func (f *facts) about(find func(string) renderer, obj renderer) {
	switch o := obj.(type) {
	case *Intent:
		f.add(o.ID, o.Amount, o.Customer, o.Metadata)
		f.addMethod(find, o.PaymentMethod)
	case *Charge:
		f.add(o.ID, o.Amount, o.Customer, o.Metadata)
		if o.PaymentMethod != nil {
			f.paymentMethod = append(f.paymentMethod, o.PaymentMethod.ID, o.PaymentMethod.Card)
		}
		f.ids = append(f.ids, o.PaymentIntent)
	case *Refund:
		f.add(o.ID, o.Amount, "", o.Metadata)
		f.about(find, find(o.PaymentIntent))
	case *Dispute:
		f.add(o.ID, o.Amount, "", o.Metadata)
		f.about(find, find(o.PaymentIntent))
	case *Customer:
		f.add(o.ID, 0, o.ID, o.Metadata)
	case *SetupIntent:
		f.add(o.ID, 0, o.Customer, o.Metadata)
		f.addMethod(find, o.PaymentMethod)
	case *PaymentMethod:
		f.add(o.ID, 0, o.Customer, o.Metadata)
		f.paymentMethod = append(f.paymentMethod, o.ID, o.Card)
	case *CheckoutSession:
		f.add(o.ID, o.AmountTotal, o.Customer, o.Metadata)
		f.metadata = append(f.metadata, o.Intent.Metadata)
	}
}

func (f *facts) add(id string, amount int64, customer string, m Metadata) {
	f.ids = append(f.ids, id)
	if f.amount == 0 {
		f.amount = amount
	}
	if f.customer == "" {
		f.customer = customer
	}
	f.metadata = append(f.metadata, m)
}

func (f *facts) addMethod(find func(string) renderer, id string) {
	if pm, ok := find(id).(*PaymentMethod); ok {
		f.paymentMethod = append(f.paymentMethod, id, pm.Card)
	}
}

// check refuses a rule that could never apply.
func (f *Fault) check() error {
	kinds := []string{
		FaultBody, FaultHang, FaultLatency, FaultProcessing, FaultPruneKey, FaultReset, FaultStatus,
	}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind must be one of %v, not %q", kinds, f.Kind)
	case f.When != "" && f.When != Before && f.When != After:
		return fmt.Errorf("when must be %q or %q, not %q", Before, After, f.When)
	case f.Kind == FaultStatus && (f.Status < 400 || f.Status > 599):
		return errors.New("status must be between 400 and 599")
	case f.Kind == FaultBody && !slices.Contains([]string{BodyCut, BodyEmpty, BodyInvalid, BodyTruncated}, f.Body):
		return fmt.Errorf("unknown body %q", f.Body)
	case slices.Contains([]string{FaultHang, FaultLatency, FaultProcessing}, f.Kind) && f.Delay <= 0:
		return errors.New("delay must be positive")
	}
	return f.Dice.check()
}

func (d *Dice) check() error {
	if d.Count < 0 || d.Every < 0 || d.Skip < 0 || d.Probability < 0 || d.Probability > 1 {
		return errors.New("count, every and skip must not be negative, probability lies between 0 and 1")
	}
	return nil
}
