package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Retention is how long rows are kept that no balance depends on. Zero means for ever.
type Retention struct {
	Deliveries time.Duration // events for merchants, with their deliveries
	Events     time.Duration // handled events of Stripe's
}

const (
	// DeleteOldRowsEvery is how often DeleteOldRowsWorker runs.
	DeleteOldRowsEvery = 10 * time.Minute
	// deleteBatch is how many rows one statement deletes. It keeps statements short.
	deleteBatch = 1000
	// deleteFor is how long the job deletes before it pauses for deletePause. The pauses
	// leave time for vacuum, replicas and other statements.
	deleteFor   = 10 * time.Second
	deletePause = 20 * time.Second
	// heartbeatLife is how long the row of a process that has gone is kept.
	heartbeatLife = 24 * time.Hour
)

// DeleteOldRowsArgs asks for rows past their retention to be deleted.
type DeleteOldRowsArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (DeleteOldRowsArgs) Kind() string { return "delete_old_rows" }

// InsertOpts gives the job one attempt, because the job is periodic.
func (DeleteOldRowsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// DeleteOldRowsWorker limits the growth of tables. It never deletes payments,
// transfers, moves and the actions of operators.
type DeleteOldRowsWorker struct {
	river.WorkerDefaults[DeleteOldRowsArgs]
	Engine *Engine
}

// Work deletes rows in batches. If rows are left after deleteFor, it continues after a
// pause.
func (w *DeleteOldRowsWorker) Work(ctx context.Context, _ *river.Job[DeleteOldRowsArgs]) error {
	done, err := w.Engine.DeleteOldRows(ctx, deleteFor, deleteBatch)
	if err == nil && !done {
		return river.JobSnooze(deletePause)
	}
	return err
}

// DeleteOldRows deletes rows past their retention in batches. It reports whether it has
// deleted all of them within d.
func (e *Engine) DeleteOldRows(ctx context.Context, d time.Duration, batch int) (bool, error) {
	now := e.Now()
	until := now.Add(d)
	done := true
	for name, next := range e.deletions(now, batch) {
		var total int64
		for more := true; more; {
			if e.Now().After(until) {
				done = false
				break
			}
			var n int64
			var err error
			if n, more, err = next(ctx); err != nil {
				return false, err
			}
			total += n
		}
		if total > 0 {
			e.Log.InfoContext(ctx, "old rows deleted", slog.String("table", name), slog.Int64("count", total))
		}
	}
	return done, nil
}

// deletion deletes one batch. It returns the number of deleted rows and whether there
// may be more.
type deletion func(ctx context.Context) (int64, bool, error)

func (e *Engine) deletions(now time.Time, batch int) map[string]deletion {
	list := map[string]deletion{
		"heartbeats": func(ctx context.Context) (int64, bool, error) {
			n, err := postgres.DeleteHeartbeats(ctx, e.Pool, now.Add(-heartbeatLife), batch)
			return n, n == int64(batch), err
		},
		"login_failures": func(ctx context.Context) (int64, bool, error) {
			n, err := postgres.DeleteLoginFailures(ctx, e.Pool, now, batch)
			return n, n == int64(batch), err
		},
		"sessions": func(ctx context.Context) (int64, bool, error) {
			n, err := postgres.DeleteOldSessions(ctx, e.Pool, now, batch)
			return n, n == int64(batch), err
		},
	}
	if keep := e.Retention.Deliveries; keep > 0 {
		list["merchant_events"] = e.deleteMerchantEvents(now.Add(-keep), batch)
	}
	if keep := e.Retention.Events; keep > 0 {
		for _, mode := range wallet.Modes {
			list["stripe_events of "+string(mode)+" mode"] = e.deleteStripeEvents(mode, now.Add(-keep), batch)
		}
	}
	return list
}

func (e *Engine) deleteMerchantEvents(before time.Time, batch int) deletion {
	var from wallet.ID
	return func(ctx context.Context) (int64, bool, error) {
		n, seen, last, err := postgres.DeleteMerchantEvents(ctx, e.Pool, from, before, batch)
		from = last
		return n, seen == int64(batch), err
	}
}

func (e *Engine) deleteStripeEvents(mode wallet.Mode, before time.Time, batch int) deletion {
	var from time.Time
	return func(ctx context.Context) (int64, bool, error) {
		n, next, err := postgres.DeleteStripeEvents(ctx, e.Pool, mode, from, before, batch)
		from = next
		return n, n == int64(batch), err
	}
}
