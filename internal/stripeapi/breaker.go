package stripeapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// BreakerState is whether calls are let through.
type BreakerState string

// The states of a Breaker.
const (
	// BreakerClosed: calls are made.
	BreakerClosed BreakerState = "closed"
	// BreakerHalfOpen: one call is made, to see whether Stripe is back.
	BreakerHalfOpen BreakerState = "half_open"
	// BreakerOpen: Stripe is down, and no call is made.
	BreakerOpen BreakerState = "open"
)

const (
	// breakerWindow is how far back calls count, in buckets of a second.
	breakerWindow = 10
	// breakerFailures is how many of them must have failed, and that must be at
	// least four in five: what fails now and then is not down.
	breakerFailures = 5
	// The wait before a probe doubles with each one that fails.
	firstProbeAfter   = time.Second
	longestProbeAfter = 15 * time.Second
)

// BreakerConfig says what a Breaker needs.
type BreakerConfig struct {
	Now func() time.Time
	// OnChange is told of each new state. It must not block. Nil is told nothing.
	OnChange func(BreakerState)
}

// Breaker stops the calls to Stripe while it is down, so that each does not wait
// for its own timeout, and lets one through from time to time. Down is when nearly
// no call is answered: a refusal is an answer, and so is a rate limit. A nil
// Breaker lets everything through. It is safe for concurrent use.
type Breaker struct {
	cfg BreakerConfig

	mu      sync.Mutex
	state   BreakerState
	probing bool
	wait    time.Duration
	until   time.Time // when open
	buckets [breakerWindow]callCount
}

// callCount counts the calls that ended in one second.
type callCount struct {
	second        int64
	failed, total int
}

// NewBreaker makes a closed Breaker.
func NewBreaker(cfg BreakerConfig) *Breaker {
	if cfg.OnChange == nil {
		cfg.OnChange = func(BreakerState) {}
	}
	return &Breaker{cfg: cfg, state: BreakerClosed, wait: firstProbeAfter}
}

// State is the state now.
func (b *Breaker) State() BreakerState {
	if b == nil {
		return BreakerClosed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Outage tells whether a call made now would be refused, and after which time it
// may not be.
func (b *Breaker) Outage() (retryAfter time.Duration, down bool) {
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.until.Sub(b.cfg.Now())
	switch {
	case b.state == BreakerOpen && left > 0:
		return left, true
	case b.probing:
		return firstProbeAfter, true
	default:
		return 0, false
	}
}

// verdict is what a call says of Stripe.
type verdict int

const (
	saysNothing verdict = iota
	saysUp
	saysDown
)

// errOutage reports a call that was not made.
var errOutage = errors.New("stripe is down")

// begin asks for a call to be let through. The call must end with the function
// returned.
func (b *Breaker) begin() (end func(verdict), err error) {
	if b == nil {
		return func(verdict) {}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == BreakerClosed {
		return b.count, nil
	}
	if b.probing || b.state == BreakerOpen && b.cfg.Now().Before(b.until) {
		return nil, errOutage
	}
	b.probing = true
	b.become(BreakerHalfOpen)
	return b.probed, nil
}

// count notes how a call ended while the breaker was closed.
func (b *Breaker) count(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v == saysNothing || b.state != BreakerClosed {
		return
	}
	now := b.cfg.Now()
	bucket := &b.buckets[now.Unix()%breakerWindow]
	if bucket.second != now.Unix() {
		*bucket = callCount{second: now.Unix()}
	}
	bucket.total++
	if v == saysUp {
		return
	}
	bucket.failed++
	var sum callCount
	for _, c := range b.buckets {
		if now.Unix()-c.second < breakerWindow {
			sum.failed += c.failed
			sum.total += c.total
		}
	}
	if sum.failed >= breakerFailures && sum.failed*5 >= sum.total*4 {
		b.open(now)
	}
}

// probed notes how the one call ended.
func (b *Breaker) probed(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch v {
	case saysUp:
		b.wait, b.buckets = firstProbeAfter, [breakerWindow]callCount{}
		b.become(BreakerClosed)
	case saysDown:
		b.wait = min(2*b.wait, longestProbeAfter)
		b.open(b.cfg.Now())
	case saysNothing: // the next call is the probe
	}
}

func (b *Breaker) open(now time.Time) {
	b.until = now.Add(b.wait)
	b.become(BreakerOpen)
}

func (b *Breaker) become(s BreakerState) {
	if b.state != s {
		b.state = s
		b.cfg.OnChange(s)
	}
}

// verdictOf is what the end of a call says of Stripe. A stored failure that is
// repeated is an answer from a Stripe that is up.
func verdictOf(ctx context.Context, x *exchange, err *Error) verdict {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return saysNothing // our caller has gone
	case x.status >= http.StatusInternalServerError && !x.replayed:
		return saysDown
	case x.status == 0 && err != nil:
		return saysDown
	default:
		return saysUp
	}
}

// Breaker is the client's, nil when it has none.
func (c *Client) Breaker() *Breaker { return c.breaker }
