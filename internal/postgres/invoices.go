package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

const invoiceColumns = `i.id, i.organization_id, i.mode, i.customer_id, i.wallet_id, i.wallet_transaction_id, i.status,
	i.payment_status, i.currency, i.amount, i.paid_amount, i.credit_amount, i.rate_amount, i.description,
	coalesce(i.purchase_order_number, '') as purchase_order_number, i.custom_sections as sections,
	to_char(i.issuing_date, 'YYYY-MM-DD') as issuing_date, coalesce(i.sequential_id, 0) as sequential_id,
	coalesce(i.number, '') as number, i.created_at, i.updated_at, i.finalized_at`

// GetInvoice returns an open or finalized invoice of an organization. It numbers a
// finalized invoice that has no number yet. The error is CodeInvoiceNotFound for an unknown
// invoice.
func GetInvoice(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, id wallet.ID) (wallet.Invoice, error) {
	find := func() (wallet.Invoice, error) {
		rows, _ := db.Query(ctx, `
			select `+invoiceColumns+` from invoices i where i.id = $1 and i.organization_id = $2 and i.mode = $3`,
			id, organizationID, mode)
		return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[wallet.Invoice])
	}
	i, err := find()
	const tries = 3 // NumberInvoices skips an invoice that its settlement has locked
	for n := 0; n < tries && err == nil && i.Status == wallet.InvoiceFinalized && i.SequentialID == 0; n++ {
		if _, err = db.Exec(ctx, `select from invoices where id = $1 for no key update`, id); err != nil {
			break
		}
		if err = NumberInvoices(ctx, db, organizationID, mode); err == nil {
			i, err = find()
		}
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return i, &wallet.Error{Code: wallet.CodeInvoiceNotFound, Message: "Invoice not found."}
	}
	if err != nil {
		return i, fmt.Errorf("find invoice %s: %w", id, err)
	}
	return i, nil
}

// InvoiceFilter selects invoices of an organization.
type InvoiceFilter struct {
	OrganizationID wallet.ID
	Mode           wallet.Mode
	CustomerID     wallet.ID                   // zero for all
	PaymentStatus  wallet.InvoicePaymentStatus // empty for all
}

// ListInvoices returns a page of finalized invoices with their numbers, newest first, and
// the number of invoices on all pages.
func ListInvoices(ctx context.Context, db DB, f InvoiceFilter, page wallet.Page) ([]wallet.Invoice, int, error) {
	if err := NumberInvoices(ctx, db, f.OrganizationID, f.Mode); err != nil {
		return nil, 0, err
	}
	list, total, err := listPage(ctx, db, listQuery{
		columns: invoiceColumns,
		from:    `invoices i`,
		where: `i.organization_id = $1 and i.mode = $2 and i.status = 'finalized'
			and ($3::uuid is null or i.customer_id = $3) and ($4::text is null or i.payment_status = $4)`,
		order: `i.created_at desc, i.id`,
		args:  []any{f.OrganizationID, f.Mode, nullable.From(f.CustomerID), nullable.From(string(f.PaymentStatus))},
	}, page, pgx.RowToStructByName[wallet.Invoice])
	if err != nil {
		return nil, 0, fmt.Errorf("invoices of organization %s: %w", f.OrganizationID, err)
	}
	return list, total, nil
}

// numberBatch is the largest number of invoices that one call numbers. It is much larger
// than a page, because reading invoices usually numbers them.
const numberBatch = 10_000

// NumberInvoices numbers the finalized invoices of an organization that have no number, in
// the order in which they were finalized. Concurrent calls wait for each other; transactions
// that create or settle invoices do not. The counter and the invoices change in one
// transaction, so there are no gaps.
func NumberInvoices(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode) error {
	var waiting bool
	err := db.QueryRow(ctx, `
		select exists (
			select from invoices
			where organization_id = $1 and mode = $2 and status = 'finalized' and sequential_id is null
		)`, organizationID, mode).Scan(&waiting)
	if err != nil {
		return fmt.Errorf("look for invoices without a number: %w", err)
	}
	if !waiting {
		return nil
	}
	var b pgx.Batch
	b.Queue(`insert into invoice_numbers (organization_id, mode, last_number) values ($1, $2, 0) on conflict do nothing`,
		organizationID, mode)
	// The lock and the numbering are separate statements, so that the second sees what the
	// previous holder of the lock committed.
	b.Queue(`select from invoice_numbers where organization_id = $1 and mode = $2 for update`, organizationID, mode)
	b.Queue(`
		with free as (
			-- A locked invoice is being settled by a transaction that may wait for
			-- another invoice here. Waiting for it could deadlock, so a later call
			-- numbers it.
			select id, finalized_at from invoices
			where organization_id = $1 and mode = $2 and status = 'finalized' and sequential_id is null
			order by finalized_at, id
			limit $3
			for no key update skip locked
		), due as (
			select f.id, n.last_number + row_number() over (order by f.finalized_at, f.id) as position
			from free f, invoice_numbers n
			where n.organization_id = $1 and n.mode = $2
		), numbered as (
			update invoices i
			set sequential_id = due.position,
				number = concat_ws('-', upper(left(o.name, 3)), upper(right(o.id::text, 4)), to_char(i.issuing_date, 'YYYYMM'),
					lpad(due.position::text, greatest(3, length(due.position::text)), '0'))
			from due, organizations o
			where i.id = due.id and o.id = i.organization_id
		)
		update invoice_numbers
		set last_number = (select max(position) from due)
		where organization_id = $1 and mode = $2 and exists (select from due)`, organizationID, mode, numberBatch)
	if err := db.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("number invoices of organization %s: %w", organizationID, err)
	}
	return nil
}

// NumberAllInvoices calls NumberInvoices for each organization and mode with an invoice to
// number.
func NumberAllInvoices(ctx context.Context, db DB) error {
	type owner struct {
		OrganizationID wallet.ID
		Mode           wallet.Mode
	}
	rows, _ := db.Query(ctx, `
		select distinct organization_id, mode from invoices where status = 'finalized' and sequential_id is null`)
	owners, err := pgx.CollectRows(rows, pgx.RowToStructByName[owner])
	if err != nil {
		return fmt.Errorf("look for invoices without a number: %w", err)
	}
	for _, o := range owners {
		if err := NumberInvoices(ctx, db, o.OrganizationID, o.Mode); err != nil {
			return err
		}
	}
	return nil
}
