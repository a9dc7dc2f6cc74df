package jobs_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

const intents = "/v1/payment_intents"

var createIntent = stripesim.Match{Method: http.MethodPost, Path: intents}

func TestPayment(t *testing.T) {
	t.Parallel()

	t.Run("CardWithoutAChallenge", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_visa"))

		p, err := w.Engine.Wait(t.Context(), id, 15*time.Second)

		require.NoError(t, err)
		require.Equal(t, wallet.PaymentSucceeded, p.Status)
		require.EqualValues(t, 2500, *p.BalanceAfter)
		in := w.Sim.MustIntent(p.StripePaymentIntentID)
		require.Equal(t, id.String(), in.Metadata.Get("payment_id"))
		require.Equal(t, p.WalletID.String(), in.Metadata.Get("wallet_id"))
		require.Equal(t, p.OrganizationID.String(), in.Metadata.Get("organization_id"))
		w.Sim.DrainAll()
		require.EqualValues(t, 1, w.Sim.Requests()["POST "+intents], "%v", w.Sim.Requests())
		w.RequireBooksBalance()
	})

	t.Run("ChallengePassed", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p, err := w.Engine.Wait(t.Context(), id, 15*time.Second)
		require.NoError(t, err)
		require.Equal(t, wallet.PaymentRequiresAction, p.Status)
		require.Contains(t, p.RedirectURL, p.StripePaymentIntentID)
		require.Zero(t, w.Balance())

		require.Equal(t, "succeeded", w.Sim.Challenge(p.StripePaymentIntentID, true))

		w.Await(id, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	t.Run("ChallengeFailed", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)

		w.Sim.Challenge(p.StripePaymentIntentID, false)

		p = w.Await(id, wallet.PaymentFailed)
		require.Equal(t, wallet.FailureAuthentication, p.Failure.Code)
		w.AwaitIntent(p.StripePaymentIntentID, "canceled")
		w.RequireBooksBalance()
	})

	t.Run("DeclinedCard", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_visa_chargeDeclinedInsufficientFunds")
		p := w.Await(w.Fund(card), wallet.PaymentFailed)

		require.Equal(t, "card_declined", p.Failure.Code)
		require.Equal(t, "insufficient_funds", p.Failure.DeclineCode)
		w.AwaitIntent(p.StripePaymentIntentID, "canceled")
		w.Sim.DrainAll()
		w.RequireBooksBalance()
	})

	t.Run("RemovedCard", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_visa")
		_, err := w.Sim.Client().PaymentMethods.Detach(card.StripePaymentMethodID, nil)
		require.NoError(t, err)

		p := w.Await(w.Fund(card), wallet.PaymentFailed)

		require.Equal(t, wallet.FailurePaymentMethodMissing, p.Failure.Code)
		w.RequireBooksBalance()
	})

	t.Run("AbandonedChallengeIsCanceledAtItsDeadline", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		w.Await(id, wallet.PaymentRequiresAction)

		w.Clock.Advance(23 * time.Hour)
		w.Work(jobs.CheckPaymentArgs{PaymentID: id})
		w.Await(id, wallet.PaymentRequiresAction)
		w.Clock.Advance(2 * time.Hour)
		w.Work(jobs.EnqueueChecksArgs{})

		p := w.Await(id, wallet.PaymentCanceled)
		require.Equal(t, wallet.FailureCanceled, p.Failure.Code)
		require.Equal(t, "canceled", w.Sim.MustIntent(p.StripePaymentIntentID).Status)
		w.RequireBooksBalance()
	})

	t.Run("SuccessBeforeTheCancelSettles", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		// The check finds an open challenge. It is passed before the cancel arrives.
		w.Sim.Fault(stripesim.Fault{
			Delay: stripesim.Duration(enginetest.Timeout / 2),
			Dice:  stripesim.Dice{Count: 1},
			Kind:  stripesim.FaultLatency,
			Match: stripesim.Match{Method: http.MethodGet, Path: intents + "/*"},
			When:  stripesim.After,
		})
		w.Clock.Advance(25 * time.Hour)
		looks := w.Sim.Requests()["GET "+intents+"/{id}"]
		job, err := w.River.Insert(t.Context(), jobs.CheckPaymentArgs{PaymentID: id}, nil)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.Sim.Requests()["GET "+intents+"/{id}"] > looks }, 10*time.Second, time.Millisecond)
		w.Sim.Challenge(p.StripePaymentIntentID, true)
		w.AwaitJob(job.Job.ID)

		w.Await(id, wallet.PaymentSucceeded)
		require.EqualValues(t, 1, w.Sim.Requests()["POST "+intents+"/{id}/cancel"])
		w.RequireBooksBalance()
	})
}

