package stripeapi_test

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/wallet"
)

// bundle holds a client and a simulated Stripe that has one customer.
type bundle struct {
	client   *stripeapi.Client
	customer string
	sim      *simtest.Sim
}

func setup(t *testing.T, options ...func(*stripeapi.Config)) *bundle {
	t.Helper()
	sim := simtest.New(t)
	cfg := stripeapi.Config{Mode: wallet.ModeTest, SecretKey: simtest.Key, URL: sim.URL}
	for _, option := range options {
		option(&cfg)
	}
	client, err := stripeapi.New(cfg)
	require.NoError(t, err)
	return &bundle{client: client, customer: sim.Customer(), sim: sim}
}

// request returns a charge of one of Stripe's test cards.
func (b *bundle) request(card string) stripeapi.ChargeRequest {
	return stripeapi.ChargeRequest{
		PaymentID:       wallet.NewID(),
		WalletID:        wallet.NewID(),
		OrganizationID:  wallet.NewID(),
		Amount:          75_00,
		Currency:        wallet.USD,
		CustomerID:      b.customer,
		PaymentMethodID: b.sim.Card(b.customer, card),
		ReturnURL:       "https://pay.example.com/return",
		ReceiptEmail:    "ada@example.com",
		Attempt:         1,
	}
}

// intents counts the intents that Stripe created for a payment.
func (b *bundle) intents(req stripeapi.ChargeRequest) int {
	return len(b.sim.IntentsWith("payment_id", req.PaymentID.String()))
}

func charges() stripesim.Match {
	return stripesim.Match{Method: http.MethodPost, Path: "/v1/payment_intents"}
}

