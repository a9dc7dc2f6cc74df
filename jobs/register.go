package jobs

import "github.com/riverqueue/river"

// Workers are the workers of every job, run by the engine.
func (e *Engine) Workers() *river.Workers {
	workers := river.NewWorkers()
	river.AddWorker(workers, &ChargePaymentsWorker{Engine: e})
	river.AddWorker(workers, &CheckPaymentWorker{Engine: e})
	river.AddWorker(workers, &DeleteIdempotencyKeysWorker{Engine: e})
	river.AddWorker(workers, &EnqueueChecksWorker{Engine: e})
	river.AddWorker(workers, &HandleEventWorker{Engine: e})
	return workers
}

// PeriodicJobs are the jobs that come by themselves.
func PeriodicJobs() []*river.PeriodicJob {
	return []*river.PeriodicJob{
		river.NewPeriodicJob(river.PeriodicInterval(EnqueueChecksEvery),
			func() (river.JobArgs, *river.InsertOpts) { return EnqueueChecksArgs{}, nil },
			&river.PeriodicJobOpts{RunOnStart: true}),
		river.NewPeriodicJob(river.PeriodicInterval(DeleteIdempotencyKeysEvery),
			func() (river.JobArgs, *river.InsertOpts) { return DeleteIdempotencyKeysArgs{}, nil },
			&river.PeriodicJobOpts{RunOnStart: true}),
	}
}
