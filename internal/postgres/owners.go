package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// GetOrganization finds an organization by its id. An unknown one is CodeNotFound.
func GetOrganization(ctx context.Context, db DB, id wallet.ID) (Organization, error) {
	rows, _ := db.Query(ctx, `
		select id, name, coalesce(primary_email, ''), created_at from organizations where id = $1`, id)
	o, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Organization])
	if errors.Is(err, pgx.ErrNoRows) {
		return o, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such organization."}
	}
	if err != nil {
		return o, fmt.Errorf("find organization %s: %w", id, err)
	}
	return o, nil
}

// HasPrimaryWallet tells whether an organization's keys of a mode stand for a
// wallet already.
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

const customerColumns = `id, organization_id, mode, external_id, coalesce(email, ''), coalesce(name, ''),
	coalesce(stripe_customer_id, ''), created_at`

// GetCustomer finds a customer by its id. An unknown one is CodeNotFound.
func GetCustomer(ctx context.Context, db DB, id wallet.ID) (Customer, error) {
	rows, _ := db.Query(ctx, `select `+customerColumns+` from customers where id = $1`, id)
	return collectCustomer(rows, id.String())
}

// FindCustomer finds a customer by the name that the merchant gave. An unknown
// one is CodeNotFound.
func FindCustomer(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, externalID string) (Customer, error) {
	rows, _ := db.Query(ctx, `
		select `+customerColumns+` from customers where organization_id = $1 and mode = $2 and external_id = $3`,
		organizationID, mode, externalID)
	return collectCustomer(rows, externalID)
}

func collectCustomer(rows pgx.Rows, name string) (Customer, error) {
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Customer])
	if errors.Is(err, pgx.ErrNoRows) {
		return c, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such customer."}
	}
	if err != nil {
		return c, fmt.Errorf("find customer %s: %w", name, err)
	}
	return c, nil
}
