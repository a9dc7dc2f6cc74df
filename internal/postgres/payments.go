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

// paymentColumns are the columns of a payment p, for a paymentRow.
const paymentColumns = `p.id, p.organization_id, p.mode, p.wallet_id, p.wallet_transaction_id, p.payment_method_id,
	p.amount, p.currency, p.off_session, p.status, p.stripe_payment_intent_id, p.stripe_charge_id, p.stripe_checkout_session_id,
	p.amount_received, p.balance_after, p.redirect_url, p.failure_code, p.failure_decline_code, p.failure_message,
	p.refunded, p.disputed, p.action_deadline_at, p.next_check_at, p.checks, p.close_due_at, p.created_at, p.updated_at,
	p.traceparent, p.request_id`

// paymentRow is a row of payments as paymentColumns selects it. Columns that may be
// null are pointers.
type paymentRow struct {
	ID                      wallet.ID            `db:"id"`
	OrganizationID          wallet.ID            `db:"organization_id"`
	Mode                    wallet.Mode          `db:"mode"`
	WalletID                wallet.ID            `db:"wallet_id"`
	WalletTransactionID     wallet.ID            `db:"wallet_transaction_id"`
	PaymentMethodID         *wallet.ID           `db:"payment_method_id"`
	Amount                  int64                `db:"amount"`
	Currency                wallet.Currency      `db:"currency"`
	OffSession              bool                 `db:"off_session"`
	Status                  wallet.PaymentStatus `db:"status"`
	StripePaymentIntentID   *string              `db:"stripe_payment_intent_id"`
	StripeChargeID          *string              `db:"stripe_charge_id"`
	StripeCheckoutSessionID *string              `db:"stripe_checkout_session_id"`
	AmountReceived          *int64               `db:"amount_received"`
	BalanceAfter            *int64               `db:"balance_after"`
	RedirectURL             *string              `db:"redirect_url"`
	FailureCode             *string              `db:"failure_code"`
	FailureDeclineCode      *string              `db:"failure_decline_code"`
	FailureMessage          *string              `db:"failure_message"`
	Refunded                int64                `db:"refunded"`
	Disputed                int64                `db:"disputed"`
	ActionDeadlineAt        *time.Time           `db:"action_deadline_at"`
	NextCheckAt             *time.Time           `db:"next_check_at"`
	Checks                  int                  `db:"checks"`
	CloseDueAt              *time.Time           `db:"close_due_at"`
	CreatedAt               time.Time            `db:"created_at"`
	UpdatedAt               time.Time            `db:"updated_at"`
	Traceparent             *string              `db:"traceparent"`
	RequestID               *string              `db:"request_id"`
}

func (r paymentRow) payment() wallet.Payment {
	return wallet.Payment{
		ID: r.ID, OrganizationID: r.OrganizationID, Mode: r.Mode, WalletID: r.WalletID,
		WalletTransactionID: r.WalletTransactionID, PaymentMethodID: r.PaymentMethodID,
		Amount: r.Amount, Currency: r.Currency, OffSession: r.OffSession, Status: r.Status,
		StripePaymentIntentID: orZero(r.StripePaymentIntentID), StripeChargeID: orZero(r.StripeChargeID),
		StripeCheckoutSessionID: orZero(r.StripeCheckoutSessionID),
		AmountReceived:          orZero(r.AmountReceived), BalanceAfter: r.BalanceAfter, RedirectURL: orZero(r.RedirectURL),
		Failure: wallet.Failure{
			Code: orZero(r.FailureCode), DeclineCode: orZero(r.FailureDeclineCode), Message: orZero(r.FailureMessage),
		},
		Refunded: r.Refunded, Disputed: r.Disputed,
		ActionDeadlineAt: r.ActionDeadlineAt, NextCheckAt: r.NextCheckAt, Checks: r.Checks, CloseDueAt: r.CloseDueAt,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		Traceparent: orZero(r.Traceparent), RequestID: orZero(r.RequestID),
	}
}

func scanPayment(row pgx.CollectableRow) (wallet.Payment, error) {
	r, err := pgx.RowToStructByName[paymentRow](row)
	return r.payment(), err
}

// GetPayment returns a payment. The error is CodePaymentNotFound for an unknown one.
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

// GetPayments returns the payments with these ids, in no particular order. It leaves out
// unknown ids.
func GetPayments(ctx context.Context, db DB, ids []wallet.ID) ([]wallet.Payment, error) {
	rows, _ := db.Query(ctx, `select `+paymentColumns+` from payments p where p.id = any ($1)`, ids)
	list, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("find payments: %w", err)
	}
	return list, nil
}

