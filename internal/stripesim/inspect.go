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

// EventInfo is an event as a test looks at it.
type EventInfo struct {
	ID              string
	Body            []byte // as it is listed now
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

// currents copies the current versions out of a table.
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

// Events returns the events of a mode, oldest first; with types only those,
// wildcards such as "payment_intent.*" allowed.
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

// Paid is a PaymentIntent that took money, with everything that went back.
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

// Export returns every succeeded PaymentIntent of a mode, as of one moment.
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
	// Concurrent sends all at the same time.
	Concurrent bool `json:"concurrent,omitempty"`
	// Seed shuffles the order; zero keeps it.
	Seed uint64 `json:"seed,omitempty"`
	// Times is how often each event is delivered. Zero means once.
	Times int `json:"times,omitempty"`
}

// Replay delivers events again to every endpoint that wants them, signed anew
// and with a single attempt each.
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
		rng := rand.New(rand.NewPCG(o.Seed, 1)) //nolint:gosec // a shuffle that repeats with its seed
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

// Forgery is a webhook that Stripe never sent.
type Forgery struct {
	// Age is how far the signature's time lies back.
	Age Duration `json:"age,omitempty"`
	// Body is sent as it is.
	Body json.RawMessage `json:"body"`
	// Live sends to the address of live mode.
	Live bool `json:"livemode,omitempty"`
	// Secret signs it; empty sends no signature at all.
	Secret string `json:"secret,omitempty"`
	// URL is where it goes; empty is the configured address.
	URL string `json:"url,omitempty"`
}

// Forge sends an arbitrary event and returns the status it was answered with.
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

// reset forgets the queue and the counts.
func (d *sender) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dl := range d.queue {
		delete(d.busy, dl.lane)
		d.drop(dl)
	}
	for lane, waiting := range d.busy {
		for _, dl := range waiting {
			d.drop(dl)
		}
		d.busy[lane] = nil
	}
	d.queue, d.held, d.attempts = nil, nil, nil
	d.scheduled, d.total = 0, DeliveryCounts{}
	d.settle()
}

// settle tells those who wait for it that nothing is queued or under way. It is
// called with the lock held.
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
