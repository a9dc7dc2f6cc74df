package jobs

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/fundrail/fundrail/internal/wallet"
)

// retryWaits are the waits after each failed attempt. The last one repeats. The
// attempts of a charge take about three hours together, far less than the 24 hours
// for which Stripe keeps an idempotency key.
var retryWaits = []time.Duration{
	500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
}

// RetryPolicy retries quickly at first, because a caller may be waiting. River's own
// policy would make the fourteenth attempt a day later.
type RetryPolicy struct{ Now func() time.Time }

// NextRetry implements river.ClientRetryPolicy.
func (p RetryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return p.Now().Add(jitter(retryWaits[min(len(job.Errors), len(retryWaits)-1)]))
}

// jitter returns a random wait between 75 and 125 percent of d, so that jobs that
// failed together are not retried together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2) //nolint:gosec // spreading load needs no secrecy
}

// tryLater returns the error that puts a job off because Stripe did not serve a
// request. The attempt does not count. Unlike Middleware it also logs the reason.
func (e *Engine) tryLater(ctx context.Context, p wallet.Payment, o wallet.Outcome) error {
	if _, down := e.Outage(p.Mode); !down { // the breaker's change was logged once for all jobs
		e.Log.WarnContext(ctx, "stripe is unavailable",
			slog.String("payment_id", p.ID.String()), slog.String("reason", o.Reason))
	}
	return river.JobSnooze(jitter(unavailableWait))
}

// jobCause returns the cause of what a job does.
func jobCause(job *rivertype.JobRow) wallet.Cause {
	return wallet.Cause{Kind: wallet.CauseJob, ID: strconv.FormatInt(job.ID, 10)}
}
