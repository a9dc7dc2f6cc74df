package stripesim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// TestIntentTransitions tests every pair of a status and an operation, so its table
// is the state machine of a PaymentIntent. An expectation that starts with "!" is
// an error with that code that leaves the status unchanged.
func TestIntentTransitions(t *testing.T) {
	t.Parallel()

	const refused = "!payment_intent_unexpected_state"
	operations := []string{
		"Confirm", "Confirm3DS", "ConfirmDeclined", "Cancel", "Capture", "Reprice", "ChangeDescription", "ChallengePassed", "ChallengeFailed",
	}
	const nothing = "!" // no challenge is open
	table := map[string][]string{
		stripesim.StatusRequiresPaymentMethod: {
			"succeeded", "requires_action", "!card_declined", "canceled", refused,
			"requires_payment_method", "requires_payment_method", nothing, nothing,
		},
		stripesim.StatusRequiresConfirmation: {
			"succeeded", "requires_action", "!card_declined", "canceled", refused,
			"requires_confirmation", "requires_confirmation", nothing, nothing,
		},
		stripesim.StatusRequiresAction: {
			"succeeded", "requires_action", "!card_declined", "canceled", refused,
			"requires_confirmation", "requires_action", "succeeded", "requires_payment_method",
		},
		stripesim.StatusProcessing: {
			refused, refused, refused, refused, refused, refused, "processing", nothing, nothing,
		},
		stripesim.StatusRequiresCapture: {
			refused, refused, refused, "canceled", "succeeded", refused, "requires_capture", nothing, nothing,
		},
		stripesim.StatusSucceeded: {
			refused, refused, refused, refused, refused, refused, "succeeded", nothing, nothing,
		},
		stripesim.StatusCanceled: {
			refused, refused, refused, refused, refused, refused, "canceled", nothing, nothing,
		},
	}
	require.Len(t, table, 7)
	for status, wants := range table {
		require.Len(t, wants, len(operations))
		for i, op := range operations {
			t.Run(status+"/"+op, func(t *testing.T) {
				t.Parallel()

				b := setup(t)
				pi := b.inStatus(t, status)
				err := b.operate(pi.ID, op)
				after := b.sim.MustIntent(pi.ID)
				code, isRefusal := cutBang(wants[i])
				if !isRefusal {
					require.NoError(t, err)
					require.Equal(t, wants[i], after.Status)
					return
				}
				require.Error(t, err)
				switch code {
				case "":
					require.ErrorIs(t, err, stripesim.ErrNotFound)
					require.Equal(t, status, after.Status)
				case "card_declined":
					require.Equal(t, code, string(asStripe(t, err).Code))
					require.Equal(t, stripesim.StatusRequiresPaymentMethod, after.Status)
				default:
					stripeErr := asStripe(t, err)
					require.Equal(t, http.StatusBadRequest, stripeErr.HTTPStatusCode)
					require.Equal(t, code, string(stripeErr.Code))
					require.Equal(t, status, string(stripeErr.PaymentIntent.Status), "the error carries the intent")
					require.Equal(t, status, after.Status)
				}
			})
		}
	}
}

func cutBang(s string) (string, bool) {
	if s[0] == '!' {
		return s[1:], true
	}
	return s, false
}

// inStatus creates an intent and brings it into a status through the API.
func (b *bundle) inStatus(t *testing.T, status string) *stripe.PaymentIntent {
	t.Helper()
	p := b.params("pm_card_visa")
	switch status {
	case stripesim.StatusRequiresPaymentMethod:
		p.Confirm, p.PaymentMethod, p.ReturnURL = nil, nil, nil
	case stripesim.StatusRequiresConfirmation, stripesim.StatusCanceled:
		p.Confirm, p.ReturnURL = nil, nil
	case stripesim.StatusRequiresAction:
		p = b.params("pm_card_authenticationRequired")
	case stripesim.StatusProcessing:
		p = b.params("pm_card_simProcessing")
	case stripesim.StatusRequiresCapture:
		manualCapture(p)
	}
	pi, err := b.client.PaymentIntents.New(p)
	require.NoError(t, err)
	if status == stripesim.StatusCanceled {
		pi, err = b.client.PaymentIntents.Cancel(pi.ID, &stripe.PaymentIntentCancelParams{})
		require.NoError(t, err)
	}
	require.Equal(t, status, string(pi.Status))
	return pi
}

