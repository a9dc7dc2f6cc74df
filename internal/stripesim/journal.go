package stripesim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// The kinds of lines in the state file.
const (
	kindBalance   = "balance_transaction"
	kindCharge    = "charge"
	kindCheckout  = "checkout_session"
	kindClock     = "clock"
	kindCustomer  = "customer"
	kindDelivered = "delivered"
	kindDispute   = "dispute"
	kindEndpoint  = "webhook_endpoint"
	kindEvent     = "event"
	kindFired     = "timer_fired"
	kindIntent    = "payment_intent"
	kindKey       = "idempotency_key"
	kindMethod    = "payment_method"
	kindRefund    = "refund"
	kindReset     = "reset"
	kindSetup     = "setup_intent"
	kindTimer     = "timer"
	kindWarning   = "early_fraud_warning"
)

// line is one line of the state file. The last line of an object is valid.
type line struct {
	At   int64           `json:"at,omitempty"` // creation, in nanoseconds of the virtual clock
	Kind string          `json:"kind"`
	Live bool            `json:"live,omitempty"`
	V    json.RawMessage `json:"v"`
}

// journal appends every change to the state file before the request is answered, so
// a killed process loses no answered change. Opening the file compacts it. A nil
// journal, which a simulator without a state file has, does nothing.
type journal struct {
	mu      sync.Mutex
	err     error // the first failure; the state file is incomplete from then on
	f       *os.File
	pending map[string][]string // the endpoints that have not confirmed an event, by the event's id
	s       *Server
	timers  map[int]*timer
	w       *bufio.Writer
}

type eventLine struct {
	ID       string          `json:"id"`
	Created  int64           `json:"created"`
	Key      string          `json:"key,omitempty"`
	Object   json.RawMessage `json:"object"`
	ObjectID string          `json:"object_id"`
	Pending  []string        `json:"pending,omitempty"`
	Previous string          `json:"previous,omitempty"`
	Request  string          `json:"request,omitempty"`
	Type     string          `json:"type"`
}

type deliveredLine struct {
	Endpoint string `json:"endpoint"`
	Event    string `json:"event"`
}

type keyLine struct {
	At      int64    `json:"at"`
	Body    string   `json:"body"`
	Digest  [32]byte `json:"digest"`
	HTML    bool     `json:"html,omitempty"`
	Key     string   `json:"key"`
	Method  string   `json:"method"`
	Path    string   `json:"path"`
	Request string   `json:"request"`
	Status  int      `json:"status"`
}

