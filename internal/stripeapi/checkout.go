package stripeapi

import (
	"context"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

const sessionsPath = "/v1/checkout/sessions"

// CheckoutRequest asks Stripe to open a checkout page, on which a payment can be
// made with any card. A repeated CheckoutID must come with the same values,
// ExpiresAt included.
type CheckoutRequest struct {
	CheckoutID     wallet.ID
	PaymentID      wallet.ID
	WalletID       wallet.ID
	OrganizationID wallet.ID
	// Amount is in minor units of Currency.
	Amount     int64
	Currency   wallet.Currency
	CustomerID string
	// Title is the name of the purchase on the page, such as an invoice number.
	Title        string
	SuccessURL   string
	CancelURL    string
	ReceiptEmail string
	// SaveCard keeps the card for later payments without the cardholder.
	SaveCard bool
	// ExpiresAt is when the page closes. Stripe accepts 30 minutes to 24 hours from
	// now.
	ExpiresAt time.Time
}

func (r CheckoutRequest) validate(op string) error {
	none := wallet.ID{}
	switch {
	case r.CheckoutID == none, r.PaymentID == none, r.WalletID == none, r.OrganizationID == none:
		return invalid(op, "no id")
	case r.Amount <= 0, r.Currency == "":
		return invalid(op, "no amount")
	case !validID(r.CustomerID):
		return invalid(op, "no customer id")
	default:
		return nil
	}
}

func (r CheckoutRequest) params() *stripe.CheckoutSessionParams {
	// The events of the session carry the session's metadata, and the events of the
	// intent carry the intent's. Both need the ids.
	ids := map[string]string{
		"organization_id": r.OrganizationID.String(),
		"payment_id":      r.PaymentID.String(),
		"wallet_id":       r.WalletID.String(),
	}
	params := &stripe.CheckoutSessionParams{
		CancelURL: optional(r.CancelURL),
		Customer:  &r.CustomerID,
		ExpiresAt: new(r.ExpiresAt.Unix()),
		LineItems: []*stripe.CheckoutSessionLineItemParams{{
			PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
				Currency:    lower(r.Currency),
				ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: &r.Title},
				UnitAmount:  &r.Amount,
			},
			Quantity: new(int64(1)),
		}},
		Metadata: ids,
		Mode:     new(string(stripe.CheckoutSessionModePayment)),
		PaymentIntentData: &stripe.CheckoutSessionPaymentIntentDataParams{
			Description:  optional(r.Title),
			Metadata:     ids,
			ReceiptEmail: optional(r.ReceiptEmail),
		},
		PaymentMethodTypes: stripe.StringSlice([]string{string(stripe.PaymentMethodTypeCard)}),
		SuccessURL:         optional(r.SuccessURL),
	}
	if r.SaveCard {
		params.PaymentIntentData.SetupFutureUsage = new(string(stripe.PaymentIntentSetupFutureUsageOffSession))
	}
	return params
}

// CheckoutSession is the state of a checkout page.
type CheckoutSession struct {
	ID string
	// URL is the address of the page. It is empty once the session is complete or
	// expired.
	URL string
	// IntentID is the session's PaymentIntent. Stripe creates it when the
	// cardholder pays, so an open session may have none.
	IntentID  string
	PaymentID wallet.ID
	// Status is as Stripe reports it: open, complete or expired.
	Status string
	// Paid reports whether the money was taken. A complete session can have a
	// payment that is still processing.
	Paid      bool
	ExpiresAt time.Time
}

type checkoutSession struct {
	stripe.APIResource

	ID            string   `json:"id"`
	ExpiresAt     int64    `json:"expires_at"`
	Metadata      metadata `json:"metadata"`
	PaymentIntent ref      `json:"payment_intent"`
	PaymentStatus string   `json:"payment_status"`
	Status        string   `json:"status"`
	URL           string   `json:"url"`
}

func (s *checkoutSession) complete() bool { return validID(s.ID) }

func (s *checkoutSession) domain() CheckoutSession {
	d := CheckoutSession{
		ID:        s.ID,
		IntentID:  s.PaymentIntent.valid(),
		PaymentID: parseID(s.Metadata.PaymentID),
		Status:    word(s.Status),
		Paid:      s.PaymentStatus == string(stripe.CheckoutSessionPaymentStatusPaid),
		ExpiresAt: seconds(s.ExpiresAt),
	}
	if isPage(s.URL) {
		d.URL = s.URL
	}
	return d
}

// CreateCheckoutSession opens a checkout page. CheckoutID is the idempotency key.
func (c *Client) CreateCheckoutSession(ctx context.Context, req CheckoutRequest) (CheckoutSession, error) {
	const op = "create_checkout_session"
	if err := req.validate(op); err != nil {
		return CheckoutSession{}, err
	}
	return c.callSession(ctx, request{
		op: op, method: http.MethodPost, path: sessionsPath, key: "checkout:" + req.CheckoutID.String(), params: req.params(),
	})
}

// GetCheckoutSession reads a checkout session. For an unknown session the error
// satisfies IsNotFound.
func (c *Client) GetCheckoutSession(ctx context.Context, id string) (CheckoutSession, error) {
	const op = "get_checkout_session"
	if !validID(id) {
		return CheckoutSession{}, invalid(op, "no session id")
	}
	return c.callSession(ctx, request{
		op: op, method: http.MethodGet, path: stripe.FormatURLPath(sessionsPath+"/%s", id),
	})
}

// ExpireCheckoutSession closes a checkout page so that it can no longer be paid.
// Stripe rejects this for a page that is not open. The caller should then read the
// session, because it may have been paid.
func (c *Client) ExpireCheckoutSession(ctx context.Context, id string) (CheckoutSession, error) {
	const op = "expire_checkout_session"
	if !validID(id) {
		return CheckoutSession{}, invalid(op, "no session id")
	}
	return c.callSession(ctx, request{
		op: op, method: http.MethodPost, path: stripe.FormatURLPath(sessionsPath+"/%s/expire", id),
	})
}

func (c *Client) callSession(ctx context.Context, r request) (CheckoutSession, error) {
	s := new(checkoutSession)
	if err := c.call(ctx, r, s); err != nil {
		return CheckoutSession{}, err
	}
	return s.domain(), nil
}