func (b *bundle) operate(id, op string) error {
	confirm := func(card string) error {
		_, err := b.client.PaymentIntents.Confirm(id, &stripe.PaymentIntentConfirmParams{
			PaymentMethod: new(b.sim.Card(b.customer, card)), ReturnURL: new(returnURL),
		})
		return err
	}
	var err error
	switch op {
	case "Confirm":
		return confirm("pm_card_visa")
	case "Confirm3DS":
		return confirm("pm_card_authenticationRequired")
	case "ConfirmDeclined":
		return confirm("pm_card_chargeCustomerFail")
	case "Cancel":
		_, err = b.client.PaymentIntents.Cancel(id, &stripe.PaymentIntentCancelParams{})
	case "Capture":
		_, err = b.client.PaymentIntents.Capture(id, &stripe.PaymentIntentCaptureParams{})
	case "Reprice":
		_, err = b.client.PaymentIntents.Update(id, &stripe.PaymentIntentParams{Amount: stripe.Int64(2000)})
	case "ChangeDescription":
		_, err = b.client.PaymentIntents.Update(id, &stripe.PaymentIntentParams{Description: new("retold")})
	case "ChallengePassed":
		_, err = b.sim.CompleteChallenge(id, stripesim.OutcomeSucceed)
	case "ChallengeFailed":
		_, err = b.sim.CompleteChallenge(id, stripesim.OutcomeFail)
	}
	return err
}

