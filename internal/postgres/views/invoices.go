package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// InvoiceRow is the credit invoice of a purchase in a list.
type InvoiceRow struct {
	ID               wallet.ID
	Number           string // empty until it has one
	Status           string // open or finalized
	PaymentStatus    string // pending, failed or succeeded
	Amount           int64
	PaidAmount       int64
	Currency         wallet.Currency
	CreditAmount     decimal.Decimal
	OrganizationName string
	CustomerID       wallet.ID
	ExternalID       string
	Email            string
	WalletID         wallet.ID
	PaymentID        *wallet.ID // the newest payment of the purchase, nil if there is none
	CreatedAt        time.Time
	FinalizedAt      *time.Time
}

// ListInvoiceRows returns a page of the invoices of a mode, the newest first.
func ListInvoiceRows(ctx context.Context, db postgres.DB, f OwnerFilter) (Page[InvoiceRow], error) {
	where, order := pairsOf("i"), `order by i.mode desc, i.id desc`
	if f.CustomerID != (wallet.ID{}) {
		where, order = `i.mode = @mode and i.customer_id = @customer and i.id < @before`, `order by i.id desc`
	}
	rows, _ := db.Query(ctx, `
		select i.id, coalesce(i.number, '') as number, i.status, i.payment_status, i.amount, i.paid_amount, i.currency,
			i.credit_amount, o.name as organization_name, i.customer_id, c.external_id, coalesce(c.email, '') as email, i.wallet_id,
			(
				select p.id from payments p where p.wallet_transaction_id = i.wallet_transaction_id order by p.id desc limit 1
			) as payment_id,
			i.created_at, i.finalized_at
		from (select * from invoices i where `+where+` `+order+` limit @limit) i
		join organizations o on o.id = i.organization_id
		join customers c on c.id = i.customer_id
		order by i.id desc`, f.args())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[InvoiceRow])
	if err != nil {
		return Page[InvoiceRow]{}, fmt.Errorf("list invoices: %w", err)
	}
	return paged(list, f.Limit, false, func(i InvoiceRow) string { return i.ID.String() }, nil), nil
}
