package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// FirstCheckAfter is how long an accepted payment may stay open before a job asks
// Stripe about it.
const FirstCheckAfter = time.Minute

// NewPayment is a purchase to be charged: a pending wallet transaction and the
// payment that owns it, made together, with the idempotency record that keeps a
// second request from making them again.
type NewPayment struct {
	ID                  wallet.ID
	WalletTransactionID wallet.ID
	OrganizationID      wallet.ID
	Mode                wallet.Mode
	WalletID            wallet.ID
	PaymentMethodID     wallet.ID
	Amount              int64 // minor units
	Currency            wallet.Currency
	CreditAmount        decimal.Decimal
	OffSession          bool
	// ReturnURL is where the cardholder's browser lands after a challenge. It is
	// stored, because a repeated charge must send what the first one sent.
	ReturnURL   string
	Traceparent string             // of the trace that made it, empty for none
	RequestID   string             // of the request that made it, empty for none
	Idempotency *IdempotencyRecord // nil without a key
	CreatedAt   time.Time
	// Purchase is what the Lago dialect says of the purchase besides. With it the
	// purchase gets a credit invoice; nil in the Lava dialect, which has none.
	Purchase *Purchase
	// FirstCheckAt is when a job asks Stripe about it if it is still open then:
	// FirstCheckAfter its creation unless given.
	FirstCheckAt time.Time
}

func (p NewPayment) firstCheckAt() time.Time {
	if p.FirstCheckAt.IsZero() {
		return p.CreatedAt.Add(FirstCheckAfter)
	}
	return p.FirstCheckAt
}

// StoredBefore reports whether AcceptPayments failed because the very same payment
// is there already. Ids are made anew for each payment, so it is no other one.
func StoredBefore(err error) bool {
	const uniqueViolation = "23505"
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == uniqueViolation &&
		slices.Contains([]string{"invoices_pkey", "payments_pkey", "wallet_transactions_pkey"}, pgErr.ConstraintName)
}

// Charged reports whether there is a card to charge. A purchase without one is
// stored without a payment, and waits until it is paid by hand.
func (p NewPayment) Charged() bool { return p.PaymentMethodID != (wallet.ID{}) }

// Purchase is what the Lago dialect says of a purchase, and what its credit
// invoice needs. It goes to the database as JSON.
type Purchase struct {
	Name                             string                   `json:"name"`
	Priority                         int                      `json:"priority"`
	Source                           wallet.TransactionSource `json:"source"`
	PurchaseOrderNumber              string                   `json:"purchase_order_number"`
	InvoiceRequiresSuccessfulPayment bool                     `json:"requires_payment"`
	Metadata                         []wallet.MetadataPair    `json:"metadata,omitempty"`
	// MethodType and MethodID are as the client sent them.
	MethodType   wallet.PaymentMethodType `json:"method_type"`
	MethodID     *wallet.ID               `json:"method_id"`
	SkipSections bool                     `json:"skip_sections"`
	Sections     []wallet.AppliedSection  `json:"sections,omitempty"`

	InvoiceID       wallet.ID               `json:"invoice_id"`
	InvoiceSections []wallet.AppliedSection `json:"invoice_sections,omitempty"`
	// InvoicePurchaseOrderNumber is the purchase's own, or else the wallet's.
	InvoicePurchaseOrderNumber string          `json:"invoice_purchase_order_number"`
	CustomerID                 wallet.ID       `json:"customer_id"`
	Description                string          `json:"description"`
	RateAmount                 decimal.Decimal `json:"rate_amount"`
	Timezone                   string          `json:"timezone"`
}

var acceptPayments = statement("accept.sql", "accept_payments")

// acceptRow is a purchase as accept_payments takes it.
type acceptRow struct {
	ID                  wallet.ID       `db:"id"`
	WalletTransactionID wallet.ID       `db:"wallet_transaction_id"`
	OrganizationID      wallet.ID       `db:"organization_id"`
	Mode                wallet.Mode     `db:"mode"`
	WalletID            wallet.ID       `db:"wallet_id"`
	PaymentMethodID     *wallet.ID      `db:"payment_method_id"`
	Amount              int64           `db:"amount"`
	Currency            wallet.Currency `db:"currency"`
	CreditAmount        string          `db:"credit_amount"`
	OffSession          bool            `db:"off_session"`
	ReturnURL           string          `db:"return_url"`
	Traceparent         *string         `db:"traceparent"`
	RequestID           *string         `db:"request_id"`
	FirstCheckAt        time.Time       `db:"first_check_at"`
	CreatedAt           time.Time       `db:"created_at"`
	Operation           *string         `db:"operation"`
	Key                 *string         `db:"key"`
	Fingerprint         []byte          `db:"fingerprint"`
	WaitUntil           *time.Time      `db:"wait_until"`
	ResultIDs           *string         `db:"result_ids"` // an array as text, because arrays of arrays must be of one length
	Purchase            *Purchase       `db:"purchase"`
}

