package stripesim_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

func TestCustomers(t *testing.T) {
	t.Parallel()

	t.Run("Lifecycle", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := &stripe.CustomerParams{
			Address: &stripe.AddressParams{City: new("Bern"), Country: new("CH")},
			Email:   new("grace@example.com"), Name: new("Grace"),
		}
		p.AddMetadata("external_id", "42")
		cus, err := b.client.Customers.New(p)
		require.NoError(t, err)
		require.Equal(t, "Bern", cus.Address.City)
		require.Equal(t, "42", cus.Metadata["external_id"])

		cus, err = b.client.Customers.Update(cus.ID, &stripe.CustomerParams{Email: new("hopper@example.com")})
		require.NoError(t, err)
		require.Equal(t, "Grace", cus.Name)
		updated := b.sim.Events(false, "customer.updated")
		require.Len(t, updated, 1)
		require.Contains(t, string(updated[0].Body), `"previous_attributes":{"email":"grace@example.com"}`)

		list := b.client.Customers.List(&stripe.CustomerListParams{Email: new("hopper@example.com")})
		require.True(t, list.Next())
		require.Equal(t, cus.ID, list.Customer().ID)
		require.False(t, list.Next())

		gone, err := b.client.Customers.Del(cus.ID, nil)
		require.NoError(t, err)
		require.True(t, gone.Deleted)
		gone, err = b.client.Customers.Get(cus.ID, nil)
		require.NoError(t, err)
		require.True(t, gone.Deleted)
		require.Empty(t, gone.Email)
		_, stripeErr := b.pay(t, "pm_card_visa", func(p *stripe.PaymentIntentParams) {
			p.Customer, p.PaymentMethod = &cus.ID, new("pm_card_visa")
		})
		require.Equal(t, http.StatusBadRequest, stripeErr.HTTPStatusCode)
		require.EqualValues(t, "resource_missing", stripeErr.Code)
		require.Equal(t, []string{"customer.created", "customer.updated", "customer.deleted"}, b.types(cus.ID))
	})

	t.Run("DeletingDetachesTheirCards", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		card := b.sim.Card(b.customer, "pm_card_visa")
		_, err := b.client.Customers.Del(b.customer, nil)
		require.NoError(t, err)
		pm, err := b.client.PaymentMethods.Get(card, nil)
		require.NoError(t, err)
		require.Nil(t, pm.Customer)
	})

	t.Run("DefaultPaymentMethodMustBeTheirs", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		mine, theirs := b.sim.Card(b.customer, "pm_card_visa"), b.sim.Card(b.sim.Customer(), "pm_card_visa")
		set := func(pm string) error {
			p := &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &pm}}
			p.AddExpand("invoice_settings.default_payment_method")
			cus, err := b.client.Customers.Update(b.customer, p)
			if err == nil {
				require.Equal(t, "4242", cus.InvoiceSettings.DefaultPaymentMethod.Card.Last4)
			}
			return err
		}
		require.NoError(t, set(mine))
		require.Error(t, set(theirs))
	})

	t.Run("UnknownIsNotFound", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, err := b.client.Customers.Get("cus_none", nil)
		e := asStripe(t, err)
		require.Equal(t, http.StatusNotFound, e.HTTPStatusCode)
		require.EqualValues(t, "resource_missing", e.Code)
		require.Equal(t, "id", e.Param)
	})
}

