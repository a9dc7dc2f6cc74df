package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Move is a line of a payment's audit trail.
type Move struct {
	From    wallet.PaymentStatus
	To      wallet.PaymentStatus
	Cause   wallet.Cause
	MovedAt time.Time
}

// ListMoves gives the moves of a payment, the oldest first.
func ListMoves(ctx context.Context, db DB, paymentID wallet.ID) ([]Move, error) {
	rows, _ := db.Query(ctx, `
		select from_status, to_status, cause_kind, cause_id, moved_at
		from payment_moves
		where payment_id = $1
		order by id`, paymentID)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Move, error) {
		var m Move
		err := row.Scan(&m.From, &m.To, &m.Cause.Kind, &m.Cause.ID, &m.MovedAt)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("list moves of payment %s: %w", paymentID, err)
	}
	return nonNil(list), nil
}
