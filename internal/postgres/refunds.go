package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// The columns are named like the fields of wallet.Refund and wallet.Dispute.
const (
	refundColumns = `id, organization_id, mode, wallet_id, payment_id, coalesce(stripe_refund_id, '') as stripe_refund_id,
		amount, currency, status, coalesce(reason, '') as reason, coalesce(failure_reason, '') as failure_reason, debited,
		created_at, updated_at`

	disputeColumns = `id, organization_id, mode, wallet_id, payment_id, stripe_dispute_id, amount, currency, status,
		coalesce(reason, '') as reason, withdrawn, reinstated, coalesce(funds_currency, '') as funds_currency, debited,
		created_at, updated_at`

	selectRefundsOf  = `select ` + refundColumns + ` from refunds where payment_id = @payment_id order by created_at, id`
	selectDisputesOf = `select ` + disputeColumns + ` from disputes where payment_id = @payment_id order by created_at, id`
)

func scanRefund(row pgx.CollectableRow) (wallet.Refund, error) {
	return pgx.RowToStructByName[wallet.Refund](row)
}

func scanDispute(row pgx.CollectableRow) (wallet.Dispute, error) {
	return pgx.RowToStructByName[wallet.Dispute](row)
}

// GetRefund returns a refund. The error is CodeRefundNotFound for an unknown one.
func GetRefund(ctx context.Context, db DB, id wallet.ID) (wallet.Refund, error) {
	rows, _ := db.Query(ctx, `select `+refundColumns+` from refunds where id = @id`, params{"id": id})
	r, err := pgx.CollectExactlyOneRow(rows, scanRefund)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, &wallet.Error{Code: wallet.CodeRefundNotFound, Message: "Refund not found."}
	}
	if err != nil {
		return r, fmt.Errorf("find refund %s: %w", id, err)
	}
	return r, nil
}

// RefundsOf returns the refunds of a payment, the oldest first.
func RefundsOf(ctx context.Context, db DB, paymentID wallet.ID) ([]wallet.Refund, error) {
	rows, _ := db.Query(ctx, selectRefundsOf, params{"payment_id": paymentID})
	list, err := pgx.CollectRows(rows, scanRefund)
	if err != nil {
		return nil, fmt.Errorf("list refunds of payment %s: %w", paymentID, err)
	}
	return nonNil(list), nil
}

// DisputesOf returns the disputes of a payment, the oldest first.
func DisputesOf(ctx context.Context, db DB, paymentID wallet.ID) ([]wallet.Dispute, error) {
	rows, _ := db.Query(ctx, selectDisputesOf, params{"payment_id": paymentID})
	list, err := pgx.CollectRows(rows, scanDispute)
	if err != nil {
		return nil, fmt.Errorf("list disputes of payment %s: %w", paymentID, err)
	}
	return nonNil(list), nil
}

// listDisputes returns the disputes that meet a condition, the oldest first.
func listDisputes(ctx context.Context, db DB, condition string, args ...any) ([]wallet.Dispute, error) {
	rows, _ := db.Query(ctx, `select `+disputeColumns+` from disputes where `+condition+` order by created_at, id`, args...)
	list, err := pgx.CollectRows(rows, scanDispute)
	if err != nil {
		return nil, fmt.Errorf("list disputes: %w", err)
	}
	return nonNil(list), nil
}

// refundCheckAfter is how long a refund may be open before a check compares it with
// Stripe.
const refundCheckAfter = 5 * time.Minute

// ClaimDueRefunds returns up to limit open refunds whose check is due, and schedules the
// next check of each after every. The transaction must also insert the jobs that check the
// refunds.
func ClaimDueRefunds(ctx context.Context, tx pgx.Tx, now time.Time, every time.Duration, limit int) ([]wallet.ID, error) {
	rows, _ := tx.Query(ctx, `
		with due as (
			select id
			from refunds
			where next_check_at <= @now
			order by next_check_at
			limit @limit
			for no key update skip locked
		)
		update refunds r
		set next_check_at = @next
		from due
		where r.id = due.id
		returning r.id`, params{"now": now, "next": now.Add(every), "limit": limit})
	ids, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, fmt.Errorf("claim due refunds: %w", err)
	}
	return ids, nil
}
