package jobs

import (
	"time"

	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Outage tells whether Stripe is known to be down in a mode, and after which time
// it may not be. Jobs are held meanwhile, and nobody should be promised anything.
func (e *Engine) Outage(mode wallet.Mode) (retryAfter time.Duration, down bool) {
	return e.breaker(mode).Outage()
}

// BreakerState is that of a mode's breaker in this process, for operators.
func (e *Engine) BreakerState(mode wallet.Mode) stripeapi.BreakerState {
	return e.breaker(mode).State()
}

// breaker is nil when the mode's client has none.
func (e *Engine) breaker(mode wallet.Mode) *stripeapi.Breaker {
	if s, ok := e.Stripe[mode].(interface{ Breaker() *stripeapi.Breaker }); ok {
		return s.Breaker()
	}
	return nil
}
