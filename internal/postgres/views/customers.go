package views

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// CustomerRow is a customer in a list, with the name of its organization.
type CustomerRow struct {
	ID               wallet.ID
	OrganizationID   wallet.ID
	OrganizationName string
	ExternalID       string
	Email            string
	Name             string
	StripeCustomerID string
	Wallets          int64 // how many it has
	CreatedAt        time.Time
}

const customerRowColumns = `c.id, c.organization_id, o.name as organization_name, c.external_id, coalesce(c.email, '') as email,
	coalesce(c.name, '') as name, coalesce(c.stripe_customer_id, '') as stripe_customer_id,
	(select count(*) from wallets w where w.customer_id = c.id) as wallets, c.created_at`

// ListCustomerRows returns a page of the customers of a mode, the newest first.
func ListCustomerRows(ctx context.Context, db postgres.DB, f OwnerFilter) (Page[CustomerRow], error) {
	rows, _ := db.Query(ctx, `
		select `+customerRowColumns+`
		from (select * from customers c where `+pairsOf("c")+` order by c.mode desc, c.id desc limit @limit) c
		join organizations o on o.id = c.organization_id
		order by c.id desc`, f.args())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[CustomerRow])
	if err != nil {
		return Page[CustomerRow]{}, fmt.Errorf("list customers: %w", err)
	}
	return paged(list, f.Limit, false, func(c CustomerRow) string { return c.ID.String() }, nil), nil
}

// GetCustomerRow returns a customer. The error is CodeNotFound if the customer is
// unknown or of the other mode.
func GetCustomerRow(ctx context.Context, db postgres.DB, mode wallet.Mode, id wallet.ID) (CustomerRow, error) {
	rows, _ := db.Query(ctx, `
		select `+customerRowColumns+`
		from customers c join organizations o on o.id = c.organization_id
		where c.mode = $1 and c.id = $2`, mode, id)
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[CustomerRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return c, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such customer."}
	}
	if err != nil {
		return c, fmt.Errorf("find customer %s: %w", id, err)
	}
	return c, nil
}
