package postgres

import (
	"context"
	"errors"
	"fmt"
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
	Idempotency *IdempotencyRecord // nil without a key
	CreatedAt   time.Time
}

// StoredBefore tells whether AcceptPayments failed because the very same payment
// is there already. Ids are made anew for each payment, so it is no other one.
func StoredBefore(err error) bool {
	const uniqueViolation = "23505"
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == uniqueViolation &&
		(pgErr.ConstraintName == "payments_pkey" || pgErr.ConstraintName == "wallet_transactions_pkey")
}

// AcceptPayments stores new payments and tells for each whether it was stored.
// One is not when its idempotency key is taken; LookUpIdempotencyKey then says by
// which payment. No two of one call may have the same key. The transaction must
// also insert the payments' jobs.
func AcceptPayments(ctx context.Context, tx pgx.Tx, list []NewPayment) ([]bool, error) {
	n := len(list)
	var (
		ids, transactions, organizations = make([]wallet.ID, n), make([]wallet.ID, n), make([]wallet.ID, n)
		wallets, methods                 = make([]wallet.ID, n), make([]wallet.ID, n)
		modes, currencies, credits       = make([]string, n), make([]string, n), make([]string, n)
		returnURLs                       = make([]string, n)
		amounts                          = make([]int64, n)
		offSession                       = make([]bool, n)
		operations, keys                 = make([]*string, n), make([]*string, n)
		fingerprints                     = make([][]byte, n)
		waitUntil, createdAt             = make([]*time.Time, n), make([]time.Time, n)
		accepted                         = make([]bool, n)
		position                         = make(map[wallet.ID]int, n)
	)
	for i, p := range list {
		ids[i], transactions[i], organizations[i] = p.ID, p.WalletTransactionID, p.OrganizationID
		wallets[i], methods[i] = p.WalletID, p.PaymentMethodID
		modes[i], currencies[i], credits[i] = string(p.Mode), string(p.Currency), p.CreditAmount.String()
		amounts[i], offSession[i], createdAt[i] = p.Amount, p.OffSession, p.CreatedAt
		returnURLs[i] = p.ReturnURL
		if r := p.Idempotency; r != nil {
			operations[i], keys[i], fingerprints[i], waitUntil[i] = &r.Operation, &r.Key, r.Fingerprint[:], &r.WaitUntil
		}
		position[p.ID] = i
	}
	rows, _ := tx.Query(ctx, `
		with input as (
			select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
				$8::numeric[], $9::bigint[], $10::boolean[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[], $15::timestamptz[], $17::text[])
			as i (id, wallet_transaction_id, organization_id, wallet_id, payment_method_id, mode, currency,
				credit_amount, amount, off_session, operation, key, fingerprint, wait_until, created_at, return_url)
		), claimed as (
			insert into idempotency_keys (organization_id, mode, operation, key, fingerprint, payment_id, wait_until, created_at)
			select organization_id, mode, operation, key, fingerprint, id, wait_until, created_at
			from input where key is not null
			order by organization_id, mode, operation, key
			on conflict do nothing
			returning payment_id
		), accepted as (
			select * from input where key is null or id in (select payment_id from claimed)
		), transactions as (
			insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status,
				status, amount, credit_amount, created_at)
			select wallet_transaction_id, organization_id, mode, wallet_id, 'inbound', 'purchased',
				'pending', amount, credit_amount, created_at
			from accepted
		)
		insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
			off_session, receipt_email, return_url, status, next_check_at, created_at, updated_at)
		select id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
			off_session, (select o.primary_email from organizations o where o.id = organization_id), return_url,
			'created', created_at + $16::bigint * interval '1 millisecond', created_at, created_at
		from accepted
		returning id`,
		ids, transactions, organizations, wallets, methods, modes, currencies,
		credits, amounts, offSession, operations, keys, fingerprints, waitUntil, createdAt, FirstCheckAfter.Milliseconds(), returnURLs)
	stored, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, fmt.Errorf("accept %d payments: %w", n, err)
	}
	for _, id := range stored {
		accepted[position[id]] = true
	}
	return accepted, nil
}
