package jobs

import (
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/wallet"
)

// registration is a kind of job with its worker.
type registration struct {
	kind string
	add  func(*river.Workers)
}

func register[T river.JobArgs](worker river.Worker[T]) registration {
	var args T
	return registration{kind: args.Kind(), add: func(to *river.Workers) { river.AddWorker(to, worker) }}
}

// registrations lists every kind of job, in alphabetical order.
func (e *Engine) registrations() []registration {
	return []registration{
		register(&ChargePaymentsWorker{Engine: e}),
		register(&CheckPaymentWorker{Engine: e}),
		register(&CreateRefundWorker{Engine: e}),
		register(&DeleteIdempotencyKeysWorker{Engine: e}),
		register(&DeleteOldRowsWorker{Engine: e}),
		register(&DeliverWorker{Engine: e}),
		register(&EnqueueChecksWorker{Engine: e}),
		register(&ExpireWalletsWorker{Engine: e}),
		register(&HandleEventWorker{Engine: e}),
		register(&NumberInvoicesWorker{Engine: e}),
		register(&ReconcileWorker{Engine: e}),
		register(&SweepEventsWorker{Engine: e}),
		register(&SyncCustomerWorker{Engine: e}),
	}
}

// Workers returns the workers of every kind of job.
func (e *Engine) Workers() *river.Workers {
	workers := river.NewWorkers()
	for _, r := range e.registrations() {
		r.add(workers)
	}
	return workers
}

// Kinds returns every kind of job, in alphabetical order.
func Kinds() []string {
	var kinds []string
	for _, r := range new(Engine).registrations() {
		kinds = append(kinds, r.kind)
	}
	return kinds
}

// Periodic is a job that is inserted at a fixed interval.
type Periodic struct {
	Args  river.JobArgs
	Every time.Duration
}

// Periodics returns the periodic jobs. They are inserted into QueuePeriodic.
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
			Periodic{Args: ReconcileArgs{Mode: mode}, Every: reconcilePoll},
			Periodic{Args: SweepEventsArgs{Mode: mode}, Every: max(e.scaled(SweepEventsEvery), 10*time.Second)})
	}
	return list
}

// PeriodicJobs returns the periodic jobs for River's configuration.
func (e *Engine) PeriodicJobs() []*river.PeriodicJob {
	var list []*river.PeriodicJob
	for _, p := range e.Periodics() {
		list = append(list, river.NewPeriodicJob(river.PeriodicInterval(p.Every),
			func() (river.JobArgs, *river.InsertOpts) { return p.Args, nil },
			&river.PeriodicJobOpts{RunOnStart: true}))
	}
	return list
}