func TestCharging(t *testing.T) {
	t.Parallel()

	t.Run("Succeeds", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req := b.request("pm_card_visa")

		got := b.client.Charge(t.Context(), req)

		require.Equal(t, wallet.OutcomeSucceeded, got.Kind, got.Reason)
		require.Equal(t, int64(75_00), got.AmountReceived)
		require.Equal(t, wallet.USD, got.Currency)
		require.Equal(t, req.PaymentID, got.PaymentID)
		require.NotEmpty(t, got.ChargeID)
		require.NotEmpty(t, got.RequestID)
		require.Equal(t, "succeeded", b.sim.MustIntent(got.IntentID).Status)
	})

	t.Run("InYen", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req := b.request("pm_card_visa")
		req.Amount, req.Currency = 1500, "JPY"

		got := b.client.Charge(t.Context(), req)

		require.Equal(t, wallet.OutcomeSucceeded, got.Kind, got.Reason)
		require.Equal(t, wallet.Currency("JPY"), got.Currency)
		require.Equal(t, int64(1500), got.AmountReceived)
	})

	for name, tc := range map[string]struct {
		card string
		off  bool
		want wallet.Failure
	}{
		"IsDeclined": {"pm_card_chargeCustomerFail", false, wallet.Failure{
			Code: "card_declined", DeclineCode: "generic_decline", Class: wallet.DeclineSoft,
		}},
		"LacksFunds": {"pm_card_visa_chargeDeclinedInsufficientFunds", false, wallet.Failure{
			Code: "card_declined", DeclineCode: "insufficient_funds", Class: wallet.DeclineSoft,
		}},
		"HasExpired": {"pm_card_chargeDeclinedExpiredCard", false, wallet.Failure{
			Code: "expired_card", Class: wallet.DeclineHard,
		}},
		"MeetsProcessingError": {"pm_card_chargeDeclinedProcessingError", false, wallet.Failure{
			Code: "processing_error", Class: wallet.DeclineSoft,
		}},
		"HidesThatTheCardWasStolen": {"pm_card_visa_chargeDeclinedStolenCard", false, wallet.Failure{
			Code: "card_declined", DeclineCode: "generic_decline", Class: wallet.DeclineDoNotRetry,
		}},
		"HidesThatTheCardWasLost": {"pm_card_visa_chargeDeclinedLostCard", false, wallet.Failure{
			Code: "card_declined", DeclineCode: "generic_decline", Class: wallet.DeclineDoNotRetry,
		}},
		"HidesASuspicion": {"pm_card_radarBlock", false, wallet.Failure{
			Code: "card_declined", DeclineCode: "generic_decline", Class: wallet.DeclineDoNotRetry,
		}},
		"NeedsTheCardholder": {"pm_card_authenticationRequired", true, wallet.Failure{
			Code: "authentication_required", DeclineCode: "authentication_required", Class: wallet.DeclineAuthenticate,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			req := b.request(tc.card)
			req.OffSession = tc.off

			got := b.client.Charge(t.Context(), req)

			require.Equal(t, wallet.OutcomeDeclined, got.Kind, got.Reason)
			require.NotEmpty(t, got.Failure.Message)
			tc.want.Message = got.Failure.Message
			tc.want.AdviceCode = got.Failure.AdviceCode
			tc.want.NetworkAdviceCode, tc.want.NetworkDeclineCode = got.Failure.NetworkAdviceCode, got.Failure.NetworkDeclineCode
			require.Equal(t, tc.want, got.Failure)
			require.Equal(t, req.PaymentID, got.PaymentID)
			require.Equal(t, "requires_payment_method", b.sim.MustIntent(got.IntentID).Status)

			require.Equal(t, wallet.OutcomeCanceled, b.client.Cancel(t.Context(), got.IntentID, stripeapi.CancelAbandoned).Kind)
		})
	}

	t.Run("CardIsGone", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		unknown, detached, others := b.request("pm_card_visa"), b.request("pm_card_visa"), b.request("pm_card_visa")
		unknown.PaymentMethodID = "pm_unknown"
		_, err := b.client.DetachPaymentMethod(t.Context(), detached.PaymentMethodID)
		require.NoError(t, err)
		others.PaymentMethodID = b.sim.Card(b.sim.Customer(), "pm_card_visa")

		for _, req := range []stripeapi.ChargeRequest{unknown, detached, others} {
			got := b.client.Charge(t.Context(), req)

			require.Equal(t, wallet.OutcomeRejected, got.Kind)
			require.Equal(t, wallet.FailurePaymentMethodMissing, got.Failure.Code, got.Reason)
			require.Zero(t, b.intents(req))
		}
	})

	t.Run("InvalidRequest", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req := b.request("pm_card_visa")
		req.Amount = 1

		got := b.client.Charge(t.Context(), req)

		require.Equal(t, wallet.OutcomeRejected, got.Kind)
		require.Equal(t, wallet.FailureInternal, got.Failure.Code)
		require.Contains(t, got.Reason, "amount_too_small")
	})
}

