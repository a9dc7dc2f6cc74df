package stripeapi

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Charge is one attempt to take money, as Stripe recorded it.
type Charge struct {
	// ID and IntentID are Stripe's ids. A charge that was made without a
	// PaymentIntent has no IntentID.
	ID       string
	IntentID string
	// PaymentID is our id of the payment. It comes from the metadata that a charge
	// copies from its intent, and is zero when that has none.
	PaymentID wallet.ID
	// Amount, AmountCaptured and AmountRefunded are in minor units of Currency.
	Amount         int64
	AmountCaptured int64
	AmountRefunded int64
	Currency       wallet.Currency
	// Status is as Stripe reports it: succeeded, pending or failed.
	Status    string
	Disputed  bool
	CreatedAt time.Time
}

type charge struct {
	ID             string   `json:"id"`
	Amount         int64    `json:"amount"`
	AmountCaptured int64    `json:"amount_captured"`
	AmountRefunded int64    `json:"amount_refunded"`
	Created        int64    `json:"created"`
	Currency       string   `json:"currency"`
	Disputed       bool     `json:"disputed"`
	Metadata       metadata `json:"metadata"`
	PaymentIntent  ref      `json:"payment_intent"`
	Status         string   `json:"status"`
}

func (c *charge) id() string { return c.ID }

func (c *charge) domain() Charge {
	return Charge{
		ID:             c.ID,
		IntentID:       c.PaymentIntent.valid(),
		PaymentID:      parseID(c.Metadata.PaymentID),
		Amount:         c.Amount,
		AmountCaptured: c.AmountCaptured,
		AmountRefunded: c.AmountRefunded,
		Currency:       upper(c.Currency),
		Status:         word(c.Status),
		Disputed:       c.Disputed,
		CreatedAt:      seconds(c.Created),
	}
}

// ListCharges iterates over all charges created in a window, newest first. They
// include charges that this service did not make.
func (c *Client) ListCharges(ctx context.Context, w Window) iter.Seq2[Charge, error] {
	params := &stripe.ChargeListParams{CreatedRange: w.params(), ListParams: listParams()}
	return convert(each[charge](ctx, c, "list_charges", "/v1/charges", params), (*charge).domain)
}

// chargeAnswer is the answer to a request for one charge.
type chargeAnswer struct {
	stripe.APIResource
	charge
}

func (c *chargeAnswer) complete() bool { return validID(c.ID) }

// AmountRefunded returns how much of a charge Stripe has refunded, in minor units.
// For an unknown charge the error satisfies IsNotFound.
func (c *Client) AmountRefunded(ctx context.Context, chargeID string) (int64, error) {
	const op = "get_charge"
	if !validID(chargeID) {
		return 0, invalid(op, "no charge id")
	}
	answer := new(chargeAnswer)
	err := c.call(ctx, request{op: op, method: http.MethodGet, path: stripe.FormatURLPath("/v1/charges/%s", chargeID)}, answer)
	return answer.AmountRefunded, err
}
