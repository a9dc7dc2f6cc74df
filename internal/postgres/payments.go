package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

const paymentColumns = `p.id, p.organization_id, p.mode, p.wallet_id, p.wallet_transaction_id, p.payment_method_id,
	p.amount, p.currency, p.off_session, p.status, coalesce(p.stripe_payment_intent_id, ''), coalesce(p.stripe_charge_id, ''),
	coalesce(p.stripe_checkout_session_id, ''),
	coalesce(p.amount_received, 0), p.balance_after, coalesce(p.redirect_url, ''),
	coalesce(p.failure_code, ''), coalesce(p.failure_decline_code, ''), coalesce(p.failure_message, ''),
	p.refunded, p.disputed, p.action_deadline_at, p.next_check_at, p.checks, p.created_at, p.updated_at, coalesce(p.traceparent, ''),
	coalesce(p.request_id, '')`

func scanPayment(row pgx.CollectableRow) (wallet.Payment, error) {
	var p wallet.Payment
	err := row.Scan(paymentFields(&p)...)
	return p, err
}

func paymentFields(p *wallet.Payment) []any {
	return []any{
		&p.ID, &p.OrganizationID, &p.Mode, &p.WalletID, &p.WalletTransactionID, &p.PaymentMethodID,
		&p.Amount, &p.Currency, &p.OffSession, &p.Status, &p.StripePaymentIntentID, &p.StripeChargeID,
		&p.StripeCheckoutSessionID,
		&p.AmountReceived, &p.BalanceAfter, &p.RedirectURL,
		&p.Failure.Code, &p.Failure.DeclineCode, &p.Failure.Message,
		&p.Refunded, &p.Disputed, &p.ActionDeadlineAt, &p.NextCheckAt, &p.Checks, &p.CreatedAt, &p.UpdatedAt, &p.Traceparent,
		&p.RequestID,
	}
}

// GetPayment finds a payment. An unknown one is CodePaymentNotFound.
func GetPayment(ctx context.Context, db DB, id wallet.ID) (wallet.Payment, error) {
	list, err := GetPayments(ctx, db, []wallet.ID{id})
	if err == nil && len(list) == 0 {
		err = &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
	}
	if err != nil {
		return wallet.Payment{}, err
	}
	return list[0], nil
}

// GetPayments finds the payments with these ids, in no particular order. Ids
// that are unknown are left out.
func GetPayments(ctx context.Context, db DB, ids []wallet.ID) ([]wallet.Payment, error) {
	rows, _ := db.Query(ctx, `select `+paymentColumns+` from payments p where p.id = any ($1)`, ids)
	list, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("find payments: %w", err)
	}
	return list, nil
}

// ListPayments gives up to limit payments of a wallet, newest first, beginning
// after the payment with the id before; the zero id begins at the newest.
func ListPayments(ctx context.Context, db DB, walletID, before wallet.ID, limit int) ([]wallet.Payment, error) {
	if before == (wallet.ID{}) {
		before = uuid.Max
	}
	rows, _ := db.Query(ctx, `
		select `+paymentColumns+`
		from payments p
		where p.wallet_id = $1 and p.id < $2
		order by p.id desc
		limit $3`, walletID, before, limit)
	list, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("list payments of wallet %s: %w", walletID, err)
	}
	return nonNil(list), nil
}

// MarkReturned notes that a cardholder's browser has come back from a payment's
// challenge, the first time that it does.
func MarkReturned(ctx context.Context, db DB, id wallet.ID, now time.Time) error {
	_, err := db.Exec(ctx, `
		update payments set returned_at = $2
		where id = $1 and returned_at is null and redirect_url is not null`, id, now)
	if err != nil {
		return fmt.Errorf("mark payment %s as returned: %w", id, err)
	}
	return nil
}

// Challenges counts what became of 3-D Secure challenges.
type Challenges struct {
	// Started asked a cardholder to act; Returned is how many browsers came back,
	// whatever they had done.
	Started  int64 `json:"started"`
	Returned int64 `json:"returned"`
	// Completed were followed by the charge, Failed by a refusal, and Abandoned by
	// the deadline.
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
	Abandoned int64 `json:"abandoned"`
}

