package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// FirstCheckAfter is how long an accepted payment may stay open before somebody
// asks Stripe about it.
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
	// FirstCheckAt is when somebody asks Stripe about it if it is still open
	// then: FirstCheckAfter its creation unless given.
	FirstCheckAt time.Time
}

func (p NewPayment) firstCheckAt() time.Time {
	if p.FirstCheckAt.IsZero() {
		return p.CreatedAt.Add(FirstCheckAfter)
	}
	return p.FirstCheckAt
}

// StoredBefore tells whether AcceptPayments failed because the very same payment
// is there already. Ids are made anew for each payment, so it is no other one.
func StoredBefore(err error) bool {
	const uniqueViolation = "23505"
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == uniqueViolation &&
		slices.Contains([]string{"invoices_pkey", "payments_pkey", "wallet_transactions_pkey"}, pgErr.ConstraintName)
}

// Charged tells whether there is a card to charge. A purchase without one is
// stored without a payment, and waits for somebody who pays by hand.
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

// acceptPayments stores purchases: their idempotency records, wallet transactions,
// payments and credit invoices. Whatever has no free key is left out of all four.
const acceptPayments = `
	with input as (
		select i.*, d.*
		from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
			$8::numeric[], $9::bigint[], $10::boolean[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[], $15::timestamptz[],
			$16::timestamptz[], $17::text[], $18::text[], $19::jsonb[], $20::text[], $21::text[])
		as i (id, wallet_transaction_id, organization_id, wallet_id, payment_method_id, mode, currency,
			credit_amount, amount, off_session, operation, key, fingerprint, wait_until, created_at,
			first_check_at, return_url, result_ids, purchase, traceparent, request_id),
		lateral jsonb_to_record(coalesce(i.purchase, '{}')) as d (name text, priority smallint, source text,
			purchase_order_number text, requires_payment boolean, metadata jsonb, method_type text, method_id uuid,
			skip_sections boolean, sections jsonb, invoice_id uuid, invoice_sections jsonb, invoice_purchase_order_number text,
			customer_id uuid, description text, rate_amount numeric, timezone text)
	), claimed as (
		insert into idempotency_keys (organization_id, mode, operation, key, fingerprint, payment_id, result_ids, wait_until, created_at)
		select organization_id, mode, operation, key, fingerprint, case when payment_method_id is not null then id end,
			result_ids::uuid[], wait_until, created_at
		from input where key is not null
		order by organization_id, mode, operation, key
		on conflict do nothing
		returning organization_id, mode, operation, key
	), accepted as (
		select * from input where key is null
			or (organization_id, mode, operation, key) in (select organization_id, mode, operation, key from claimed)
	), transactions as (
		insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status,
			status, amount, credit_amount, created_at, name, priority, source, purchase_order_number,
			invoice_requires_successful_payment, metadata, payment_method_type, payment_method_id,
			skip_invoice_custom_sections, invoice_custom_sections, invoice_id)
		select wallet_transaction_id, organization_id, mode, wallet_id, 'inbound', 'purchased',
			'pending', amount, credit_amount, created_at, nullif(name, ''), coalesce(priority, 50), coalesce(source, 'manual'),
			nullif(purchase_order_number, ''), coalesce(requires_payment, false), metadata, coalesce(method_type, 'provider'),
			method_id, coalesce(skip_sections, false), sections, invoice_id
		from accepted
	), bills as (
		insert into invoices (id, organization_id, mode, customer_id, wallet_id, wallet_transaction_id, status, payment_status,
			currency, amount, credit_amount, rate_amount, description, purchase_order_number, custom_sections, timezone,
			issuing_date, created_at, updated_at, finalized_at)
		select invoice_id, organization_id, mode, customer_id, wallet_id, wallet_transaction_id,
			case when requires_payment then 'open' else 'finalized' end, 'pending',
			currency, amount, credit_amount, rate_amount, description, nullif(invoice_purchase_order_number, ''), invoice_sections,
			timezone, (created_at at time zone timezone)::date, created_at, created_at,
			case when not requires_payment then created_at end
		from accepted where invoice_id is not null
	), charges as (
		insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
			off_session, receipt_email, return_url, traceparent, request_id, status, next_check_at, created_at, updated_at)
		select id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
			off_session, (select o.primary_email from organizations o where o.id = organization_id), return_url, traceparent, request_id,
			'created', first_check_at, created_at, created_at
		from accepted where payment_method_id is not null
	), job as (
		insert into river_job (args, kind, queue, max_attempts)
		select jsonb_build_object('payment_ids', jsonb_agg(id)), $22::text, $23::text, $24::smallint
		from accepted where payment_method_id is not null and $22::text is not null
		having count(*) > 0
	)
	select id from accepted`

