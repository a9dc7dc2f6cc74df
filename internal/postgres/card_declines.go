package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// CardDecline is why a card is not to be charged by ourselves.
type CardDecline struct {
	Class      wallet.DeclineClass
	Code       string
	PaymentID  wallet.ID
	DeclinedAt time.Time
}

// MayCharge reports whether a payment method may be charged without anybody asking
// for it, as an automatic top-up does. It may not when its card was declined in a
// way that forbids another try, under whatever payment method that was, and has not
// been charged since: trying again costs fees and the merchant's standing. A
// cardholder may try, and a success forgives the card. The second result says why
// not.
func MayCharge(ctx context.Context, db DB, paymentMethodID wallet.ID) (bool, CardDecline, error) {
	var d CardDecline
	err := db.QueryRow(ctx, `
		select d.class, d.code, d.payment_id, d.declined_at
		from payment_methods m
		join card_declines d on d.organization_id = m.organization_id and d.mode = m.mode and d.fingerprint = m.fingerprint
		where m.id = $1`, paymentMethodID).Scan(&d.Class, &d.Code, &d.PaymentID, &d.DeclinedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, d, nil
	}
	if err != nil {
		return false, d, fmt.Errorf("find declines of payment method %s: %w", paymentMethodID, err)
	}
	return false, d, nil
}
