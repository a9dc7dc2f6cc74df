package stripeapi

import (
	"context"
	"iter"
	"net/http"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

const disputesPath = "/v1/disputes"

// dispute holds the fields of a dispute that are used.
type dispute struct {
	stripe.APIResource

	ID                  string         `json:"id"`
	Amount              int64          `json:"amount"`
	BalanceTransactions []balanceEntry `json:"balance_transactions"`
	Charge              ref            `json:"charge"`
	Created             int64          `json:"created"`
	Currency            string         `json:"currency"`
	PaymentIntent       ref            `json:"payment_intent"`
	Reason              string         `json:"reason"`
	Status              string         `json:"status"`
}

// balanceEntry is a change of our Stripe balance by a dispute. Amount is negative
// for a withdrawal and positive for a reinstatement. It excludes fees.
type balanceEntry struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

func (d *dispute) id() string     { return d.ID }
func (d *dispute) complete() bool { return validID(d.ID) && d.Status != "" }

func (d *dispute) domain() wallet.DisputeState {
	s := wallet.DisputeState{
		ID:        d.ID,
		IntentID:  d.PaymentIntent.valid(),
		ChargeID:  d.Charge.valid(),
		Amount:    d.Amount,
		Currency:  upper(d.Currency),
		Status:    wallet.DisputeStatus(word(d.Status)),
		Reason:    word(d.Reason),
		CreatedAt: seconds(d.Created),
	}
	for _, entry := range d.BalanceTransactions {
		s.FundsCurrency = upper(entry.Currency)
		if entry.Amount < 0 {
			s.Withdrawn -= entry.Amount
		} else {
			s.Reinstated += entry.Amount
		}
	}
	return s
}

// GetDispute reads a dispute. For an unknown dispute the error satisfies
// IsNotFound.
func (c *Client) GetDispute(ctx context.Context, id string) (wallet.DisputeState, error) {
	const op = "get_dispute"
	if !validID(id) {
		return wallet.DisputeState{}, invalid(op, "no dispute id")
	}
	d := new(dispute)
	err := c.call(ctx, request{op: op, method: http.MethodGet, path: stripe.FormatURLPath(disputesPath+"/%s", id)}, d)
	if err != nil {
		return wallet.DisputeState{}, err
	}
	return d.domain(), nil
}

// ListDisputes iterates over all disputes created in a window, newest first.
func (c *Client) ListDisputes(ctx context.Context, w Window) iter.Seq2[wallet.DisputeState, error] {
	return c.disputes(ctx, &stripe.DisputeListParams{CreatedRange: w.params(), ListParams: listParams()})
}

// DisputesOf returns all disputes of an intent, newest first.
func (c *Client) DisputesOf(ctx context.Context, intentID string) ([]wallet.DisputeState, error) {
	if !validID(intentID) {
		return nil, invalid("list_disputes", "no intent id")
	}
	return collect(c.disputes(ctx, &stripe.DisputeListParams{ListParams: listParams(), PaymentIntent: &intentID}))
}

func (c *Client) disputes(ctx context.Context, params *stripe.DisputeListParams) iter.Seq2[wallet.DisputeState, error] {
	return convert(each[dispute](ctx, c, "list_disputes", disputesPath, params), (*dispute).domain)
}
