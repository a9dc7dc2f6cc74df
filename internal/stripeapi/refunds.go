package stripeapi

import (
	"context"
	"iter"
	"net/http"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

const refundsPath = "/v1/refunds"

// RefundReason is why a payment is refunded, as Stripe's API spells it.
type RefundReason string

// The reasons for a refund.
const (
	RefundDuplicate  RefundReason = "duplicate"
	RefundFraudulent RefundReason = "fraudulent"
	RefundRequested  RefundReason = "requested_by_customer"
)

// RefundRequest asks for a refund. The same RefundID must always come with the same
// values.
type RefundRequest struct {
	RefundID  wallet.ID
	PaymentID wallet.ID
	// IntentID is the PaymentIntent that is refunded.
	IntentID string
	// Amount is in minor units of the charge's currency.
	Amount int64
	Reason RefundReason
}

// refund holds the fields of a refund that are used.
type refund struct {
	stripe.APIResource

	ID            string   `json:"id"`
	Amount        int64    `json:"amount"`
	Charge        ref      `json:"charge"`
	Created       int64    `json:"created"`
	Currency      string   `json:"currency"`
	FailureReason string   `json:"failure_reason"`
	Metadata      metadata `json:"metadata"`
	PaymentIntent ref      `json:"payment_intent"`
	Status        string   `json:"status"`
}

func (r *refund) id() string     { return r.ID }
func (r *refund) complete() bool { return validID(r.ID) && r.Status != "" }

func (r *refund) domain() wallet.RefundState {
	return wallet.RefundState{
		ID:            r.ID,
		IntentID:      r.PaymentIntent.valid(),
		ChargeID:      r.Charge.valid(),
		Amount:        r.Amount,
		Currency:      upper(r.Currency),
		Status:        wallet.RefundStatus(word(r.Status)),
		FailureReason: word(r.FailureReason),
		RefundID:      parseID(r.Metadata.RefundID),
		PaymentID:     parseID(r.Metadata.PaymentID),
		CreatedAt:     seconds(r.Created),
	}
}

// CreateRefund creates a refund. RefundID is the idempotency key: repeated while
// Stripe keeps the key, the call creates no second refund. After that, look among
// RefundsOf the intent first.
//
// The error is an *Error. Rejected refunds have the code charge_already_refunded or
// charge_disputed. A refund of more than is left has no code and the Param amount.
func (c *Client) CreateRefund(ctx context.Context, req RefundRequest) (wallet.RefundState, error) {
	const op = "create_refund"
	switch {
	case req.RefundID == (wallet.ID{}), req.PaymentID == (wallet.ID{}), !validID(req.IntentID):
		return wallet.RefundState{}, invalid(op, "no id")
	case req.Amount <= 0:
		return wallet.RefundState{}, invalid(op, "no amount")
	}
	params := &stripe.RefundParams{
		Amount:        &req.Amount,
		Metadata:      map[string]string{"payment_id": req.PaymentID.String(), "refund_id": req.RefundID.String()},
		PaymentIntent: &req.IntentID,
		Reason:        optional(string(req.Reason)),
	}
	r := new(refund)
	x, err := c.send(ctx, request{
		op: op, method: http.MethodPost, path: refundsPath, key: "refund:" + req.RefundID.String(),
	}, encode(params), r)
	if err != nil {
		return wallet.RefundState{}, err
	}
	if x.replayed {
		// The stored answer may be days old, and the refund may have failed since.
		if fresh, err := c.GetRefund(ctx, r.ID); err == nil {
			return fresh, nil
		}
	}
	return r.domain(), nil
}

// GetRefund reads a refund. For an unknown refund the error satisfies IsNotFound.
func (c *Client) GetRefund(ctx context.Context, id string) (wallet.RefundState, error) {
	const op = "get_refund"
	if !validID(id) {
		return wallet.RefundState{}, invalid(op, "no refund id")
	}
	r := new(refund)
	err := c.call(ctx, request{op: op, method: http.MethodGet, path: stripe.FormatURLPath(refundsPath+"/%s", id)}, r)
	if err != nil {
		return wallet.RefundState{}, err
	}
	return r.domain(), nil
}

// ListRefunds iterates over all refunds created in a window, newest first.
func (c *Client) ListRefunds(ctx context.Context, w Window) iter.Seq2[wallet.RefundState, error] {
	return c.refunds(ctx, &stripe.RefundListParams{CreatedRange: w.params(), ListParams: listParams()})
}

// RefundsOf returns all refunds of an intent, newest first.
func (c *Client) RefundsOf(ctx context.Context, intentID string) ([]wallet.RefundState, error) {
	if !validID(intentID) {
		return nil, invalid("list_refunds", "no intent id")
	}
	return collect(c.refunds(ctx, &stripe.RefundListParams{ListParams: listParams(), PaymentIntent: &intentID}))
}

func (c *Client) refunds(ctx context.Context, params *stripe.RefundListParams) iter.Seq2[wallet.RefundState, error] {
	return convert(each[refund](ctx, c, "list_refunds", refundsPath, params), (*refund).domain)
}