func TestPaymentMethods(t *testing.T) {
	t.Parallel()

	attach := func(b *bundle, card string) (*stripe.PaymentMethod, error) {
		return b.client.PaymentMethods.Attach(card, &stripe.PaymentMethodAttachParams{Customer: &b.customer})
	}

	t.Run("MagicIDsCreateNewOnes", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first, err := attach(b, "pm_card_mastercard")
		require.NoError(t, err)
		second, err := attach(b, "pm_card_mastercard")
		require.NoError(t, err)
		require.NotEqual(t, first.ID, second.ID)
		require.NotEqual(t, "pm_card_mastercard", first.ID)
		require.Equal(t, first.Card.Fingerprint, second.Card.Fingerprint)
		require.EqualValues(t, "mastercard", first.Card.Brand)

		list := b.client.PaymentMethods.List(&stripe.PaymentMethodListParams{Customer: &b.customer, Type: new("card")})
		var ids []string
		for list.Next() {
			ids = append(ids, list.PaymentMethod().ID)
		}
		require.NoError(t, list.Err())
		require.Equal(t, []string{second.ID, first.ID}, ids)
	})

	t.Run("SomeAreRefusedAtAttach", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		for card, code := range map[string]string{
			"pm_card_chargeDeclined":                           "card_declined",
			"pm_card_chargeDeclinedInsufficientFunds":          "card_declined",
			"pm_card_visa_chargeDeclinedLostCard":              "card_declined",
			"pm_card_visa_chargeDeclinedStolenCard":            "card_declined",
			"pm_card_chargeDeclinedExpiredCard":                "expired_card",
			"pm_card_chargeDeclinedIncorrectCvc":               "incorrect_cvc",
			"pm_card_chargeDeclinedProcessingError":            "processing_error",
			"pm_card_visa_chargeDeclinedVelocityLimitExceeded": "card_declined",
		} {
			_, err := attach(b, card)
			e := asStripe(t, err)
			require.Equal(t, http.StatusPaymentRequired, e.HTTPStatusCode, card)
			require.EqualValues(t, code, e.Code, card)
		}
		_, err := attach(b, "pm_card_chargeCustomerFail")
		require.NoError(t, err)
	})

	t.Run("UnattachedCanBeUsedOnce", func(t *testing.T) {
		t.Parallel()

		for _, card := range []string{"pm_card_visa", "pm_card_chargeCustomerFail"} {
			b := setup(t)
			pm, err := b.client.PaymentMethods.New(&stripe.PaymentMethodParams{
				Card: &stripe.PaymentMethodCardParams{Token: new("tok_" + card[len("pm_card_"):])}, Type: new("card"),
			})
			require.NoError(t, err)
			use := func(p *stripe.PaymentIntentParams) { p.Customer, p.PaymentMethod = nil, &pm.ID }
			_, _ = b.pay(t, "pm_card_visa", use)
			_, again := b.pay(t, "pm_card_visa", use)
			require.Equal(t, http.StatusBadRequest, again.HTTPStatusCode)
			require.Empty(t, again.Code)
			_, err = attach(b, pm.ID)
			require.Equal(t, http.StatusBadRequest, asStripe(t, err).HTTPStatusCode)
		}
	})

	t.Run("DetachedCannotBeUsedAgain", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pm, err := attach(b, "pm_card_visa")
		require.NoError(t, err)
		detached, err := b.client.PaymentMethods.Detach(pm.ID, nil)
		require.NoError(t, err)
		require.Nil(t, detached.Customer)
		_, err = attach(b, pm.ID)
		require.Equal(t, http.StatusBadRequest, asStripe(t, err).HTTPStatusCode)
		_, err = b.client.PaymentMethods.Detach(pm.ID, nil)
		require.Error(t, err)
		require.Equal(t, []string{"payment_method.attached", "payment_method.detached"}, b.types(pm.ID))
	})

	t.Run("OneCustomerAtATime", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pm, err := attach(b, "pm_card_visa")
		require.NoError(t, err)
		_, err = b.client.PaymentMethods.Attach(pm.ID, &stripe.PaymentMethodAttachParams{Customer: new(b.sim.Customer())})
		require.Equal(t, http.StatusBadRequest, asStripe(t, err).HTTPStatusCode)
		_, err = attach(b, pm.ID)
		require.NoError(t, err, "attaching again to the same customer changes nothing")
	})

	t.Run("Update", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pm, err := b.client.PaymentMethods.Update(b.sim.Card(b.customer, "pm_card_visa"), &stripe.PaymentMethodParams{
			BillingDetails: &stripe.PaymentMethodBillingDetailsParams{Name: new("Ada")},
			Card:           &stripe.PaymentMethodCardParams{ExpMonth: stripe.Int64(7)},
		})
		require.NoError(t, err)
		require.Equal(t, "Ada", pm.BillingDetails.Name)
		require.EqualValues(t, 7, pm.Card.ExpMonth)
	})

	t.Run("ByNumber", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		create := func(number string) (*stripe.PaymentMethod, error) {
			return b.client.PaymentMethods.New(&stripe.PaymentMethodParams{
				Card: &stripe.PaymentMethodCardParams{
					CVC: new("314"), ExpMonth: stripe.Int64(8), ExpYear: stripe.Int64(2031), Number: &number,
				},
				Type: new("card"),
			})
		}
		pm, err := create("4000002760003184")
		require.NoError(t, err)
		require.EqualValues(t, 2031, pm.Card.ExpYear)
		pi, stripeErr := b.pay(t, "pm_card_visa", func(p *stripe.PaymentIntentParams) { p.PaymentMethod = &pm.ID })
		require.Nil(t, stripeErr)
		require.Equal(t, stripe.PaymentIntentStatusRequiresAction, pi.Status)
		_, err = create("4242424242424241")
		require.EqualValues(t, "incorrect_number", asStripe(t, err).Code)
	})

	t.Run("InTheIntentItself", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		a := b.raw(t, http.MethodPost, "/v1/payment_intents", form(
			"amount", "1000", "currency", "usd", "confirm", "true", "payment_method_types[]", "card",
			"payment_method_data[type]", "card", "payment_method_data[card][token]", "tok_visa",
			"payment_method_data[billing_details][name]", "Ada"))
		require.Equal(t, http.StatusOK, a.status, string(a.body))
		require.Equal(t, "succeeded", a.json(t)["status"])
	})

	t.Run("ThroughTheCustomer", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		card := b.sim.Card(b.customer, "pm_card_visa")
		b.sim.Card(b.sim.Customer(), "pm_card_visa")
		list := b.client.Customers.ListPaymentMethods(&stripe.CustomerListPaymentMethodsParams{Customer: &b.customer})
		require.True(t, list.Next())
		require.Equal(t, card, list.PaymentMethod().ID)
		require.False(t, list.Next())
		pm, err := b.client.Customers.RetrievePaymentMethod(card, &stripe.CustomerRetrievePaymentMethodParams{Customer: &b.customer})
		require.NoError(t, err)
		require.Equal(t, card, pm.ID)
	})
}

