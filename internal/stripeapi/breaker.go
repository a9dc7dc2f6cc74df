package stripeapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// BreakerState says whether a Breaker lets calls through.
type BreakerState string

// The states of a Breaker.
const (
	// BreakerClosed: all calls are made.
	BreakerClosed BreakerState = "closed"
	// BreakerHalfOpen: one call is made, to find out whether Stripe is up again.
	BreakerHalfOpen BreakerState = "half_open"
	// BreakerOpen: Stripe is down, and no call is made.
	BreakerOpen BreakerState = "open"
)

const (
	// breakerWindow is the number of seconds that are counted, one bucket each.
	breakerWindow = 10
	// The breaker opens at this many failures within the window, if they are also
	// at least four in five of the calls. Occasional failures do not mean an
	// outage.
	breakerFailures = 5
	// The wait before a probe starts at firstProbeAfter and doubles with each
	// failed probe.
	firstProbeAfter   = time.Second
	longestProbeAfter = 15 * time.Second
)

// BreakerConfig configures a Breaker. Now is required.
type BreakerConfig struct {
	Now func() time.Time
	// OnChange is called with each new state, under the breaker's lock. It must not
	// block and must not call the breaker. It may be nil.
	OnChange func(BreakerState)
}

// Breaker stops calls to Stripe during an outage, so that each call does not wait
// for its own timeout, and lets one probe through from time to time. An outage is
// when nearly no call is answered. A refusal is an answer, and so is a rate limit.
// A nil Breaker lets every call through. A Breaker is safe for concurrent use.
type Breaker struct {
	cfg BreakerConfig

	mu      sync.Mutex
	state   BreakerState
	probing bool
	wait    time.Duration
	until   time.Time // the earliest time of the next probe, when open
	buckets [breakerWindow]callCount
}

// callCount counts the calls that ended in one second.
type callCount struct {
	second        int64
	failed, total int
}

// NewBreaker returns a closed Breaker.
func NewBreaker(cfg BreakerConfig) *Breaker {
	if cfg.OnChange == nil {
		cfg.OnChange = func(BreakerState) {}
	}
	return &Breaker{cfg: cfg, state: BreakerClosed, wait: firstProbeAfter}
}

// State returns the current state. A nil Breaker is always closed.
func (b *Breaker) State() BreakerState {
	if b == nil {
		return BreakerClosed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Outage reports whether a call made now would be refused, and if so for how long
// at least.
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

// verdict is what the end of a call says about Stripe.
type verdict int

const (
	verdictNone verdict = iota
	verdictUp
	verdictDown
)

// errOutage is the reason of a call that the breaker refused.
var errOutage = errors.New("stripe is down")

// begin asks for permission to make a call. If it is granted, the caller must call
// end once with the verdict.
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

// count records a call that began while the breaker was closed. It ignores calls
// that end after the breaker has opened.
func (b *Breaker) count(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v == verdictNone || b.state != BreakerClosed {
		return
	}
	now := b.cfg.Now()
	bucket := &b.buckets[now.Unix()%breakerWindow]
	if bucket.second != now.Unix() {
		*bucket = callCount{second: now.Unix()}
	}
	bucket.total++
	if v == verdictUp {
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

// probed records how the probe ended.
func (b *Breaker) probed(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch v {
	case verdictUp:
		b.wait, b.buckets = firstProbeAfter, [breakerWindow]callCount{}
		b.become(BreakerClosed)
	case verdictDown:
		b.wait = min(2*b.wait, longestProbeAfter)
		b.open(b.cfg.Now())
	case verdictNone: // the next call is the probe
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

// verdictOf derives a verdict from the end of a call. A replayed failure is the
// stored answer of an earlier request, so Stripe is up.
func verdictOf(ctx context.Context, x *exchange, err *Error) verdict {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return verdictNone // the caller went away, which says nothing about Stripe
	case x.status >= http.StatusInternalServerError && !x.replayed:
		return verdictDown
	case x.status == 0 && err != nil:
		return verdictDown
	default:
		return verdictUp
	}
}

// Breaker returns the client's breaker, or nil when it has none.
func (c *Client) Breaker() *Breaker { return c.breaker }
