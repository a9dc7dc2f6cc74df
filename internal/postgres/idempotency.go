package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// IdempotencyKeyLife is how long a client's key stands for the request that used
// it first. Afterwards it counts as new.
const IdempotencyKeyLife = 24 * time.Hour

// IdempotencyRecord binds a client's Idempotency-Key to what its first request
// made. The scope of a key is the organization, the mode and the operation (method
// and path).
type IdempotencyRecord struct {
	Operation string // "POST /v1/wallet/fund"
	Key       string
	// Fingerprint is the SHA-256 of the request's meaning; the same key with
	// another one is refused.
	Fingerprint [32]byte
	// WaitUntil is until when the first request may still be waiting for its
	// answer. A second one that comes earlier is told that the key is in use.
	WaitUntil time.Time
	// ResultIDs are the rows that the request made, in the order of its answer. A
	// payment alone is found without them.
	ResultIDs []wallet.ID
}

// results writes ResultIDs as Postgres writes an array.
func (r *IdempotencyRecord) results() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, id := range r.ResultIDs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(id.String())
	}
	b.WriteByte('}')
	return b.String()
}

// ClaimIdempotencyKey binds a key to what a request makes that is no purchase. The
// result is false when the key is taken. It has to come first in the transaction,
// so that a second request with the key waits before it has locked anything.
func ClaimIdempotencyKey(ctx context.Context, tx pgx.Tx, organizationID wallet.ID, mode wallet.Mode, r IdempotencyRecord, now time.Time) (bool, error) {
	tag, err := tx.Exec(ctx, `
		insert into idempotency_keys (organization_id, mode, operation, key, fingerprint, result_ids, wait_until, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict do nothing`,
		organizationID, mode, r.Operation, r.Key, r.Fingerprint[:], nonNil(r.ResultIDs), r.WaitUntil, now)
	if err != nil {
		return false, fmt.Errorf("claim idempotency key: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// RebindIdempotencyKey changes the rows that a key stands for, in the transaction
// that claimed it.
func RebindIdempotencyKey(ctx context.Context, tx pgx.Tx, organizationID wallet.ID, mode wallet.Mode, r IdempotencyRecord, ids []wallet.ID) error {
	tag, err := tx.Exec(ctx, `
		update idempotency_keys set result_ids = @result_ids
		where organization_id = @organization_id and mode = @mode and operation = @operation and key = @key`,
		pgx.StrictNamedArgs{"organization_id": organizationID, "mode": mode, "operation": r.Operation, "key": r.Key, "result_ids": ids})
	if err == nil && tag.RowsAffected() != 1 {
		err = errRowCount
	}
	if err != nil {
		return fmt.Errorf("bind idempotency key: %w", err)
	}
	return nil
}

// LookUpIdempotencyKey finds what a key stands for: its record and the id of its
// payment, zero when the request made none. The last result is false when the key is new, or has outlived
// IdempotencyKeyLife and so counts as new; then the old record is removed.
func LookUpIdempotencyKey(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, operation, key string, now time.Time) (IdempotencyRecord, wallet.ID, bool, error) {
	r := IdempotencyRecord{Operation: operation, Key: key}
	var (
		createdAt   time.Time
		fingerprint []byte
		paymentID   *wallet.ID
	)
	err := db.QueryRow(ctx, `
		select fingerprint, payment_id, wait_until, created_at, result_ids
		from idempotency_keys
		where organization_id = $1 and mode = $2 and operation = $3 and key = $4`,
		organizationID, mode, operation, key).Scan(&fingerprint, &paymentID, &r.WaitUntil, &createdAt, &r.ResultIDs)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, wallet.ID{}, false, nil
	}
	if err != nil {
		return r, wallet.ID{}, false, fmt.Errorf("look up idempotency key: %w", err)
	}
	if now.Sub(createdAt) >= IdempotencyKeyLife {
		if _, err := db.Exec(ctx, `
			delete from idempotency_keys
			where organization_id = $1 and mode = $2 and operation = $3 and key = $4 and created_at = $5`,
			organizationID, mode, operation, key, createdAt); err != nil {
			return r, wallet.ID{}, false, fmt.Errorf("drop idempotency key: %w", err)
		}
		return r, wallet.ID{}, false, nil
	}
	copy(r.Fingerprint[:], fingerprint)
	if paymentID == nil {
		return r, wallet.ID{}, true, nil
	}
	return r, *paymentID, true, nil
}

// DeleteIdempotencyKeys removes up to limit records whose life is over, and
// returns how many it removed.
func DeleteIdempotencyKeys(ctx context.Context, db DB, now time.Time, limit int) (int64, error) {
	tag, err := db.Exec(ctx, `
		delete from idempotency_keys
		where (organization_id, mode, operation, key) in (
			select organization_id, mode, operation, key
			from idempotency_keys
			where created_at <= $1
			order by created_at
			limit $2
			for update skip locked
		)`, now.Add(-IdempotencyKeyLife), limit)
	if err != nil {
		return 0, fmt.Errorf("delete idempotency keys: %w", err)
	}
	return tag.RowsAffected(), nil
}
