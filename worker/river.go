package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/fundrail/fundrail/jobs"
)

// River's settings. Another process continues the jobs of a killed process within
// two minutes: a job takes at most jobTimeout, and River considers it lost when it
// has run for rescueAfter. River's default is an hour.
const (
	fetchCooldown = 5 * time.Millisecond
	fetchPoll     = time.Second
	jobTimeout    = 30 * time.Second
	rescueAfter   = 60 * time.Second
)

// droppedIndexes are River's indexes that our migrations drop. The reindexer must
// not look for them.
var droppedIndexes = []string{"river_job_args_index", "river_job_kind", "river_job_metadata_index"}

// newRiver returns a River client. Without workers the client only inserts jobs.
func newRiver(pool *pgxpool.Pool, engine *jobs.Engine, o Options, id string, middleware ...rivertype.Middleware) (*river.Client[pgx.Tx], error) {
	cfg := &river.Config{
		CancelledJobRetentionPeriod: o.Settings.FailedJobRetention,
		CompletedJobRetentionPeriod: o.Settings.CompletedJobRetention,
		DiscardedJobRetentionPeriod: o.Settings.FailedJobRetention,

		ErrorHandler:  &errorHandler{log: o.Log},
		FetchCooldown: fetchCooldown,
		JobTimeout:    jobTimeout,
		Logger:        slog.New(quiet{o.Log.Handler()}),
		Middleware:    append(middleware, jobs.Middleware(o.Log, o.Now)), // innermost, so that metrics count what was put off
		ReindexerIndexNames: slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool {
			return slices.Contains(droppedIndexes, name)
		}),
		FetchPollInterval:    fetchPoll,
		RescueStuckJobsAfter: rescueAfter,
		RetryPolicy:          jobs.RetryPolicy{Now: o.Now},
		SoftStopTimeout:      stopTimesOf(o.Settings.Stopping).jobs,
	}
	if d := o.Settings.TestRescueAfter; d > 0 {
		cfg.RescueStuckJobsAfter, cfg.JobTimeout = d, d/2
	}
	if !o.WithoutWorkers {
		cfg.ID = id
		cfg.PeriodicJobs = engine.PeriodicJobs()
		cfg.Queues = map[string]river.QueueConfig{
			jobs.QueueCharge:   {MaxWorkers: o.Settings.Workers},
			jobs.QueueCheck:    {MaxWorkers: 20},
			jobs.QueueDeliver:  {MaxWorkers: 100},
			jobs.QueuePeriodic: {MaxWorkers: 4},
			jobs.QueueSettle:   {MaxWorkers: 100},
		}
		cfg.Workers = engine.Workers()
	}
	client, err := river.NewClient(riverpgxv5.New(pool), cfg)
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	return client, nil
}

// clientID returns this process's name for River. Only one process can listen on an
// address, so a process with the same address is the successor of an ended one.
// Other processes get a unique name.
func clientID(listenAddr string) (id string, successor bool) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if listenAddr != "" {
		return host + "@" + listenAddr, true
	}
	return fmt.Sprintf("%s@%d-%d", host, os.Getpid(), time.Now().UnixNano()), false
}

// errorHandler logs errors that River only stores.
type errorHandler struct{ log *slog.Logger }

// HandleError implements river.ErrorHandler. The level is WARN, because River
// repeats the job, or the payment's checks continue it.
func (h *errorHandler) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	h.log.WarnContext(ctx, "job attempt failed",
		slog.Int64("job_id", job.ID), slog.String("kind", job.Kind), slog.Int("attempt", job.Attempt),
		slog.String("args", string(job.EncodedArgs)), slog.Any("error", err))
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (h *errorHandler) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	h.log.ErrorContext(ctx, "job panicked",
		slog.Int64("job_id", job.ID), slog.String("kind", job.Kind), slog.Int("attempt", job.Attempt),
		slog.String("args", string(job.EncodedArgs)), slog.Any("panic", value), slog.String("trace", trace))
	return nil
}

// quiet drops River's records below WARN and those about job attempts, which
// errorHandler logs with more details. It also drops records of a canceled context.
type quiet struct{ slog.Handler }

// canceled reports whether a record is about a canceled context, which is normal
// while the process stops.
func canceled(r slog.Record) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		found = ok && errors.Is(err, context.Canceled) || a.Value.String() == context.Canceled.Error()
		return !found
	})
	return found
}

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "jobexecutor.JobExecutor: Job") || canceled(r) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}
