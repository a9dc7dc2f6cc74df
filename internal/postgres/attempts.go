package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Attempt is another try to get a purchase paid that is not settled.
type Attempt struct {
	PaymentID      wallet.ID
	OrganizationID wallet.ID
	Mode           wallet.Mode
	TransactionID  wallet.ID
	// PaymentMethodID is the saved card to charge. It is zero when the cardholder
	// is to pay at Stripe's checkout: such a payment has no charge job, and whoever
	// checks it must ask for the session and never charge.
	PaymentMethodID wallet.ID
	ReturnURL       string
	Now             time.Time
}

// errSettledMeanwhile rolls an attempt back.
var errSettledMeanwhile = errors.New("settled meanwhile")

// OpenAttempt stores a payment for a purchase that has none open. The result is
// false, and nothing is stored, when another payment is open, or the purchase is
// settled or not there: one payment at a time owns a purchase. Whoever then sends
// something to Stripe should look once more whether the purchase is settled,
// because a payment that had failed may still succeed.
func OpenAttempt(ctx context.Context, db Beginner, a Attempt) (bool, error) {
	err := pgx.BeginTxFunc(ctx, db, pgx.TxOptions{}, func(tx pgx.Tx) error {
		// The transaction's row is not locked: settling locks it after the payments.
		tag, err := tx.Exec(ctx, `
			insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
				off_session, receipt_email, return_url, status, next_check_at, created_at, updated_at)
			select $1, t.organization_id, t.mode, t.wallet_id, t.id, $5, t.amount, w.currency,
				false, o.primary_email, $6, 'created', $7::timestamptz + $8::bigint * interval '1 millisecond', $7, $7
			from wallet_transactions t
			join wallets w on w.id = t.wallet_id
			join organizations o on o.id = t.organization_id
			where t.id = $2 and t.organization_id = $3 and t.mode = $4
				and t.transaction_status = 'purchased' and t.status <> 'settled'
			on conflict do nothing`,
			a.PaymentID, a.TransactionID, a.OrganizationID, a.Mode, idOrNull(a.PaymentMethodID), a.ReturnURL, a.Now,
			FirstCheckAfter.Milliseconds())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errSettledMeanwhile
		}
		_, err = tx.Exec(ctx, `
			update invoices set payment_status = 'pending', updated_at = $2
			where wallet_transaction_id = $1 and payment_status = 'failed'`, a.TransactionID, a.Now)
		if err != nil {
			return err
		}
		var status wallet.TransactionStatus
		if err := tx.QueryRow(ctx, `select status from wallet_transactions where id = $1`, a.TransactionID).Scan(&status); err != nil {
			return err
		}
		if status == wallet.TransactionSettled {
			return errSettledMeanwhile
		}
		return nil
	})
	if errors.Is(err, errSettledMeanwhile) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open attempt to pay wallet transaction %s: %w", a.TransactionID, err)
	}
	return true, nil
}
