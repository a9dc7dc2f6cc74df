package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
)

// checkAges are the ages at which an open payment is checked. After the last one it is
// checked every checkRepeat.
var checkAges = []time.Duration{
	postgres.FirstCheckAfter, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
}

const checkRepeat = time.Hour

// EnqueueChecksArgs asks for check jobs for all that are due: open payments, failed
// payments whose intent may be open, and refunds.
type EnqueueChecksArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (EnqueueChecksArgs) Kind() string { return "enqueue_checks" }

// InsertOpts gives the job one attempt, because the job is periodic.
func (EnqueueChecksArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// EnqueueChecksEvery is how often EnqueueChecksWorker runs.
const EnqueueChecksEvery = 15 * time.Second

// EnqueueChecksWorker inserts check jobs from the state of payments. So no check
// depends on a job that was inserted earlier and may be lost.
type EnqueueChecksWorker struct {
	river.WorkerDefaults[EnqueueChecksArgs]
	Engine *Engine
}

// Work claims the due payments and refunds and inserts their jobs, in one transaction.
func (w *EnqueueChecksWorker) Work(ctx context.Context, _ *river.Job[EnqueueChecksArgs]) error {
	const limit = 1000 // of each sort, for one round; the others are due in the next one
	e := w.Engine
	return e.inTx(ctx, func(tx pgx.Tx) error {
		ids, err := postgres.ClaimDueChecks(ctx, tx, e.Now(), e.checkAges(), e.scaled(checkRepeat), limit)
		if err != nil {
			return err
		}
		closings, err := postgres.ClaimDueClosings(ctx, tx, e.Now(), e.scaled(checkRepeat), limit)
		if err != nil {
			return err
		}
		refunds, err := postgres.ClaimDueRefunds(ctx, tx, e.Now(), e.scaled(checkRepeat), limit)
		if err != nil {
			return err
		}
		params := make([]river.InsertManyParams, 0, len(ids)+len(closings)+len(refunds))
		for _, id := range append(ids, closings...) {
			params = append(params, river.InsertManyParams{Args: CheckPaymentArgs{PaymentID: id}})
		}
		for _, id := range refunds {
			params = append(params, river.InsertManyParams{Args: CreateRefundArgs{RefundID: id}})
		}
		err = e.insertJobs(ctx, tx, params)
		if len(ids) > 0 {
			breakpoint.Reach(breakpoint.ChecksWritten)
		}
		return err
	})
}

func (e *Engine) checkAges() []time.Duration {
	ages := make([]time.Duration, len(checkAges))
	for i, d := range checkAges {
		ages[i] = e.scaled(d)
	}
	return ages
}