func TestIntent(t *testing.T) {
	t.Parallel()

	t.Run("SuccessTakesTheMoney", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa", withMetadata("payment_id", "p1"), func(p *stripe.PaymentIntentParams) {
			p.AddExpand("latest_charge.balance_transaction")
			p.AddExpand("customer")
			p.AddExpand("payment_method")
		})

		require.EqualValues(t, 1000, pi.AmountReceived)
		require.Equal(t, "p1", pi.Metadata["payment_id"])
		require.Equal(t, "ada@example.com", pi.Customer.Email)
		require.Equal(t, "4242", pi.PaymentMethod.Card.Last4)
		require.Nil(t, pi.LastPaymentError)
		charge := pi.LatestCharge
		require.True(t, charge.Paid && charge.Captured)
		require.Equal(t, "p1", charge.Metadata["payment_id"], "metadata is copied to the charge")
		require.Equal(t, "approved_by_network", charge.Outcome.NetworkStatus)
		require.EqualValues(t, 1000, charge.BalanceTransaction.Amount)
		require.EqualValues(t, 59, charge.BalanceTransaction.Fee)
		require.EqualValues(t, 941, charge.BalanceTransaction.Net)
		require.Equal(t, []string{"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}, b.types(pi.ID, charge.ID))
	})

	t.Run("DeclineLeavesAnOpenIntent", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, err := b.pay(t, "pm_card_chargeCustomerFail")

		require.Equal(t, http.StatusPaymentRequired, err.HTTPStatusCode)
		require.Equal(t, stripe.ErrorTypeCard, err.Type)
		require.Equal(t, pi.ID, err.PaymentIntent.ID)
		require.NotEmpty(t, err.PaymentMethod.ID)
		require.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, pi.Status)
		require.Nil(t, pi.PaymentMethod)
		require.Zero(t, pi.AmountReceived)
		require.Equal(t, err.Code, pi.LastPaymentError.Code)
		require.Equal(t, err.PaymentMethod.ID, pi.LastPaymentError.PaymentMethod.ID)
		charge, getErr := b.client.Charges.Get(err.ChargeID, nil)
		require.NoError(t, getErr)
		require.Equal(t, pi.LatestCharge.ID, charge.ID)
		require.Equal(t, stripe.ChargeStatusFailed, charge.Status)
		require.False(t, charge.Paid || charge.Captured)
		require.Equal(t, "card_declined", charge.FailureCode)
		require.Equal(t, "declined_by_network", charge.Outcome.NetworkStatus)
		require.Equal(t, "generic_decline", charge.Outcome.Reason)
		require.Equal(t, []string{"payment_intent.created", "charge.failed", "payment_intent.payment_failed"}, b.types(pi.ID, charge.ID))
	})

	t.Run("SameIntentSucceedsAfterADecline", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, _ := b.pay(t, "pm_card_chargeCustomerFail")
		pi, err := b.client.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{
			PaymentMethod: new("pm_card_visa"), ReturnURL: new(returnURL),
		})

		require.NoError(t, err)
		require.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)
		require.Nil(t, pi.LastPaymentError)
	})

	t.Run("OffSessionAuthenticationIsRecoveredOnSession", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, stripeErr := b.pay(t, "pm_card_authenticationRequired", offSession)
		require.EqualValues(t, "authentication_required", stripeErr.Code)
		require.NotEmpty(t, stripeErr.ChargeID)
		pi, err := b.client.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{
			PaymentMethod: new(pi.LastPaymentError.PaymentMethod.ID), ReturnURL: new(returnURL),
		})

		require.NoError(t, err)
		require.Equal(t, stripe.PaymentIntentStatusRequiresAction, pi.Status)
		require.Equal(t, "succeeded", b.sim.Challenge(pi.ID, true))
	})

	t.Run("ErrorOnRequiresAction", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, err := b.pay(t, "pm_card_authenticationRequired", func(p *stripe.PaymentIntentParams) {
			p.ErrorOnRequiresAction, p.ReturnURL = new(true), nil
		})

		require.Equal(t, http.StatusPaymentRequired, err.HTTPStatusCode)
		require.EqualValues(t, "authentication_required", err.Code)
		require.EqualValues(t, "authentication_not_handled", err.DeclineCode)
		require.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, pi.Status)
	})

	t.Run("MetadataMergesPerKeyAlsoAfterSuccess", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa", withMetadata("a", "1"), withMetadata("b", "2"))
		p := &stripe.PaymentIntentParams{}
		p.AddMetadata("b", "")
		p.AddMetadata("c", "3")
		pi, err := b.client.PaymentIntents.Update(pi.ID, p)

		require.NoError(t, err)
		require.Equal(t, map[string]string{"a": "1", "c": "3"}, pi.Metadata)
	})

	t.Run("ManualCaptureTakesLess", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, stripeErr := b.pay(t, "pm_card_visa", manualCapture)
		require.Nil(t, stripeErr)
		require.EqualValues(t, 1000, pi.AmountCapturable)
		require.Zero(t, pi.AmountReceived)
		pi, err := b.client.PaymentIntents.Capture(pi.ID, &stripe.PaymentIntentCaptureParams{AmountToCapture: stripe.Int64(700)})

		require.NoError(t, err)
		require.EqualValues(t, 700, pi.AmountReceived)
		require.Zero(t, pi.AmountCapturable)
		charge, err := b.client.Charges.Get(pi.LatestCharge.ID, nil)
		require.NoError(t, err)
		require.EqualValues(t, 700, charge.AmountCaptured)
		require.False(t, charge.Refunded)
		require.Equal(t, []string{
			"payment_intent.created", "charge.succeeded", "payment_intent.amount_capturable_updated", "charge.captured",
			"payment_intent.succeeded",
		}, b.types(pi.ID, charge.ID))
	})

	t.Run("AuthorizationLapses", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, _ := b.pay(t, "pm_card_visa", manualCapture)
		b.sim.Advance(6 * 24 * time.Hour)
		require.Equal(t, stripesim.StatusRequiresCapture, b.sim.MustIntent(pi.ID).Status)
		b.sim.Advance(25 * time.Hour)

		after := b.retrieve(t, pi.ID)
		require.Equal(t, stripe.PaymentIntentStatusCanceled, after.Status)
		require.EqualValues(t, "automatic", after.CancellationReason)
		require.Contains(t, b.types(pi.LatestCharge.ID), "charge.expired")
	})

	t.Run("ManualConfirmationNeedsTheServerAgain", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, _ := b.pay(t, "pm_card_authenticationRequired", func(p *stripe.PaymentIntentParams) {
			p.ConfirmationMethod = new("manual")
		})
		require.Equal(t, "requires_confirmation", b.sim.Challenge(pi.ID, true))
		pi, err := b.client.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{ReturnURL: new(returnURL)})

		require.NoError(t, err)
		require.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)
	})

	t.Run("ProcessingEndsLater", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		good, _ := b.pay(t, "pm_card_simProcessing")
		bad, _ := b.pay(t, "pm_card_simProcessingFails")
		require.Equal(t, stripe.PaymentIntentStatusProcessing, good.Status)
		b.sim.Advance(time.Minute)

		require.Equal(t, stripe.PaymentIntentStatusSucceeded, b.retrieve(t, good.ID).Status)
		failed := b.retrieve(t, bad.ID)
		require.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, failed.Status)
		require.NotNil(t, failed.LastPaymentError)
		require.Equal(t, []string{
			"payment_intent.created", "payment_intent.processing", "payment_intent.succeeded",
		}, b.types(good.ID))
	})

	t.Run("TooManyConfirmationsCancel", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, _ := b.pay(t, "pm_card_chargeCustomerFail")
		for range 49 {
			require.Error(t, b.operate(pi.ID, "ConfirmDeclined"))
		}
		require.Equal(t, stripesim.StatusRequiresPaymentMethod, b.sim.MustIntent(pi.ID).Status)
		require.EqualValues(t, "payment_intent_unexpected_state", asStripe(t, b.operate(pi.ID, "Confirm")).Code)
		require.Equal(t, stripesim.StatusCanceled, b.sim.MustIntent(pi.ID).Status)
	})

	t.Run("CancelHasAReason", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, err := b.client.PaymentIntents.Cancel(b.inStatus(t, stripesim.StatusRequiresAction).ID,
			&stripe.PaymentIntentCancelParams{CancellationReason: new("abandoned")})

		require.NoError(t, err)
		require.EqualValues(t, "abandoned", pi.CancellationReason)
		require.Equal(t, noon.Unix(), pi.CanceledAt)
		require.Nil(t, pi.NextAction)
	})

	t.Run("CaptureMethodVoidReleasesTheAmount", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.inStatus(t, stripesim.StatusRequiresCapture)
		require.NoError(t, b.operate(pi.ID, "Cancel"))

		charge, err := b.client.Charges.Get(pi.LatestCharge.ID, nil)
		require.NoError(t, err)
		require.True(t, charge.Refunded)
		require.Zero(t, charge.AmountCaptured)
	})
}

