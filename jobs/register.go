package jobs

import (
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Workers are the workers of every job, run by the engine.
func (e *Engine) Workers() *river.Workers {
	workers := river.NewWorkers()
	river.AddWorker(workers, &ChargePaymentsWorker{Engine: e})
	river.AddWorker(workers, &CheckPaymentWorker{Engine: e})
	river.AddWorker(workers, &CreateRefundWorker{Engine: e})
	river.AddWorker(workers, &DeleteIdempotencyKeysWorker{Engine: e})
	river.AddWorker(workers, &DeleteOldRowsWorker{Engine: e})
	river.AddWorker(workers, &DeliverWorker{Engine: e})
	river.AddWorker(workers, &EnqueueChecksWorker{Engine: e})
	river.AddWorker(workers, &ExpireWalletsWorker{Engine: e})
	river.AddWorker(workers, &HandleEventWorker{Engine: e})
	river.AddWorker(workers, &NumberInvoicesWorker{Engine: e})
	river.AddWorker(workers, &ReconcileWorker{Engine: e})
	river.AddWorker(workers, &SweepEventsWorker{Engine: e})
	river.AddWorker(workers, &SyncCustomerWorker{Engine: e})
	return workers
}

// Periodic is a job that comes by itself.
type Periodic struct {
	Args  river.JobArgs
	Every time.Duration
}

// Periodics lists the jobs that come by themselves. They run on QueuePeriodic.
func (e *Engine) Periodics() []Periodic {
	list := []Periodic{
		{Args: EnqueueChecksArgs{}, Every: max(e.scaled(EnqueueChecksEvery), time.Second)},
		{Args: DeleteIdempotencyKeysArgs{}, Every: DeleteIdempotencyKeysEvery},
		{Args: DeleteOldRowsArgs{}, Every: DeleteOldRowsEvery},
		{Args: ExpireWalletsArgs{}, Every: ExpireWalletsEvery},
		{Args: NumberInvoicesArgs{}, Every: NumberInvoicesEvery},
	}
	for _, mode := range wallet.Modes {
		list = append(list,
			Periodic{Args: ReconcileArgs{Mode: mode}, Every: lookWhetherDue},
			Periodic{Args: SweepEventsArgs{Mode: mode}, Every: max(e.scaled(SweepEventsEvery), 10*time.Second)})
	}
	return list
}

// PeriodicJobs are the jobs that come by themselves, as River takes them.
func (e *Engine) PeriodicJobs() []*river.PeriodicJob {
	var list []*river.PeriodicJob
	for _, p := range e.Periodics() {
		list = append(list, river.NewPeriodicJob(river.PeriodicInterval(p.Every),
			func() (river.JobArgs, *river.InsertOpts) { return p.Args, nil },
			&river.PeriodicJobOpts{RunOnStart: true}))
	}
	return list
}
