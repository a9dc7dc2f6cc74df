package jobs

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// retryWaits are the waits after each failed attempt; the last one repeats. The
// sum over a charge's attempts is about three hours, far inside the 24 hours for
// which Stripe remembers an idempotency key.
var retryWaits = []time.Duration{
	500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
}

// RetryPolicy is ours instead of River's, whose fourteenth attempt would come a
// day later: the first retries are quick, because somebody is waiting.
type RetryPolicy struct{ Now func() time.Time }

// NextRetry implements river.ClientRetryPolicy.
func (p RetryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return p.Now().Add(jitter(retryWaits[min(len(job.Errors), len(retryWaits)-1)]))
}

// jitter spreads a wait over 75 to 125 percent of it, so that jobs that failed
// together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2) //nolint:gosec // spreading load needs no secrecy
}

// unavailableWait is how long a job is put off when Stripe does not serve it.
const unavailableWait = 2 * time.Second

// orLater puts a job off, without counting an attempt, when a call to Stripe was
// not made or was turned away: nothing happened there. Any other error stays.
func orLater(err error) error {
	if e, ok := errors.AsType[*stripeapi.Error](err); ok && e.Kind == wallet.OutcomeUnavailable {
		return river.JobSnooze(jitter(unavailableWait))
	}
	return err
}