// TestIntentRefusals lists requests that are refused before an attempt.
func TestIntentRefusals(t *testing.T) {
	t.Parallel()

	b := setup(t)
	other := b.sim.Customer()
	othersCard := b.sim.Card(other, "pm_card_visa")
	tests := map[string]struct {
		change func(*stripe.PaymentIntentParams)
		code   string
		param  string
	}{
		"AmountZero":     {func(p *stripe.PaymentIntentParams) { p.Amount = stripe.Int64(0) }, "parameter_invalid_integer", "amount"},
		"AmountTooSmall": {func(p *stripe.PaymentIntentParams) { p.Amount = stripe.Int64(49) }, "amount_too_small", "amount"},
		"AmountTooLarge": {func(p *stripe.PaymentIntentParams) { p.Amount = stripe.Int64(100_000_000) }, "amount_too_large", "amount"},
		"YenTooFew": {func(p *stripe.PaymentIntentParams) {
			p.Amount, p.Currency = stripe.Int64(49), new("jpy")
		}, "amount_too_small", "amount"},
		"Currency":        {func(p *stripe.PaymentIntentParams) { p.Currency = new("xxx") }, "", "currency"},
		"AmountMissing":   {func(p *stripe.PaymentIntentParams) { p.Amount = nil }, "parameter_missing", "amount"},
		"CurrencyMissing": {func(p *stripe.PaymentIntentParams) { p.Currency = nil }, "parameter_missing", "currency"},
		"ReturnURLMissing": {func(p *stripe.PaymentIntentParams) {
			p.PaymentMethodTypes, p.ReturnURL = nil, nil
		}, "", "return_url"},
		"ReturnURLMissingWithAutomaticMethods": {func(p *stripe.PaymentIntentParams) {
			p.PaymentMethodTypes, p.ReturnURL = nil, nil
			p.AutomaticPaymentMethods = &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: new(true)}
		}, "", "return_url"},
		"ReturnURLIsNone": {func(p *stripe.PaymentIntentParams) { p.ReturnURL = new("nowhere") }, "url_invalid", "return_url"},
		"TypesAndAutomatic": {func(p *stripe.PaymentIntentParams) {
			p.AutomaticPaymentMethods = &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: new(true)}
		}, "", "payment_method_types"},
		"AutomaticAndConfirmationMethod": {func(p *stripe.PaymentIntentParams) {
			p.PaymentMethodTypes = nil
			p.ConfirmationMethod = new("manual")
			p.AutomaticPaymentMethods = &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: new(true)}
		}, "", "confirmation_method"},
		"OffSessionWithoutConfirm": {func(p *stripe.PaymentIntentParams) {
			p.Confirm, p.ReturnURL, p.OffSession = nil, nil, new(true)
		}, "", "off_session"},
		"ReturnURLWithoutConfirm": {func(p *stripe.PaymentIntentParams) { p.Confirm = nil }, "", "return_url"},
		"NoPaymentMethod":         {func(p *stripe.PaymentIntentParams) { p.PaymentMethod = nil }, "payment_intent_unexpected_state", ""},
		"UnknownCustomer":         {func(p *stripe.PaymentIntentParams) { p.Customer = new("cus_none") }, "resource_missing", "customer"},
		"UnknownMethod":           {func(p *stripe.PaymentIntentParams) { p.PaymentMethod = new("pm_none") }, "resource_missing", "payment_method"},
		"CustomerLeftOut":         {func(p *stripe.PaymentIntentParams) { p.Customer = nil }, "", "payment_method"},
		"CardOfAnotherCustomer":   {func(p *stripe.PaymentIntentParams) { p.PaymentMethod = new(othersCard) }, "resource_missing", "payment_method"},
		"MetadataKeyTooLong":      {withMetadata("k12345678901234567890123456789012345678901", "v"), "", "metadata"},
		"CaptureMethodUnknown":    {func(p *stripe.PaymentIntentParams) { p.CaptureMethod = new("later") }, "", "capture_method"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := b.pay(t, "pm_card_visa", tt.change)

			require.NotNil(t, err)
			require.Equal(t, http.StatusBadRequest, err.HTTPStatusCode)
			require.Equal(t, stripe.ErrorTypeInvalidRequest, err.Type)
			require.Equal(t, tt.code, string(err.Code))
			require.Equal(t, tt.param, err.Param)
			require.NotEmpty(t, err.Msg)
			require.NotEmpty(t, err.RequestID)
		})
	}
}

