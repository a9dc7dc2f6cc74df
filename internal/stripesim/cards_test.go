package stripesim_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

// TestCards lists what each test card does when it is charged on-session and
// off-session, and after a passed challenge. "a/b" is a decline with code and
// decline code.
func TestCards(t *testing.T) {
	t.Parallel()

	const (
		action = "requires_action"
		auth   = "authentication_required/authentication_required"
		paid   = "succeeded"
	)
	tests := map[string]struct{ on, challenged, off string }{
		"pm_card_visa":                                     {paid, "", paid},
		"pm_card_visa_debit":                               {paid, "", paid},
		"pm_card_mastercard":                               {paid, "", paid},
		"pm_card_amex":                                     {paid, "", paid},
		"pm_card_amex_threeDSecureNotSupported":            {paid, "", paid},
		"pm_card_threeDSecure2Required":                    {action, paid, auth},
		"pm_card_threeDSecureRequiredChargeDeclined":       {action, "card_declined/generic_decline", auth},
		"pm_card_threeDSecureRequiredProcessingError":      {"card_declined/generic_decline", "", auth},
		"pm_card_threeDSecureOptional":                     {paid, "", paid},
		"pm_card_threeDSecureOptionalProcessingError":      {paid, "", paid},
		"pm_card_authenticationRequiredOnSetup":            {action, paid, auth},
		"pm_card_authenticationRequired":                   {action, paid, auth},
		"pm_card_authenticationRequiredSetupForOffSession": {action, paid, paid},
		"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": {
			action, "card_declined/insufficient_funds", "card_declined/insufficient_funds",
		},

		"pm_card_visa_chargeDeclined":                      same("card_declined/generic_decline"),
		"pm_card_chargeDeclined":                           same("card_declined/generic_decline"),
		"pm_card_visa_chargeDeclinedInsufficientFunds":     same("card_declined/insufficient_funds"),
		"pm_card_chargeDeclinedInsufficientFunds":          same("card_declined/insufficient_funds"),
		"pm_card_visa_chargeDeclinedLostCard":              same("card_declined/lost_card"),
		"pm_card_visa_chargeDeclinedStolenCard":            same("card_declined/stolen_card"),
		"pm_card_chargeDeclinedExpiredCard":                same("expired_card/"),
		"pm_card_chargeDeclinedIncorrectCvc":               same("incorrect_cvc/"),
		"pm_card_chargeDeclinedProcessingError":            same("processing_error/"),
		"pm_card_visa_chargeDeclinedVelocityLimitExceeded": same("card_declined/card_velocity_exceeded"),
		"pm_card_chargeDeclinedFraudulent":                 same("card_declined/fraudulent"),
		"pm_card_radarBlock":                               same("card_declined/fraudulent"),
		"pm_card_chargeCustomerFail":                       same("card_declined/generic_decline"),

		"pm_card_createDispute":                   same(paid),
		"pm_card_createDisputeProductNotReceived": same(paid),
		"pm_card_createDisputeInquiry":            same(paid),
		"pm_card_createIssuerFraudRecord":         same(paid),
		"pm_card_pendingRefund":                   same(paid),
		"pm_card_refundFail":                      same(paid),
		"pm_card_bypassPending":                   same(paid),
		"pm_card_riskLevelElevated":               same(paid),
		"pm_card_riskLevelHighest":                same(paid),

		"pm_card_simProcessing":      same("processing"),
		"pm_card_simProcessingFails": same("processing"),
	}
	b := setup(t)
	for card, want := range tests {
		t.Run(card, func(t *testing.T) {
			t.Parallel()

			pi, err := b.pay(t, card)
			require.Equal(t, want.on, outcome(pi, err))
			if want.challenged != "" {
				b.sim.Challenge(pi.ID, true)
				after := b.retrieve(t, pi.ID)
				got := string(after.Status)
				if e := after.LastPaymentError; e != nil {
					got = string(e.Code) + "/" + string(e.DeclineCode)
				}
				require.Equal(t, want.challenged, got)
			}
			require.Equal(t, want.off, outcome(b.pay(t, card, offSession)))
		})
	}
}

func same(outcome string) struct{ on, challenged, off string } {
	return struct{ on, challenged, off string }{outcome, "", outcome}
}

func outcome(pi *stripe.PaymentIntent, err *stripe.Error) string {
	if err != nil {
		return string(err.Code) + "/" + string(err.DeclineCode)
	}
	return string(pi.Status)
}

func TestSettingUpFreesOffSessionPayments(t *testing.T) {
	t.Parallel()

	const card = "pm_card_authenticationRequiredOnSetup"

	t.Run("BySetupIntent", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		si, err := b.client.SetupIntents.New(&stripe.SetupIntentParams{
			Confirm: new(true), Customer: &b.customer, PaymentMethod: stripe.String(card),
			PaymentMethodTypes: stripe.StringSlice([]string{"card"}), ReturnURL: new(returnURL),
		})
		require.NoError(t, err)
		require.Equal(t, stripe.SetupIntentStatusRequiresAction, si.Status)
		require.Contains(t, si.NextAction.RedirectToURL.URL, si.ID)
		require.Equal(t, "succeeded", b.sim.Challenge(si.ID, true))

		b.paid(t, card, offSession, func(p *stripe.PaymentIntentParams) { p.PaymentMethod = &si.PaymentMethod.ID })
	})

	t.Run("BySetupFutureUsage", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, stripeErr := b.pay(t, card, func(p *stripe.PaymentIntentParams) {
			p.PaymentMethod, p.SetupFutureUsage = stripe.String(card), new("off_session")
		})
		require.Nil(t, stripeErr)
		require.Equal(t, "succeeded", b.sim.Challenge(pi.ID, true))
		pm := b.retrieve(t, pi.ID).PaymentMethod.ID
		saved, ok := b.sim.PaymentMethod(pm)
		require.True(t, ok)
		require.Equal(t, b.customer, saved.Customer, "success attaches the card")

		b.paid(t, card, offSession, func(p *stripe.PaymentIntentParams) { p.PaymentMethod = &pm })
	})

	t.Run("NotForACardThatAlwaysRequiresIt", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pm, err := b.sim.CreatePaymentMethod(savedCard(b.customer, "pm_card_authenticationRequired"))
		require.NoError(t, err)
		_, stripeErr := b.pay(t, "pm_card_visa", offSession, func(p *stripe.PaymentIntentParams) { p.PaymentMethod = &pm.ID })
		require.EqualValues(t, "authentication_required", stripeErr.Code)
	})
}