// TestLostAnswer loses Stripe's answer to the charge in several ways. The card is charged
// once at most, and the wallet is credited if it was.
func TestLostAnswer(t *testing.T) {
	t.Parallel()

	for name, fault := range map[string]stripesim.Fault{
		"HangAfterTheEffect":     {Kind: stripesim.FaultHang, When: stripesim.After, Delay: stripesim.Duration(2 * enginetest.Timeout)},
		"ResetAfterTheEffect":    {Kind: stripesim.FaultReset, When: stripesim.After},
		"ResetBeforeTheEffect":   {Kind: stripesim.FaultReset, When: stripesim.Before},
		"UnreadableAnswer":       {Kind: stripesim.FaultBody, When: stripesim.After, Body: stripesim.BodyTruncated},
		"ServerErrorAfter":       {Kind: stripesim.FaultStatus, When: stripesim.After, Status: 500},
		"ServerErrorBefore":      {Kind: stripesim.FaultStatus, When: stripesim.Before, Status: 502, HTML: true},
		"RateLimit":              {Kind: stripesim.FaultStatus, Status: 429, Code: "rate_limit"},
		"LockTimeout":            {Kind: stripesim.FaultStatus, Status: 429, Code: "lock_timeout"},
		"KeyInUse":               {Kind: stripesim.FaultStatus, Status: 409},
		"CredentialsRefused":     {Kind: stripesim.FaultStatus, Status: 401},
		"StoredErrorAfterEffect": {Kind: stripesim.FaultStatus, When: stripesim.After, Status: 500, Stored: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := enginetest.NewWorld(t)
			fault.Match, fault.Dice = createIntent, stripesim.Dice{Count: 1}
			rule := w.Sim.Fault(fault)

			id := w.Fund(w.Card("pm_card_visa"))

			w.Await(id, wallet.PaymentSucceeded)
			require.Equal(t, 1, w.Sim.Applied(rule), "the fault was injected")
			require.Len(t, w.Sim.IntentsWith("payment_id", id.String()), 1)
			w.RequireBooksBalance()
		})
	}
}

