package stripesim

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// cell holds the current version of one object. Its place in the table never
// changes, so lists walk the cells without a lock.
type cell[T any] struct {
	at  int64 // creation on the virtual clock, in nanoseconds
	cur atomic.Pointer[T]
	seq int
}

// table holds all objects of one kind in order of creation.
type table[T any] struct {
	byID  map[string]*cell[T]
	index map[string][]*cell[T] // by the id of an owner: a customer, a charge
	order []*cell[T]
}

func (t *table[T]) get(id string) *T {
	if c := t.byID[id]; c != nil {
		return c.cur.Load()
	}
	return nil
}

// set stores the first or the next version of an object.
func (t *table[T]) set(id string, v *T, at int64) *cell[T] {
	c := t.byID[id]
	if c == nil {
		c = &cell[T]{at: at, seq: len(t.order)}
		if t.byID == nil {
			t.byID = map[string]*cell[T]{}
		}
		t.byID[id] = c
		c.cur.Store(v)
		t.order = append(t.order, c)
		return c
	}
	c.cur.Store(v)
	return c
}

// own puts a cell under an owner, in order of creation.
func (t *table[T]) own(owner string, c *cell[T]) {
	if owner == "" {
		return
	}
	if t.index == nil {
		t.index = map[string][]*cell[T]{}
	}
	cells := t.index[owner]
	i := sort.Search(len(cells), func(i int) bool { return cells[i].seq >= c.seq })
	if i < len(cells) && cells[i] == c {
		return
	}
	if i < len(cells) { // lists may be walking the old array
		cells = slices.Clone(cells)
	}
	t.index[owner] = slices.Insert(cells, i, c)
}

// account is the data of one mode. One mutex guards it: what is done under it
// are a few map writes, and nothing is parsed, rendered or waited for.
type account struct {
	live bool
	s    *Server

	mu        sync.Mutex
	balance   table[BalanceTransaction]
	charges   table[Charge]
	checkouts table[CheckoutSession]
	customers table[Customer]
	disputes  table[Dispute]
	endpoints table[WebhookEndpoint]
	events    table[Event]
	intents   table[Intent]
	methods   table[PaymentMethod]
	refunds   table[Refund]
	setups    table[SetupIntent]
	warnings  table[FraudWarning]

	configured atomic.Pointer[WebhookEndpoint] // the endpoint of the configuration
	targets    atomic.Pointer[[]*WebhookEndpoint]

	keys  keyStore
	locks objectLocks
}

func newAccount(s *Server, live bool) *account {
	a := &account{live: live, s: s}
	a.keys.live = live
	return a
}

func (a *account) mode() string {
	if a.live {
		return "live"
	}
	return "test"
}

// tx is one change of an account: new versions of objects and the events that
// tell of them, all under one lock.
type tx struct {
	*account
	events []*Event
	from   origin
	ns     int64 // now, on the virtual clock
	sec    int64
}

// origin is the API request that causes a change; zero when none does.
type origin struct {
	key   string
	reqID string
	wait  *sync.WaitGroup // for deliveries that come before the answer
}

// update runs fn under the account's lock and hands its events to the sender.
// fn must have decided whether to refuse before it stores anything: there is
// no way back. It may store things and return an error, as a decline does.
func (a *account) update(from origin, fn func(*tx) *apiError) ([]*Event, *apiError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.s.clock.now()
	t := &tx{account: a, from: from, ns: now.UnixNano(), sec: now.Unix()}
	err := fn(t)
	for _, ev := range t.events {
		a.s.sender.publish(a, ev, from.wait)
	}
	a.s.journal.flush()
	return t.events, err
}

// change is update for causes other than an API request.
func (a *account) change(fn func(*tx)) []*Event {
	events, _ := a.update(origin{}, func(t *tx) *apiError { fn(t); return nil })
	return events
}

// read runs fn under the account's lock.
func (a *account) read(fn func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn()
}

// put stores a version of an object and writes it to the journal.
func put[T any](t *tx, tab *table[T], kind, id string, v *T) *cell[T] {
	c := tab.set(id, v, t.ns)
	t.s.journal.object(t.live, kind, c.at, v)
	return c
}

