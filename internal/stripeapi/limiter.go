package stripeapi

import (
	"context"
	"math"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

type callerKey struct{}

// WithCaller sets the caller of the calls made with the context, usually an
// organization's id. A FairLimiter lets waiting callers take turns.
func WithCaller(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// FairLimiter keeps calls below a rate and lets waiting callers take turns. A
// caller that makes many calls at once delays each other caller by one call, not by
// all of them. It is safe for concurrent use.
type FairLimiter struct {
	perSecond float64
	bucket    *rate.Limiter

	mu      sync.Mutex
	waiting map[string][]*turn // by caller, oldest first
	order   []string           // the callers in waiting, the next one first
	serving bool
}

// turn is one waiting call. ready is closed when the call may be made.
type turn struct{ ready chan struct{} }

// NewFairLimiter returns a limiter that allows perSecond calls per second and a
// burst of a quarter of that.
func NewFairLimiter(perSecond int) *FairLimiter {
	return &FairLimiter{
		perSecond: float64(perSecond),
		bucket:    rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/4)),
		waiting:   make(map[string][]*turn),
	}
}

// Share sets the number of processes that share the rate, this one included.
func (l *FairLimiter) Share(processes int) {
	share := l.perSecond / float64(max(1, processes))
	l.bucket.SetLimit(rate.Limit(share))
	l.bucket.SetBurst(max(1, int(math.Floor(share/4))))
}

// Wait implements Limiter. It returns when it is the caller's turn.
func (l *FairLimiter) Wait(ctx context.Context) error {
	caller, _ := ctx.Value(callerKey{}).(string)
	l.mu.Lock()
	if len(l.order) == 0 && !l.serving && l.bucket.Allow() {
		l.mu.Unlock()
		return nil
	}
	t := &turn{ready: make(chan struct{})}
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
	case <-t.ready:
		return nil
	case <-ctx.Done():
		l.leave(caller, t)
		return ctx.Err()
	}
}

// leave removes a call whose context has ended. If its turn has already been
// granted the turn is lost, which makes the rate lower, never higher.
func (l *FairLimiter) leave(caller string, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting[caller], t); i >= 0 {
		l.waiting[caller] = slices.Delete(l.waiting[caller], i, i+1)
		l.forget(caller)
	}
}

// forget removes a caller that has no waiting calls. l.mu must be held.
func (l *FairLimiter) forget(caller string) {
	if len(l.waiting[caller]) > 0 {
		return
	}
	delete(l.waiting, caller)
	if i := slices.Index(l.order, caller); i >= 0 {
		l.order = slices.Delete(l.order, i, i+1)
	}
}

// serve grants turns until no call waits. It takes a token first and picks the
// caller afterwards, so that a caller that came meanwhile is considered.
func (l *FairLimiter) serve(ctx context.Context) {
	for {
		_ = l.bucket.Wait(ctx) // fails only for a request beyond the burst, and this is for 1
		if !l.grant() {
			return
		}
	}
}

// grant gives one turn to the next caller. It reports whether more calls wait.
func (l *FairLimiter) grant() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) > 0 {
		caller := l.order[0]
		l.order = append(l.order[1:], caller)
		queue := l.waiting[caller]
		close(queue[0].ready)
		l.waiting[caller] = queue[1:]
		l.forget(caller)
	}
	l.serving = len(l.order) > 0
	return l.serving
}