func TestSavedCards(t *testing.T) {
	t.Parallel()

	b := setup(t)
	pm, err := b.sim.CreatePaymentMethod(stripesim.SavedCard{
		Card: "pm_card_chargeDeclinedExpiredCard", Customer: b.customer, ID: "pm_seeded",
	})
	require.NoError(t, err, "Stripe would refuse to attach it")
	require.Equal(t, "pm_seeded", pm.ID)
	again, err := b.sim.CreatePaymentMethod(stripesim.SavedCard{Card: "pm_card_visa", Customer: b.customer, ID: "pm_seeded"})
	require.NoError(t, err)
	require.Equal(t, pm.Card, again.Card, "the same id can be requested twice")
	_, stripeErr := b.pay(t, "pm_card_visa", func(p *stripe.PaymentIntentParams) { p.PaymentMethod = &pm.ID })
	require.EqualValues(t, "expired_card", stripeErr.Code)

	for _, bad := range []stripesim.SavedCard{
		{Card: "pm_card_unheardOf"}, {Card: "pm_card_visa", Customer: "cus_none"}, {Card: "pm_card_visa", ID: "card_1"},
	} {
		_, err = b.sim.CreatePaymentMethod(bad)
		require.Error(t, err)
	}

	cus, err := b.sim.CreateCustomer(stripesim.NewCustomer{ID: "cus_seeded", Metadata: map[string]string{"a": "1"}, Name: "Ada"})
	require.NoError(t, err)
	same, err := b.sim.CreateCustomer(stripesim.NewCustomer{ID: "cus_seeded", Name: "Grace"})
	require.NoError(t, err)
	require.Equal(t, cus, same)
}

