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

// How River is run. A job that a killed process was running goes on elsewhere
// within two minutes: no job takes longer than jobTimeout, and rescueAfter its
// start it is taken for lost. River's own default is an hour.
const (
	fetchCooldown = 5 * time.Millisecond
	fetchPoll     = time.Second
	jobTimeout    = 30 * time.Second
	rescueAfter   = 60 * time.Second
)

// droppedIndexes are River's indexes that a migration of ours drops.
var droppedIndexes = []string{"river_job_args_index", "river_job_kind", "river_job_metadata_index"}

// newRiver makes a River client. Without workers it only inserts jobs.
func newRiver(pool *pgxpool.Pool, engine *jobs.Engine, o Options, id string, middleware ...rivertype.Middleware) (*river.Client[pgx.Tx], error) {
	cfg := &river.Config{
		CancelledJobRetentionPeriod: o.Settings.FailedJobRetention,
		CompletedJobRetentionPeriod: o.Settings.CompletedJobRetention,
		DiscardedJobRetentionPeriod: o.Settings.FailedJobRetention,

		ErrorHandler:  &errorHandler{log: o.Log},
		FetchCooldown: fetchCooldown,
		JobTimeout:    jobTimeout,
		Logger:        slog.New(quiet{o.Log.Handler()}),
		Middleware:    middleware,
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

// clientID names this process to River. A process that listens has the address
// for itself, so its successor on the same address is known to be one; others get
// a name of their own.
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

// errorHandler logs what River only stores.
type errorHandler struct{ log *slog.Logger }

// HandleError implements river.ErrorHandler. A failed attempt is something that
// we survive: the job comes again, or the payment's checks go on.
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

// quiet passes on River's own records from WARN upwards, except those about job
// attempts, which errorHandler logs with what they are about.
type quiet struct{ slog.Handler }

// canceled tells of a record that says no more than that the process stops.
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
