package wallet

import "time"

// Payment is one attempt to charge a payment method for a purchase. It owns one
// PaymentIntent.
type Payment struct {
	ID                  ID
	OrganizationID      ID
	Mode                Mode
	WalletID            ID
	WalletTransactionID ID
	PaymentMethodID     *ID
	// Amount is in minor units of Currency.
	Amount     int64
	Currency   Currency
	OffSession bool
	Status     PaymentStatus

	StripePaymentIntentID string
	StripeChargeID        string
	// StripeCheckoutSessionID is set while the cardholder pays at Stripe's checkout
	// instead of with a saved card.
	StripeCheckoutSessionID string
	// AmountReceived is the amount that Stripe took, 0 until the payment succeeded.
	AmountReceived int64
	// BalanceAfter is the wallet's balance right after this payment was
	// credited, nil until then. It does not change later.
	BalanceAfter *int64
	RedirectURL  string
	Failure      Failure
	// Refunded and Disputed are the amounts that were taken from the wallet again.
	Refunded int64
	Disputed int64

	ActionDeadlineAt *time.Time
	NextCheckAt      *time.Time
	Checks           int
	// CloseDueAt is when a job makes sure that the intent of a failed payment, or the page
	// of a withdrawn one, is closed,
	// nil once it is.
	CloseDueAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	// Traceparent identifies the trace of the request that made the payment. It is empty
	// if that request was not traced.
	Traceparent string
	// RequestID is the id of the request that made the payment, empty if none did.
	RequestID string
}

// PaymentMethod is a saved card.
type PaymentMethod struct {
	ID                    ID
	CustomerID            ID
	StripePaymentMethodID string
	Brand                 string
	Last4                 string
	ExpiryMonth           int
	ExpiryYear            int
	IsDefault             bool
	// ErrorCode is why the last charge failed, empty when it did not.
	ErrorCode    string
	ErrorMessage string
	ErrorAt      *time.Time
	CreatedAt    time.Time
}
