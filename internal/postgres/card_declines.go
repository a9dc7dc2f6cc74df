package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// CardDecline is the decline that forbids charging a card automatically.
type CardDecline struct {
	Class      wallet.DeclineClass
	Code       string
	PaymentID  wallet.ID
	DeclinedAt time.Time
}

// MayCharge reports whether a payment method may be charged automatically, without a
// request of the cardholder. It may not if the last decline of its card forbids a retry
// and the card was not charged since, even if that was under another payment method: a
// retry costs fees and harms the merchant's reputation with the card networks. The
// cardholder may still retry, and a successful charge clears the decline. If the first
// result is false, the second is the decline.
func MayCharge(ctx context.Context, db DB, paymentMethodID wallet.ID) (bool, CardDecline, error) {
	rows, _ := db.Query(ctx, `
		select d.class, d.code, d.payment_id, d.declined_at
		from payment_methods m
		join card_declines d on d.organization_id = m.organization_id and d.mode = m.mode and d.fingerprint = m.fingerprint
		where m.id = $1`, paymentMethodID)
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[CardDecline])
	if errors.Is(err, pgx.ErrNoRows) {
		return true, d, nil
	}
	if err != nil {
		return false, d, fmt.Errorf("find declines of payment method %s: %w", paymentMethodID, err)
	}
	return false, d, nil
}
