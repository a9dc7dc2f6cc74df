package lago

import (
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// paymentJSON is a payment. RedirectURL, ErrorCode and Error are additions to the
// dialect.
type paymentJSON struct {
	LagoID              wallet.ID            `json:"lago_id"`
	LagoCustomerID      wallet.ID            `json:"lago_customer_id"`
	ExternalCustomerID  string               `json:"external_customer_id"`
	InvoiceIDs          []wallet.ID          `json:"invoice_ids"`
	LagoPayableID       *wallet.ID           `json:"lago_payable_id"`
	PayableType         string               `json:"payable_type"`
	AmountCents         int64                `json:"amount_cents"`
	AmountCurrency      wallet.Currency      `json:"amount_currency"`
	Status              wallet.PaymentStatus `json:"status"`
	PaymentStatus       string               `json:"payment_status"`
	Type                string               `json:"type"`
	Reference           *string              `json:"reference"`
	ExternalPaymentID   *string              `json:"external_payment_id"`
	ProviderPaymentID   *string              `json:"provider_payment_id"`
	ProviderCustomerID  *string              `json:"provider_customer_id"`
	PaymentProviderCode string               `json:"payment_provider_code"`
	PaymentProviderType string               `json:"payment_provider_type"`
	CreatedAt           lagojson.Moment      `json:"created_at"`

	RedirectURL string  `json:"redirect_url,omitempty"`
	ErrorCode   *string `json:"error_code,omitempty"`
	Error       *string `json:"error_message,omitempty"`
}

// showPayment answers GET /api/v1/payments/{id}, for a payment into any wallet
// of the organization.
func (d *Dialect) showPayment(c echo.Context, caller postgres.Caller) error {
	ctx := c.Request().Context()
	p, err := postgres.GetPayment(ctx, d.LookUps(), pathID(c))
	if err != nil {
		return err
	}
	if p.OrganizationID != caller.OrganizationID || p.Mode != caller.Mode {
		return &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
	}
	t, err := postgres.GetTransaction(ctx, d.LookUps(), p.OrganizationID, p.Mode, p.WalletTransactionID)
	if err != nil {
		return err
	}
	w, err := postgres.GetWallet(ctx, d.LookUps(), p.WalletID)
	if err != nil {
		return err
	}
	customer, err := postgres.GetCustomer(ctx, d.LookUps(), w.CustomerID)
	if err != nil {
		return err
	}
	return writeOne(c, "payment", newPayment(p, t.InvoiceID, customer))
}

func newPayment(p wallet.Payment, invoiceID *wallet.ID, customer postgres.Customer) paymentJSON {
	r := paymentJSON{
		LagoID: p.ID, LagoCustomerID: customer.ID, ExternalCustomerID: customer.ExternalID,
		InvoiceIDs: []wallet.ID{}, LagoPayableID: invoiceID, PayableType: "Invoice",
		AmountCents: p.Amount, AmountCurrency: p.Currency, Status: p.Status, PaymentStatus: payableStatus(p.Status), Type: "provider",
		ExternalPaymentID: nullable.From(p.StripePaymentIntentID), ProviderPaymentID: nullable.From(p.StripePaymentIntentID),
		ProviderCustomerID: nullable.From(customer.StripeCustomerID), PaymentProviderCode: paymentProvider, PaymentProviderType: paymentProvider,
		CreatedAt: lagojson.Moment(p.CreatedAt),
	}
	if invoiceID != nil {
		r.InvoiceIDs = append(r.InvoiceIDs, *invoiceID)
	}
	if p.Status == wallet.PaymentRequiresAction {
		r.RedirectURL = p.RedirectURL
	}
	if p.Status == wallet.PaymentFailed || p.Status == wallet.PaymentCanceled {
		r.ErrorCode, r.Error = nullable.From(p.Failure.Code), nullable.From(p.Failure.Message)
	}
	return r
}

// payableStatus returns the payment status of the invoice for a payment's state.
func payableStatus(s wallet.PaymentStatus) string {
	switch s {
	case wallet.PaymentSucceeded:
		return "succeeded"
	case wallet.PaymentFailed, wallet.PaymentCanceled:
		return "failed"
	default:
		return "processing"
	}
}