func TestSetupIntents(t *testing.T) {
	t.Parallel()

	create := func(b *bundle, card string, confirm bool) (*stripe.SetupIntent, error) {
		p := &stripe.SetupIntentParams{
			Customer: &b.customer, PaymentMethod: &card, PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		}
		if confirm {
			p.Confirm, p.ReturnURL = new(true), new(returnURL)
		}
		return b.client.SetupIntents.New(p)
	}

	t.Run("SuccessAttaches", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		si, err := create(b, "pm_card_visa", true)
		require.NoError(t, err)
		require.Equal(t, stripe.SetupIntentStatusSucceeded, si.Status)
		require.EqualValues(t, "off_session", si.Usage)
		pm, ok := b.sim.PaymentMethod(si.PaymentMethod.ID)
		require.True(t, ok)
		require.Equal(t, b.customer, pm.Customer)
		require.Equal(t, []string{"setup_intent.created", "setup_intent.succeeded"}, b.types(si.ID))
	})

	t.Run("Declined", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, err := create(b, "pm_card_chargeDeclined", true)
		e := asStripe(t, err)
		require.Equal(t, http.StatusPaymentRequired, e.HTTPStatusCode)
		require.Equal(t, stripe.SetupIntentStatusRequiresPaymentMethod, e.SetupIntent.Status)
		require.EqualValues(t, "card_declined", e.SetupIntent.LastSetupError.Code)
	})

	t.Run("ConfirmedLater", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		si, err := create(b, "pm_card_visa", false)
		require.NoError(t, err)
		require.Equal(t, stripe.SetupIntentStatusRequiresConfirmation, si.Status)
		si, err = b.client.SetupIntents.Confirm(si.ID, &stripe.SetupIntentConfirmParams{ReturnURL: new(returnURL)})
		require.NoError(t, err)
		require.Equal(t, stripe.SetupIntentStatusSucceeded, si.Status)
		_, err = b.client.SetupIntents.Cancel(si.ID, &stripe.SetupIntentCancelParams{})
		require.EqualValues(t, "setup_intent_unexpected_state", asStripe(t, err).Code)
	})

	t.Run("Canceled", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		si, err := create(b, "pm_card_authenticationRequired", true)
		require.NoError(t, err)
		si, err = b.client.SetupIntents.Cancel(si.ID, &stripe.SetupIntentCancelParams{CancellationReason: new("abandoned")})
		require.NoError(t, err)
		require.Equal(t, stripe.SetupIntentStatusCanceled, si.Status)
		_, err = b.client.SetupIntents.Confirm(si.ID, &stripe.SetupIntentConfirmParams{})
		require.EqualValues(t, "setup_intent_unexpected_state", asStripe(t, err).Code)
		_, err = b.sim.CompleteChallenge(si.ID, stripesim.OutcomeSucceed)
		require.ErrorIs(t, err, stripesim.ErrNotFound)
	})

	t.Run("UpdateAndList", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		si, err := b.client.SetupIntents.New(&stripe.SetupIntentParams{
			Customer: &b.customer, PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		})
		require.NoError(t, err)
		_, err = b.client.SetupIntents.Confirm(si.ID, &stripe.SetupIntentConfirmParams{})
		require.EqualValues(t, "setup_intent_unexpected_state", asStripe(t, err).Code)
		p := &stripe.SetupIntentParams{PaymentMethod: new("pm_card_visa")}
		p.AddMetadata("k", "v")
		si, err = b.client.SetupIntents.Update(si.ID, p)
		require.NoError(t, err)
		require.Equal(t, stripe.SetupIntentStatusRequiresConfirmation, si.Status)
		list := b.client.SetupIntents.List(&stripe.SetupIntentListParams{Customer: &b.customer})
		require.True(t, list.Next())
		require.Equal(t, "v", list.SetupIntent().Metadata["k"])
	})
}