func TestChallenges(t *testing.T) {
	t.Parallel()

	challenge := func(t *testing.T, b *bundle, card string) (stripeapi.ChargeRequest, wallet.Outcome) {
		t.Helper()
		req := b.request(card)
		o := b.client.Charge(t.Context(), req)
		require.Equal(t, wallet.OutcomeRequiresAction, o.Kind, o.Reason)
		require.Contains(t, o.RedirectURL, o.IntentID)
		return req, o
	}

	t.Run("Passed", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, o := challenge(t, b, "pm_card_threeDSecure2Required")
		b.sim.Challenge(o.IntentID, true)

		got := b.client.Retrieve(t.Context(), o.IntentID)

		require.Equal(t, wallet.OutcomeSucceeded, got.Kind)
		require.NotEmpty(t, got.ChargeID)
	})

	t.Run("Failed", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, o := challenge(t, b, "pm_card_threeDSecure2Required")
		b.sim.Challenge(o.IntentID, false)

		got := b.client.Retrieve(t.Context(), o.IntentID)

		require.Equal(t, wallet.OutcomeDeclined, got.Kind)
		require.Equal(t, wallet.FailureAuthentication, got.Failure.Code)
		require.Equal(t, wallet.DeclineAuthenticate, got.Failure.Class)
		require.Empty(t, got.ChargeID)
	})

	t.Run("PassedAndDeclined", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, o := challenge(t, b, "pm_card_threeDSecureRequiredChargeDeclined")
		b.sim.Challenge(o.IntentID, true)

		got := b.client.Retrieve(t.Context(), o.IntentID)

		require.Equal(t, wallet.OutcomeDeclined, got.Kind)
		require.Equal(t, "card_declined", got.Failure.Code)
	})

	t.Run("Abandoned", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, o := challenge(t, b, "pm_card_threeDSecure2Required")

		for range 2 { // the second call finds it canceled
			got := b.client.Cancel(t.Context(), o.IntentID, stripeapi.CancelAbandoned)
			require.Equal(t, wallet.OutcomeCanceled, got.Kind)
			require.Equal(t, wallet.FailureCanceled, got.Failure.Code)
		}
	})

	t.Run("PassedBeforeTheCancellation", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, o := challenge(t, b, "pm_card_threeDSecure2Required")
		b.sim.Challenge(o.IntentID, true)

		got := b.client.Cancel(t.Context(), o.IntentID, stripeapi.CancelAbandoned)

		require.Equal(t, wallet.OutcomeSucceeded, got.Kind)
		require.Equal(t, int64(75_00), got.AmountReceived)
	})

	t.Run("RepeatedChargeReturnsTheCurrentState", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req, o := challenge(t, b, "pm_card_threeDSecure2Required")
		b.sim.Challenge(o.IntentID, true)

		got := b.client.Charge(t.Context(), req)

		require.Equal(t, wallet.OutcomeSucceeded, got.Kind, "the stored answer still asks for the challenge")
		require.Equal(t, 1, b.intents(req))
	})
}

