package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// CloseIntentAfter is how long the intent of a failed payment may stay open before a
// periodic job closes it. Usually the job that failed the payment closes the intent at
// once.
const CloseIntentAfter = time.Minute

// IntentClosed records that the intent of a failed payment, or the page of a withdrawn
// one, is closed, so that it cannot take money any more.
func IntentClosed(ctx context.Context, db DB, paymentID wallet.ID) error {
	_, err := db.Exec(ctx, `update payments set close_due_at = null where id = $1 and close_due_at is not null`, paymentID)
	if err != nil {
		return fmt.Errorf("note closed intent of payment %s: %w", paymentID, err)
	}
	return nil
}

// ClaimDueClosings returns up to limit failed or withdrawn payments whose intents or pages
// may still be open, and postpones the next attempt to close each by repeat. It claims a
// payment that ended more than a day ago for the last time. The transaction must also
// insert the jobs that close the intents and pages.
func ClaimDueClosings(ctx context.Context, tx pgx.Tx, now time.Time, repeat time.Duration, limit int) ([]wallet.ID, error) {
	rows, _ := tx.Query(ctx, `
		with due as (
			select id from payments
			where close_due_at <= $1
			order by close_due_at
			limit $3
			for no key update skip locked
		)
		update payments p
		set close_due_at = case when coalesce(p.failed_at, p.canceled_at) > $1::timestamptz - interval '1 day'
			then $1::timestamptz + $2::bigint * interval '1 millisecond' end
		from due
		where p.id = due.id
		returning p.id`, now, repeat.Milliseconds(), limit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, fmt.Errorf("claim due closings: %w", err)
	}
	return ids, nil
}
