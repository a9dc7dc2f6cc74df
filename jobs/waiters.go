package jobs

import (
	"context"
	"log/slog"
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
}

type expectation struct {
	since  time.Time
	done   chan struct{} // closed when answer is there
	answer wallet.Payment
	told   bool
}

func newWaiters() *waiters {
	return &waiters{payments: make(map[wallet.ID]*expectation)}
}

// expect says that somebody will wait for the payment, so that an answer which
// comes before that somebody does is kept.
func (w *waiters) expect(id wallet.ID, now time.Time) *expectation {
	w.mu.Lock()
	defer w.mu.Unlock()
	x, ok := w.payments[id]
	if !ok {
		x = &expectation{since: now, done: make(chan struct{})}
		w.payments[id] = x
	}
	return x
}

func (w *waiters) forget(id wallet.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.payments, id)
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

// open lists the payments whose answer is still missing, and drops expectations
// that nobody came for.
func (w *waiters) open(now time.Time) []wallet.ID {
	const longest = 2 * time.Minute // beyond any wait
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []wallet.ID
	for id, x := range w.payments {
		switch {
		case now.Sub(x.since) > longest:
			delete(w.payments, id)
		case !x.told:
			ids = append(ids, id)
		}
	}
	return ids
}

// Wait returns the payment as soon as it can be answered, or as it stands when d
// is over or ctx ends.
func (e *Engine) Wait(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Payment, error) {
	x := e.waiters.expect(id, e.Now())
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
