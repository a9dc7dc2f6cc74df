package jobs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// waiters are the callers who wait for a payment's answer in this process. They
// are woken when this process settles the payment; for those that another process
// settles there is one look-up for all of them together, every so often.
type waiters struct {
	mu       sync.Mutex
	payments map[wallet.ID]*expectation
	// fresh are those that nobody has come for yet, in the order in which they
	// were made.
	fresh []freshExpectation
	// awaited are those that somebody waits for.
	awaited map[wallet.ID]*expectation
}

type expectation struct {
	done    chan struct{} // closed when answer is there
	answer  wallet.Payment
	told    bool
	callers int
}

type freshExpectation struct {
	id    wallet.ID
	since time.Time
}

// comesWithin is how long an answer is kept for somebody who has not come yet.
// Whoever accepts a payment comes at once, or does not want to wait.
const comesWithin = 2 * time.Second

func newWaiters() *waiters {
	return &waiters{payments: make(map[wallet.ID]*expectation), awaited: make(map[wallet.ID]*expectation)}
}

// expect says that somebody may come to wait for the payment, so that an answer
// which comes before that somebody does is kept.
func (w *waiters) expect(id wallet.ID, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.payments[id]; !ok {
		w.payments[id] = &expectation{done: make(chan struct{})}
		w.fresh = append(w.fresh, freshExpectation{id, now})
	}
}

// await says that somebody waits for the payment now, until forget.
func (w *waiters) await(id wallet.ID) *expectation {
	w.mu.Lock()
	defer w.mu.Unlock()
	x, ok := w.payments[id]
	if !ok {
		x = &expectation{done: make(chan struct{})}
		w.payments[id] = x
	}
	x.callers++
	w.awaited[id] = x
	return x
}

// forget says that somebody waits no more.
func (w *waiters) forget(id wallet.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x, ok := w.payments[id]
	if !ok {
		return
	}
	if x.callers--; x.callers <= 0 {
		delete(w.payments, id)
		delete(w.awaited, id)
	}
}

// tell hands the payment to everybody who waits for it.
func (w *waiters) tell(p wallet.Payment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := w.payments[p.ID]; ok && !x.told {
		x.answer, x.told = p, true
		close(x.done)
	}
}

// open lists the payments that somebody waits for and whose answer is still
// missing, and drops expectations that nobody came for.
func (w *waiters) open(now time.Time) []wallet.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	late := 0
	for late < len(w.fresh) && now.Sub(w.fresh[late].since) > comesWithin {
		id := w.fresh[late].id
		if x, ok := w.payments[id]; ok && x.callers == 0 {
			delete(w.payments, id)
		}
		late++
	}
	w.fresh = slices.Delete(w.fresh, 0, late)
	var ids []wallet.ID
	for id, x := range w.awaited {
		if !x.told {
			ids = append(ids, id)
		}
	}
	return ids
}

// Wait returns the payment as soon as it can be answered, or as it stands when d
// is over or ctx ends.
func (e *Engine) Wait(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Payment, error) {
	x := e.waiters.await(id)
	defer e.waiters.forget(id)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-x.done:
		return x.answer, nil
	case <-timer.C:
	case <-e.draining:
	case <-ctx.Done():
	}
	return postgres.GetPayment(context.WithoutCancel(ctx), e.Pool, id)
}

func (e *Engine) pollForWaiters() {
	tick := time.NewTicker(e.PollEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stopping.Done():
			return
		case <-tick.C:
		}
		ids := e.waiters.open(e.Now())
		if len(ids) == 0 {
			continue
		}
		payments, err := postgres.GetPayments(e.stopping, e.Pool, ids)
		if err != nil {
			if e.stopping.Err() == nil {
				e.Log.WarnContext(e.stopping, "look-up for waiting callers", slog.Any("error", err))
			}
			continue
		}
		for _, p := range payments {
			if p.Status.Answered() {
				e.waiters.tell(p)
			}
		}
	}
}
