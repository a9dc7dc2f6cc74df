package stripesim

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// cell holds the current version of one object. Its position in the table never
// changes, so lists can read the cells without a lock.
type cell[T any] struct {
	at  int64 // creation, in nanoseconds of the virtual clock
	cur atomic.Pointer[T]
	seq int
}

// table holds all objects of one kind in order of creation.
type table[T any] struct {
	byID  map[string]*cell[T]
	index map[string][]*cell[T] // by the id of an owner, such as a customer or a charge
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

// own adds a cell to an owner, in order of creation.
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
	if i < len(cells) { // lists may be reading the old array
		cells = slices.Clone(cells)
	}
	t.index[owner] = slices.Insert(cells, i, c)
}

// account is the data of one mode, guarded by one mutex. Code that holds it does a
// few map operations. It must not parse, render or wait.
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

// tx is one change of an account: new versions of objects, and events about them,
// under one lock.
type tx struct {
	*account
	events []*Event
	from   origin
	ns     int64 // the current time of the virtual clock
	sec    int64
}

// origin is the API request that causes a change. It is zero for changes with
// another cause.
type origin struct {
	key   string
	reqID string
	wait  *sync.WaitGroup // for deliveries to be made before the answer
}

// update runs fn under the account's lock and publishes its events. A change cannot
// be undone, so fn must check everything before it stores anything. It may store
// objects and still return an error, as a decline does.
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

// change is update for changes that no API request causes.
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

// find is lookup with a.mu held.
func (a *account) find(id string) renderer {
	prefix, _, _ := strings.Cut(id, "_")
	switch prefix {
	case "ch", "py":
		return asRenderer(a.charges.get(id))
	case "cs":
		return asRenderer(a.checkouts.get(id))
	case "cus":
		return asRenderer(a.customers.get(id))
	case "dp", "du":
		return asRenderer(a.disputes.get(id))
	case "pi":
		return asRenderer(a.intents.get(id))
	case "pm":
		return asRenderer(a.methods.get(id))
	case "re", "pyr":
		return asRenderer(a.refunds.get(id))
	case "seti":
		return asRenderer(a.setups.get(id))
	case "txn":
		return asRenderer(a.balance.get(id))
	}
	return nil
}

// asRenderer converts a pointer to a renderer. A nil pointer becomes a nil renderer, not
// a non-nil one that holds nil.
func asRenderer[T any, P snapshot[T]](v P) renderer {
	if v == nil {
		return nil
	}
	return v
}

// objectLocks serializes requests that change one object, as Stripe does.
type objectLocks struct {
	held map[string]chan struct{}
	mu   sync.Mutex
}

// acquire waits for the object for at most wait. It reports whether it got the
// lock.
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
		if timeout == nil { // usually the lock is free and no timer is needed
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
