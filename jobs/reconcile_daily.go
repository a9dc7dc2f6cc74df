package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	// ReconcileEvery is how often the books are compared with Stripe's.
	ReconcileEvery = 24 * time.Hour
	// lookWhetherDue is how often it is looked whether that time has come. A
	// process need not live for a day.
	lookWhetherDue = 30 * time.Minute
	// reconcileOverlap is how far each comparison reaches back behind the end of the
	// one before.
	reconcileOverlap = time.Hour
	// reconcileTimeout bounds one comparison. Stripe gives a hundred payments a call.
	reconcileTimeout = 30 * time.Minute
)

// ReconcileArgs asks for the books of a mode to be compared with Stripe's, if that
// was not done within the day.
type ReconcileArgs struct {
	Mode wallet.Mode `json:"mode"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (ReconcileArgs) Kind() string { return "reconcile" }

// InsertOpts gives the job one attempt: it comes again by itself.
func (ReconcileArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// ReconcileWorker compares payments, refunds and disputes with Stripe's once a day,
// settles what Stripe confirms, and stores how much that was.
type ReconcileWorker struct {
	river.WorkerDefaults[ReconcileArgs]
	Engine *Engine
}

// Timeout is longer than that of other jobs.
func (*ReconcileWorker) Timeout(*river.Job[ReconcileArgs]) time.Duration { return reconcileTimeout }

// Work compares if it is time to.
func (w *ReconcileWorker) Work(ctx context.Context, job *river.Job[ReconcileArgs]) error {
	e, mode := w.Engine, job.Args.Mode
	if _, ok := e.Stripe[mode]; !ok {
		return nil // the mode is not served here
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
	return orLater(err)
}
