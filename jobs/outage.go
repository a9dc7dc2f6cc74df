package jobs

import (
	"time"

	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Outage reports whether Stripe is known to be down in a mode, and how long a caller
// should wait before it tries again. Jobs are put off during an outage, so a request
// that needs Stripe should be refused.
func (e *Engine) Outage(mode wallet.Mode) (retryAfter time.Duration, down bool) {
	return e.breaker(mode).Outage()
}

// BreakerState returns the state of a mode's breaker in this process, for operators.
func (e *Engine) BreakerState(mode wallet.Mode) stripeapi.BreakerState {
	return e.breaker(mode).State()
}

// breaker returns a mode's breaker. It is nil, and always closed, when the mode has
// no client, or a client without a breaker.
func (e *Engine) breaker(mode wallet.Mode) *stripeapi.Breaker {
	if s := e.Stripe[mode]; s != nil {
		return s.Breaker()
	}
	return nil
}