func TestCheckPayment(t *testing.T) {
	t.Parallel()

	silence := stripesim.WebhookFault{Kind: stripesim.HookDrop}

	t.Run("LostWebhook", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		w.Work(jobs.EnqueueChecksArgs{})
		require.Equal(t, wallet.PaymentRequiresAction, w.Payment(id).Status, "it is not due yet")
		w.Clock.Advance(postgres.FirstCheckAfter)
		w.Work(jobs.EnqueueChecksArgs{})

		w.Await(id, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	for name, age := range map[string]time.Duration{"StoredError": time.Minute, "StoredErrorUnderAForgottenKey": 23 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			// The charge happened, every repetition is answered 500, and no event arrives.
			// Only the list of intents shows the charge.
			w := enginetest.NewWorld(t)
			w.Sim.WebhookFault(silence)
			w.Sim.Fault(stripesim.Fault{
				Dice: stripesim.Dice{Count: 1}, Kind: stripesim.FaultStatus, Match: createIntent,
				Status: 500, Stored: true, When: stripesim.After,
			})
			id := w.Fund(w.Card("pm_card_visa"))
			w.Await(id, wallet.PaymentProcessing)
			w.Clock.Advance(age)

			w.Work(jobs.CheckPaymentArgs{PaymentID: id})

			w.Await(id, wallet.PaymentSucceeded)
			w.RequireBooksBalance()
		})
	}

	t.Run("KeyThatWasUsedForAnotherRequest", func(t *testing.T) {
		t.Parallel()

		// An earlier version sent another request under the key, so Stripe refuses this
		// one.
		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		m := w.Merchant
		m.PaymentMethod = w.Card("pm_card_visa")
		p := testfactory.Payment(t, w.Pool, testfactory.PaymentOpts{CreatedAt: w.Clock.Now(), Merchant: m})
		first := w.Stripe.Charge(t.Context(), stripeapi.ChargeRequest{
			Amount: p.Amount, Attempt: 1, Currency: p.Currency, CustomerID: m.Customer.StripeCustomerID, Description: "As it was",
			OrganizationID: p.OrganizationID, PaymentID: p.ID, PaymentMethodID: m.PaymentMethod.StripePaymentMethodID, WalletID: p.WalletID,
		})
		require.Equal(t, wallet.OutcomeSucceeded, first.Kind)

		w.Work(jobs.CheckPaymentArgs{PaymentID: p.ID})

		require.Equal(t, first.IntentID, w.Await(p.ID, wallet.PaymentSucceeded).StripePaymentIntentID)
		w.RequireBooksBalance()
	})

	t.Run("LostJobs", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		m := w.Merchant
		m.PaymentMethod = w.Card("pm_card_visa")
		p := testfactory.Payment(t, w.Pool, testfactory.PaymentOpts{CreatedAt: w.Clock.Now(), Merchant: m}) // no job at all
		w.Clock.Advance(postgres.FirstCheckAfter)

		w.Work(jobs.EnqueueChecksArgs{})

		w.Await(p.ID, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	t.Run("AbsenceCancelsNothing", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Match: createIntent, Status: 500, When: stripesim.Before})
		id := w.Fund(w.Card("pm_card_visa"))
		w.Await(id, wallet.PaymentProcessing)
		w.Clock.Advance(24 * time.Hour)
		requests := w.Sim.Requests()["POST "+intents]

		w.Work(jobs.CheckPaymentArgs{PaymentID: id})

		require.Equal(t, wallet.PaymentProcessing, w.Payment(id).Status)
		require.LessOrEqual(t, w.Sim.Requests()["POST "+intents]-requests, int64(1),
			"the check itself charges nothing when the key may be forgotten")
	})
}

