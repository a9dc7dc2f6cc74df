package api

import (
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
)

// limiter is a token bucket per key: perMinute requests at once, and as many again
// within each minute. It stores one time per key, at which the bucket is full
// again, and forgets keys whose buckets are full.
type limiter struct {
	perMinute int
	interval  time.Duration // in which one token comes back

	mu      sync.Mutex
	fullAt  map[string]time.Time
	sweepAt time.Time
}

// allowance is what a key has left after a request.
type allowance struct {
	limit      int
	remaining  int
	fullAt     time.Time
	refused    bool
	retryAfter time.Duration // until the next request can pass, when refused
}

func newLimiter(perMinute int) *limiter {
	return &limiter{
		perMinute: perMinute,
		interval:  time.Minute / time.Duration(perMinute),
		fullAt:    map[string]time.Time{},
	}
}

// take spends one token of the key, if it has one.
func (l *limiter) take(key string, now time.Time) allowance {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.sweep(now)
	full := l.fullAt[key]
	if full.Before(now) {
		full = now
	}
	a := allowance{limit: l.perMinute, fullAt: full}
	if after := full.Add(l.interval).Sub(now); after > time.Minute {
		a.refused, a.retryAfter = true, after-time.Minute
	} else {
		a.fullAt = full.Add(l.interval)
		l.fullAt[key] = a.fullAt
	}
	// Other processes may have spent more than there was: see sharedLimiter.
	a.remaining = max(0, int((time.Minute-a.fullAt.Sub(now))/l.interval))
	return a
}

// raise delays the refill of a key's bucket until fullAt.
func (l *limiter) raise(key string, fullAt time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fullAt.After(l.fullAt[key]) {
		l.fullAt[key] = fullAt
	}
}

// sweep forgets full buckets. It does so once a minute, because it visits all of
// them.
func (l *limiter) sweep(now time.Time) {
	if now.Before(l.sweepAt) {
		return
	}
	for key, full := range l.fullAt {
		if !full.After(now) {
			delete(l.fullAt, key)
		}
	}
	l.sweepAt = now.Add(time.Minute)
}

// admit takes one request from each of the caller's allowances, and refuses it when
// one of them is used up. The headers show the allowance with the least left.
func (s *Server) admit(c echo.Context, caller postgres.Caller, limiters []*sharedLimiter) error {
	ctx, now := c.Request().Context(), s.Now()
	least := s.requests.takeOf(ctx, caller.APIKeyID, now)
	for _, l := range limiters {
		if l == nil || least.refused {
			continue
		}
		if a := l.takeOf(ctx, caller.APIKeyID, now); a.refused || a.remaining < least.remaining {
			least = a
		}
	}
	setRateLimit(c, least, now)
	if least.refused {
		return errRateLimited(least.retryAfter)
	}
	return nil
}

// setRateLimitOfStrangers sets the rate limit headers of answers to callers without
// a valid key. Requests are counted by address and not refused, because many callers
// may share an address.
func (s *Server) setRateLimitOfStrangers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, ok := dialectOf(c); ok {
			c.Response().Before(func() {
				if c.Response().Header().Get(headerLimit) != "" {
					return
				}
				now := s.Now()
				setRateLimit(c, s.strangers.take(c.RealIP(), now), now)
			})
		}
		return next(c)
	}
}

const (
	headerLimit     = "X-RateLimit-Limit"
	headerRemaining = "X-RateLimit-Remaining"
	headerReset     = "X-RateLimit-Reset"
)

func setRateLimit(c echo.Context, a allowance, now time.Time) {
	d, _ := dialectOf(c)
	h := c.Response().Header()
	h.Set(headerLimit, strconv.Itoa(a.limit))
	h.Set(headerRemaining, strconv.Itoa(a.remaining))
	h.Set(headerReset, strconv.FormatInt(d.RateLimitReset(a.fullAt, now), 10))
}
