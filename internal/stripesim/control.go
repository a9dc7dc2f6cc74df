package stripesim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ErrNotFound means that an object does not exist, or is not in a state that allows
// the operation.
var ErrNotFound = errors.New("stripesim: no such object, or not in that state")

// settings are the parts of the configuration that can change while the server
// runs.
type settings struct {
	listLag   atomic.Int64
	searchLag atomic.Int64
	skew      atomic.Int64
}

// SetRequestLatency changes Config.RequestLatency.
func (s *Server) SetRequestLatency(d time.Duration) { s.latency.Store(int64(d)) }

// SetRateLimit changes Config.RateLimit.
func (s *Server) SetRateLimit(perSecond int) { s.limiter.perSecond.Store(int64(perSecond)) }

// SetListLag changes Config.ListLag.
func (s *Server) SetListLag(d time.Duration) { s.settings.listLag.Store(int64(d)) }

// SetSearchLag changes Config.SearchLag.
func (s *Server) SetSearchLag(d time.Duration) { s.settings.searchLag.Store(int64(d)) }

// SetSignatureSkew shifts the time that webhooks are signed with, to simulate a
// difference between the simulator's clock and the receiver's.
func (s *Server) SetSignatureSkew(d time.Duration) { s.settings.skew.Store(int64(d)) }

// AddFault adds a rule for API requests and returns its id. It replaces an older
// rule with the same id.
func (s *Server) AddFault(f Fault) (string, error) {
	if err := f.check(); err != nil {
		return "", fmt.Errorf("stripesim: fault: %w", err)
	}
	return s.faults.add(f.ID, f.Match, f.Dice, func(id string) Fault { f.ID = id; return f }), nil
}

// AddWebhookFault adds a rule for webhook deliveries and returns its id. It
// replaces an older rule with the same id.
func (s *Server) AddWebhookFault(f WebhookFault) (string, error) {
	if err := f.check(); err != nil {
		return "", fmt.Errorf("stripesim: webhook fault: %w", err)
	}
	return s.hooks.add(f.ID, f.Match, f.Dice, func(id string) WebhookFault { f.ID = id; return f }), nil
}

// RemoveFault removes a rule of either kind. It reports whether the rule existed.
func (s *Server) RemoveFault(id string) bool {
	api, hook := s.faults.remove(id), s.hooks.remove(id)
	return api || hook
}

// ClearFaults removes all rules of both kinds. It delivers the events that were
// held back for reordering.
func (s *Server) ClearFaults() {
	s.faults.clear()
	s.hooks.clear()
	s.sender.releaseAll()
}

// Faults returns the API rules and their counters.
func (s *Server) Faults() []FaultStatusReport[Fault] { return s.faults.report() }

// WebhookFaults returns the webhook rules and their counters.
func (s *Server) WebhookFaults() []FaultStatusReport[WebhookFault] { return s.hooks.report() }

// PruneKey forgets an idempotency key, in both modes, before its retention ends. It
// reports whether the key was known.
func (s *Server) PruneKey(key string) bool {
	test, live := s.test.keys.prune(key), s.live.keys.prune(key)
	return test || live
}

// Now returns the time of the virtual clock.
func (s *Server) Now() time.Time { return s.clock.now() }

// Advance moves the virtual clock forward by d. Everything that becomes due happens
// at its own time, before Advance returns. It does not wait for the webhooks that
// this sends.
func (s *Server) Advance(d time.Duration) {
	if d < 0 {
		return
	}
	s.clock.advance(d)
	s.journal.clock(s.clock.getOffset())
}

// SetTime moves the virtual clock forward to a time. An earlier time changes
// nothing.
func (s *Server) SetTime(at time.Time) { s.Advance(at.Sub(s.clock.now())) }

// fire performs the action of a timer.
func (s *Server) fire(t *timer) {
	s.account(t.Live).change(func(x *tx) {
		switch t.Kind {
		case timerAuthExpiry:
			x.expireAuthorization(t.ID, t.Arg)
		case timerCheckoutExpiry:
			x.expireCheckout(t.ID)
		case timerDispute:
			x.afterCharge(t.ID)
		case timerDisputeDeadline, timerDisputeReview:
			x.dueDispute(t)
		case timerProcessing:
			x.settle(t.ID, t.Arg)
		case timerRefund:
			x.endRefund(t.ID, t.Arg)
		}
	})
	s.journal.fired(t)
}