// ListPayments returns up to limit payments of a wallet with ids below before, newest
// first. A zero before does not limit the ids. An attempt is listed once it has a page:
// before, and when it was withdrawn, no caller has been told of it.
func ListPayments(ctx context.Context, db DB, walletID, before wallet.ID, limit int) ([]wallet.Payment, error) {
	if before == (wallet.ID{}) {
		before = uuid.Max
	}
	rows, _ := db.Query(ctx, `
		select `+paymentColumns+`
		from payments p
		where p.wallet_id = $1 and p.id < $2
			and (p.payment_method_id is not null or p.stripe_checkout_session_id is not null or p.status not in ('canceled', 'created'))
		order by p.id desc
		limit $3`, walletID, before, limit)
	list, err := pgx.CollectRows(rows, scanPayment)
	if err != nil {
		return nil, fmt.Errorf("list payments of wallet %s: %w", walletID, err)
	}
	return nonNil(list), nil
}

// MarkReturned stores when a cardholder's browser first came back from a payment's
// challenge.
func MarkReturned(ctx context.Context, db DB, id wallet.ID, now time.Time) error {
	_, err := db.Exec(ctx, `
		update payments set returned_at = $2
		where id = $1 and returned_at is null and redirect_url is not null`, id, now)
	if err != nil {
		return fmt.Errorf("mark payment %s as returned: %w", id, err)
	}
	return nil
}

// Challenges counts 3-D Secure challenges by their outcome.
type Challenges struct {
	// Started counts the challenges that asked a cardholder to act. Returned counts the
	// browsers that came back, with any outcome.
	Started  int64 `json:"started"`
	Returned int64 `json:"returned"`
	// Completed counts the challenges that led to a charge, Failed those that led to a
	// decline, and Abandoned those that the deadline ended.
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
	Abandoned int64 `json:"abandoned"`
}

// ChallengeCounts counts the challenges of a mode that started or ended since a time.
func ChallengeCounts(ctx context.Context, db DB, mode wallet.Mode, since time.Time) (Challenges, error) {
	rows, _ := db.Query(ctx, `
		select count(*) filter (where m.to_status = 'requires_action') as started,
			(select count(*) from payments where returned_at >= $2 and mode = $1) as returned,
			count(*) filter (where m.from_status = 'requires_action' and m.to_status = 'succeeded') as completed,
			count(*) filter (where m.from_status = 'requires_action' and m.to_status = 'failed') as failed,
			count(*) filter (where m.from_status = 'requires_action' and m.to_status = 'canceled') as abandoned
		from payment_moves m
		join payments p on p.id = m.payment_id and p.mode = $1
		where m.moved_at >= $2 and (m.from_status = 'requires_action' or m.to_status = 'requires_action')`, mode, since)
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Challenges])
	if err != nil {
		return c, fmt.Errorf("count challenges: %w", err)
	}
	return c, nil
}

// Charge is a payment with the data that the request to Stripe needs.
type Charge struct {
	Payment               wallet.Payment
	StripeCustomerID      string
	StripePaymentMethodID string
	ReceiptEmail          string
	ReturnURL             string
	// PaymentMethodGone reports whether the card was removed before the payment was
	// accepted. That happens if the wallet still names the card. Such a payment is never
	// sent to Stripe.
	PaymentMethodGone bool
}

// GetCharge returns a payment with the data that the request to Stripe needs. The error is
// CodePaymentNotFound for an unknown payment.
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

// GetCharges returns payments with the data that the requests to Stripe need, in no
// particular order. It leaves out unknown ids.
func GetCharges(ctx context.Context, db DB, ids []wallet.ID) ([]Charge, error) {
	rows, _ := db.Query(ctx, `
		select c.stripe_customer_id, m.stripe_payment_method_id, p.receipt_email, p.return_url,
			m.deleted_at <= p.created_at as payment_method_gone, `+paymentColumns+`
		from payments p
		join wallets w on w.id = p.wallet_id
		join customers c on c.id = w.customer_id
		left join payment_methods m on m.id = p.payment_method_id
		where p.id = any ($1)`, ids)
	type chargeRow struct {
		paymentRow
		StripeCustomerID      *string `db:"stripe_customer_id"`
		StripePaymentMethodID *string `db:"stripe_payment_method_id"`
		ReceiptEmail          *string `db:"receipt_email"`
		ReturnURL             string  `db:"return_url"`
		PaymentMethodGone     *bool   `db:"payment_method_gone"`
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Charge, error) {
		r, err := pgx.RowToStructByName[chargeRow](row)
		return Charge{
			Payment:          r.payment(),
			StripeCustomerID: orZero(r.StripeCustomerID), StripePaymentMethodID: orZero(r.StripePaymentMethodID),
			ReceiptEmail: orZero(r.ReceiptEmail), ReturnURL: r.ReturnURL, PaymentMethodGone: orZero(r.PaymentMethodGone),
		}, err
	})
	if err != nil {
		return nil, fmt.Errorf("find %d payments to charge: %w", len(ids), err)
	}
	return list, nil
}

// FindPayment returns the payment of an intent. It looks for the intent's id, and then for
// the payment id in the intent's metadata, which may be zero. The error is
// CodePaymentNotFound if there is no such payment in the mode.
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

// ClaimDueChecks returns up to limit open payments whose check is due and schedules their
// next check: when the payment reaches the next of the ages, or after repeat if it is older
// than all of them, but not later than the deadline of an open challenge. The transaction
// must also insert the jobs that check the payments.
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
