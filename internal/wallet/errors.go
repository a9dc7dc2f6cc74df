package wallet

import "errors"

// Code names a failure that a caller can act on.
type Code string

// The codes of failures that are found below the API. The findings about a request's
// fields are in ValidationError.
const (
	CodeBillingEntityNotFound     Code = "billing_entity_not_found"
	CodeCustomerNotFound          Code = "customer_not_found"
	CodeFundingEmailRequired      Code = "funding_email_required"
	CodeIdempotencyKeyInUse       Code = "idempotency_key_in_use"
	CodeIdempotencyKeyReused      Code = "idempotency_key_reused"
	CodeInvoiceNotFound           Code = "invoice_not_found"
	CodeMetadataNotFound          Code = "metadata_not_found"
	CodeNotFound                  Code = "not_found"
	CodePaymentMethodNotFound     Code = "payment_method_not_found"
	CodePaymentNotFound           Code = "payment_not_found"
	CodePaymentNotRefundable      Code = "payment_not_refundable"
	CodePaymentRefunded           Code = "payment_already_refunded"
	CodeRefundNotFound            Code = "refund_not_found"
	CodeRefundSpent               Code = "refund_exceeds_balance"
	CodeRefundTooLarge            Code = "refund_exceeds_payment"
	CodeWalletNotFound            Code = "wallet_not_found"
	CodeWalletTransactionNotFound Code = "wallet_transaction_not_found"
	CodeWebhookNotFound           Code = "webhook_not_found"
)

// Error is a failure that the caller can act on. Its message is written for the
// merchant and may be shown. The text of any other error is for logs only.
type Error struct {
	Code    Code
	Message string
	Err     error // the cause; for logs, never for the merchant
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return string(e.Code) + ": " + e.Message + ": " + e.Err.Error()
	}
	return string(e.Code) + ": " + e.Message
}

// Is lets errors.Is match on the code: errors.Is(err, &Error{Code: CodeNotFound}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// HasCode reports whether err is, or wraps, an *Error with that code.
func HasCode(err error, code Code) bool {
	return errors.Is(err, &Error{Code: code})
}