func TestHandleEvent(t *testing.T) {
	t.Parallel()

	t.Run("RepeatedAndReorderedEvents", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)
		w.Await(id, wallet.PaymentSucceeded)
		w.Sim.DrainAll()
		var ids []string
		for _, e := range w.Sim.Events(false) {
			ids = append(ids, e.ID)
		}

		require.NoError(t, w.Sim.Replay(ids, stripesim.ReplayOptions{Concurrent: true, Seed: 7, Times: 10}))
		w.Sim.DrainAll()

		require.EqualValues(t, 2500, w.Balance())
		w.RequireBooksBalance()
	})

	t.Run("EventSettlesAfterALostAnswer", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookBeforeAnswer})
		w.Sim.Fault(stripesim.Fault{
			Kind: stripesim.FaultStatus, Match: createIntent, Status: 500, Stored: true, When: stripesim.After,
		})
		id := w.Fund(w.Card("pm_card_visa"))

		w.Await(id, wallet.PaymentSucceeded)

		w.RequireBooksBalance()
	})

	t.Run("ForgedEventMovesNothing", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		w.Sim.DrainAll()
		for name, object := range map[string]map[string]any{
			"evt_forged_own":     {"id": p.StripePaymentIntentID, "status": "succeeded", "amount_received": 2500},
			"evt_forged_missing": {"id": "pi_3NotThere", "status": "succeeded", "metadata": map[string]any{"payment_id": id.String()}},
		} {
			object["object"] = "payment_intent"
			body, err := json.Marshal(map[string]any{
				"id": name, "object": "event", "type": "payment_intent.succeeded", "created": time.Now().Unix(),
				"data": map[string]any{"object": object},
			})
			require.NoError(t, err)
			status, err := w.Sim.Forge(t.Context(), stripesim.Forgery{Body: body, Secret: enginetest.WebhookSecret})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			w.AwaitEvent(name)
		}

		require.Equal(t, wallet.PaymentRequiresAction, w.Payment(id).Status)
		require.Zero(t, w.Balance())
	})

	t.Run("IntentOfAnotherSystemMovesNothing", func(t *testing.T) {
		t.Parallel()

		// A forged event names our payment and a paid intent of another system that uses
		// the same Stripe account.
		w := enginetest.NewWorld(t)
		w.Sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Match: createIntent, Status: 401})
		id := w.Fund(w.Card("pm_card_visa"))
		w.Sim.ClearFaults()
		other := paidIntent(t, w)
		body, err := json.Marshal(map[string]any{
			"id": "evt_forged", "object": "event", "type": "payment_intent.succeeded", "created": time.Now().Unix(),
			"data": map[string]any{"object": map[string]any{
				"id": other, "object": "payment_intent", "metadata": map[string]any{"payment_id": id.String()},
			}},
		})
		require.NoError(t, err)

		_, err = w.Sim.Forge(t.Context(), stripesim.Forgery{Body: body, Secret: enginetest.WebhookSecret})

		require.NoError(t, err)
		note := w.AwaitEvent("evt_forged").Note
		p := w.Payment(id)
		require.NotEqual(t, other, p.StripePaymentIntentID)
		if p.Status != wallet.PaymentSucceeded { // otherwise the charge's retry was quicker
			require.Equal(t, "the intent does not name the payment", note)
		}
	})

	t.Run("SuccessAfterWeGaveUp", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		drop := w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		_, err := postgres.ApplyOutcomes(t.Context(), w.Pool, []wallet.Settlement{{
			Cause: wallet.Cause{Kind: wallet.CauseOperator, ID: "ada"}, Now: w.Clock.Now(), PaymentID: id,
			Outcome: wallet.Outcome{Kind: wallet.OutcomeCanceled, IntentID: p.StripePaymentIntentID},
		}})
		require.NoError(t, err)

		w.Sim.RemoveFault(drop)
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		w.Await(id, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})
}

// TestNothingSecretIsKept searches the rows of lost and refused charges for client
// secrets.
func TestNothingSecretIsKept(t *testing.T) {
	t.Parallel()

	w := enginetest.NewWorld(t)
	w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
	w.Sim.Fault(stripesim.Fault{
		Dice: stripesim.Dice{Count: 1}, Kind: stripesim.FaultBody, Match: createIntent, When: stripesim.After,
		Body: stripesim.BodyTruncated,
	})
	w.Await(w.Fund(w.Card("pm_card_visa_chargeDeclined")), wallet.PaymentFailed)
	w.Await(w.Fund(w.Card("pm_card_visa")), wallet.PaymentSucceeded)

	for _, table := range []string{"river_job", "payments", "payment_moves", "payment_methods", "wallet_transactions"} {
		var text string
		require.NoError(t, w.Pool.QueryRow(t.Context(), `select coalesce(string_agg(t::text, ' '), '') from `+table+` t`).Scan(&text))
		require.NotEmpty(t, text, table)
		require.NotContains(t, text, "_secret_", table)
	}
}

// paidIntent returns a succeeded intent of another system.
func paidIntent(t *testing.T, w *enginetest.World) string {
	t.Helper()

	in, err := w.Sim.Client().PaymentIntents.New(&stripe.PaymentIntentParams{
		Amount: new(int64(2500)), Confirm: new(true), Currency: new("usd"),
		PaymentMethod: new("pm_card_visa"), PaymentMethodTypes: []*string{new("card")},
	})
	require.NoError(t, err)
	return in.ID
}