// Each row is one way to lose an answer. In every row, repeating the charge
// succeeds and the card is charged once.
func TestLostAnswers(t *testing.T) {
	t.Parallel()

	for name, fault := range map[string]stripesim.Fault{
		"HangAfterEffect":       {Kind: stripesim.FaultHang, Delay: stripesim.Duration(time.Minute)},
		"ResetAfterEffect":      {Kind: stripesim.FaultReset, When: stripesim.After},
		"ResetBeforeEffect":     {Kind: stripesim.FaultReset, When: stripesim.Before},
		"CutAfterEffect":        {Kind: stripesim.FaultBody, Body: stripesim.BodyCut, When: stripesim.After},
		"EmptyAfterEffect":      {Kind: stripesim.FaultBody, Body: stripesim.BodyEmpty, When: stripesim.After},
		"InvalidAfterEffect":    {Kind: stripesim.FaultBody, Body: stripesim.BodyInvalid, When: stripesim.After},
		"TruncatedAfterEffect":  {Kind: stripesim.FaultBody, Body: stripesim.BodyTruncated, When: stripesim.After},
		"Status500AfterEffect":  {Kind: stripesim.FaultStatus, Status: 500, When: stripesim.After},
		"Status500BeforeEffect": {Kind: stripesim.FaultStatus, Status: 500, When: stripesim.Before},
		"Status502HTML":         {Kind: stripesim.FaultStatus, Status: 502, HTML: true, When: stripesim.After},
		"Status503":             {Kind: stripesim.FaultStatus, Status: 503, When: stripesim.Before},
		"Status409":             {Kind: stripesim.FaultStatus, Status: 409},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, func(cfg *stripeapi.Config) { cfg.Timeout = 500 * time.Millisecond })
			fault.Match, fault.Dice = charges(), stripesim.Dice{Count: 2} // the transport may repeat the request once
			id := b.sim.Fault(fault)
			req := b.request("pm_card_visa")

			first := b.client.Charge(t.Context(), req)

			require.Equal(t, wallet.OutcomeUnknown, first.Kind)
			require.NotEmpty(t, first.Reason)
			b.sim.RemoveFault(id)
			got := b.client.Charge(t.Context(), req)
			require.Equal(t, wallet.OutcomeSucceeded, got.Kind, got.Reason)
			require.Equal(t, 1, b.intents(req))
		})
	}

	for name, fault := range map[string]stripesim.Fault{
		"RateLimit":    {Kind: stripesim.FaultStatus, Status: 429},
		"LockTimeout":  {Kind: stripesim.FaultStatus, Status: 429, Code: "lock_timeout"},
		"BadKey":       {Kind: stripesim.FaultStatus, Status: 401},
		"NoPermission": {Kind: stripesim.FaultStatus, Status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			fault.Match, fault.Dice = charges(), stripesim.Dice{Count: 1}
			b.sim.Fault(fault)
			req := b.request("pm_card_visa")

			require.Equal(t, wallet.OutcomeUnavailable, b.client.Charge(t.Context(), req).Kind)
			require.Zero(t, b.intents(req))
			require.Equal(t, wallet.OutcomeSucceeded, b.client.Charge(t.Context(), req).Kind)
		})
	}

	t.Run("StoredFailureIsFoundAmongTheIntents", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.sim.Fault(stripesim.Fault{
			Match: charges(), Dice: stripesim.Dice{Count: 1},
			Kind: stripesim.FaultStatus, Status: 500, When: stripesim.After, Stored: true,
		})
		req := b.request("pm_card_visa")

		for range 2 {
			require.Equal(t, wallet.OutcomeUnknown, b.client.Charge(t.Context(), req).Kind)
		}
		got, found, err := b.client.FindIntent(t.Context(), req.CustomerID, req.PaymentID, b.sim.Now())

		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, wallet.OutcomeSucceeded, got.Kind)
		require.Equal(t, req.PaymentID, got.PaymentID)
	})

	t.Run("NothingToFindAfterAStoredFailureBeforeTheEffect", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.sim.Fault(stripesim.Fault{
			Match: charges(), Dice: stripesim.Dice{Count: 1},
			Kind: stripesim.FaultStatus, Status: 500, When: stripesim.Before, Stored: true,
		})
		req := b.request("pm_card_visa")

		for range 2 {
			require.Equal(t, wallet.OutcomeUnknown, b.client.Charge(t.Context(), req).Kind)
		}
		_, found, err := b.client.FindIntent(t.Context(), req.CustomerID, req.PaymentID, b.sim.Now())

		require.NoError(t, err)
		require.False(t, found)
	})

	t.Run("KeyUsedWithOtherValues", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req := b.request("pm_card_visa")
		require.Equal(t, wallet.OutcomeSucceeded, b.client.Charge(t.Context(), req).Kind)
		req.Amount++

		got := b.client.Charge(t.Context(), req)

		require.Equal(t, wallet.OutcomeUnknown, got.Kind, "the first request was carried out")
		require.Contains(t, got.Reason, "idempotency_error")
	})
}

func TestFindingAmongOthers(t *testing.T) {
	t.Parallel()

	b := setup(t)
	req := b.request("pm_card_visa")
	require.Equal(t, wallet.OutcomeSucceeded, b.client.Charge(t.Context(), req).Kind)
	const more = 120 // more than a page
	for range more {
		other := req
		other.PaymentID = wallet.NewID()
		require.Equal(t, wallet.OutcomeSucceeded, b.client.Charge(t.Context(), other).Kind)
	}

	got, found, err := b.client.FindIntent(t.Context(), req.CustomerID, req.PaymentID, b.sim.Now().Add(-time.Hour))

	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, wallet.OutcomeSucceeded, got.Kind)
	listed := drain(t, b.client.ListIntents(t.Context(), stripeapi.Window{Since: b.sim.Now().Add(-time.Hour)}))
	require.Len(t, listed, more+1)
	require.Len(t, drain(t, b.client.ListCharges(t.Context(), stripeapi.Window{})), more+1)
	require.Empty(t, drain(t, b.client.ListIntents(t.Context(), stripeapi.Window{Since: b.sim.Now().Add(time.Hour)})))
}