// ChallengeCounts counts the challenges of a mode that started, and those that
// ended, since a time.
func ChallengeCounts(ctx context.Context, db DB, mode wallet.Mode, since time.Time) (Challenges, error) {
	var c Challenges
	err := db.QueryRow(ctx, `
		select count(*) filter (where m.to_status = 'requires_action'),
			(select count(*) from payments where returned_at >= $2 and mode = $1),
			count(*) filter (where m.from_status = 'requires_action' and m.to_status = 'succeeded'),
			count(*) filter (where m.from_status = 'requires_action' and m.to_status = 'failed'),
			count(*) filter (where m.from_status = 'requires_action' and m.to_status = 'canceled')
		from payment_moves m
		join payments p on p.id = m.payment_id and p.mode = $1
		where m.moved_at >= $2 and (m.from_status = 'requires_action' or m.to_status = 'requires_action')`, mode, since).
		Scan(&c.Started, &c.Returned, &c.Completed, &c.Failed, &c.Abandoned)
	if err != nil {
		return c, fmt.Errorf("count challenges: %w", err)
	}
	return c, nil
}

// Charge is a payment with everything that the call to Stripe needs.
type Charge struct {
	Payment               wallet.Payment
	StripeCustomerID      string
	StripePaymentMethodID string
	ReceiptEmail          string
	ReturnURL             string
	// PaymentMethodGone: the card had been removed before the payment was made, by
	// a wallet that still asks for it. Nothing was sent to Stripe, and nothing is.
	PaymentMethodGone bool
}

// GetCharge finds a payment with what the call to Stripe needs. An unknown one is
// CodePaymentNotFound.
func GetCharge(ctx context.Context, db DB, id wallet.ID) (Charge, error) {
	list, err := GetCharges(ctx, db, []wallet.ID{id})
	if err == nil && len(list) == 0 {
		err = &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
	}
	if err != nil {
		return Charge{}, err
	}
	return list[0], nil
}

// GetCharges finds payments with what the calls to Stripe need, in no particular
// order. Ids that are unknown are left out.
func GetCharges(ctx context.Context, db DB, ids []wallet.ID) ([]Charge, error) {
	rows, _ := db.Query(ctx, `
		select coalesce(c.stripe_customer_id, ''), coalesce(m.stripe_payment_method_id, ''),
			coalesce(p.receipt_email, ''), p.return_url, coalesce(m.deleted_at <= p.created_at, false), `+paymentColumns+`
		from payments p
		join wallets w on w.id = p.wallet_id
		join customers c on c.id = w.customer_id
		left join payment_methods m on m.id = p.payment_method_id
		where p.id = any ($1)`, ids)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Charge, error) {
		var c Charge
		err := row.Scan(append([]any{
			&c.StripeCustomerID, &c.StripePaymentMethodID, &c.ReceiptEmail, &c.ReturnURL, &c.PaymentMethodGone,
		}, paymentFields(&c.Payment)...)...)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("find %d payments to charge: %w", len(ids), err)
	}
	return list, nil
}

// FindPayment finds the payment that an intent belongs to: by the intent's id,
// or else by the payment id in the intent's metadata (zero when there is none).
// When there is none in this mode it is CodePaymentNotFound.
func FindPayment(ctx context.Context, db DB, mode wallet.Mode, intentID string, paymentID wallet.ID) (wallet.Payment, error) {
	rows, _ := db.Query(ctx, `
		select `+paymentColumns+`
		from (`+ownPayment("$2", "$3")+`) own
		join payments p on p.id = own.id
		where own.mode = $1`, mode, intentID, paymentID)
	p, err := pgx.CollectExactlyOneRow(rows, scanPayment)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
	}
	if err != nil {
		return p, fmt.Errorf("find payment of intent %s: %w", intentID, err)
	}
	return p, nil
}

// ClaimDueChecks finds up to limit open payments whose next check is due, and
// sets their next one: at the first of the ages that is still to come, and every
// repeat after the last, but not later than the deadline of an open challenge.
// The transaction must also insert the jobs that check them.
func ClaimDueChecks(ctx context.Context, tx pgx.Tx, now time.Time, ages []time.Duration, repeat time.Duration, limit int) ([]wallet.ID, error) {
	offsets := make([]int64, len(ages))
	for i, d := range ages {
		offsets[i] = d.Milliseconds()
	}
	rows, _ := tx.Query(ctx, `
		with due as (
			select id from payments
			where next_check_at <= $1
			order by next_check_at
			limit $4
			for no key update skip locked
		)
		update payments p
		set checks = least(p.checks + 1, 10000),
			next_check_at = least(
				coalesce(
					(select min(p.created_at + age * interval '1 millisecond')
						from unnest($2::bigint[]) as age
						where p.created_at + age * interval '1 millisecond' > $1),
					$1 + $3::bigint * interval '1 millisecond'),
				case when p.action_deadline_at > $1 then p.action_deadline_at end)
		from due
		where p.id = due.id
		returning p.id`, now, offsets, repeat.Milliseconds(), limit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, fmt.Errorf("claim due checks: %w", err)
	}
	return ids, nil
}
