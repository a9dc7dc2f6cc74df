package dashboard

import (
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

// ownerFilter reads the filter of lists of wallets and customers.
func (r *request) ownerFilter() (views.OwnerFilter, error) {
	f := views.OwnerFilter{Mode: r.mode, Limit: pageSize}
	for field, id := range map[string]*wallet.ID{"customer": &f.CustomerID, "cursor": &f.Before} {
		text := r.QueryParam(field)
		if text == "" {
			continue
		}
		var err error
		if *id, err = uuid.Parse(text); err != nil {
			return f, errNotFound
		}
	}
	return f, nil
}

// listWallets answers GET /admin/{mode}/wallets.
func (d *Dashboard) listWallets(r *request) error {
	f, err := r.ownerFilter()
	if err != nil {
		return err
	}
	if r.wantsCSV() {
		return d.writeWalletsCSV(r, f)
	}
	page, err := views.ListWalletRows(r.ctx(), d.Pool, f)
	if err != nil {
		return err
	}
	return r.view("Wallets", "wallets", page).ok("wallets")
}

func (d *Dashboard) writeWalletsCSV(r *request, f views.OwnerFilter) error {
	f.Limit = csvPage
	header := []string{
		"id", "uuid", "organization", "customer", "email", "currency", "balance", "credits_balance", "rate_amount", "primary",
		"created_at",
	}
	return writeCSV(r, "wallets", header, func(cursor string) (views.Page[views.WalletRow], error) {
		if cursor != "" {
			f.Before = uuid.MustParse(cursor) // the list has just made it
		}
		return views.ListWalletRows(r.ctx(), d.Pool, f)
	}, func(w views.WalletRow) []string {
		return []string{
			wallet.Spell(wallet.PrefixWallet, r.mode, w.ID), w.ID.String(), w.OrganizationName, r.private(w.ExternalID),
			r.private(w.Email), string(w.Currency), wallet.FormatMinor(w.Balance, w.Currency), w.CreditsBalance.String(),
			w.RateAmount.String(), strconv.FormatBool(w.IsPrimary), csvTime(w.CreatedAt),
		}
	})
}

// The views of a wallet.
const (
	viewLedger       = "ledger"
	viewLots         = "lots"
	viewTransactions = "transactions"
)

type walletPage struct {
	Wallet       views.WalletRow
	View         string
	Transactions views.Page[views.TransactionRow]
	Ledger       views.Page[views.LedgerRow]
}

// Next is the cursor of the next page of whichever view is shown.
func (p walletPage) Next() string { return p.Transactions.Next + p.Ledger.Next }

// showWallet answers GET /admin/{mode}/wallets/{id}.
func (d *Dashboard) showWallet(r *request) error {
	id, err := wallet.ParseID(wallet.PrefixWallet, r.mode, r.Param("id"))
	if err != nil {
		return &wallet.Error{Code: wallet.CodeNotFound, Message: "No wallet of this mode has this id."}
	}
	page := walletPage{View: r.QueryParam("view")}
	if page.Wallet, err = views.GetWalletRow(r.ctx(), d.Pool, r.mode, id); err != nil {
		return err
	}
	cursor := r.QueryParam("cursor")
	switch page.View {
	case "", viewTransactions, viewLots:
		if page.View == "" {
			page.View = viewTransactions
		}
		if r.wantsCSV() {
			return d.writeTransactionsCSV(r, page.Wallet, page.View == viewLots)
		}
		page.Transactions, err = views.ListTransactionRows(r.ctx(), d.Pool, id, page.View == viewLots, cursor, pageSize)
	case viewLedger:
		if r.wantsCSV() {
			return d.writeLedgerCSV(r, page.Wallet)
		}
		page.Ledger, err = views.ListLedger(r.ctx(), d.Pool, id, cursor, pageSize)
	default:
		return errNotFound
	}
	if err != nil {
		return err
	}
	return r.view("Wallet", "wallets", page).ok("wallet")
}

func (d *Dashboard) writeTransactionsCSV(r *request, w views.WalletRow, lotsOnly bool) error {
	header := []string{
		"id", "type", "transaction_status", "status", "amount", "currency", "credit_amount", "remaining_amount", "payment",
		"created_at", "settled_at", "failed_at",
	}
	return writeCSV(r, "wallet-transactions", header, func(cursor string) (views.Page[views.TransactionRow], error) {
		return views.ListTransactionRows(r.ctx(), d.Pool, w.ID, lotsOnly, cursor, csvPage)
	}, func(t views.TransactionRow) []string {
		remaining, payment := "", ""
		if t.Remaining != nil {
			remaining = wallet.FormatMinor(*t.Remaining, w.Currency)
		}
		if t.PaymentID != nil {
			payment = wallet.Spell(wallet.PrefixPayment, r.mode, *t.PaymentID)
		}
		return []string{
			t.ID.String(), t.Type, t.Kind, string(t.Status), wallet.FormatMinor(t.Amount, w.Currency), string(w.Currency),
			t.CreditAmount.String(), remaining, payment, csvTime(t.CreatedAt), csvTime(t.SettledAt), csvTime(t.FailedAt),
		}
	})
}

func (d *Dashboard) writeLedgerCSV(r *request, w views.WalletRow) error {
	header := []string{"transfer", "kind", "amount", "balance", "currency", "counter_account", "payment", "wallet_transaction", "created_at"}
	return writeCSV(r, "ledger", header, func(cursor string) (views.Page[views.LedgerRow], error) {
		return views.ListLedger(r.ctx(), d.Pool, w.ID, cursor, csvPage)
	}, func(l views.LedgerRow) []string {
		return []string{
			strconv.FormatInt(l.ID, 10), l.Kind, wallet.FormatMinor(l.Amount, l.Currency), wallet.FormatMinor(l.Balance, l.Currency),
			string(l.Currency), l.CounterKind, optional(l.PaymentID), optional(l.TransactionID), csvTime(l.CreatedAt),
		}
	})
}

func optional(id *wallet.ID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

// listCustomers answers GET /admin/{mode}/customers.
func (d *Dashboard) listCustomers(r *request) error {
	f, err := r.ownerFilter()
	if err != nil {
		return err
	}
	if !r.wantsCSV() {
		page, err := views.ListCustomerRows(r.ctx(), d.Pool, f)
		if err != nil {
			return err
		}
		return r.view("Customers", "customers", page).ok("customers")
	}
	f.Limit = csvPage
	header := []string{"id", "organization", "external_id", "email", "name", "stripe_customer", "wallets", "created_at"}
	return writeCSV(r, "customers", header, func(cursor string) (views.Page[views.CustomerRow], error) {
		if cursor != "" {
			f.Before = uuid.MustParse(cursor) // the list has just made it
		}
		return views.ListCustomerRows(r.ctx(), d.Pool, f)
	}, func(c views.CustomerRow) []string {
		return []string{
			c.ID.String(), c.OrganizationName, r.private(c.ExternalID), r.private(c.Email), r.private(c.Name),
			c.StripeCustomerID, fmt.Sprint(c.Wallets), csvTime(c.CreatedAt),
		}
	})
}

// listInvoices answers GET /admin/{mode}/invoices.
func (d *Dashboard) listInvoices(r *request) error {
	f, err := r.ownerFilter()
	if err != nil {
		return err
	}
	if !r.wantsCSV() {
		page, err := views.ListInvoiceRows(r.ctx(), d.Pool, f)
		if err != nil {
			return err
		}
		return r.view("Invoices", "invoices", page).ok("invoices")
	}
	f.Limit = csvPage
	header := []string{
		"id", "number", "status", "payment_status", "amount", "paid_amount", "currency", "credits", "organization", "customer",
		"payment", "created_at", "finalized_at",
	}
	return writeCSV(r, "invoices", header, func(cursor string) (views.Page[views.InvoiceRow], error) {
		if cursor != "" {
			f.Before = uuid.MustParse(cursor) // the list has just made it
		}
		return views.ListInvoiceRows(r.ctx(), d.Pool, f)
	}, func(i views.InvoiceRow) []string {
		return []string{
			i.ID.String(), i.Number, i.Status, i.PaymentStatus, wallet.FormatMinor(i.Amount, i.Currency),
			wallet.FormatMinor(i.PaidAmount, i.Currency), string(i.Currency), i.CreditAmount.String(), i.OrganizationName,
			r.private(i.ExternalID), optional(i.PaymentID), csvTime(i.CreatedAt), csvTime(i.FinalizedAt),
		}
	})
}

type customerPage struct {
	Customer  views.CustomerRow
	Wallets   views.Page[views.WalletRow]
	Cards     []wallet.PaymentMethod
	Payments  views.Page[views.PaymentRow]
	StripeURL string
}

// showCustomer answers GET /admin/{mode}/customers/{id}: where this customer's
// money is.
func (d *Dashboard) showCustomer(r *request) error {
	id, err := uuid.Parse(r.Param("id"))
	if err != nil {
		return errNotFound
	}
	var page customerPage
	if page.Customer, err = views.GetCustomerRow(r.ctx(), d.Pool, r.mode, id); err != nil {
		return err
	}
	const few = 20
	if page.Wallets, err = views.ListWalletRows(r.ctx(), d.Pool,
		views.OwnerFilter{Mode: r.mode, CustomerID: id, Limit: few}); err != nil {
		return err
	}
	if page.Cards, err = postgres.ListPaymentMethods(r.ctx(), d.Pool, id); err != nil {
		return err
	}
	if page.Payments, err = views.ListPaymentRows(r.ctx(), d.Pool,
		views.PaymentFilter{Mode: r.mode, CustomerID: id, Limit: few}); err != nil {
		return err
	}
	if page.Customer.StripeCustomerID != "" {
		page.StripeURL = r.stripeURL("customers", page.Customer.StripeCustomerID)
	}
	return r.view("Customer", "customers", page).ok("customer")
}
