package jobs

import (
	"context"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// wantsCardholder tells whether a charge without the cardholder was declined only
// because the bank wants to see him.
func wantsCardholder(p wallet.Payment, o wallet.Outcome) bool {
	const authenticationRequired = "authentication_required"
	return p.OffSession && (p.Status == wallet.PaymentCreated || p.Status == wallet.PaymentProcessing) &&
		o.Kind == wallet.OutcomeDeclined && o.IntentID != "" &&
		(o.Failure.Code == authenticationRequired || o.Failure.DeclineCode == authenticationRequired)
}

// confirmOnSession confirms the same intent once more, as if the cardholder were
// there, so that the decline becomes a challenge which he can pass when he comes.
// Each round of checks has a key of its own, because Stripe repeats a failure that
// it stored under one.
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
