package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// SnoozeJob postpones a waiting job until a time and reports whether it did. It does not
// change a job that is running or has ended.
func SnoozeJob(ctx context.Context, tx pgx.Tx, id int64, until time.Time) (bool, error) {
	tag, err := tx.Exec(ctx, `
		update river_job set state = 'scheduled', scheduled_at = $2
		where id = $1 and state in ('available', 'retryable', 'scheduled')`, id, until)
	if err != nil {
		return false, fmt.Errorf("snooze job %d: %w", id, err)
	}
	return tag.RowsAffected() == 1, nil
}

// QueuePausedAt returns when a queue was paused, nil if it is not paused. It locks the
// queue's row until the transaction ends. The error is CodeNotFound for an unknown queue.
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
