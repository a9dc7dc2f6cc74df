package lago

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// newInvoice returns the credit invoice of a purchase as the dialect shows it. It
// has no tax and no discount.
func newInvoice(i wallet.Invoice) named {
	return named{
		{"lago_id", i.ID},
		{"billing_entity_code", wallet.DefaultBillingEntity},
		{"sequential_id", numberOrNull(i.SequentialID)},
		{"number", nullable.From(i.Number)},
		{"issuing_date", i.IssuingDate},
		{"payment_due_date", i.IssuingDate},
		{"net_payment_term", 0},
		{"payment_dispute_lost_at", nil},
		{"payment_overdue", false},
		{"invoice_type", "credit"},
		{"status", i.Status},
		{"payment_status", i.PaymentStatus},
		{"purchase_order_number", nullable.From(i.PurchaseOrderNumber)},
		{"currency", i.Currency},
		{"fees_amount_cents", i.Amount},
		{"taxes_amount_cents", 0},
		{"progressive_billing_credit_amount_cents", 0},
		{"coupons_amount_cents", 0},
		{"credit_notes_amount_cents", 0},
		{"sub_total_excluding_taxes_amount_cents", i.Amount},
		{"sub_total_including_taxes_amount_cents", i.Amount},
		{"prepaid_credit_amount_cents", 0},
		{"total_amount_cents", i.Amount},
		{"total_due_amount_cents", max(i.Amount-i.PaidAmount, 0)},
		{"total_paid_amount_cents", i.PaidAmount},
		{"version_number", 4},
		{"self_billed", false},
		{"created_at", lagojson.Moment(i.CreatedAt)},
		{"updated_at", lagojson.Moment(i.UpdatedAt)},
		{"file_url", nil},
	}
}

// newWholeInvoice is newInvoice with the customer, the one fee and the sections.
func newWholeInvoice(i wallet.Invoice, customer named) named {
	fee := named{
		{"lago_wallet_transaction_id", i.WalletTransactionID},
		{"item", named{{"type", "credit"}, {"code", "credit"}, {"name", i.Description}}},
		{"invoice_display_name", i.Description},
		{"units", lagojson.Credits(i.CreditAmount)},
		{"precise_unit_amount", lagojson.Credits(i.RateAmount)},
		{"amount_cents", i.Amount},
		{"amount_currency", i.Currency},
		{"taxes_amount_cents", 0},
		{"total_amount_cents", i.Amount},
		{"payment_status", i.PaymentStatus},
	}
	return append(newInvoice(i),
		member{"customer", customer},
		member{"fees", []named{fee}},
		member{"metadata", []named{}},
		member{"applied_taxes", []named{}},
		member{"applied_invoice_custom_sections", newSections(i.Sections, i.OrganizationID)})
}

