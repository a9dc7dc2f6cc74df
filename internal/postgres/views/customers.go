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

// CustomerRow is a customer in a list, with whose it is.
type CustomerRow struct {
	ID               wallet.ID
	OrganizationID   wallet.ID
	OrganizationName string
	ExternalID       string
	Email            string
	Name             string
	StripeCustomerID string
	Wallets          int64
	CreatedAt        time.Time
}

const customerRowColumns = `c.id, c.organization_id, o.name, c.external_id, coalesce(c.email, ''), coalesce(c.name, ''),
	coalesce(c.stripe_customer_id, ''), (select count(*) from wallets w where w.customer_id = c.id), c.created_at`

// ListCustomerRows gives the customers of a mode, the newest first.
func ListCustomerRows(ctx context.Context, db postgres.DB, f OwnerFilter) (Page[CustomerRow], error) {
	rows, _ := db.Query(ctx, `
		select `+customerRowColumns+`
		from (select * from customers c where `+pairsOf("c")+` order by c.mode desc, c.id desc limit @limit) c
		join organizations o on o.id = c.organization_id
		order by c.id desc`, f.args())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[CustomerRow])
	if err != nil {
		return Page[CustomerRow]{}, fmt.Errorf("list customers: %w", err)
	}
	return paged(list, f.Limit, false, func(c CustomerRow) string { return c.ID.String() }, nil), nil
}

// GetCustomerRow finds a customer. An unknown one, or one of the other mode, is
// CodeNotFound.
func GetCustomerRow(ctx context.Context, db postgres.DB, mode wallet.Mode, id wallet.ID) (CustomerRow, error) {
	rows, _ := db.Query(ctx, `
		select `+customerRowColumns+`
		from customers c join organizations o on o.id = c.organization_id
		where c.mode = $1 and c.id = $2`, mode, id)
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[CustomerRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return c, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such customer."}
	}
	if err != nil {
		return c, fmt.Errorf("find customer %s: %w", id, err)
	}
	return c, nil
}
