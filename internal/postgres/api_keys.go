package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// APIKey describes a merchant's API key. The key itself is not stored, only its
// SHA-256 hash.
type APIKey struct {
	ID             wallet.ID
	OrganizationID wallet.ID
	Mode           wallet.Mode
	Name           string
	Hint           string // the last four characters of the key
	Scopes         []wallet.Scope
	CreatedAt      time.Time
	ExpiresAt      *time.Time
	RevokedAt      *time.Time
	LastUsedAt     *time.Time // to the minute
}

// InsertAPIKey stores a new key by its hash. A key without scopes gets all scopes.
func InsertAPIKey(ctx context.Context, db DB, k APIKey, key string) error {
	scopes := k.Scopes
	if len(scopes) == 0 {
		scopes = wallet.Scopes
	}
	hash := sha256.Sum256([]byte(key))
	_, err := db.Exec(ctx, `
		insert into api_keys (id, organization_id, mode, name, key_hash, hint, scopes, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		k.ID, k.OrganizationID, k.Mode, k.Name, hash[:], k.Hint, scopes, k.CreatedAt, k.ExpiresAt)
	if err != nil {
		return fmt.Errorf("insert API key: %w", err)
	}
	return nil
}

const apiKeyColumns = `id, organization_id, mode, name, hint, scopes, created_at, expires_at, revoked_at,
	(select u.last_used_at from api_key_uses u where u.api_key_id = api_keys.id) as last_used_at`

// ListAPIKeys returns an organization's keys of both modes, including revoked ones,
// the newest first.
func ListAPIKeys(ctx context.Context, db DB, organizationID wallet.ID) ([]APIKey, error) {
	rows, _ := db.Query(ctx, `select `+apiKeyColumns+` from api_keys where organization_id = $1 order by id desc`, organizationID)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[APIKey])
	if err != nil {
		return nil, fmt.Errorf("list API keys of organization %s: %w", organizationID, err)
	}
	return nonNil(list), nil
}

// RetireAPIKey makes a key expire at a time, unless it expires earlier, and marks it as
// replaced. It returns the key as it was before. The error is CodeNotFound if the key is
// unknown, has ended, or was replaced before: a second replacement would leave two
// successors.
func RetireAPIKey(ctx context.Context, tx pgx.Tx, id wallet.ID, at, now time.Time) (APIKey, error) {
	rows, _ := tx.Query(ctx, `select `+apiKeyColumns+` from api_keys
		where id = $1 and revoked_at is null and replaced_at is null and (expires_at is null or expires_at > $2) for no key update`, id, now)
	k, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[APIKey])
	if errors.Is(err, pgx.ErrNoRows) {
		return k, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such API key, or it has ended or was replaced."}
	}
	if err != nil {
		return k, fmt.Errorf("find API key %s: %w", id, err)
	}
	_, err = tx.Exec(ctx, `
		update api_keys set expires_at = least(expires_at, $2), replaced_at = $3 where id = $1`, id, at, now)
	if err != nil {
		return k, fmt.Errorf("retire API key %s: %w", id, err)
	}
	return k, nil
}

// NoteKeyUse stores when keys were used. It ignores a time that is less than a minute
// after the stored one, so that many processes together write no more often than one.
func NoteKeyUse(ctx context.Context, db DB, ids []wallet.ID, at []time.Time) error {
	_, err := db.Exec(ctx, `
		insert into api_key_uses as k (api_key_id, last_used_at)
		select id, max(at) from unnest($1::uuid[], $2::timestamptz[]) as u (id, at) group by id order by id
		on conflict (api_key_id) do update set last_used_at = excluded.last_used_at
		where k.last_used_at <= excluded.last_used_at - interval '1 minute'`, ids, at)
	if err != nil {
		return fmt.Errorf("note the use of %d API keys: %w", len(ids), err)
	}
	return nil
}

// RevokeAPIKey revokes a key and returns the time of its revocation, which is earlier than
// now if the key had been revoked before. The error is CodeNotFound for an unknown key.
func RevokeAPIKey(ctx context.Context, db DB, id wallet.ID, now time.Time) (time.Time, error) {
	var revokedAt time.Time
	err := db.QueryRow(ctx, `
		update api_keys set revoked_at = coalesce(revoked_at, $2) where id = $1 returning revoked_at`,
		id, now).Scan(&revokedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return revokedAt, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such API key."}
	}
	if err != nil {
		return revokedAt, fmt.Errorf("revoke API key %s: %w", id, err)
	}
	return revokedAt, nil
}