func (t *tx) putIntent(v *Intent) *Intent {
	t.intents.own(v.Customer, put(t, &t.intents, kindIntent, v.ID, v))
	return v
}

func (t *tx) putCharge(v *Charge) *Charge {
	c := put(t, &t.charges, kindCharge, v.ID, v)
	t.charges.own(v.Customer, c)
	t.charges.own(v.PaymentIntent, c)
	t.charges.own(v.TransferGroup, c)
	return v
}

func (t *tx) putCheckout(v *CheckoutSession) *CheckoutSession {
	c := put(t, &t.checkouts, kindCheckout, v.ID, v)
	t.checkouts.own(v.Customer, c)
	t.checkouts.own(v.PaymentIntent, c)
	return v
}

func (t *tx) putCustomer(v *Customer) *Customer {
	c := put(t, &t.customers, kindCustomer, v.ID, v)
	t.customers.own(v.Email, c)
	return v
}

func (t *tx) putDispute(v *Dispute) *Dispute {
	c := put(t, &t.disputes, kindDispute, v.ID, v)
	t.disputes.own(v.Charge, c)
	t.disputes.own(v.PaymentIntent, c)
	return v
}

func (t *tx) putEndpoint(v *WebhookEndpoint) {
	put(t, &t.endpoints, kindEndpoint, v.ID, v)
	t.retarget()
}

func (t *tx) putMethod(v *PaymentMethod) *PaymentMethod {
	t.methods.own(v.Customer, put(t, &t.methods, kindMethod, v.ID, v))
	return v
}

func (t *tx) putRefund(v *Refund) {
	c := put(t, &t.refunds, kindRefund, v.ID, v)
	t.refunds.own(v.Charge, c)
	t.refunds.own(v.PaymentIntent, c)
}

func (t *tx) putSetup(v *SetupIntent) *SetupIntent {
	t.setups.own(v.Customer, put(t, &t.setups, kindSetup, v.ID, v))
	return v
}

func (t *tx) putWarning(v *FraudWarning) {
	t.warnings.own(v.Charge, put(t, &t.warnings, kindWarning, v.ID, v))
}

// lookup returns the current version of any object, or nil.
func (a *account) lookup(id string) renderer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.find(id)
}

// find is lookup under the account's lock.
func (a *account) find(id string) renderer {
	prefix, _, _ := strings.Cut(id, "_")
	switch prefix {
	case "ch", "py":
		return some(a.charges.get(id))
	case "cs":
		return some(a.checkouts.get(id))
	case "cus":
		return some(a.customers.get(id))
	case "dp", "du":
		return some(a.disputes.get(id))
	case "pi":
		return some(a.intents.get(id))
	case "pm":
		return some(a.methods.get(id))
	case "re", "pyr":
		return some(a.refunds.get(id))
	case "seti":
		return some(a.setups.get(id))
	case "txn":
		return some(a.balance.get(id))
	}
	return nil
}

// some keeps a nil pointer from becoming a renderer that is not nil.
func some[T any, P snapshot[T]](v P) renderer {
	if v == nil {
		return nil
	}
	return v
}

// objectLocks serialise requests that change one object, as Stripe does.
type objectLocks struct {
	held map[string]chan struct{}
	mu   sync.Mutex
}

// acquire waits for the object for at most wait and reports whether it got it.
func (l *objectLocks) acquire(id string, wait time.Duration, done <-chan struct{}) bool {
	var timeout *time.Timer
	for {
		l.mu.Lock()
		ch, busy := l.held[id]
		if !busy {
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			l.held[id] = nil
			l.mu.Unlock()
			return true
		}
		if ch == nil {
			ch = make(chan struct{})
			l.held[id] = ch
		}
		l.mu.Unlock()
		if timeout == nil { // the usual case waits for nobody
			timeout = time.NewTimer(wait)
		}
		select {
		case <-ch:
		case <-timeout.C:
			return false
		case <-done:
			return false
		}
	}
}

func (l *objectLocks) release(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ch := l.held[id]; ch != nil {
		close(ch)
	}
	delete(l.held, id)
}
