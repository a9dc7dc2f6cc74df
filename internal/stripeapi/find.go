package stripeapi

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

// clockSkew is how far Stripe's clock may be from ours.
const clockSkew = 5 * time.Minute

// Intent is a PaymentIntent in a list.
type Intent struct {
	// Outcome is what the intent means for its payment; see Outcome.IntentID and
	// Outcome.PaymentID.
	Outcome wallet.Outcome
	// Amount is what was to be charged, in minor units of Currency.
	Amount     int64
	Currency   wallet.Currency
	CustomerID string
	// OrganizationID is ours, from the intent's metadata, zero when it has none.
	OrganizationID wallet.ID
	CreatedAt      time.Time
}

func (in *intent) id() string { return in.ID }

func (in *intent) domain() Intent {
	return Intent{
		Outcome:        sortIntent(in, ""),
		Amount:         in.Amount,
		Currency:       upper(in.Currency),
		CustomerID:     in.Customer.valid(),
		OrganizationID: parseID(in.Metadata.OrganizationID),
		CreatedAt:      seconds(in.Created),
	}
}

// ListIntents goes through all PaymentIntents created in a window, newest first,
// ours and others'.
func (c *Client) ListIntents(ctx context.Context, w Window) iter.Seq2[Intent, error] {
	params := &stripe.PaymentIntentListParams{CreatedRange: w.params(), ListParams: listParams()}
	return convert(each[intent](ctx, c, "list_intents", intentsPath, params), (*intent).domain)
}

// FindIntent looks for the intent of a payment whose answer was lost, among all
// that the customer had since the payment was accepted. Stripe's search would be
// one call, but it lags behind, and what it doesn't show may be there.
//
// The second result is false when there is none. With several, which further
// attempts or a pruned key can make, the one that says most wins, a success above
// all.
func (c *Client) FindIntent(ctx context.Context, customerID string, paymentID wallet.ID, since time.Time) (wallet.Outcome, bool, error) {
	const op = "find_intent"
	if !validID(customerID) || paymentID == (wallet.ID{}) {
		return wallet.Outcome{}, false, invalid(op, "no id")
	}
	params := &stripe.PaymentIntentListParams{
		CreatedRange: Window{Since: since.Add(-clockSkew)}.params(),
		Customer:     &customerID,
		ListParams:   listParams(),
	}
	var best wallet.Outcome
	found := 0
	for in, err := range each[intent](ctx, c, op, intentsPath, params) {
		if err != nil {
			return wallet.Outcome{}, false, err
		}
		if parseID(in.Metadata.PaymentID) != paymentID {
			continue
		}
		found++
		if o := sortIntent(in, ""); weight[o.Kind] > weight[best.Kind] {
			best = o
		}
	}
	if found > 1 {
		best.Reason = fmt.Sprintf("%d intents name this payment", found)
	}
	return best, found > 0, nil
}

// weight ranks outcomes by how much they say about a payment.
var weight = map[wallet.OutcomeKind]int{
	wallet.OutcomeSucceeded:      6,
	wallet.OutcomeProcessing:     5,
	wallet.OutcomeRequiresAction: 4,
	wallet.OutcomeUnknown:        3,
	wallet.OutcomeDeclined:       2,
	wallet.OutcomeCanceled:       1,
}
