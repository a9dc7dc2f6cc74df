package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
)

// NumberInvoicesArgs asks for the numbers of invoices that were finalized and that
// nobody has looked at since.
type NumberInvoicesArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (NumberInvoicesArgs) Kind() string { return "number_invoices" }

// InsertOpts gives the job one attempt: it comes again by itself.
func (NumberInvoicesArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// NumberInvoicesEvery is how often NumberInvoicesWorker runs.
const NumberInvoicesEvery = time.Minute

// NumberInvoicesWorker gives finalized invoices their numbers, apart from the
// transactions that make them: those would queue for the next number otherwise.
type NumberInvoicesWorker struct {
	river.WorkerDefaults[NumberInvoicesArgs]
	Engine *Engine
}

// Work numbers the invoices of every organization.
func (w *NumberInvoicesWorker) Work(ctx context.Context, _ *river.Job[NumberInvoicesArgs]) error {
	return postgres.NumberAllInvoices(ctx, w.Engine.Pool)
}
