package stripeapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/wallet"
)

const intentsPath = "/v1/payment_intents"

// ChargeRequest is a payment to be charged. The same payment and attempt must
// always come with the same values, because Stripe refuses a repeated key with
// other values.
type ChargeRequest struct {
	PaymentID      wallet.ID
	WalletID       wallet.ID
	OrganizationID wallet.ID
	// Amount is in minor units of Currency.
	Amount   int64
	Currency wallet.Currency
	// CustomerID and PaymentMethodID are Stripe's ids.
	CustomerID      string
	PaymentMethodID string
	// ReturnURL is where the cardholder's browser goes after a challenge. It is
	// sent only on-session.
	ReturnURL    string
	ReceiptEmail string
	Description  string
	// OffSession means that the cardholder is absent. A challenge is then a
	// decline.
	OffSession bool
	// Attempt counts from 1. A new attempt is a new charge. To repeat a charge
	// whose outcome is unknown, keep the attempt.
	Attempt int
}

func (r ChargeRequest) validate() *Error {
	switch {
	case r.PaymentID == (wallet.ID{}), r.WalletID == (wallet.ID{}), r.OrganizationID == (wallet.ID{}):
		return invalid("charge", "no id")
	case r.Attempt < 1:
		return invalid("charge", "attempts count from 1")
	case r.Amount <= 0, r.Currency == "":
		return invalid("charge", "no amount")
	case !validID(r.CustomerID):
		return invalid("charge", "no customer")
	case !validID(r.PaymentMethodID):
		e := invalid("charge", "no payment method")
		e.Param = "payment_method"
		return e
	default:
		return nil
	}
}

// key is the same for every repetition of an attempt, so that Stripe carries it out
// only once.
func (r ChargeRequest) key() string {
	if breakpoint.Broken(breakpoint.NewKeyOnRetry) {
		return "charge:" + wallet.NewID().String()
	}
	return ChargeKey(r.PaymentID, r.Attempt)
}

// ChargeKey returns the Idempotency-Key of an attempt to charge a payment.
func ChargeKey(paymentID wallet.ID, attempt int) string {
	return "charge:" + paymentID.String() + ":" + strconv.Itoa(attempt)
}

func (r ChargeRequest) params() *stripe.PaymentIntentParams {
	params := &stripe.PaymentIntentParams{
		Amount:      &r.Amount,
		Confirm:     new(true),
		Currency:    lower(r.Currency),
		Customer:    &r.CustomerID,
		Description: optional(r.Description),
		Metadata: map[string]string{
			"organization_id": r.OrganizationID.String(),
			"payment_id":      r.PaymentID.String(),
			"wallet_id":       r.WalletID.String(),
		},
		PaymentMethod:      &r.PaymentMethodID,
		PaymentMethodTypes: stripe.StringSlice([]string{string(stripe.PaymentMethodTypeCard)}),
		ReceiptEmail:       optional(r.ReceiptEmail),
	}
	if r.OffSession {
		params.OffSession = new(true)
	} else {
		// With a return URL and without use_stripe_sdk, a challenge is a page to
		// visit.
		params.ReturnURL = optional(r.ReturnURL)
	}
	return params
}

// Charge creates and confirms a PaymentIntent. The outcome can be of any kind. A
// repetition of the same attempt gets the answer of the first for as long as Stripe
// keeps the key, which is at least 24 hours.
func (c *Client) Charge(ctx context.Context, req ChargeRequest) wallet.Outcome {
	if e := req.validate(); e != nil {
		return sortFailure(e)
	}
	o, x, e := c.callIntent(ctx, request{
		op:     "charge",
		method: http.MethodPost,
		path:   intentsPath,
		key:    req.key(),
		params: req.params(),
	}, sortFailure)
	switch {
	case x.replayed && o.IntentID != "":
		return c.refresh(ctx, o)
	case e != nil && o.Kind == wallet.OutcomeRejected && e.Code == "" && c.consumed(ctx, req):
		o.Failure = missingPaymentMethod()
	}
	return o
}

// ConfirmRequest asks to confirm an intent again, with the cardholder present. The
// same payment and attempt must always come with the same values.
type ConfirmRequest struct {
	PaymentID wallet.ID
	// IntentID and PaymentMethodID are Stripe's ids.
	IntentID        string
	PaymentMethodID string
	// ReturnURL is where the cardholder's browser goes after a challenge.
	ReturnURL string
	// Attempt counts from 1. A new attempt is a new request about the same intent.
	Attempt int
}

