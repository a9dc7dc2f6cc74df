package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Money that goes back is decided by package moneyback. The three functions below
// are the only ones that write it. Each locks and reads the payment's state in one
// round trip, and writes what was decided in another.

// MoneyBack is what Stripe says now of refunds and disputes of one payment.
type MoneyBack struct {
	PaymentID wallet.ID
	// Version is what MoneyBackVersion returned before Stripe was asked.
	Version  int64
	Refunds  []wallet.RefundState
	Disputes []wallet.DisputeState
	Now      time.Time
}

// MoneyBackVersion counts the answers about refunds and disputes that were
// applied to a payment. An unknown payment is CodePaymentNotFound.
func MoneyBackVersion(ctx context.Context, db DB, paymentID wallet.ID) (int64, error) {
	rows, _ := db.Query(ctx, `select money_back_version from payments where id = @payment_id`, params{"payment_id": paymentID})
	version, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, errPaymentNotFound()
	}
	if err != nil {
		return 0, fmt.Errorf("find payment %s: %w", paymentID, err)
	}
	return version, nil
}

// ApplyMoneyBack stores what Stripe says of refunds and disputes and books what
// follows from it, as moneyback.Apply decides, whose errors it returns: among them
// moneyback.ErrOvertaken and moneyback.ErrNotCredited. An unknown payment is
// CodePaymentNotFound. Applied again, an answer books nothing.
func ApplyMoneyBack(ctx context.Context, tx pgx.Tx, m MoneyBack) ([]moneyback.Booking, error) {
	state, err := lockMoneyBack(ctx, tx, m.PaymentID)
	if err != nil {
		return nil, err
	}
	changes, err := moneyback.Apply(state, moneyback.Answer{Version: m.Version, Refunds: m.Refunds, Disputes: m.Disputes}, m.Now, wallet.NewID)
	if err != nil {
		return nil, err
	}
	return changes.Bookings, writeMoneyBack(ctx, tx, changes)
}

// NewRefund is a refund that a merchant asks for.
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

// RequestRefund stores a refund that is still to be made at Stripe and debits the
// wallet for it, as moneyback.Request decides. What speaks against the refund is a
// *wallet.Error. The transaction must also insert the refund's job. An idempotency
// key is the caller's business.
func RequestRefund(ctx context.Context, tx pgx.Tx, n NewRefund) (wallet.Refund, error) {
	state, err := lockMoneyBack(ctx, tx, n.PaymentID)
	if err != nil {
		return wallet.Refund{}, err
	}
	request := moneyback.RefundRequest{ID: n.ID, Amount: n.Amount, Reason: n.Reason, Force: n.Force}
	r, changes, err := moneyback.Request(state, request, n.Now, wallet.NewID)
	if err != nil {
		return wallet.Refund{}, err
	}
	return r, writeMoneyBack(ctx, tx, changes)
}

// RefuseRefund gives up a refund that Stripe refuses to make and puts its money
// back, as moneyback.Refuse decides. An unknown refund is CodeRefundNotFound.
func RefuseRefund(ctx context.Context, tx pgx.Tx, id wallet.ID, reason string, now time.Time) ([]moneyback.Booking, error) {
	r, err := GetRefund(ctx, tx, id) // names the payment, whose lock comes first
	if err != nil {
		return nil, err
	}
	state, err := lockMoneyBack(ctx, tx, r.PaymentID)
	if err != nil {
		return nil, err
	}
	changes, err := moneyback.Refuse(state, id, reason, now, wallet.NewID)
	if err != nil {
		return nil, err
	}
	return changes.Bookings, writeMoneyBack(ctx, tx, changes)
}
