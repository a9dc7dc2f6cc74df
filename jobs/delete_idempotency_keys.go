package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
)

// DeleteIdempotencyKeysArgs asks for the removal of idempotency records whose
// life is over.
type DeleteIdempotencyKeysArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (DeleteIdempotencyKeysArgs) Kind() string { return "delete_idempotency_keys" }

// InsertOpts gives the job one attempt: it comes again by itself.
func (DeleteIdempotencyKeysArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// DeleteIdempotencyKeysEvery is how often DeleteIdempotencyKeysWorker runs.
const DeleteIdempotencyKeysEvery = 10 * time.Minute

// DeleteIdempotencyKeysWorker keeps the table of idempotency records small. No
// answer depends on it: a record past its life counts as absent.
type DeleteIdempotencyKeysWorker struct {
	river.WorkerDefaults[DeleteIdempotencyKeysArgs]
	Engine *Engine
}

// Work deletes in small batches, so that no transaction is long.
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
