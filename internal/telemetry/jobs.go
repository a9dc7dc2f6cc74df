package telemetry

import (
	"context"
	"errors"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// JobMiddleware returns a middleware that measures each attempt of a job.
func (m *Metrics) JobMiddleware() rivertype.Middleware {
	return river.WorkerMiddlewareFunc(func(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
		began := m.Now()
		m.jobWait.WithLabelValues(job.Kind).Observe(max(0, began.Sub(job.ScheduledAt).Seconds()))
		if len(job.Errors) > 0 {
			m.jobRetries.WithLabelValues(job.Kind).Inc()
		}
		err := work(ctx)
		m.jobDuration.WithLabelValues(job.Kind).Observe(max(0, m.Now().Sub(began).Seconds()))
		m.jobs.WithLabelValues(job.Kind, jobOutcome(err)).Inc()
		return err
	})
}

func jobOutcome(err error) string {
	if err == nil {
		return "done"
	}
	if _, ok := errors.AsType[*river.JobSnoozeError](err); ok {
		return "put_off"
	}
	if _, ok := errors.AsType[*river.JobCancelError](err); ok {
		return "canceled"
	}
	return "failed"
}