// CompleteChallenge answers the 3DS challenge of a PaymentIntent or SetupIntent as
// the cardholder would. It returns the status that follows. If the challenge is no
// longer open, it returns the current status and ErrNotFound.
func (s *Server) CompleteChallenge(id, outcome string) (status string, err error) {
	if outcome != OutcomeSucceed && outcome != OutcomeFail {
		return "", fmt.Errorf("stripesim: outcome must be %q or %q", OutcomeSucceed, OutcomeFail)
	}
	changed := false
	for _, a := range s.accounts() {
		a.change(func(t *tx) {
			if strings.HasPrefix(id, "seti_") {
				changed = changed || t.answerSetupChallenge(id, "", outcome == OutcomeSucceed)
				return
			}
			changed = changed || t.answerChallenge(id, "", outcome == OutcomeSucceed)
		})
		switch o := a.lookup(id).(type) {
		case *Intent:
			status = o.Status
		case *SetupIntent:
			status = o.Status
		}
	}
	if !changed {
		return status, ErrNotFound
	}
	return status, nil
}

func (s *Server) accounts() []*account { return []*account{s.test, s.live} }

// SavedCard describes a payment method to be created.
type SavedCard struct {
	// Card is a magic id such as "pm_card_visa", a token or a test number.
	Card string `json:"card"`
	// Customer is the customer to attach it to. Empty means none.
	Customer string `json:"customer,omitempty"`
	// ID is the payment method's id. Empty means a new one. If the id exists, that
	// payment method is returned unchanged.
	ID string `json:"id,omitempty"`
	// Live creates it in live mode.
	Live bool `json:"livemode,omitempty"`
	// SetUp marks it as authenticated for off-session use.
	SetUp bool `json:"set_up,omitempty"`
}

// CreatePaymentMethod creates a payment method of any test card and attaches it,
// even if Stripe would refuse that. This way a saved card can be declined later.
func (s *Server) CreatePaymentMethod(want SavedCard) (PaymentMethod, error) {
	spec := findCard(want.Card)
	if spec == nil {
		return PaymentMethod{}, fmt.Errorf("stripesim: unknown card %q", want.Card)
	}
	if want.ID != "" && !strings.HasPrefix(want.ID, "pm_") {
		return PaymentMethod{}, fmt.Errorf("stripesim: a payment method's id starts with pm_, not %q", want.ID)
	}
	var pm *PaymentMethod
	_, err := s.account(want.Live).update(origin{}, func(t *tx) *apiError {
		if pm = t.methods.get(want.ID); pm != nil {
			return nil
		}
		if want.Customer != "" {
			if _, err := t.customer(want.Customer); err != nil {
				return err
			}
		}
		pm = t.newMethod(spec)
		if want.ID != "" {
			pm.ID = want.ID
		}
		pm.SetUp = want.SetUp
		if want.Customer != "" {
			pm = t.forceAttach(pm, want.Customer)
			return nil
		}
		t.putMethod(pm)
		return nil
	})
	if err != nil {
		return PaymentMethod{}, fmt.Errorf("stripesim: %s", err.message)
	}
	return *pm, nil
}