func numberOrNull(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// showInvoice answers GET /api/v1/invoices/{id}.
func (d *Dialect) showInvoice(c echo.Context, caller postgres.Caller) error {
	i, err := d.findInvoice(c, caller)
	if err != nil {
		return err
	}
	customer, err := postgres.GetCustomer(c.Request().Context(), d.LookUps(), i.CustomerID)
	if err != nil {
		return err
	}
	shown, err := newCustomer(customer)
	if err != nil {
		return err
	}
	return writeOne(c, "invoice", newWholeInvoice(i, shown))
}

// findInvoice finds the finalized invoice of the path. An invoice that is not
// finalized looks like one that does not exist.
func (d *Dialect) findInvoice(c echo.Context, caller postgres.Caller) (wallet.Invoice, error) {
	i, err := postgres.GetInvoice(c.Request().Context(), d.LookUps(), caller.OrganizationID, caller.Mode, pathID(c))
	if err == nil && i.Status != wallet.InvoiceFinalized {
		err = &wallet.Error{Code: wallet.CodeInvoiceNotFound, Message: "Invoice not found."}
	}
	return i, err
}

// listInvoices answers GET /api/v1/invoices.
func (d *Dialect) listInvoices(c echo.Context, caller postgres.Caller) error {
	ctx, query := c.Request().Context(), c.QueryParams()
	f := postgres.InvoiceFilter{OrganizationID: caller.OrganizationID, Mode: caller.Mode}
	switch v := wallet.InvoicePaymentStatus(query.Get("payment_status")); v {
	case wallet.InvoicePaymentFailed, wallet.InvoicePaymentPending, wallet.InvoicePaymentSucceeded:
		f.PaymentStatus = v
	}
	if name := query.Get("external_customer_id"); name != "" {
		customer, err := postgres.FindCustomer(ctx, d.LookUps(), caller.OrganizationID, caller.Mode, storable(name))
		if wallet.HasCode(err, wallet.CodeCustomerNotFound) {
			return writeList(c, "invoices", []named{}, 0)
		}
		if err != nil {
			return err
		}
		f.CustomerID = customer.ID
	}
	list, total, err := postgres.ListInvoices(ctx, d.LookUps(), f, pageOf(c))
	if err != nil {
		return err
	}
	return writeList(c, "invoices", each(list, newInvoice), total)
}

var (
	//go:embed invoice.css
	invoiceStyle string
	//go:embed invoice.html
	invoiceHTML string

	invoiceTemplate = template.Must(template.New("invoice").Parse(invoiceHTML))
)

// invoicePage is an invoice for printing.
type invoicePage struct {
	wallet.Invoice
	Seller   string
	Customer []string // its name and address, a line each
	Email    string
	Credits  string
	Rate     string
	Total    string
	Paid     string
	Due      string
	Style    template.CSS
}

// showInvoicePage answers GET /api/v1/invoices/{id}/page: the invoice with its
// sections and the state of its payment, to be printed.
func (d *Dialect) showInvoicePage(c echo.Context, caller postgres.Caller) error {
	ctx := c.Request().Context()
	i, err := d.findInvoice(c, caller)
	if err != nil {
		return err
	}
	customer, err := postgres.GetCustomer(ctx, d.LookUps(), i.CustomerID)
	if err != nil {
		return err
	}
	seller, err := postgres.GetOrganization(ctx, d.LookUps(), i.OrganizationID)
	if err != nil {
		return err
	}
	lines, err := addressLines(customer)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = invoiceTemplate.Execute(&b, invoicePage{
		Invoice:  i,
		Seller:   seller.Name,
		Customer: lines,
		Email:    customer.Email,
		Credits:  wallet.FormatDecimal(i.CreditAmount),
		Rate:     wallet.FormatDecimal(i.RateAmount),
		Total:    wallet.FormatMinor(i.Amount, i.Currency),
		Paid:     wallet.FormatMinor(i.PaidAmount, i.Currency),
		Due:      wallet.FormatMinor(max(i.Amount-i.PaidAmount, 0), i.Currency),
		Style:    template.CSS(invoiceStyle), //nolint:gosec // our own file
	})
	if err != nil {
		return fmt.Errorf("invoice page: %w", err)
	}
	return api.WritePage(c, http.StatusOK, invoiceStyle, b.Bytes())
}

// addressLines returns the name and address of the customer on an invoice.
func addressLines(c postgres.Customer) ([]string, error) {
	p, err := readProfile(c)
	if err != nil {
		return nil, err
	}
	text := func(names ...string) string {
		var words []string
		for _, name := range names {
			if t := p.Texts[name]; t != nil {
				words = append(words, *t)
			}
		}
		return strings.Join(words, " ")
	}
	var lines []string
	for _, line := range []string{
		text("legal_name"), c.Name, strings.TrimSpace(c.Firstname + " " + c.Lastname), text("address_line1"), text("address_line2"),
		text("zipcode", "city"), text("state"), text("country"), text("tax_identification_number"),
	} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		lines = []string{c.ExternalID}
	}
	return lines, nil
}
