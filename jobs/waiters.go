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

// waiters holds the callers of this process that wait for a payment to be answered.
// writeSettlements wakes them when this process settles the payment. For payments that
// another process settles, pollForWaiters looks up all of them in one query.
type waiters struct {
	mu       sync.Mutex
	payments map[wallet.ID]*expectation
	// fresh holds the expectations of accepted payments in the order of their creation.
	// Their callers may not have called Wait yet.
	fresh []freshExpectation
	// awaited holds the expectations that have a waiting caller.
	awaited map[wallet.ID]*expectation
}

type expectation struct {
	done     chan struct{} // closed when payment is set
	payment  wallet.Payment
	answered bool
	callers  int
}

type freshExpectation struct {
	id    wallet.ID
	since time.Time
}

// keepUnclaimed is how long an answer is kept for a caller that has not called Wait
// yet. A caller that wants to wait does so immediately after Accept.
const keepUnclaimed = 2 * time.Second

func newWaiters() *waiters {
	return &waiters{payments: make(map[wallet.ID]*expectation), awaited: make(map[wallet.ID]*expectation)}
}

// expect prepares for a caller that may wait for the payment soon. An answer that
// arrives before that caller is kept.
func (w *waiters) expect(id wallet.ID, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.payments[id]; !ok {
		w.payments[id] = &expectation{done: make(chan struct{})}
		w.fresh = append(w.fresh, freshExpectation{id, now})
	}
}

// await adds a waiting caller. The caller must call forget at the end.
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

// forget removes a waiting caller.
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

// resolve gives the payment to all callers that wait for it.
func (w *waiters) resolve(p wallet.Payment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := w.payments[p.ID]; ok && !x.answered {
		x.payment, x.answered = p, true
		close(x.done)
	}
}

// unanswered returns the payments that callers wait for. It also drops expectations
// that no caller has claimed in time.
func (w *waiters) unanswered(now time.Time) []wallet.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	expired := 0
	for expired < len(w.fresh) && now.Sub(w.fresh[expired].since) > keepUnclaimed {
		id := w.fresh[expired].id
		if x, ok := w.payments[id]; ok && x.callers == 0 {
			delete(w.payments, id)
		}
		expired++
	}
	w.fresh = slices.Delete(w.fresh, 0, expired)
	var ids []wallet.ID
	for id, x := range w.awaited {
		if !x.answered {
			ids = append(ids, id)
		}
	}
	return ids
}

// Wait returns the payment as soon as it is answered. When d is over, ctx ends or the
// engine drains first, it returns the payment in its current state.
func (e *Engine) Wait(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Payment, error) {
	x := e.waiters.await(id)
	defer e.waiters.forget(id)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-x.done:
		return x.payment, nil
	case <-timer.C:
	case <-e.draining:
	case <-ctx.Done():
	}
	return postgres.GetPayment(context.WithoutCancel(ctx), e.Pool, id)
}

// pollForWaiters looks up the payments that callers wait for, until the engine closes.
func (e *Engine) pollForWaiters() {
	repeat(e.stopping, e.PollEvery, nil, func(ctx context.Context) {
		ids := e.waiters.unanswered(e.Now())
		if len(ids) == 0 {
			return
		}
		payments, err := postgres.GetPayments(ctx, e.Pool, ids)
		if err != nil {
			if ctx.Err() == nil {
				e.Log.WarnContext(ctx, "look-up for waiting callers", slog.Any("error", err))
			}
			return
		}
		for _, p := range payments {
			if p.Status.Answered() {
				e.waiters.resolve(p)
			}
		}
	})
}
