package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Attempt is a new payment for a purchase that is not settled.
type Attempt struct {
	PaymentID      wallet.ID
	OrganizationID wallet.ID
	Mode           wallet.Mode
	TransactionID  wallet.ID
	// PaymentMethodID is the saved card to charge. It is zero if the cardholder pays on a
	// page of Stripe Checkout. Such a payment has no charge job, and its check must
	// retrieve the Checkout session and never charge.
	PaymentMethodID wallet.ID
	ReturnURL       string
	RequestID       string // of the API request that asked for the attempt, empty if there was none
	Now             time.Time
}

// errNotPayable rolls back the transaction of OpenAttempt.
var errNotPayable = errors.New("the purchase has an open payment or is settled")

// OpenAttempt stores a payment for a purchase that has no open payment. A purchase has
// at most one. OpenAttempt returns false and stores nothing if another payment is open,
// or if the purchase is settled or does not exist. The caller must check again that the
// purchase is not settled before it sends a request to Stripe, because an earlier payment
// that failed may still succeed.
//
// The error is a DoubtError when the attempt may have been stored. The same attempt may
// then be sent again: OpenAttempt returns true for one that is stored already.
func OpenAttempt(ctx context.Context, pool *pgxpool.Pool, a Attempt) (bool, error) {
	err := InTx(ctx, pool, func(tx pgx.Tx) error {
		// This does not lock the wallet transaction. Settling locks payments before wallet
		// transactions, and the opposite order here could deadlock.
		tag, err := tx.Exec(ctx, `
			insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
				off_session, receipt_email, return_url, request_id, status, next_check_at, created_at, updated_at)
			select $1, t.organization_id, t.mode, t.wallet_id, t.id, $5, t.amount, w.currency,
				false, o.primary_email, $6, $9, 'created', $7::timestamptz + $8::bigint * interval '1 millisecond', $7, $7
			from wallet_transactions t
			join wallets w on w.id = t.wallet_id
			join organizations o on o.id = t.organization_id
			where t.id = $2 and t.organization_id = $3 and t.mode = $4
				and t.transaction_status = 'purchased' and t.status <> 'settled'
			on conflict do nothing`,
			a.PaymentID, a.TransactionID, a.OrganizationID, a.Mode, nullable.From(a.PaymentMethodID), a.ReturnURL, a.Now,
			FirstCheckAfter.Milliseconds(), nullable.From(a.RequestID))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			var stored bool
			if err := tx.QueryRow(ctx, `select exists (select from payments where id = $1)`, a.PaymentID).Scan(&stored); err != nil {
				return err
			}
			if !stored {
				return errNotPayable
			}
		}
		// The purchase may have been settled since the insert read it.
		var status wallet.TransactionStatus
		if err := tx.QueryRow(ctx, `select status from wallet_transactions where id = $1`, a.TransactionID).Scan(&status); err != nil {
			return err
		}
		if status == wallet.TransactionSettled {
			return errNotPayable
		}
		return nil
	})
	if errors.Is(err, errNotPayable) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open attempt to pay wallet transaction %s: %w", a.TransactionID, err)
	}
	return true, nil
}

// NewestPayment returns the newest payment of a purchase that was not withdrawn. The second
// result is false if there is none.
func NewestPayment(ctx context.Context, db DB, transactionID wallet.ID) (wallet.Payment, bool, error) {
	rows, _ := db.Query(ctx, `
		select `+paymentColumns+` from payments p
		where p.wallet_transaction_id = $1
			and (p.payment_method_id is not null or p.stripe_checkout_session_id is not null or p.status <> 'canceled')
		order by p.id desc
		limit 1`, transactionID)
	p, err := pgx.CollectExactlyOneRow(rows, scanPayment)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("find newest payment of wallet transaction %s: %w", transactionID, err)
	}
	return p, true, nil
}

// Order is what a page of Stripe Checkout needs to know about a purchase.
type Order struct {
	// Title describes the purchase to the cardholder, in at most 250 characters.
	Title            string
	StripeCustomerID string
	ReceiptEmail     string
	ReturnURL        string
	// Settled reports whether the purchase has been paid.
	Settled bool
}

// GetOrder returns the order of a payment. The error is CodePaymentNotFound for an unknown
// payment.
func GetOrder(ctx context.Context, db DB, paymentID wallet.ID) (Order, error) {
	rows, _ := db.Query(ctx, `
		select left(coalesce(i.description, 'Prepaid credits'), 250) as title,
			coalesce(c.stripe_customer_id, '') as stripe_customer_id, coalesce(p.receipt_email, '') as receipt_email,
			p.return_url, t.status = 'settled' as settled
		from payments p
		join wallet_transactions t on t.id = p.wallet_transaction_id
		join wallets w on w.id = p.wallet_id
		join customers c on c.id = w.customer_id
		left join invoices i on i.id = t.invoice_id
		where p.id = $1`, paymentID)
	o, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Order])
	if errors.Is(err, pgx.ErrNoRows) {
		return o, &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
	}
	if err != nil {
		return o, fmt.Errorf("find order of payment %s: %w", paymentID, err)
	}
	return o, nil
}
