package dashboard

import (
	"github.com/google/uuid"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

// ownerFilter parses the filter of lists of wallets, customers and invoices.
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

// Next returns the cursor of the next page of the view that is shown.
func (p walletPage) Next() string { return p.Transactions.Next + p.Ledger.Next }

// showWallet answers GET /admin/{mode}/wallets/{id}.
func (d *Dashboard) showWallet(r *request) error {
	id, err := wallet.ParseID(wallet.PrefixWallet, r.mode, r.Param("id"))
	if err != nil {
		return &wallet.Error{Code: wallet.CodeNotFound, Message: "There is no wallet with this ID in this mode."}
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
	return d.writeCustomersCSV(r, f)
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
	return d.writeInvoicesCSV(r, f)
}

type customerPage struct {
	Customer  views.CustomerRow
	Wallets   views.Page[views.WalletRow]
	Cards     []wallet.PaymentMethod
	Payments  views.Page[views.PaymentRow]
	StripeURL string
}

// showCustomer answers GET /admin/{mode}/customers/{id} with the customer's wallets, cards
// and newest payments.
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