func drain[T any](t *testing.T, list iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for item, err := range list {
		require.NoError(t, err)
		all = append(all, item)
	}
	return all
}

func TestEvents(t *testing.T) {
	t.Parallel()

	b := setup(t)
	const payments = 50 // three events each, so more than a page
	for range payments {
		require.Equal(t, wallet.OutcomeSucceeded, b.client.Charge(t.Context(), b.request("pm_card_visa")).Kind)
	}
	all := drain(t, b.client.ListEvents(t.Context(), stripeapi.EventQuery{}))

	t.Run("OldestFirst", func(t *testing.T) {
		t.Parallel()

		require.Greater(t, len(all), 2*100)
		stored := b.sim.Events(false)
		require.Len(t, all, len(stored))
		for i, e := range all {
			if i > 0 {
				require.False(t, e.CreatedAt.Before(all[i-1].CreatedAt))
			}
			require.Equal(t, stripeapi.APIVersion, e.APIVersion)
			require.False(t, e.Livemode)
			body := struct{ ID, Type string }{}
			require.NoError(t, json.Unmarshal(e.Raw, &body))
			require.Equal(t, e.ID, body.ID)
			require.Equal(t, e.Type, body.Type)
		}
	})

	t.Run("ContinuesAfterTheLastSeen", func(t *testing.T) {
		t.Parallel()

		for _, seen := range []int{0, len(all) / 2, len(all) - 1} {
			rest := drain(t, b.client.ListEvents(t.Context(), stripeapi.EventQuery{After: all[seen].ID}))
			require.Equal(t, ids(all[seen+1:]), ids(rest))
		}
	})

	t.Run("OfSomeTypes", func(t *testing.T) {
		t.Parallel()

		got := drain(t, b.client.ListEvents(t.Context(), stripeapi.EventQuery{Types: []string{"payment_intent.succeeded"}}))
		require.Len(t, got, payments)
	})

	t.Run("AfterAnExpiredCursor", func(t *testing.T) {
		t.Parallel()

		got := drain(t, b.client.ListEvents(t.Context(), stripeapi.EventQuery{After: "evt_forgotten", Since: b.sim.Now().Add(-time.Hour)}))
		require.Equal(t, ids(all), ids(got))
	})
}

func ids(events []stripeapi.Event) []string {
	all := []string{}
	for _, e := range events {
		all = append(all, e.ID)
	}
	return all
}

