package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// SnoozeJob puts a job that waits off until a time, and tells whether it did: a
// job that runs or has ended stays as it is.
func SnoozeJob(ctx context.Context, tx pgx.Tx, id int64, until time.Time) (bool, error) {
	tag, err := tx.Exec(ctx, `
		update river_job set state = 'scheduled', scheduled_at = $2
		where id = $1 and state in ('available', 'retryable', 'scheduled')`, id, until)
	if err != nil {
		return false, fmt.Errorf("snooze job %d: %w", id, err)
	}
	return tag.RowsAffected() == 1, nil
}

// QueuePausedAt tells since when a queue is paused, nil when it is not. It locks the
// queue's row until the transaction ends. An unknown queue is CodeNotFound.
func QueuePausedAt(ctx context.Context, tx pgx.Tx, name string) (*time.Time, error) {
	var at *time.Time
	err := tx.QueryRow(ctx, `select paused_at from river_queue where name = $1 for update`, name).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such queue."}
	}
	if err != nil {
		return nil, fmt.Errorf("find queue %s: %w", name, err)
	}
	return at, nil
}