// AcceptPayments stores new payments, with one job for those that are charged, and
// tells for each payment whether it was stored. One is not when its idempotency key
// is taken; LookUpIdempotencyKey then says by which payment. No two of one call may
// have the same key. The job's args have the ids as payment_ids. Without a job the
// transaction must insert one by itself.
//
// On a pool, everything is one commit and one round trip.
func AcceptPayments(ctx context.Context, db DB, list []NewPayment, job *Job) ([]bool, error) {
	n := len(list)
	var (
		ids, transactions, organizations = make([]wallet.ID, n), make([]wallet.ID, n), make([]wallet.ID, n)
		wallets, methods                 = make([]wallet.ID, n), make([]*wallet.ID, n)
		modes, currencies, credits       = make([]string, n), make([]string, n), make([]string, n)
		returnURLs                       = make([]string, n)
		traceparents, requestIDs         = make([]*string, n), make([]*string, n)
		amounts                          = make([]int64, n)
		offSession                       = make([]bool, n)
		operations, keys, resultIDs      = make([]*string, n), make([]*string, n), make([]*string, n)
		fingerprints                     = make([][]byte, n)
		waitUntil, createdAt             = make([]*time.Time, n), make([]time.Time, n)
		firstChecks                      = make([]time.Time, n)
		purchases                        = make([]*Purchase, n)
		accepted                         = make([]bool, n)
		position                         = make(map[wallet.ID]int, n)
	)
	for i, p := range list {
		ids[i], transactions[i], organizations[i] = p.ID, p.WalletTransactionID, p.OrganizationID
		wallets[i], methods[i], purchases[i] = p.WalletID, idOrNull(p.PaymentMethodID), p.Purchase
		modes[i], currencies[i], credits[i] = string(p.Mode), string(p.Currency), p.CreditAmount.String()
		amounts[i], offSession[i], createdAt[i] = p.Amount, p.OffSession, p.CreatedAt
		traceparents[i], requestIDs[i] = orNull(p.Traceparent), orNull(p.RequestID)
		returnURLs[i], firstChecks[i] = p.ReturnURL, p.firstCheckAt()
		if r := p.Idempotency; r != nil {
			operations[i], keys[i], fingerprints[i], waitUntil[i] = &r.Operation, &r.Key, r.Fingerprint[:], &r.WaitUntil
			results := r.results()
			resultIDs[i] = &results
		}
		position[p.ID] = i
	}
	var b pgx.Batch
	b.Queue(acceptPayments,
		ids, transactions, organizations, wallets, methods, modes, currencies,
		credits, amounts, offSession, operations, keys, fingerprints, waitUntil, createdAt, firstChecks,
		returnURLs, resultIDs, purchases, traceparents, requestIDs, job.kind(), job.queue(), job.maxAttempts())
	b.Queue(announceTransactions, transactions, string(wallet.EventTransactionCreated), list[0].CreatedAt)
	results := db.SendBatch(ctx, &b)
	rows, _ := results.Query()
	stored, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("accept %d payments: %w", n, err)
	}
	for _, id := range stored {
		accepted[position[id]] = true
	}
	return accepted, nil
}