// NewCustomer describes a customer to be created.
type NewCustomer struct {
	Email    string            `json:"email,omitempty"`
	ID       string            `json:"id,omitempty"` // empty means a new one
	Live     bool              `json:"livemode,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Name     string            `json:"name,omitempty"`
}

// CreateCustomer creates a customer. If want.ID exists, that customer is returned
// unchanged.
func (s *Server) CreateCustomer(want NewCustomer) (Customer, error) {
	if want.ID != "" && !strings.HasPrefix(want.ID, "cus_") {
		return Customer{}, fmt.Errorf("stripesim: a customer's id starts with cus_, not %q", want.ID)
	}
	var out *Customer
	s.account(want.Live).change(func(t *tx) {
		if out = t.customers.get(want.ID); out != nil {
			return
		}
		out = &Customer{
			ID: want.ID, Created: t.sec, Email: want.Email, InvoicePrefix: s.ids.secret("", 8), Livemode: t.live,
			Metadata: metadataOf(want.Metadata), Name: want.Name, NextInvoiceSequence: 1, TaxExempt: "none",
		}
		if out.ID == "" {
			out.ID = s.ids.secret("cus_", 14)
		}
		t.emit("customer.created", out.ID, t.putCustomer(out))
	})
	return *out, nil
}

func metadataOf(m map[string]string) Metadata {
	var out Metadata
	for k, v := range m {
		out = out.merge([]Pair{{Key: k, Value: v}})
	}
	return out
}

// DisputeOptions describe the dispute to open.
type DisputeOptions struct {
	Amount  int64  `json:"amount,omitempty"`  // zero means all that was captured
	Inquiry bool   `json:"inquiry,omitempty"` // an inquiry moves no money
	Reason  string `json:"reason,omitempty"`  // empty means "fraudulent"
}

// OpenDispute disputes a charge now. The id is the charge's or its intent's.
func (s *Server) OpenDispute(id string, o DisputeOptions) (Dispute, error) {
	var out *Dispute
	s.onCharge(id, func(t *tx, ch *Charge) {
		if !ch.Captured {
			return
		}
		if d := t.disputes.get(ch.Dispute); d != nil && d.open() {
			return
		}
		amount := o.Amount
		if amount <= 0 {
			amount = ch.AmountCaptured
		}
		defaultString(&o.Reason, "fraudulent")
		out = t.disputeCharge(ch, o.Reason, amount, o.Inquiry)
	})
	if out == nil {
		return Dispute{}, ErrNotFound
	}
	return *out, nil
}

// ResolveDispute closes an open dispute as won or lost. An inquiry ends as
// warning_closed.
func (s *Server) ResolveDispute(id string, won bool) (Dispute, error) {
	var out *Dispute
	for _, a := range s.accounts() {
		a.change(func(t *tx) {
			if d := t.disputes.get(id); d != nil && d.open() {
				out = t.closeDispute(d, won)
			}
		})
	}
	if out == nil {
		return Dispute{}, ErrNotFound
	}
	return *out, nil
}

// CreateRefund refunds a charge now, as if an operator did it in Stripe's
// dashboard. The id is the charge's or its intent's. A zero amount means all that
// is left.
func (s *Server) CreateRefund(id string, amount int64) (Refund, error) {
	r := &Refund{Amount: amount}
	err := ErrNotFound
	s.onCharge(id, func(t *tx, ch *Charge) {
		left := ch.Amount - ch.AmountRefunded
		if r.Amount == 0 {
			r.Amount = left
		}
		if refusal := t.checkRefund(ch, r.Amount, left); refusal != nil {
			err = refusal
			return
		}
		err = nil
		t.refund(ch, r)
	})
	return *r, err
}

// EndRefund moves a refund to "succeeded", "failed" or "canceled" now.
func (s *Server) EndRefund(id, status string) (Refund, error) {
	if !slices.Contains([]string{"succeeded", "failed", "canceled"}, status) {
		return Refund{}, fmt.Errorf("stripesim: a refund cannot end as %q", status)
	}
	var out *Refund
	for _, a := range s.accounts() {
		a.change(func(t *tx) {
			if t.refunds.get(id) != nil {
				t.endRefund(id, status)
				out = t.refunds.get(id)
			}
		})
	}
	if out == nil {
		return Refund{}, ErrNotFound
	}
	return *out, nil
}

// onCharge calls use with the charge of the id, in either mode. The id is the
// charge's or its intent's.
func (s *Server) onCharge(id string, use func(*tx, *Charge)) {
	for _, a := range s.accounts() {
		a.change(func(t *tx) {
			if pi := t.intents.get(id); pi != nil {
				id = pi.LatestCharge
			}
			if ch := t.charges.get(id); ch != nil {
				use(t, ch)
			}
		})
	}
}

// WaitIdle returns when no delivery is queued or in flight. It does not wait for
// retries and deliveries that are scheduled for later.
func (s *Server) WaitIdle(ctx context.Context) error { return s.sender.waitIdle(ctx) }

// Deliveries returns the counters of the webhook deliveries.
func (s *Server) Deliveries() DeliveryCounts { return s.sender.counts() }

// Attempts returns the delivery attempts of an event, oldest first. An empty id
// means all events, of which only the latest attempts are kept.
func (s *Server) Attempts(event string) []Attempt {
	s.sender.mu.Lock()
	defer s.sender.mu.Unlock()
	out := slices.Clone(s.sender.attempts)
	if event != "" {
		out = slices.DeleteFunc(out, func(a Attempt) bool { return a.Event != event })
	}
	return out
}

// Requests returns the number of API requests per endpoint. Keys look like "POST
// /v1/payment_intents/{id}/confirm".
func (s *Server) Requests() map[string]int64 {
	out := map[string]int64{}
	for _, ep := range s.router.endpoints {
		if n := ep.count.Load(); n > 0 {
			out[ep.method+" "+ep.pattern] = n
		}
	}
	return out
}

// Reset removes all data, faults, timers, deliveries and counters. The clock keeps
// its offset, and the configured webhook stays.
func (s *Server) Reset() {
	s.ClearFaults()
	s.clock.clear()
	s.sender.reset()
	s.forget()
	for _, ep := range s.router.endpoints {
		ep.count.Store(0)
	}
	s.journal.reset()
}

func (s *Server) forget() {
	for _, a := range s.accounts() {
		a.forget()
	}
}

func (a *account) forget() {
	a.keys.clear()
	a.read(func() {
		a.balance = table[BalanceTransaction]{}
		a.charges = table[Charge]{}
		a.checkouts = table[CheckoutSession]{}
		a.customers = table[Customer]{}
		a.disputes = table[Dispute]{}
		a.endpoints = table[WebhookEndpoint]{}
		a.events = table[Event]{}
		a.intents = table[Intent]{}
		a.methods = table[PaymentMethod]{}
		a.refunds = table[Refund]{}
		a.setups = table[SetupIntent]{}
		a.warnings = table[FraudWarning]{}
		a.retarget()
	})
}
