package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

const refundColumns = `id, organization_id, mode, wallet_id, payment_id, coalesce(stripe_refund_id, ''), amount, currency, status,
	coalesce(reason, ''), coalesce(failure_reason, ''), debited, created_at, updated_at`

func scanRefund(row pgx.CollectableRow) (wallet.Refund, error) {
	var r wallet.Refund
	err := row.Scan(&r.ID, &r.OrganizationID, &r.Mode, &r.WalletID, &r.PaymentID, &r.StripeRefundID, &r.Amount, &r.Currency,
		&r.Status, &r.Reason, &r.FailureReason, &r.Debited, &r.CreatedAt, &r.UpdatedAt)
	return r, err
}

const disputeColumns = `id, organization_id, mode, wallet_id, payment_id, stripe_dispute_id, amount, currency, status,
	coalesce(reason, ''), withdrawn, reinstated, coalesce(funds_currency, ''), debited, created_at, updated_at`

func disputeFields(d *wallet.Dispute) []any {
	return []any{
		&d.ID, &d.OrganizationID, &d.Mode, &d.WalletID, &d.PaymentID, &d.StripeDisputeID, &d.Amount, &d.Currency,
		&d.Status, &d.Reason, &d.Withdrawn, &d.Reinstated, &d.FundsCurrency, &d.Debited, &d.CreatedAt, &d.UpdatedAt,
	}
}

// GetRefund finds a refund. An unknown one is CodeRefundNotFound.
func GetRefund(ctx context.Context, db DB, id wallet.ID) (wallet.Refund, error) {
	rows, _ := db.Query(ctx, `select `+refundColumns+` from refunds where id = $1`, id)
	r, err := pgx.CollectExactlyOneRow(rows, scanRefund)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, &wallet.Error{Code: wallet.CodeRefundNotFound, Message: "Refund not found."}
	}
	if err != nil {
		return r, fmt.Errorf("find refund %s: %w", id, err)
	}
	return r, nil
}

// RefundsOf lists the refunds of a payment, the oldest first.
func RefundsOf(ctx context.Context, db DB, paymentID wallet.ID) ([]wallet.Refund, error) {
	rows, _ := db.Query(ctx, `select `+refundColumns+` from refunds where payment_id = $1 order by created_at, id`, paymentID)
	list, err := pgx.CollectRows(rows, scanRefund)
	if err != nil {
		return nil, fmt.Errorf("list refunds of payment %s: %w", paymentID, err)
	}
	return nonNil(list), nil
}

// DisputesOf lists the disputes of a payment, the oldest first.
func DisputesOf(ctx context.Context, db DB, paymentID wallet.ID) ([]wallet.Dispute, error) {
	return listDisputes(ctx, db, `payment_id = $1`, paymentID)
}

func listDisputes(ctx context.Context, db DB, condition string, args ...any) ([]wallet.Dispute, error) {
	rows, _ := db.Query(ctx, `select `+disputeColumns+` from disputes where `+condition+` order by created_at, id`, args...)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (wallet.Dispute, error) {
		var d wallet.Dispute
		err := row.Scan(disputeFields(&d)...)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list disputes: %w", err)
	}
	return nonNil(list), nil
}

// refundCheckAfter is how long a refund may wait for Stripe before somebody looks.
const refundCheckAfter = 5 * time.Minute

// saveRefund stores a refund, or what has changed of it. While it is open it is
// looked after; once it is not, only Stripe's events change it.
func saveRefund(ctx context.Context, tx pgx.Tx, r wallet.Refund) error {
	var check *time.Time
	if r.Status.Open() {
		at := r.UpdatedAt.Add(refundCheckAfter)
		check = &at
	}
	_, err := tx.Exec(ctx, `
		insert into refunds (id, organization_id, mode, wallet_id, payment_id, stripe_refund_id, requested, amount, currency, status,
			reason, failure_reason, debited, next_check_at, created_at, updated_at)
		values ($1, $2, $3, $4, $5, nullif($6, ''), $6 = '', $7, $8, $9, nullif($10, ''), nullif($11, ''), $12,
			$13, $14, $15)
		on conflict (id) do update
		set stripe_refund_id = excluded.stripe_refund_id, status = excluded.status, failure_reason = excluded.failure_reason,
			debited = excluded.debited, next_check_at = case when excluded.next_check_at is not null
				then coalesce(refunds.next_check_at, excluded.next_check_at) end,
			updated_at = excluded.updated_at`,
		r.ID, r.OrganizationID, string(r.Mode), r.WalletID, r.PaymentID, r.StripeRefundID, r.Amount, string(r.Currency), string(r.Status),
		r.Reason, r.FailureReason, r.Debited, check, r.CreatedAt, r.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save refund %s: %w", r.ID, err)
	}
	return nil
}

