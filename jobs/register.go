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
	river.AddWorker(workers, &DeliverWorker{Engine: e})
	river.AddWorker(workers, &EnqueueChecksWorker{Engine: e})
	river.AddWorker(workers, &ExpireWalletsWorker{Engine: e})
	river.AddWorker(workers, &HandleEventWorker{Engine: e})
	river.AddWorker(workers, &NumberInvoicesWorker{Engine: e})
	river.AddWorker(workers, &ReconcileWorker{Engine: e})
	river.AddWorker(workers, &SweepEventsWorker{Engine: e})
	return workers
}

// PeriodicJobs are the jobs that come by themselves.
func (e *Engine) PeriodicJobs() []*river.PeriodicJob {
	list := []*river.PeriodicJob{
		periodic(max(e.scaled(EnqueueChecksEvery), time.Second), EnqueueChecksArgs{}),
		periodic(DeleteIdempotencyKeysEvery, DeleteIdempotencyKeysArgs{}),
		periodic(ExpireWalletsEvery, ExpireWalletsArgs{}),
		periodic(NumberInvoicesEvery, NumberInvoicesArgs{}),
	}
	for _, mode := range wallet.Modes {
		list = append(list,
			periodic(lookWhetherDue, ReconcileArgs{Mode: mode}),
			periodic(max(e.scaled(SweepEventsEvery), 10*time.Second), SweepEventsArgs{Mode: mode}))
	}
	return list
}

func periodic(every time.Duration, args river.JobArgs) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(every),
		func() (river.JobArgs, *river.InsertOpts) { return args, nil },
		&river.PeriodicJobOpts{RunOnStart: true})
}