func TestRefunding(t *testing.T) {
	t.Parallel()

	paid := func(t *testing.T, b *bundle, card string) stripeapi.RefundRequest {
		t.Helper()
		req := b.request(card)
		o := b.client.Charge(t.Context(), req)
		require.Equal(t, wallet.OutcomeSucceeded, o.Kind, o.Reason)
		return stripeapi.RefundRequest{
			RefundID: wallet.NewID(), PaymentID: req.PaymentID, IntentID: o.IntentID, Amount: 25_00, Reason: stripeapi.RefundRequested,
		}
	}
	rejected := func(t *testing.T, err error) *stripeapi.Error {
		t.Helper()
		e := new(stripeapi.Error)
		require.ErrorAs(t, err, &e)
		require.Equal(t, wallet.OutcomeRejected, e.Kind)
		return e
	}

	t.Run("InParts", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req := paid(t, b, "pm_card_visa")
		first, err := b.client.CreateRefund(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, wallet.RefundSucceeded, first.Status)
		require.Equal(t, req.RefundID, first.RefundID)
		require.Equal(t, req.PaymentID, first.PaymentID)
		require.Equal(t, int64(25_00), first.Debit())

		again, err := b.client.CreateRefund(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, first, again, "the same refund, not another")

		second := req
		second.RefundID, second.Amount = wallet.NewID(), 50_00
		_, err = b.client.CreateRefund(t.Context(), second)
		require.NoError(t, err)

		all, err := b.client.RefundsOf(t.Context(), req.IntentID)
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Len(t, drain(t, b.client.ListRefunds(t.Context(), stripeapi.Window{})), 2)

		third := req
		third.RefundID = wallet.NewID()
		_, err = b.client.CreateRefund(t.Context(), third)
		require.Equal(t, "charge_already_refunded", rejected(t, err).Code)
	})

	t.Run("OfTooMuch", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req := paid(t, b, "pm_card_visa")
		req.Amount = 75_01

		_, err := b.client.CreateRefund(t.Context(), req)

		require.Equal(t, "amount", rejected(t, err).Param)
	})

	t.Run("ThatFailsLater", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		created, err := b.client.CreateRefund(t.Context(), paid(t, b, "pm_card_refundFail"))
		require.NoError(t, err)
		require.Equal(t, int64(25_00), created.Debit())
		b.sim.Advance(time.Hour)

		got, err := b.client.GetRefund(t.Context(), created.ID)

		require.NoError(t, err)
		require.Equal(t, wallet.RefundFailed, got.Status)
		require.NotEmpty(t, got.FailureReason)
		require.Zero(t, got.Debit())
	})

	t.Run("Unknown", func(t *testing.T) {
		t.Parallel()

		_, err := setup(t).client.GetRefund(t.Context(), "re_unknown")

		require.True(t, stripeapi.IsNotFound(err))
	})
}

func TestDisputing(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		card   string
		status wallet.DisputeStatus
		debit  int64
	}{
		"Chargeback": {"pm_card_createDispute", wallet.DisputeNeedsResponse, 75_00},
		"Inquiry":    {"pm_card_createDisputeInquiry", wallet.DisputeWarningNeedsResponse, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			o := b.client.Charge(t.Context(), b.request(tc.card))
			require.Equal(t, wallet.OutcomeSucceeded, o.Kind, o.Reason)
			b.sim.Advance(time.Minute)

			all, err := b.client.DisputesOf(t.Context(), o.IntentID)
			require.NoError(t, err)
			require.Len(t, all, 1)
			require.Equal(t, tc.status, all[0].Status)
			require.Equal(t, o.IntentID, all[0].IntentID)
			require.Equal(t, o.ChargeID, all[0].ChargeID)
			require.Equal(t, tc.debit, all[0].Debit())

			one, err := b.client.GetDispute(t.Context(), all[0].ID)
			require.NoError(t, err)
			require.Equal(t, all[0], one)
			require.Equal(t, all, drain(t, b.client.ListDisputes(t.Context(), stripeapi.Window{})))
		})
	}
}

func TestCustomersAndCards(t *testing.T) {
	t.Parallel()

	b := setup(t)
	req := stripeapi.CustomerRequest{CustomerID: wallet.NewID(), OrganizationID: wallet.NewID(), Email: "ada@example.com"}
	customer, err := b.client.CreateCustomer(t.Context(), req)
	require.NoError(t, err)
	again, err := b.client.CreateCustomer(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, customer, again)

	card, err := b.client.AttachPaymentMethod(t.Context(), "pm_card_visa", customer)
	require.NoError(t, err)
	require.Equal(t, customer, card.CustomerID)
	require.Equal(t, "visa", card.Brand)
	require.Equal(t, "4242", card.Last4)
	require.NotEmpty(t, card.Fingerprint)

	_, err = b.client.AttachPaymentMethod(t.Context(), "pm_card_chargeDeclined", customer)
	e := new(stripeapi.Error)
	require.ErrorAs(t, err, &e)
	require.Equal(t, wallet.OutcomeDeclined, e.Kind)

	cards, err := b.client.ListPaymentMethods(t.Context(), customer)
	require.NoError(t, err)
	require.Equal(t, []stripeapi.PaymentMethod{card}, cards)

	_, err = b.client.DetachPaymentMethod(t.Context(), card.ID)
	require.NoError(t, err)
	gone, err := b.client.GetPaymentMethod(t.Context(), card.ID)
	require.NoError(t, err)
	require.Empty(t, gone.CustomerID)
	_, err = b.client.GetPaymentMethod(t.Context(), "pm_unknown")
	require.True(t, stripeapi.IsNotFound(err))
}

