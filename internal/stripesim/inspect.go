package stripesim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// EventInfo is an event for use in tests.
type EventInfo struct {
	ID              string
	Body            []byte // the JSON that the API shows now
	Created         time.Time
	Object          string // the id of its object
	PendingWebhooks int
	Type            string
}

// Intents returns the current PaymentIntents of a mode, oldest first.
func (s *Server) Intents(live bool) []Intent {
	return currents(s.account(live), &s.account(live).intents)
}

// Charges returns the current charges of a mode, oldest first.
func (s *Server) Charges(live bool) []Charge {
	return currents(s.account(live), &s.account(live).charges)
}

// Refunds returns the current refunds of a mode, oldest first.
func (s *Server) Refunds(live bool) []Refund {
	return currents(s.account(live), &s.account(live).refunds)
}

// Disputes returns the current disputes of a mode, oldest first.
func (s *Server) Disputes(live bool) []Dispute {
	return currents(s.account(live), &s.account(live).disputes)
}

// Customers returns the current customers of a mode, oldest first.
func (s *Server) Customers(live bool) []Customer {
	return currents(s.account(live), &s.account(live).customers)
}

// PaymentMethods returns the current payment methods of a mode, oldest first.
func (s *Server) PaymentMethods(live bool) []PaymentMethod {
	return currents(s.account(live), &s.account(live).methods)
}

// currents returns copies of the current versions in a table.
func currents[T any](a *account, t *table[T]) []T {
	var cells []*cell[T]
	a.read(func() { cells = t.order })
	out := make([]T, len(cells))
	for i, c := range cells {
		out[i] = *c.cur.Load()
	}
	return out
}

// Intent returns a PaymentIntent of either mode.
func (s *Server) Intent(id string) (Intent, bool) { return one[Intent](s, id) }

// Charge returns a charge of either mode.
func (s *Server) Charge(id string) (Charge, bool) { return one[Charge](s, id) }

// Dispute returns a dispute of either mode.
func (s *Server) Dispute(id string) (Dispute, bool) { return one[Dispute](s, id) }

// PaymentMethod returns a payment method of either mode.
func (s *Server) PaymentMethod(id string) (PaymentMethod, bool) { return one[PaymentMethod](s, id) }

// Refund returns a refund of either mode.
func (s *Server) Refund(id string) (Refund, bool) { return one[Refund](s, id) }

func one[T any](s *Server, id string) (T, bool) {
	for _, a := range s.accounts() {
		if v, ok := any(a.lookup(id)).(*T); ok {
			return *v, true
		}
	}
	var zero T
	return zero, false
}

// Events returns the events of a mode, oldest first. Types restrict them and may
// end in a wildcard, as in "payment_intent.*".
func (s *Server) Events(live bool, types ...string) []EventInfo {
	var cells []*cell[Event]
	a := s.account(live)
	a.read(func() { cells = a.events.order })
	var out []EventInfo
	for _, c := range cells {
		if ev := c.cur.Load(); matchesAny(types, ev.Type) {
			out = append(out, EventInfo{
				ID: ev.ID, Body: ev.appendJSON(nil, nil), Created: time.Unix(ev.Created, 0).UTC(), Object: ev.objectID,
				PendingWebhooks: int(ev.pending.Load()), Type: ev.Type,
			})
		}
	}
	return out
}

// Paid is a PaymentIntent that succeeded, with its refunds and disputes.
type Paid struct {
	ID             string    `json:"id"`
	AmountReceived int64     `json:"amount_received"`
	AmountRefunded int64     `json:"amount_refunded"`
	Currency       string    `json:"currency"`
	Customer       string    `json:"customer,omitempty"`
	Disputes       []Dispute `json:"disputes,omitempty"`
	Metadata       Metadata  `json:"metadata"`
	Refunds        []Refund  `json:"refunds,omitempty"`
}

// Export returns all succeeded PaymentIntents of a mode, as of one moment.
func (s *Server) Export(live bool) []Paid {
	a := s.account(live)
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Paid
	for _, c := range a.intents.order {
		pi := c.cur.Load()
		if pi.Status != StatusSucceeded {
			continue
		}
		p := Paid{
			ID: pi.ID, AmountReceived: pi.AmountReceived, Currency: pi.Currency, Customer: pi.Customer, Metadata: pi.Metadata,
		}
		for _, r := range a.refunds.index[pi.ID] {
			p.Refunds = append(p.Refunds, *r.cur.Load())
			if last := p.Refunds[len(p.Refunds)-1]; last.Status != "failed" && last.Status != "canceled" {
				p.AmountRefunded += last.Amount
			}
		}
		for _, d := range a.disputes.index[pi.ID] {
			p.Disputes = append(p.Disputes, *d.cur.Load())
		}
		out = append(out, p)
	}
	return out
}