func TestConfirmationWithoutRedirects(t *testing.T) {
	t.Parallel()

	never := func(p *stripe.PaymentIntentParams) {
		p.PaymentMethodTypes, p.ReturnURL = nil, nil
		p.AutomaticPaymentMethods = &stripe.PaymentIntentAutomaticPaymentMethodsParams{
			AllowRedirects: new("never"), Enabled: new(true),
		}
	}

	t.Run("NeedsNoReturnURL", func(t *testing.T) {
		t.Parallel()

		pi := setup(t).paid(t, "pm_card_visa", never)
		require.EqualValues(t, "never", pi.AutomaticPaymentMethods.AllowRedirects)
	})

	t.Run("LeavesAChallengeToStripeJS", func(t *testing.T) {
		t.Parallel()

		pi, err := setup(t).pay(t, "pm_card_authenticationRequired", never)
		require.Nil(t, err)
		require.EqualValues(t, "use_stripe_sdk", pi.NextAction.Type)
		require.Nil(t, pi.NextAction.RedirectToURL)
	})

	t.Run("StripeJSCanBeAskedFor", func(t *testing.T) {
		t.Parallel()

		pi, err := setup(t).pay(t, "pm_card_authenticationRequired", func(p *stripe.PaymentIntentParams) {
			p.UseStripeSDK = new(true)
		})
		require.Nil(t, err)
		require.EqualValues(t, "use_stripe_sdk", pi.NextAction.Type)
	})
}
