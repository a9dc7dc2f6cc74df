package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// PaymentDetails are columns of a payment and its card that wallet.Payment does not have.
type PaymentDetails struct {
	PaymentRow
	SucceededAt           *time.Time
	FailedAt              *time.Time
	CanceledAt            *time.Time
	StripePaymentMethodID string
	ExpiryMonth           int
	ExpiryYear            int
	// ReturnedAt is when the cardholder's browser first came back from the challenge.
	ReturnedAt *time.Time
}

// PaymentStory is a payment with everything that is stored about it.
type PaymentStory struct {
	PaymentDetails
	Payment       wallet.Payment
	Requests      []RequestRow
	Moves         []MoveRow
	Jobs          []JobRow
	Events        []EventRow
	Transfers     []TransferRow
	Discrepancies []DiscrepancyRow
	Actions       []postgres.OperatorAction
	Deliveries    []StoryDelivery
	Refunds       []wallet.Refund
	Disputes      []wallet.Dispute
}

// StoryDelivery is a delivery of an event about the payment or its purchase.
type StoryDelivery struct {
	ID         wallet.ID
	Type       string
	Endpoint   string // the endpoint's name
	Status     wallet.DeliveryStatus
	Attempts   int
	CreatedAt  time.Time
	FinishedAt *time.Time
	// ResponseStatus and Error are those of the last attempt, zero without one.
	ResponseStatus int
	Error          string
}

// RequestRow is the idempotency record of a request.
type RequestRow struct {
	Operation string
	Key       string
	WaitUntil time.Time
	CreatedAt time.Time
}

// MoveRow is one move of a payment.
type MoveRow struct {
	From      wallet.PaymentStatus `db:"from_status"`
	To        wallet.PaymentStatus `db:"to_status"`
	CauseKind wallet.CauseKind
	CauseID   string
	// RequestID is Stripe's id of the request whose answer caused the move, empty if
	// there was none.
	RequestID string    `db:"stripe_request_id"`
	At        time.Time `db:"moved_at"`
}

// TransferRow is a ledger transfer with the kinds of its two accounts.
type TransferRow struct {
	ID         int64
	Kind       string
	Amount     int64
	Currency   wallet.Currency
	DebitKind  string
	CreditKind string
	CreatedAt  time.Time
}

// DiscrepancyRow is a difference between Stripe and our books about one payment.
type DiscrepancyRow struct {
	ID               int64
	PaymentID        wallet.ID
	Kind             string
	IntentID         string `db:"stripe_payment_intent_id"`
	ExpectedAmount   int64
	ExpectedCurrency wallet.Currency
	ReceivedAmount   int64
	ReceivedCurrency wallet.Currency
	CauseKind        wallet.CauseKind
	CauseID          string
	FoundAt          time.Time
	ResolvedAt       *time.Time
}

const discrepancyColumns = `d.id, d.payment_id, d.kind, d.stripe_payment_intent_id, d.expected_amount, d.expected_currency,
	d.received_amount, d.received_currency, d.cause_kind, d.cause_id, d.found_at, d.resolved_at`

// storyLimit is the largest number of rows of each kind in a PaymentStory.
const storyLimit = 200

// GetPaymentStory returns a payment with everything that is stored about it. The error is
// CodePaymentNotFound if the payment is unknown or of the other mode.
func GetPaymentStory(ctx context.Context, db postgres.DB, mode wallet.Mode, id wallet.ID) (PaymentStory, error) {
	var s PaymentStory
	p, err := postgres.GetPayment(ctx, db, id)
	if err == nil && p.Mode != mode {
		err = &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
	}
	if err != nil {
		return s, err
	}
	s.Payment = p
	var b pgx.Batch
	b.Queue(`select `+paymentRowColumns+`, p.succeeded_at, p.failed_at, p.canceled_at,
			coalesce(m.stripe_payment_method_id, '') as stripe_payment_method_id, coalesce(m.expiry_month, 0) as expiry_month,
			coalesce(m.expiry_year, 0) as expiry_year, p.returned_at
		from payments p`+paymentRowJoins+` where p.id = $1`, id)
	b.Queue(`select operation, key, wait_until, created_at from idempotency_keys where payment_id = $1 order by created_at`, id)
	b.Queue(`select from_status, to_status, cause_kind, cause_id, coalesce(stripe_request_id, '') as stripe_request_id, moved_at
		from payment_moves where payment_id = $1 order by id limit $2`, id, storyLimit)
	b.Queue(`select `+eventRowColumns+` from stripe_events e
		where e.payment_id = $1 order by e.received_at, e.id limit $2`, id, storyLimit)
	b.Queue(`select t.id, t.kind, t.amount, t.currency, d.kind as debit_kind, c.kind as credit_kind, t.created_at
		from transfers t
		join accounts d on d.id = t.debit_account
		join accounts c on c.id = t.credit_account
		where t.payment_id = $1 and t.kind not in ('grant', 'settlement', 'void')
		union
		select t.id, t.kind, t.amount, t.currency, d.kind as debit_kind, c.kind as credit_kind, t.created_at
		from transfers t
		join accounts d on d.id = t.debit_account
		join accounts c on c.id = t.credit_account
		where t.payment_id = $1 and t.kind = 'settlement'
		order by 1`, id)
	b.Queue(`select `+discrepancyColumns+` from payment_discrepancies d where d.payment_id = $1 order by d.id`, id)
	b.Queue(`select `+operatorActionColumns+` from operator_actions
		where subject_kind = 'payment' and subject_id = $1 order by id limit $2`, id.String(), storyLimit)
	b.Queue(`select d.id, m.type, e.name as endpoint, d.status, d.attempts, d.created_at, d.finished_at,
			coalesce(a.response_status, 0) as response_status, coalesce(a.error, '') as error
		from merchant_events m
		join deliveries d on d.event_id = m.id
		join webhook_endpoints e on e.id = d.endpoint_id
		left join lateral (
			select response_status, error from delivery_attempts a where a.delivery_id = d.id order by a.id desc limit 1
		) a on true
		where m.object_id in ($1, $2)
		order by d.id limit $3`, id, p.WalletTransactionID, storyLimit)
	if err := s.read(db.SendBatch(ctx, &b)); err != nil {
		return s, fmt.Errorf("read the story of payment %s: %w", id, err)
	}
	if s.Refunds, err = postgres.RefundsOf(ctx, db, id); err != nil {
		return s, err
	}
	if s.Disputes, err = postgres.DisputesOf(ctx, db, id); err != nil {
		return s, err
	}
	s.Jobs, err = s.jobs(ctx, db)
	if err != nil {
		return s, err
	}
	return s, nil
}

func (s *PaymentStory) read(results pgx.BatchResults) error {
	return readBatch(results, rowInto(&s.PaymentDetails),
		rowsInto(&s.Requests), rowsInto(&s.Moves), rowsInto(&s.Events), rowsInto(&s.Transfers),
		rowsInto(&s.Discrepancies), rowsInto(&s.Actions), rowsInto(&s.Deliveries))
}
