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

// IdempotencyKeyLife is how long a client's key is bound to the first request that used
// it. Afterwards the key counts as new.
const IdempotencyKeyLife = 24 * time.Hour

// IdempotencyRecord binds a client's Idempotency-Key to the result of its first request.
// The scope of a key is the organization, the mode and the operation (method and path).
type IdempotencyRecord struct {
	Operation string // "POST /v1/wallet/fund"
	Key       string
	// Fingerprint is a SHA-256 hash of the request. A request with the same key and another
	// fingerprint is refused.
	Fingerprint [32]byte
	// WaitUntil is the latest time at which the first request is answered. Until then a
	// second request is refused because the key is in use.
	WaitUntil time.Time
	// ResultIDs are the ids of the rows that the request created, in the order of the
	// answer. It may be empty if the request created one payment, which refers to the
	// record.
	ResultIDs []wallet.ID
}

// results returns ResultIDs as the text of a PostgreSQL array.
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

// ClaimIdempotencyKey binds a key to a request that is not a purchase, and reports whether
// the key was free. It must be the first statement of the transaction, so that a second
// request with the key waits for the first before it locks anything else.
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

// RebindIdempotencyKey replaces the result ids of a key. It must run in the transaction that
// claimed the key.
func RebindIdempotencyKey(ctx context.Context, tx pgx.Tx, organizationID wallet.ID, mode wallet.Mode, r IdempotencyRecord, ids []wallet.ID) error {
	tag, err := tx.Exec(ctx, `
		update idempotency_keys set result_ids = @result_ids
		where organization_id = @organization_id and mode = @mode and operation = @operation and key = @key`,
		params{"organization_id": organizationID, "mode": mode, "operation": r.Operation, "key": r.Key, "result_ids": ids})
	if err == nil && tag.RowsAffected() != 1 {
		err = errors.New("wrong number of rows")
	}
	if err != nil {
		return fmt.Errorf("rebind idempotency key: %w", err)
	}
	return nil
}

// LookUpIdempotencyKey returns the record of a key and the id of its payment, which is zero
// if the request made no payment. The last result is false if the key is new. A key that is
// older than IdempotencyKeyLife counts as new, and its record is deleted.
func LookUpIdempotencyKey(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, operation, key string, now time.Time) (IdempotencyRecord, wallet.ID, bool, error) {
	r := IdempotencyRecord{Operation: operation, Key: key}
	type keyRow struct {
		Fingerprint []byte
		PaymentID   *wallet.ID
		WaitUntil   time.Time
		CreatedAt   time.Time
		ResultIDs   []wallet.ID
	}
	rows, _ := db.Query(ctx, `
		select fingerprint, payment_id, wait_until, created_at, result_ids
		from idempotency_keys
		where organization_id = $1 and mode = $2 and operation = $3 and key = $4`,
		organizationID, mode, operation, key)
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[keyRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return r, wallet.ID{}, false, nil
	}
	if err != nil {
		return r, wallet.ID{}, false, fmt.Errorf("look up idempotency key: %w", err)
	}
	if now.Sub(row.CreatedAt) >= IdempotencyKeyLife {
		// The condition on created_at spares a record that another request has stored since.
		if _, err := db.Exec(ctx, `
			delete from idempotency_keys
			where organization_id = $1 and mode = $2 and operation = $3 and key = $4 and created_at = $5`,
			organizationID, mode, operation, key, row.CreatedAt); err != nil {
			return r, wallet.ID{}, false, fmt.Errorf("drop idempotency key: %w", err)
		}
		return r, wallet.ID{}, false, nil
	}
	copy(r.Fingerprint[:], row.Fingerprint)
	r.WaitUntil, r.ResultIDs = row.WaitUntil, row.ResultIDs
	return r, orZero(row.PaymentID), true, nil
}

// DeleteIdempotencyKeys deletes up to limit records that are older than
// IdempotencyKeyLife, and returns how many it deleted.
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