// openJournal loads a state file, compacts it and opens it for appending.
func openJournal(s *Server, path string) (*journal, error) {
	j := &journal{pending: map[string][]string{}, s: s, timers: map[int]*timer{}}
	if err := j.load(path); err != nil {
		return nil, err
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the operator chose the file
	if err != nil {
		return nil, err
	}
	j.f, j.w = f, bufio.NewWriterSize(f, 64<<10)
	j.compact()
	j.flush()
	if j.err != nil {
		return nil, errors.Join(j.err, f.Close())
	}
	if err := os.Rename(tmp, path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for _, t := range j.timers {
		s.clock.schedule(t)
	}
	return j, nil
}

func (j *journal) load(path string) error {
	f, err := os.Open(path) //nolint:gosec // the operator chose the file
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for n := 1; ; n++ {
		b, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // an incomplete last line was being written when the process died
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if err := j.apply(&l); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
}

// apply applies one line to the server. It is called before the server starts, so
// it takes no locks.
func (j *journal) apply(l *line) error {
	a := j.s.account(l.Live)
	t := &tx{account: a, ns: l.At}
	switch l.Kind {
	case kindBalance:
		return restore(l, func(v *BalanceTransaction) { put(t, &a.balance, kindBalance, v.ID, v) })
	case kindCharge:
		return restore(l, func(v *Charge) { t.putCharge(v) })
	case kindCheckout:
		return restore(l, func(v *CheckoutSession) { t.putCheckout(v) })
	case kindClock:
		return restore(l, func(v *time.Duration) { j.s.clock.setOffset(*v) })
	case kindCustomer:
		return restore(l, func(v *Customer) { t.putCustomer(v) })
	case kindDelivered:
		return restore(l, func(v *deliveredLine) { j.confirmed(v.Event, v.Endpoint) })
	case kindDispute:
		return restore(l, func(v *Dispute) { t.putDispute(v) })
	case kindEndpoint:
		return restore(l, func(v *WebhookEndpoint) { t.putEndpoint(v) })
	case kindEvent:
		return restore(l, func(v *eventLine) { j.applyEvent(t, v) })
	case kindFired:
		return restore(l, func(v *int) { delete(j.timers, *v) })
	case kindIntent:
		return restore(l, func(v *Intent) { t.putIntent(v) })
	case kindKey:
		return restore(l, func(v *keyLine) { a.keys.restore(v) })
	case kindMethod:
		return restore(l, func(v *PaymentMethod) { t.putMethod(v) })
	case kindRefund:
		return restore(l, func(v *Refund) { t.putRefund(v) })
	case kindReset:
		j.s.forget()
		clear(j.pending)
		clear(j.timers)
		return nil
	case kindSetup:
		return restore(l, func(v *SetupIntent) { t.putSetup(v) })
	case kindTimer:
		return restore(l, func(v *timer) { j.timers[v.Seq] = v })
	case kindWarning:
		return restore(l, func(v *FraudWarning) { t.putWarning(v) })
	}
	return fmt.Errorf("unknown kind %q", l.Kind)
}

func restore[T any](l *line, use func(*T)) error {
	v := new(T)
	if err := json.Unmarshal(l.V, v); err != nil {
		return err
	}
	use(v)
	return nil
}

func (j *journal) applyEvent(t *tx, v *eventLine) {
	ev := &Event{
		ID: v.ID, Created: v.Created, Livemode: t.live, Type: v.Type,
		key: v.Key, object: rendered(v.Object), objectID: v.ObjectID, previous: v.Previous, reqID: v.Request,
	}
	ev.pending.Store(int64(len(v.Pending)))
	t.account.events.set(ev.ID, ev, t.ns)
	if len(v.Pending) > 0 {
		j.pending[v.ID] = v.Pending
	}
}

// confirmed records that an endpoint has confirmed an event.
func (j *journal) confirmed(event, endpoint string) {
	left := slices.DeleteFunc(j.pending[event], func(id string) bool { return id == endpoint })
	if len(left) == 0 {
		delete(j.pending, event)
		return
	}
	j.pending[event] = left
}

func (k *keyStore) restore(v *keyLine) {
	if k.recs == nil {
		k.recs = map[string]*keyRecord{}
	}
	k.recs[v.Key] = &keyRecord{
		answer: answer{raw: []byte(v.Body), status: v.Status, html: v.HTML},
		at:     v.At, digest: v.Digest, done: true, method: v.Method, path: v.Path, request: v.Request,
	}
}

// compact writes the current state, one line per object.
func (j *journal) compact() {
	j.write(false, kindClock, 0, j.s.clock.getOffset())
	for _, a := range []*account{j.s.test, j.s.live} {
		dump(j, a, kindBalance, &a.balance)
		dump(j, a, kindCharge, &a.charges)
		dump(j, a, kindCheckout, &a.checkouts)
		dump(j, a, kindCustomer, &a.customers)
		dump(j, a, kindDispute, &a.disputes)
		dump(j, a, kindEndpoint, &a.endpoints)
		dump(j, a, kindIntent, &a.intents)
		dump(j, a, kindMethod, &a.methods)
		dump(j, a, kindRefund, &a.refunds)
		dump(j, a, kindSetup, &a.setups)
		dump(j, a, kindWarning, &a.warnings)
		for _, c := range a.events.order {
			ev := c.cur.Load()
			ev.pending.Store(int64(len(j.pending[ev.ID])))
			j.write(a.live, kindEvent, c.at, newEventLine(ev, j.pending[ev.ID]))
		}
		for key, rec := range a.keys.recs {
			j.write(a.live, kindKey, 0, newKeyLine(key, rec))
		}
	}
	for _, t := range j.timers {
		j.write(false, kindTimer, 0, t)
	}
}

func dump[T any](j *journal, a *account, kind string, t *table[T]) {
	for _, c := range t.order {
		j.write(a.live, kind, c.at, c.cur.Load())
	}
}

func newEventLine(ev *Event, pending []string) *eventLine {
	return &eventLine{
		ID: ev.ID, Created: ev.Created, Key: ev.key, Object: ev.object.appendJSON(nil, nil), ObjectID: ev.objectID,
		Pending: pending, Previous: ev.previous, Request: ev.reqID, Type: ev.Type,
	}
}

func newKeyLine(key string, rec *keyRecord) *keyLine {
	return &keyLine{
		At: rec.at, Body: string(rec.answer.render(nil)), Digest: rec.digest, HTML: rec.answer.html, Key: key,
		Method: rec.method, Path: rec.path, Request: rec.request, Status: rec.answer.status,
	}
}

// write appends a line to the buffer.
func (j *journal) write(live bool, kind string, at int64, v any) {
	if j == nil {
		return
	}
	raw, err := encode(v)
	if err == nil {
		raw, err = encode(line{At: at, Kind: kind, Live: live, V: raw})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.w == nil { // closed: changes made from now on are not kept
		return
	}
	if err == nil {
		_, err = j.w.Write(raw)
	}
	j.fail(err)
}

// encode returns v as JSON and a newline. It does not escape HTML, because an
// event's object must be restored byte for byte.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func (j *journal) fail(err error) {
	if err != nil && j.err == nil {
		j.err = err
		j.s.cfg.Log.Error("simulator state cannot be written", slog.String("error", err.Error()))
	}
}

func (j *journal) object(live bool, kind string, at int64, v any) { j.write(live, kind, at, v) }

func (j *journal) event(live bool, at int64, ev *Event, targets []*WebhookEndpoint) {
	if j == nil {
		return
	}
	ids := make([]string, len(targets))
	for i, ep := range targets {
		ids[i] = ep.ID
	}
	j.write(live, kindEvent, at, newEventLine(ev, ids))
}

func (j *journal) delivered(live bool, event, endpoint string) {
	j.write(live, kindDelivered, 0, deliveredLine{Endpoint: endpoint, Event: event})
	j.flush()
}

func (j *journal) timer(t *timer) { j.write(t.Live, kindTimer, 0, t) }

func (j *journal) fired(t *timer) {
	j.write(t.Live, kindFired, 0, t.Seq)
	j.flush()
}

func (j *journal) clock(offset time.Duration) {
	j.write(false, kindClock, 0, offset)
	j.flush()
}

func (j *journal) reset() {
	j.write(false, kindReset, 0, nil)
	j.flush()
}

func (j *journal) key(a *account, key string, rec *keyRecord) {
	if j == nil {
		return
	}
	j.write(a.live, kindKey, 0, newKeyLine(key, rec))
	j.flush()
}

// flush passes the buffered lines to the operating system, which keeps them even if
// the process is killed.
func (j *journal) flush() {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.w != nil {
		j.fail(j.w.Flush())
	}
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.flush()
	j.mu.Lock()
	defer j.mu.Unlock()
	err := errors.Join(j.err, j.f.Sync(), j.f.Close())
	j.w = nil
	return err
}

// resumeDeliveries queues the deliveries that were pending when the previous
// process ended.
func (s *Server) resumeDeliveries() {
	if s.journal == nil {
		return
	}
	for _, a := range []*account{s.test, s.live} {
		for _, c := range a.events.order {
			ev := c.cur.Load()
			for _, id := range s.journal.pending[ev.ID] {
				ep := a.current(&WebhookEndpoint{ID: id})
				if ep == nil {
					continue
				}
				s.sender.enqueue(&delivery{
					acct: a, counted: true, ep: ep, ev: ev, lane: ep.ID + ev.objectID, pending: ev.pending.Load(),
				})
			}
		}
	}
	s.journal.pending = nil
}
