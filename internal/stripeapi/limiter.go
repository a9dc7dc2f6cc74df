package stripeapi

import (
	"context"
	"math"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

type callerKey struct{}

// WithCaller says for whom the calls of a context are made, an organization as a
// rule. A FairLimiter lets callers who wait take turns.
func WithCaller(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// FairLimiter keeps calls below a rate and lets the callers who wait take turns, so
// that one who wants many calls at once delays the others by one call each, and not
// by all of its own. It is safe for concurrent use.
type FairLimiter struct {
	perSecond float64
	bucket    *rate.Limiter

	mu      sync.Mutex
	waiting map[string][]*turn // by caller, the oldest first
	order   []string           // of the callers in waiting, the next one first
	serving bool
}

// turn is one call that waits.
type turn struct{ come chan struct{} }

// NewFairLimiter makes a limiter for so many calls per second, with a burst of a
// quarter of a second.
func NewFairLimiter(perSecond int) *FairLimiter {
	return &FairLimiter{
		perSecond: float64(perSecond),
		bucket:    rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/4)),
		waiting:   make(map[string][]*turn),
	}
}

// Share says among how many processes the rate is shared, of which this is one.
func (l *FairLimiter) Share(processes int) {
	share := l.perSecond / float64(max(1, processes))
	l.bucket.SetLimit(rate.Limit(share))
	l.bucket.SetBurst(max(1, int(math.Floor(share/4))))
}

// Wait implements Limiter. It returns once the caller's turn has come.
func (l *FairLimiter) Wait(ctx context.Context) error {
	caller, _ := ctx.Value(callerKey{}).(string)
	l.mu.Lock()
	if len(l.order) == 0 && !l.serving && l.bucket.Allow() {
		l.mu.Unlock()
		return nil
	}
	t := &turn{come: make(chan struct{})}
	if _, here := l.waiting[caller]; !here {
		l.order = append(l.order, caller)
	}
	l.waiting[caller] = append(l.waiting[caller], t)
	if !l.serving {
		l.serving = true
		go l.serve(context.WithoutCancel(ctx))
	}
	l.mu.Unlock()
	select {
	case <-t.come:
		return nil
	case <-ctx.Done():
		l.leave(caller, t)
		return ctx.Err()
	}
}

// leave takes a call out that is not wanted any more. If its turn came meanwhile,
// the turn is lost, which errs on the slow side.
func (l *FairLimiter) leave(caller string, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting[caller], t); i >= 0 {
		l.waiting[caller] = slices.Delete(l.waiting[caller], i, i+1)
		l.forget(caller)
	}
}

// forget drops a caller with nothing left to wait for. The caller holds the lock.
func (l *FairLimiter) forget(caller string) {
	if len(l.waiting[caller]) > 0 {
		return
	}
	delete(l.waiting, caller)
	if i := slices.Index(l.order, caller); i >= 0 {
		l.order = slices.Delete(l.order, i, i+1)
	}
}

// serve gives turns until nobody waits. Who is next is decided when the turn is
// there, not before.
func (l *FairLimiter) serve(ctx context.Context) {
	for {
		_ = l.bucket.Wait(ctx) // fails only for more than the burst
		if !l.give() {
			return
		}
	}
}

// give hands one turn to the next caller. It reports whether somebody else waits.
func (l *FairLimiter) give() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) > 0 {
		caller := l.order[0]
		l.order = append(l.order[1:], caller)
		queue := l.waiting[caller]
		close(queue[0].come)
		l.waiting[caller] = queue[1:]
		l.forget(caller)
	}
	l.serving = len(l.order) > 0
	return l.serving
}
