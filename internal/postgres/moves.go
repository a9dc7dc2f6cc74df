package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Move is a change of a payment's status in its audit trail.
type Move struct {
	From    wallet.PaymentStatus
	To      wallet.PaymentStatus
	Cause   wallet.Cause
	MovedAt time.Time
}

// ListMoves returns the moves of a payment, the oldest first.
func ListMoves(ctx context.Context, db DB, paymentID wallet.ID) ([]Move, error) {
	rows, _ := db.Query(ctx, `
		select from_status, to_status, cause_kind, cause_id, moved_at
		from payment_moves
		where payment_id = $1
		order by id`, paymentID)
	type moveRow struct {
		FromStatus wallet.PaymentStatus
		ToStatus   wallet.PaymentStatus
		CauseKind  wallet.CauseKind
		CauseID    string
		MovedAt    time.Time
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Move, error) {
		r, err := pgx.RowToStructByName[moveRow](row)
		return Move{
			From: r.FromStatus, To: r.ToStatus, Cause: wallet.Cause{Kind: r.CauseKind, ID: r.CauseID}, MovedAt: r.MovedAt,
		}, err
	})
	if err != nil {
		return nil, fmt.Errorf("list moves of payment %s: %w", paymentID, err)
	}
	return nonNil(list), nil
}
