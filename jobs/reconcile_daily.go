package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	// ReconcileEvery is how often the payments are compared with Stripe's.
	ReconcileEvery = 24 * time.Hour
	// reconcilePoll is how often ReconcileWorker checks whether a comparison is due. It
	// is short, because a process may run for less than a day.
	reconcilePoll = 30 * time.Minute
	// reconcileOverlap is how far a comparison reaches back before the end of the
	// previous one.
	reconcileOverlap = time.Hour
	// reconcileTimeout limits one comparison. Stripe lists 100 payments per call.
	reconcileTimeout = 30 * time.Minute
)

// ReconcileArgs names a mode whose payments are to be compared with Stripe's, unless
// that was done within ReconcileEvery.
type ReconcileArgs struct {
	Mode wallet.Mode `json:"mode"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (ReconcileArgs) Kind() string { return "reconcile" }

// InsertOpts gives the job one attempt, because the job is periodic.
func (ReconcileArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// ReconcileWorker compares payments, refunds and disputes with Stripe's once a day. It
// applies what Stripe confirms and stores the result.
type ReconcileWorker struct {
	river.WorkerDefaults[ReconcileArgs]
	Engine *Engine
}

// Timeout is longer than that of other jobs.
func (*ReconcileWorker) Timeout(*river.Job[ReconcileArgs]) time.Duration { return reconcileTimeout }

// Work makes the comparison if it is due.
func (w *ReconcileWorker) Work(ctx context.Context, job *river.Job[ReconcileArgs]) error {
	e, mode := w.Engine, job.Args.Mode
	if _, ok := e.Stripe[mode]; !ok {
		return nil // another process may have the key of the mode
	}
	last, found, err := postgres.LatestReconciliation(ctx, e.Pool, mode, "job")
	if err != nil {
		return err
	}
	now := e.Now()
	since := now.Add(-ReconcileEvery - reconcileOverlap)
	if found {
		if now.Sub(last.FinishedAt) < ReconcileEvery {
			return nil
		}
		since = last.Until.Add(-reconcileOverlap)
	}
	_, err = e.Reconcile(ctx, ReconcileOptions{Mode: mode, Since: since, Repair: true, Source: "job"})
	return err
}
