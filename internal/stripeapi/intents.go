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
// always come with the same values: Stripe compares a repeated request with the
// first one of its key and refuses one that differs.
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
	// sent on-session only.
	ReturnURL    string
	ReceiptEmail string
	Description  string
	// OffSession means that the cardholder isn't there: a challenge is then a
	// decline.
	OffSession bool
	// Attempt counts from 1. Another attempt is another charge; the repetition of
	// one whose outcome is unknown is the same attempt.
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

// key is the same for every repetition of an attempt, so that Stripe carries it
// out once.
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
		// With it, and without use_stripe_sdk, a challenge is a page to visit.
		params.ReturnURL = optional(r.ReturnURL)
	}
	return params
}

// Charge creates and confirms a PaymentIntent. The outcome is of any kind. The
// same attempt made again gets the first one's answer from Stripe, for as long as
// Stripe keeps the key, which is 24 hours at least.
func (c *Client) Charge(ctx context.Context, req ChargeRequest) wallet.Outcome {
	if e := req.validate(); e != nil {
		return sortFailure(e)
	}
	o, x, e := c.askIntent(ctx, request{
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

// ConfirmRequest asks for an intent to be confirmed once more, with the
// cardholder. The same payment and attempt must always come with the same values.
type ConfirmRequest struct {
	PaymentID wallet.ID
	// IntentID and PaymentMethodID are Stripe's ids.
	IntentID        string
	PaymentMethodID string
	// ReturnURL is where the cardholder's browser goes after a challenge.
	ReturnURL string
	// Attempt counts from 1. Another attempt is another request to Stripe, about
	// the same intent.
	Attempt int
}

// Confirm confirms an intent that was declined because the cardholder wasn't
// there. A challenge is then one that he can pass at the outcome's RedirectURL.
// The same attempt made again gets the intent as it stands now.
func (c *Client) Confirm(ctx context.Context, req ConfirmRequest) wallet.Outcome {
	if !validID(req.IntentID) || !validID(req.PaymentMethodID) || req.PaymentID == (wallet.ID{}) || req.Attempt < 1 {
		return unreadIntent(invalid("confirm", "no id"))
	}
	o, x, _ := c.askIntent(ctx, request{
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

// refresh replaces a stored answer, which shows the intent as it was when the
// key was first used, by the intent as it is. A stored success needs no second
// look. A stored decline keeps its reason unless the intent was paid since.
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

// consumed tells whether a charge was refused because its payment method can't be
// used any more: it was used once without a customer, or detached. Stripe's
// error has no code for that, and its text is no contract, so we look at the
// payment method. When we can't, the answer is no.
func (c *Client) consumed(ctx context.Context, req ChargeRequest) bool {
	method, err := c.GetPaymentMethod(ctx, req.PaymentMethodID)
	if err != nil {
		return IsNotFound(err)
	}
	return method.CustomerID != req.CustomerID
}

// Retrieve reads a PaymentIntent. Its outcome is never rejected: an intent that
// can't be read leaves the payment where it is.
func (c *Client) Retrieve(ctx context.Context, intentID string) wallet.Outcome {
	if !validID(intentID) {
		return unreadIntent(invalid("retrieve", "no intent id"))
	}
	o, _, _ := c.askIntent(ctx, request{
		op:     "retrieve",
		method: http.MethodGet,
		path:   stripe.FormatURLPath(intentsPath+"/%s", intentID),
	}, unreadIntent)
	return o
}

// CancelReason is why we close an intent, in Stripe's words.
type CancelReason string

// The reasons for closing an intent.
const (
	// CancelAbandoned: nobody came to complete it.
	CancelAbandoned CancelReason = "abandoned"
	// CancelDuplicate: another intent took its place.
	CancelDuplicate CancelReason = "duplicate"
	// CancelRequested: the customer, or the merchant for him, asked for it.
	CancelRequested CancelReason = "requested_by_customer"
)

// Cancel closes a PaymentIntent so that it can't succeed later. When it can't be
// closed any more the outcome is what it has become: succeeded, if the money was
// taken before. Its outcome is never rejected. It is safe to call twice.
func (c *Client) Cancel(ctx context.Context, intentID string, reason CancelReason) wallet.Outcome {
	if !validID(intentID) {
		return unreadIntent(invalid("cancel", "no intent id"))
	}
	// Without a key of ours: the second of two calls gets the intent's present
	// state, where a key would repeat the first one's answer, even a failure.
	o, _, _ := c.askIntent(ctx, request{
		op:     "cancel",
		method: http.MethodPost,
		path:   stripe.FormatURLPath(intentsPath+"/%s/cancel", intentID),
		params: &stripe.PaymentIntentCancelParams{CancellationReason: optional(string(reason))},
	}, unreadIntent)
	return o
}

// askIntent makes a call that answers with an intent, sorts what came and
// reports it.
func (c *Client) askIntent(ctx context.Context, r request, failure func(*Error) wallet.Outcome) (wallet.Outcome, *exchange, *Error) {
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
