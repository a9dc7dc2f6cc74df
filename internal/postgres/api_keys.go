package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// ListAPIKeys gives an organization's keys of both modes, revoked ones too, the
// newest first.
func ListAPIKeys(ctx context.Context, db DB, organizationID wallet.ID) ([]APIKey, error) {
	rows, _ := db.Query(ctx, `
		select id, organization_id, mode, name, hint, created_at, expires_at, revoked_at
		from api_keys
		where organization_id = $1
		order by id desc`, organizationID)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[APIKey])
	if err != nil {
		return nil, fmt.Errorf("list API keys of organization %s: %w", organizationID, err)
	}
	return nonNil(list), nil
}

// RevokeAPIKey ends a key's life and returns when that was: now, or earlier when
// it had been revoked before. An unknown key is CodeNotFound.
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
