package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
)

// ExpireWalletsArgs asks for expired wallets to be stored as terminated.
type ExpireWalletsArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (ExpireWalletsArgs) Kind() string { return "expire_wallets" }

// InsertOpts gives the job one attempt, because the job is periodic.
func (ExpireWalletsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// ExpireWalletsEvery is how often ExpireWalletsWorker runs.
const ExpireWalletsEvery = 10 * time.Minute

// ExpireWalletsWorker terminates expired wallets. It may be late, because a wallet
// counts as terminated from its expiration on.
type ExpireWalletsWorker struct {
	river.WorkerDefaults[ExpireWalletsArgs]
	Engine *Engine
}

// Work terminates the wallets in batches, so that no transaction is long.
func (w *ExpireWalletsWorker) Work(ctx context.Context, _ *river.Job[ExpireWalletsArgs]) error {
	const limit = 1000
	for {
		ids, err := postgres.ExpireWallets(ctx, w.Engine.Pool, w.Engine.Now(), limit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			w.Engine.Log.InfoContext(ctx, "wallet expired", slog.String("wallet_id", id.String()))
		}
		if len(ids) < limit {
			return nil
		}
	}
}