func (p NewPayment) row() acceptRow {
	r := acceptRow{
		ID: p.ID, WalletTransactionID: p.WalletTransactionID, OrganizationID: p.OrganizationID, Mode: p.Mode,
		WalletID: p.WalletID, PaymentMethodID: nullable.From(p.PaymentMethodID), Amount: p.Amount, Currency: p.Currency,
		CreditAmount: p.CreditAmount.String(), OffSession: p.OffSession, ReturnURL: p.ReturnURL,
		Traceparent: nullable.From(p.Traceparent), RequestID: nullable.From(p.RequestID),
		FirstCheckAt: p.firstCheckAt(), CreatedAt: p.CreatedAt, Purchase: p.Purchase,
	}
	if k := p.Idempotency; k != nil {
		r.Operation, r.Key, r.Fingerprint, r.WaitUntil, r.ResultIDs = &k.Operation, &k.Key, k.Fingerprint[:], &k.WaitUntil, new(k.results())
	}
	return r
}

// AcceptPayments stores new payments, with one job for those that are charged, and
// reports for each payment whether it was stored. One is not when its idempotency key
// is taken; LookUpIdempotencyKey then says by which payment. No two of one call may
// have the same key. The job's args have the ids as payment_ids. All of it is one
// transaction of one round trip.
//
// The error is a DoubtError when the payments may have been stored; the same call
// may then be made again, and StoredBefore reports whether they were.
func AcceptPayments(ctx context.Context, pool *pgxpool.Pool, list []NewPayment, job *Job) ([]bool, error) {
	b := acceptBatch(list, job)
	var accepted []bool
	err := sendAtomically(ctx, pool, b, func(results pgx.BatchResults) error {
		var err error
		accepted, err = readAccepted(results, list)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("accept %d payments: %w", len(list), err)
	}
	return accepted, nil
}

// AcceptPaymentsTx does what AcceptPayments does in a transaction of the caller's,
// which must also insert the job.
func AcceptPaymentsTx(ctx context.Context, tx pgx.Tx, list []NewPayment) ([]bool, error) {
	var accepted []bool
	err := sendBatch(ctx, tx, acceptBatch(list, nil), func(results pgx.BatchResults) error {
		var err error
		accepted, err = readAccepted(results, list)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("accept %d payments: %w", len(list), err)
	}
	return accepted, nil
}

func acceptBatch(list []NewPayment, job *Job) *pgx.Batch {
	rows := make([]acceptRow, len(list))
	announcements := make([]wallet.Announcement, len(list))
	for i, p := range list {
		rows[i] = p.row()
		w := wallet.Wallet{ID: p.WalletID, OrganizationID: p.OrganizationID, Mode: p.Mode}
		announcements[i] = wallet.AnnounceTransaction(wallet.DeliveryTransactionCreated, p.WalletTransactionID, w, p.CreatedAt)
	}
	args := columnsOf(rows)
	args["job_kind"], args["job_queue"], args["job_max_attempts"] = job.kind(), job.queue(), job.maxAttempts()
	var b pgx.Batch
	b.Queue(acceptPayments, args)
	b.Queue(announceChanges, announcementArgs(announcements))
	return &b
}

func readAccepted(results pgx.BatchResults, list []NewPayment) ([]bool, error) {
	rows, _ := results.Query()
	stored, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, err
	}
	accepted := make([]bool, len(list))
	for i, p := range list {
		accepted[i] = slices.Contains(stored, p.ID)
	}
	return accepted, nil
}

var findFreePurchases = statement("accept.sql", "find_free_purchases")

// FreePurchases reports for each purchase whether it could be stored now: whether no
// other transaction holds a row that it or its announcement refers to. It cannot tell
// whether another transaction is inserting the same idempotency key.
func FreePurchases(ctx context.Context, db DB, list []NewPayment) ([]bool, error) {
	rows := make([]wantedRow, len(list))
	for i, p := range list {
		rows[i] = p.wanted()
	}
	args := columnsOf(rows)
	args["created"] = wallet.DeliveryTransactionCreated
	result, _ := db.Query(ctx, findFreePurchases, args)
	found, err := pgx.CollectRows(result, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, fmt.Errorf("find free purchases: %w", err)
	}
	free := make([]bool, len(list))
	for i, p := range list {
		free[i] = slices.Contains(found, p.ID)
	}
	return free, nil
}

// wantedRow names the rows that a purchase refers to.
type wantedRow struct {
	ID              wallet.ID   `db:"id"`
	OrganizationID  wallet.ID   `db:"organization_id"`
	Mode            wallet.Mode `db:"mode"`
	WalletID        wallet.ID   `db:"wallet_id"`
	PaymentMethodID *wallet.ID  `db:"payment_method_id"`
	MethodID        *wallet.ID  `db:"method_id"`
	CustomerID      *wallet.ID  `db:"customer_id"` // of the invoice
}

func (p NewPayment) wanted() wantedRow {
	r := wantedRow{
		ID: p.ID, OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID,
		PaymentMethodID: nullable.From(p.PaymentMethodID),
	}
	if p.Purchase != nil {
		r.MethodID, r.CustomerID = p.Purchase.MethodID, &p.Purchase.CustomerID
	}
	return r
}
