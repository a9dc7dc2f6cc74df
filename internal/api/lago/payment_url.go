package lago

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// linkPayment answers POST /api/v1/wallet_transactions/{id}/payment_url with a page
// on which the cardholder can pay for a purchase.
func (d *Dialect) linkPayment(c echo.Context, caller postgres.Caller) error {
	if _, err := api.IdempotencyKey(c.Request().Header); err != nil {
		return err // a valid key is ignored: the page is the same without it
	}
	ctx := c.Request().Context()
	t, err := d.findTransaction(c, caller)
	if err != nil {
		return err
	}
	w, customer, err := d.payableBy(ctx, t)
	if err != nil {
		return err
	}
	p, err := d.Payments.PaymentPage(ctx, t, customer.StripeCustomerID)
	if err != nil {
		return errPage(err)
	}
	return writeOne(c, "wallet_transaction_payment_details", named{
		{"lago_customer_id", customer.ID},
		{"external_customer_id", w.ExternalCustomerID},
		{"payment_provider", paymentProvider},
		{"lago_wallet_transaction_id", t.ID},
		{"payment_url", p.RedirectURL},
	})
}

// payableBy finds the wallet and the customer of a purchase that can be paid. It
// checks for reasons to refuse in Lago's order.
func (d *Dialect) payableBy(ctx context.Context, t wallet.Transaction) (wallet.Wallet, postgres.Customer, error) {
	var (
		w        wallet.Wallet
		customer postgres.Customer
	)
	switch {
	case t.Kind != wallet.TransactionPurchased:
		return w, customer, errBase(problemNotPurchased)
	case t.Status == wallet.TransactionSettled:
		return w, customer, errBase(problemAlreadySettled)
	case t.InvoiceID == nil:
		return w, customer, errBase(problemNoInvoice)
	}
	w, err := postgres.GetWallet(ctx, d.LookUps(), t.WalletID)
	if err != nil {
		return w, customer, err
	}
	if customer, err = postgres.GetCustomer(ctx, d.LookUps(), w.CustomerID); err != nil {
		return w, customer, err
	}
	p, err := readProfile(customer)
	if err != nil {
		return w, customer, err
	}
	if customer.StripeCustomerID == "" && (p.Billing == nil || p.Billing.PaymentProvider == nil) {
		return w, customer, errBase(problemNotLinked)
	}
	invoice, err := postgres.GetInvoice(ctx, d.LookUps(), t.OrganizationID, t.Mode, *t.InvoiceID)
	if err == nil && invoice.PaymentStatus == wallet.InvoicePaymentSucceeded {
		err = errBase(problemInvoiceStatus)
	}
	return w, customer, err
}

func errBase(p wallet.Problem) error { return wallet.Invalid(fieldBase, p) }

// errPage returns the answer when there is no page.
func errPage(err error) error {
	if _, ok := errors.AsType[*jobs.PageRefusedError](err); ok {
		return &api.Error{
			Status: http.StatusUnprocessableEntity, Code: codeThirdParty, Message: "Stripe refused.", Err: err,
		}
	}
	switch {
	case errors.Is(err, jobs.ErrPurchaseSettled):
		return errBase(problemAlreadySettled)
	case errors.Is(err, jobs.ErrNoProvider):
		return errBase(problemNoProvider)
	case errors.Is(err, jobs.ErrNoProviderCustomer):
		return errBase(problemNoProviderCustomer)
	case errors.Is(err, jobs.ErrNoPage):
		return errBase(problemProvider)
	case errors.Is(err, jobs.ErrPaymentUnderWay):
		return &api.Error{
			Status: http.StatusMethodNotAllowed, Code: codePaymentUnderWay, Message: "A payment is under way.",
			Header: http.Header{echo.HeaderRetryAfter: {"2"}},
		}
	case errors.Is(err, jobs.ErrProviderUnavailable):
		return api.Unavailable(err)
	default:
		return err
	}
}
