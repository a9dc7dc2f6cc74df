package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// GetOrganization returns an organization. The error is CodeNotFound for an unknown one.
func GetOrganization(ctx context.Context, db DB, id wallet.ID) (Organization, error) {
	rows, _ := db.Query(ctx, `
		select id, name, coalesce(primary_email, '') as primary_email, created_at from organizations where id = $1`, id)
	o, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Organization])
	if errors.Is(err, pgx.ErrNoRows) {
		return o, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such organization."}
	}
	if err != nil {
		return o, fmt.Errorf("find organization %s: %w", id, err)
	}
	return o, nil
}

// HasPrimaryWallet reports whether an organization has a primary wallet in a mode.
func HasPrimaryWallet(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode) (bool, error) {
	var has bool
	err := db.QueryRow(ctx, `
		select exists (select from wallets where organization_id = $1 and mode = $2 and is_primary)`,
		organizationID, mode).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("find primary wallet of organization %s: %w", organizationID, err)
	}
	return has, nil
}