func TestCheckout(t *testing.T) {
	t.Parallel()

	open := func(t *testing.T, b *bundle) (stripeapi.CheckoutRequest, stripeapi.CheckoutSession) {
		t.Helper()
		req := stripeapi.CheckoutRequest{
			CheckoutID: wallet.NewID(), PaymentID: wallet.NewID(), WalletID: wallet.NewID(), OrganizationID: wallet.NewID(),
			Amount: 75_00, Currency: wallet.USD, CustomerID: b.customer, Title: "LAGO-2026-001",
			SuccessURL: "https://pay.example.com/done", SaveCard: true, ExpiresAt: b.sim.Now().Add(23 * time.Hour),
		}
		s, err := b.client.CreateCheckoutSession(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "open", s.Status)
		require.Equal(t, req.PaymentID, s.PaymentID)
		require.NotEmpty(t, s.URL)
		return req, s
	}

	t.Run("Paid", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		req, s := open(t, b)
		pay(t, b, s)

		got, err := b.client.GetCheckoutSession(t.Context(), s.ID)

		require.NoError(t, err)
		require.Equal(t, "complete", got.Status)
		require.True(t, got.Paid)
		o := b.client.Retrieve(t.Context(), got.IntentID)
		require.Equal(t, wallet.OutcomeSucceeded, o.Kind)
		require.Equal(t, req.PaymentID, o.PaymentID)
	})

	t.Run("Expired", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, s := open(t, b)

		got, err := b.client.ExpireCheckoutSession(t.Context(), s.ID)

		require.NoError(t, err)
		require.Equal(t, "expired", got.Status)
		require.False(t, got.Paid)
		_, err = b.client.ExpireCheckoutSession(t.Context(), s.ID)
		e := new(stripeapi.Error)
		require.ErrorAs(t, err, &e)
		require.Equal(t, wallet.OutcomeRejected, e.Kind)
	})
}

// pay pays the checkout page as the cardholder would.
func pay(t *testing.T, b *bundle, s stripeapi.CheckoutSession) {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"card": {"pm_card_visa"}, "outcome": {"succeed"}}
	res, err := browser.PostForm(s.URL, form)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Less(t, res.StatusCode, http.StatusBadRequest)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()

	b := setup(t)
	created, err := b.client.CreateWebhookEndpoint(t.Context(), "https://pay.example.com/webhooks/stripe", []string{"payment_intent.succeeded"})
	require.NoError(t, err)
	require.NotEmpty(t, created.Secret)
	require.Equal(t, stripeapi.APIVersion, created.APIVersion)
	require.True(t, created.Enabled)

	all, err := b.client.ListWebhookEndpoints(t.Context())

	require.NoError(t, err)
	created.Secret = ""
	require.Contains(t, all, created)
}

func TestModesAreApart(t *testing.T) {
	t.Parallel()

	b := setup(t)
	o := b.client.Charge(t.Context(), b.request("pm_card_visa"))
	require.Equal(t, wallet.OutcomeSucceeded, o.Kind)
	live, err := stripeapi.New(stripeapi.Config{Mode: wallet.ModeLive, SecretKey: simtest.LiveKey, URL: b.sim.URL})
	require.NoError(t, err)

	got := live.Retrieve(context.Background(), o.IntentID)

	require.Equal(t, wallet.OutcomeMissing, got.Kind)
	require.Contains(t, got.Reason, "resource_missing")
}