// ClaimDueRefunds finds up to limit open refunds that nobody has heard of for too
// long, and has them looked at again after every. The transaction must also insert
// their jobs.
func ClaimDueRefunds(ctx context.Context, tx pgx.Tx, now time.Time, every time.Duration, limit int) ([]wallet.ID, error) {
	rows, _ := tx.Query(ctx, `
		with due as (
			select id from refunds
			where next_check_at <= $1
			order by next_check_at
			limit $3
			for no key update skip locked
		)
		update refunds r set next_check_at = $2 from due where r.id = due.id returning r.id`, now, now.Add(every), limit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, fmt.Errorf("claim due refunds: %w", err)
	}
	return ids, nil
}

// NewRefund is a refund that somebody asks for.
type NewRefund struct {
	ID        wallet.ID
	PaymentID wallet.ID
	// Amount is in minor units; 0 is all that is left of the payment.
	Amount int64
	Reason string
	// Force lets the wallet fall below zero: money that was spent goes back as well.
	Force       bool
	Idempotency *IdempotencyRecord // nil without a key
	Now         time.Time
}

// RequestRefund stores a refund that is still to be made at Stripe, and debits the
// wallet for it at once, so that nobody spends the money meanwhile. The second
// result is false, and nothing is stored, when the idempotency key is taken. What
// speaks against the refund is a *wallet.Error. The transaction must also insert
// the refund's job.
func RequestRefund(ctx context.Context, tx pgx.Tx, n NewRefund) (wallet.Refund, bool, error) {
	p, err := GetPayment(ctx, tx, n.PaymentID)
	if err != nil {
		return wallet.Refund{}, false, err
	}
	if n.Idempotency != nil {
		claimed, err := ClaimIdempotencyKey(ctx, tx, p.OrganizationID, p.Mode, *n.Idempotency, n.Now)
		if err != nil || !claimed {
			return wallet.Refund{}, false, err
		}
	}
	b, err := lockMoneyBack(ctx, tx, n.PaymentID, n.Now)
	if errors.Is(err, ErrNotCredited) {
		err = &wallet.Error{Code: wallet.CodePaymentNotRefundable, Message: "Only a completed payment can be refunded."}
	}
	if err != nil {
		return wallet.Refund{}, false, err
	}
	if n.Amount, err = b.refundable(n); err != nil {
		return wallet.Refund{}, false, err
	}
	r := &wallet.Refund{
		ID: n.ID, OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID,
		Amount: n.Amount, Currency: p.Currency, Status: wallet.RefundPending, Reason: n.Reason, CreatedAt: n.Now,
	}
	b.returns = append(b.returns, &moneyReturn{refund: r, changed: true})
	_, err = b.book(ctx, tx)
	return *r, err == nil, err
}

// refundable is how much is refunded when a refund is asked for.
func (b *moneyBack) refundable(n NewRefund) (int64, error) {
	left := b.credited
	for _, r := range b.returns {
		left -= r.wanted()
	}
	switch {
	case left <= 0:
		return 0, &wallet.Error{Code: wallet.CodePaymentRefunded, Message: "Nothing is left of this payment to refund."}
	case n.Amount == 0:
		n.Amount = left
	case n.Amount > left:
		return 0, &wallet.Error{
			Code: wallet.CodeRefundTooLarge, Message: "The amount is more than is left of this payment: " + wallet.FormatMinor(left, b.payment.Currency) + ".",
		}
	}
	if unspent := max(0, b.balance); n.Amount > unspent && !n.Force {
		return 0, &wallet.Error{
			Code: wallet.CodeRefundSpent, Message: "The amount is more than is unspent in the wallet: " + wallet.FormatMinor(unspent, b.payment.Currency) + ".",
		}
	}
	return n.Amount, nil
}

// RefuseRefund gives a refund up that Stripe refuses to make, and puts its money
// back. A refund that Stripe has made meanwhile stays as it is.
func RefuseRefund(ctx context.Context, tx pgx.Tx, id wallet.ID, reason string, now time.Time) ([]Booking, error) {
	r, err := GetRefund(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	b, err := lockMoneyBack(ctx, tx, r.PaymentID, now)
	if err != nil {
		return nil, err
	}
	for _, entry := range b.returns {
		if entry.refund != nil && entry.refund.ID == id && !entry.refund.Answered() {
			entry.refund.Status, entry.refund.FailureReason = wallet.RefundFailed, reason
			entry.changed = true
		}
	}
	return b.book(ctx, tx)
}
