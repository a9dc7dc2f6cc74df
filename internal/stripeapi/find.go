package stripeapi

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

// clockSkew is the assumed maximum difference between Stripe's clock and ours.
const clockSkew = 5 * time.Minute

// Intent is a PaymentIntent in a list.
type Intent struct {
	// Outcome is the intent's meaning for its payment. It holds the ids of both.
	Outcome wallet.Outcome
	// Amount is the requested amount, in minor units of Currency.
	Amount     int64
	Currency   wallet.Currency
	CustomerID string
	// OrganizationID is our id, from the intent's metadata. It is zero when that
	// has none.
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

// ListIntents iterates over all PaymentIntents created in a window, newest first.
// They include intents that this service did not create.
func (c *Client) ListIntents(ctx context.Context, w Window) iter.Seq2[Intent, error] {
	params := &stripe.PaymentIntentListParams{CreatedRange: w.params(), ListParams: listParams()}
	return convert(each[intent](ctx, c, "list_intents", intentsPath, params), (*intent).domain)
}

// FindIntent looks for the intent of a payment whose answer was lost. It lists all
// intents of the customer since the payment was accepted. Stripe's search needs one
// call only, but its index lags, so a missing result would prove nothing.
//
// The second result reports whether an intent was found. Several intents are
// possible after further attempts or an expired key. The outcome with the highest
// weight is then returned.
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
