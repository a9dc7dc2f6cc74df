package jobs

import (
	"context"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// confirmOnSession confirms a declined intent again as an on-session payment. Stripe
// then answers with a challenge instead of a decline, and the cardholder can pass it
// later. Each round of checks has a key of its own, because Stripe repeats a failure
// that it stored under a key.
func (e *Engine) confirmOnSession(ctx context.Context, p wallet.Payment, intentID string) (wallet.Outcome, error) {
	c, err := postgres.GetCharge(ctx, e.Pool, p.ID)
	if err != nil {
		return wallet.Outcome{}, err
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return wallet.Outcome{}, err
	}
	o := stripe.Confirm(ctx, stripeapi.ConfirmRequest{
		Attempt:         1 + p.Checks,
		IntentID:        intentID,
		PaymentID:       p.ID,
		PaymentMethodID: c.StripePaymentMethodID,
		ReturnURL:       c.ReturnURL,
	})
	if o.IntentID == "" {
		o.IntentID = intentID
	}
	return o, nil
}