// Confirm confirms an intent that was declined because the cardholder was absent.
// The cardholder can pass a challenge at the outcome's RedirectURL. A repetition of
// the same attempt returns the intent's current state.
func (c *Client) Confirm(ctx context.Context, req ConfirmRequest) wallet.Outcome {
	if !validID(req.IntentID) || !validID(req.PaymentMethodID) || req.PaymentID == (wallet.ID{}) || req.Attempt < 1 {
		return unreadIntent(invalid("confirm", "no id"))
	}
	o, x, _ := c.callIntent(ctx, request{
		op:     "confirm",
		method: http.MethodPost,
		path:   stripe.FormatURLPath(intentsPath+"/%s/confirm", req.IntentID),
		key:    fmt.Sprintf("confirm:%s:%d", req.PaymentID, req.Attempt),
		params: &stripe.PaymentIntentConfirmParams{
			PaymentMethod: &req.PaymentMethodID,
			ReturnURL:     optional(req.ReturnURL),
		},
	}, sortFailure)
	if x.replayed && o.IntentID != "" {
		return c.refresh(ctx, o)
	}
	return o
}

// refresh replaces a stored answer, which shows the intent as it was when the key
// was first used, by the intent's current state. A stored success is final and is
// returned as it is. A stored decline keeps its reason unless the intent was paid
// since.
func (c *Client) refresh(ctx context.Context, stored wallet.Outcome) wallet.Outcome {
	if stored.Kind == wallet.OutcomeSucceeded {
		return stored
	}
	fresh := c.Retrieve(ctx, stored.IntentID)
	switch {
	case fresh.Kind == wallet.OutcomeSucceeded:
		return fresh
	case stored.Kind == wallet.OutcomeDeclined,
		fresh.Kind == wallet.OutcomeUnknown, fresh.Kind == wallet.OutcomeUnavailable:
		return stored
	default:
		return fresh
	}
}

// consumed reports whether a charge was refused because its payment method can no
// longer be used: it was used once without a customer, or detached. Stripe's error
// has no code for this, and its text may change, so consumed reads the payment
// method. It returns false if that fails.
func (c *Client) consumed(ctx context.Context, req ChargeRequest) bool {
	method, err := c.GetPaymentMethod(ctx, req.PaymentMethodID)
	if err != nil {
		return IsNotFound(err)
	}
	return method.CustomerID != req.CustomerID
}

// Retrieve reads a PaymentIntent. Its outcome is never rejected, because a failed
// read must not fail the payment.
func (c *Client) Retrieve(ctx context.Context, intentID string) wallet.Outcome {
	if !validID(intentID) {
		return unreadIntent(invalid("retrieve", "no intent id"))
	}
	o, _, _ := c.callIntent(ctx, request{
		op:     "retrieve",
		method: http.MethodGet,
		path:   stripe.FormatURLPath(intentsPath+"/%s", intentID),
	}, unreadIntent)
	return o
}

// CancelReason is why an intent is canceled, as Stripe's API spells it.
type CancelReason string

// The reasons for canceling an intent.
const (
	// CancelAbandoned: the cardholder did not complete it.
	CancelAbandoned CancelReason = "abandoned"
	// CancelDuplicate: another intent replaced it.
	CancelDuplicate CancelReason = "duplicate"
	// CancelRequested: the customer or the merchant asked for it.
	CancelRequested CancelReason = "requested_by_customer"
)

// Cancel closes a PaymentIntent so that it cannot succeed later. If it can no
// longer be canceled, the outcome is its final state: succeeded, if the money was
// already taken. The outcome is never rejected. Cancel can be repeated.
func (c *Client) Cancel(ctx context.Context, intentID string, reason CancelReason) wallet.Outcome {
	if !validID(intentID) {
		return unreadIntent(invalid("cancel", "no intent id"))
	}
	// No key: a repeated call shall get the intent's current state. A key would
	// return the first call's answer, even a failure.
	o, _, _ := c.callIntent(ctx, request{
		op:     "cancel",
		method: http.MethodPost,
		path:   stripe.FormatURLPath(intentsPath+"/%s/cancel", intentID),
		params: &stripe.PaymentIntentCancelParams{CancellationReason: optional(string(reason))},
	}, unreadIntent)
	return o
}

// callIntent makes a call that answers with an intent, sorts the answer and reports
// the call.
func (c *Client) callIntent(ctx context.Context, r request, failure func(*Error) wallet.Outcome) (wallet.Outcome, *exchange, *Error) {
	in := new(intent)
	x, e := c.exchange(ctx, r, encode(r.params), in)
	var o wallet.Outcome
	if e != nil {
		o = failure(e)
	} else {
		o = sortIntent(in, x.requestID)
	}
	c.report(r, x, o.Kind)
	return o, x, e
}