// ReplayOptions say how events are delivered again.
type ReplayOptions struct {
	// Concurrent sends all deliveries at the same time.
	Concurrent bool `json:"concurrent,omitempty"`
	// Seed shuffles the order. Zero keeps it.
	Seed uint64 `json:"seed,omitempty"`
	// Times is how often each event is delivered. Zero means once.
	Times int `json:"times,omitempty"`
}

// Replay delivers events again to every endpoint that wants them, with a new
// signature and one attempt each.
func (s *Server) Replay(ids []string, o ReplayOptions) error {
	var out []*delivery
	for range max(o.Times, 1) {
		for _, id := range ids {
			a, ev := s.findEvent(id)
			if ev == nil {
				return fmt.Errorf("replay %s: %w", id, ErrNotFound)
			}
			for _, ep := range a.targetsOf(ev.Type) {
				dl := &delivery{acct: a, ep: ep, ev: ev, pending: int64(len(a.targetsOf(ev.Type)))}
				if !o.Concurrent {
					dl.lane = "replay " + ep.ID
				}
				out = append(out, dl)
			}
		}
	}
	if o.Seed != 0 {
		rng := rand.New(rand.NewPCG(o.Seed, 1)) //nolint:gosec // a repeatable shuffle, not a secret
		rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	for _, dl := range out {
		s.sender.enqueue(dl)
	}
	return nil
}

func (s *Server) findEvent(id string) (*account, *Event) {
	for _, a := range s.accounts() {
		var ev *Event
		a.read(func() { ev = a.events.get(id) })
		if ev != nil {
			return a, ev
		}
	}
	return nil, nil
}

// Forgery is a webhook that does not come from Stripe.
type Forgery struct {
	// Age is how old the signature's timestamp is.
	Age Duration `json:"age,omitempty"`
	// Body is sent unchanged.
	Body json.RawMessage `json:"body"`
	// Live sends to the configured address of live mode.
	Live bool `json:"livemode,omitempty"`
	// Secret signs the body. Empty means that no signature is sent.
	Secret string `json:"secret,omitempty"`
	// URL is the address to send to. Empty means the configured one.
	URL string `json:"url,omitempty"`
}

// Forge sends an arbitrary event and returns the status of the answer.
func (s *Server) Forge(ctx context.Context, f Forgery) (status int, err error) {
	if f.URL == "" {
		ep := s.account(f.Live).configured.Load()
		if ep == nil {
			return 0, fmt.Errorf("forge: no webhook is configured: %w", ErrNotFound)
		}
		f.URL = ep.URL
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL, bytes.NewReader(f.Body))
	if err != nil {
		return 0, fmt.Errorf("forge: %w", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if f.Secret != "" {
		req.Header.Set("Stripe-Signature", Sign(f.Body, s.cfg.Now().Add(-time.Duration(f.Age)), f.Secret))
	}
	res, err := s.sender.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("forge: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, nil
}

// reset removes all queued deliveries and resets the counters.
func (d *sender) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dl := range d.queue {
		delete(d.busy, dl.lane)
		d.releaseWaiters(dl)
	}
	for lane, waiting := range d.busy {
		for _, dl := range waiting {
			d.releaseWaiters(dl)
		}
		d.busy[lane] = nil
	}
	d.queue, d.held, d.attempts = nil, nil, nil
	d.scheduled, d.total = 0, DeliveryCounts{}
	d.settle()
}

// settle wakes the callers of waitIdle if no delivery is queued or in flight. d.mu
// must be held.
func (d *sender) settle() {
	if d.inFlight > 0 || len(d.queue) > 0 || len(d.busy) > 0 {
		return
	}
	select {
	case <-d.idle:
	default:
		close(d.idle)
	}
}

func (d *sender) releaseAll() {
	d.mu.Lock()
	var ids []string
	for id := range d.held {
		ids = append(ids, id)
	}
	d.mu.Unlock()
	for _, id := range ids {
		d.release(id)
	}
}
