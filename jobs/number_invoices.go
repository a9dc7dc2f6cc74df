package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
)

// NumberInvoicesArgs asks for numbers for the finalized invoices that have none.
type NumberInvoicesArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (NumberInvoicesArgs) Kind() string { return "number_invoices" }

// InsertOpts gives the job one attempt, because the job is periodic.
func (NumberInvoicesArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// NumberInvoicesEvery is how often NumberInvoicesWorker runs.
const NumberInvoicesEvery = time.Minute

// NumberInvoicesWorker gives finalized invoices their numbers. The transactions that
// finalize invoices do not, because they would wait for each other to take the next
// number.
type NumberInvoicesWorker struct {
	river.WorkerDefaults[NumberInvoicesArgs]
	Engine *Engine
}

// Work numbers the invoices of every organization.
func (w *NumberInvoicesWorker) Work(ctx context.Context, _ *river.Job[NumberInvoicesArgs]) error {
	return postgres.NumberAllInvoices(ctx, w.Engine.Pool)
}
