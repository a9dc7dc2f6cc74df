package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
)

// DeleteIdempotencyKeysArgs asks for expired idempotency records to be deleted.
type DeleteIdempotencyKeysArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (DeleteIdempotencyKeysArgs) Kind() string { return "delete_idempotency_keys" }

// InsertOpts gives the job one attempt, because the job is periodic.
func (DeleteIdempotencyKeysArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// DeleteIdempotencyKeysEvery is how often DeleteIdempotencyKeysWorker runs.
const DeleteIdempotencyKeysEvery = 10 * time.Minute

// DeleteIdempotencyKeysWorker deletes expired idempotency records. It may be late,
// because an expired record counts as absent.
type DeleteIdempotencyKeysWorker struct {
	river.WorkerDefaults[DeleteIdempotencyKeysArgs]
	Engine *Engine
}

// Work deletes the records in batches, so that no transaction is long.
func (w *DeleteIdempotencyKeysWorker) Work(ctx context.Context, _ *river.Job[DeleteIdempotencyKeysArgs]) error {
	const limit = 5000
	var total int64
	for {
		n, err := postgres.DeleteIdempotencyKeys(ctx, w.Engine.Pool, w.Engine.Now(), limit)
		if err != nil {
			return err
		}
		total += n
		if n < limit {
			break
		}
	}
	if total > 0 {
		w.Engine.Log.InfoContext(ctx, "idempotency keys deleted", slog.Int64("count", total))
	}
	return nil
}
