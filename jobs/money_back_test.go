package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// succeeded returns a settled payment of 25.00.
func succeeded(w *enginetest.World, card string) wallet.Payment {
	return w.Await(w.Fund(w.Card(card)), wallet.PaymentSucceeded)
}

func TestMoneyBack(t *testing.T) {
	t.Parallel()

	t.Run("RefundsMadeAtStripe", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		for range 2 {
			_, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
			require.NoError(t, err)
		}

		w.AwaitBalance(5_00)
		refunds, err := postgres.RefundsOf(t.Context(), w.Pool, p.ID)
		require.NoError(t, err)
		require.Len(t, refunds, 2)
		require.Equal(t, wallet.RefundSucceeded, refunds[0].Status)
		w.RequireBooksBalance()
	})

	t.Run("RefundThatFailsAfterItSucceeded", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_refundFail")
		_, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 0)
		require.NoError(t, err)
		w.AwaitBalance(0)

		w.Sim.Advance(time.Minute)

		w.AwaitBalance(25_00)
		w.RequireBooksBalance()
	})

	t.Run("DisputeIsWon", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		d, err := w.Sim.OpenDispute(p.StripePaymentIntentID, stripesim.DisputeOptions{})
		require.NoError(t, err)
		w.AwaitBalance(0)

		_, err = w.Sim.ResolveDispute(d.ID, true)
		require.NoError(t, err)

		w.AwaitBalance(25_00)
		w.RequireBooksBalance()
	})

	t.Run("InquiryMovesNothing", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		_, err := w.Sim.OpenDispute(p.StripePaymentIntentID, stripesim.DisputeOptions{Inquiry: true})
		require.NoError(t, err)
		w.Sim.DrainAll()
		w.AwaitEvent(w.Sim.Events(false, "charge.dispute.created")[0].ID)

		disputes, err := postgres.DisputesOf(t.Context(), w.Pool, p.ID)
		require.NoError(t, err)
		require.Len(t, disputes, 1)
		require.Zero(t, disputes[0].Debited)
		require.EqualValues(t, 25_00, w.Balance())
	})

	t.Run("RefundBeforeTheSettlement", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop, Match: stripesim.Match{Event: "payment_intent.*"}})
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		_, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
		require.NoError(t, err)

		w.AwaitBalance(15_00)
		require.Equal(t, wallet.PaymentSucceeded, w.Payment(id).Status)
		w.RequireBooksBalance()
	})

	t.Run("RefundOfAnUnknownIntent", func(t *testing.T) {
		t.Parallel()

		// The charge's answer was lost, and only the refund's event arrives.
		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		w.Sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Match: createIntent, Status: 500, Stored: true, When: stripesim.After})
		id := w.Fund(w.Card("pm_card_visa"))
		w.Await(id, wallet.PaymentProcessing)
		intent := w.Sim.IntentsWith("payment_id", id.String())[0].ID
		r, err := w.Sim.CreateRefund(intent, 10_00)
		require.NoError(t, err)
		body, err := json.Marshal(map[string]any{
			"id": "evt_refund", "object": "event", "type": "refund.updated", "created": time.Now().Unix(),
			"data": map[string]any{"object": map[string]any{"id": r.ID, "object": "refund", "payment_intent": intent}},
		})
		require.NoError(t, err)

		status, err := w.Sim.Forge(t.Context(), stripesim.Forgery{Body: body, Secret: enginetest.WebhookSecret})

		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		w.AwaitBalance(15_00)
		w.RequireBooksBalance()
	})

	t.Run("UnlistedRefund", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		w.Sim.SetListLag(time.Hour)
		_, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
		require.NoError(t, err)
		w.Sim.Drain()
		event := w.Sim.Events(false, "charge.refunded")[0].ID
		require.Eventually(t, func() bool {
			var failed int
			err := w.Pool.QueryRow(t.Context(), `select count(*) from river_job where kind = 'handle_event'
				and args->>'event_id' = $1 and array_length(errors, 1) > 0`, event).Scan(&failed)
			return err == nil && failed > 0
		}, 15*time.Second, 5*time.Millisecond, "the event should wait for the list")

		w.Sim.SetListLag(0)

		w.AwaitBalance(15_00)
		w.RequireBooksBalance()
	})

	t.Run("UnlistedRefundAfterAFailedOne", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		first, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
		require.NoError(t, err)
		w.AwaitBalance(15_00)
		_, err = w.Sim.EndRefund(first.ID, "failed")
		require.NoError(t, err)
		w.AwaitBalance(25_00)
		w.AwaitQuiet()
		w.Clock.Advance(2 * time.Hour)
		w.Sim.SetListLag(time.Hour)

		_, err = w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
		require.NoError(t, err)
		w.Sim.Drain()

		event := w.Sim.Events(false, "charge.refunded")[1].ID
		require.Eventually(t, func() bool {
			var failed int
			err := w.Pool.QueryRow(t.Context(), `select count(*) from river_job where kind = 'handle_event'
				and args->>'event_id' = $1 and array_length(errors, 1) > 0`, event).Scan(&failed)
			return err == nil && failed > 0
		}, 15*time.Second, 5*time.Millisecond, "the event should wait for the list")
		w.Sim.SetListLag(0)
		w.AwaitBalance(15_00)
		w.RequireBooksBalance()
	})

	t.Run("WebhooksLostAndSwept", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		w.Sim.DrainAll()
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		_, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
		require.NoError(t, err)

		w.Work(jobs.SweepEventsArgs{Mode: wallet.ModeTest})

		w.AwaitBalance(15_00)
		w.RequireBooksBalance()
	})

	t.Run("ForgedEventsMoveNothing", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		other := paidIntent(t, w)
		stolen, err := w.Sim.CreateRefund(other, 10_00)
		require.NoError(t, err)
		for id, object := range map[string]map[string]any{
			"evt_missing_refund":  {"object": "refund", "id": "re_none", "amount": 2500, "status": "succeeded"},
			"evt_missing_dispute": {"object": "dispute", "id": "dp_none", "amount": 2500, "status": "lost"},
			"evt_missing_charge":  {"object": "charge", "id": "ch_none", "amount_refunded": 2500},
			"evt_others_refund":   {"object": "refund", "id": stolen.ID},
			"evt_no_id":           {"object": "refund"},
		} {
			object["payment_intent"] = p.StripePaymentIntentID
			object["metadata"] = map[string]any{"payment_id": p.ID.String()}
			kind := map[string]string{"refund": "refund.updated", "dispute": "charge.dispute.closed", "charge": "charge.refunded"}[object["object"].(string)]
			body, err := json.Marshal(map[string]any{
				"id": id, "object": "event", "type": kind, "created": time.Now().Unix(), "data": map[string]any{"object": object},
			})
			require.NoError(t, err)
			_, err = w.Sim.Forge(t.Context(), stripesim.Forgery{Body: body, Secret: enginetest.WebhookSecret})
			require.NoError(t, err)
			require.Equal(t, postgres.EventIgnored, w.AwaitEvent(id).Status, id)
		}

		require.EqualValues(t, 25_00, w.Balance())
	})

	t.Run("EventsOfOtherSystemsAreIgnored", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		_, err := w.Sim.CreateRefund(paidIntent(t, w), 10_00)
		require.NoError(t, err)
		w.Sim.DrainAll()

		require.Equal(t, postgres.EventIgnored, w.AwaitEvent(w.Sim.Events(false, "charge.refunded")[0].ID).Status)
	})
}

func TestCreateRefund(t *testing.T) {
	t.Parallel()

	createRefund := stripesim.Match{Method: http.MethodPost, Path: "/v1/refunds"}
	request := func(t *testing.T, w *enginetest.World, p wallet.Payment, amount int64) wallet.Refund {
		t.Helper()
		r, stored, err := w.Engine.RequestRefund(t.Context(), postgres.NewRefund{
			ID: wallet.NewID(), PaymentID: p.ID, Amount: amount, Now: w.Clock.Now(),
		})
		require.NoError(t, err)
		require.True(t, stored)
		return r
	}
	wait := func(t *testing.T, w *enginetest.World, r wallet.Refund) wallet.Refund {
		t.Helper()
		r, err := w.Engine.WaitRefund(t.Context(), r.ID, 15*time.Second)
		require.NoError(t, err)
		require.True(t, r.Answered())
		return r
	}

	t.Run("MadeAtStripe", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")

		r := wait(t, w, request(t, w, p, 10_00))

		require.Equal(t, wallet.RefundSucceeded, r.Status)
		found, ok := w.Sim.Refund(r.StripeRefundID)
		require.True(t, ok)
		require.EqualValues(t, 10_00, found.Amount)
		require.Equal(t, r.ID.String(), found.Metadata.Get("refund_id"))
		w.Sim.DrainAll()
		require.Len(t, w.Sim.Refunds(false), 1)
		require.EqualValues(t, 15_00, w.Balance())
		w.RequireBooksBalance()
	})

	for name, fault := range map[string]stripesim.Fault{
		"HangAfterTheEffect":     {Kind: stripesim.FaultHang, When: stripesim.After, Delay: stripesim.Duration(2 * enginetest.Timeout)},
		"ResetBeforeTheEffect":   {Kind: stripesim.FaultReset, When: stripesim.Before},
		"ServerErrorBefore":      {Kind: stripesim.FaultStatus, When: stripesim.Before, Status: 502, HTML: true},
		"StoredErrorAfterEffect": {Kind: stripesim.FaultStatus, When: stripesim.After, Status: 500, Stored: true},
		"RateLimit":              {Kind: stripesim.FaultStatus, Status: 429, Code: "rate_limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := enginetest.NewWorld(t)
			w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
			p := succeeded(w, "pm_card_visa")
			fault.Match, fault.Dice = createRefund, stripesim.Dice{Count: 1}
			rule := w.Sim.Fault(fault)

			r := wait(t, w, request(t, w, p, 10_00))

			require.Equal(t, 1, w.Sim.Applied(rule), "the fault was injected")
			require.Equal(t, wallet.RefundSucceeded, r.Status)
			require.Len(t, w.Sim.Refunds(false), 1)
			w.RequireBooksBalance()
		})
	}

	t.Run("RefusedWhileDisputed", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		p := succeeded(w, "pm_card_visa")
		_, err := w.Sim.OpenDispute(p.StripePaymentIntentID, stripesim.DisputeOptions{})
		require.NoError(t, err)

		r := wait(t, w, request(t, w, p, 10_00))

		require.Equal(t, wallet.RefundFailed, r.Status)
		require.Equal(t, "charge_disputed", r.FailureReason)
		require.EqualValues(t, 25_00, w.Balance(), "the dispute's event has not arrived")
	})

	t.Run("OneKeyOneRefund", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		const callers = 5
		stored := make(chan bool, callers)
		for range callers {
			go func() {
				id := wallet.NewID()
				_, ok, err := w.Engine.RequestRefund(t.Context(), postgres.NewRefund{
					ID: id, PaymentID: p.ID, Amount: 10_00, Now: w.Clock.Now(),
					Idempotency: &postgres.IdempotencyRecord{Operation: "refund", Key: "k", ResultIDs: []wallet.ID{id}},
				})
				stored <- err == nil && ok
			}()
		}
		count := 0
		for range callers {
			if <-stored {
				count++
			}
		}
		require.Equal(t, 1, count)
		require.EqualValues(t, 15_00, w.Balance())
		w.AwaitQuiet()
		require.Len(t, w.Sim.Refunds(false), 1)
		w.RequireBooksBalance()
	})

	t.Run("KeyOfARefundThatIsRefused", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		n := postgres.NewRefund{
			ID: wallet.NewID(), PaymentID: p.ID, Amount: 25_01, Now: w.Clock.Now(),
			Idempotency: &postgres.IdempotencyRecord{Operation: "refund", Key: "k"},
		}
		_, _, err := w.Engine.RequestRefund(t.Context(), n)
		require.True(t, wallet.HasCode(err, wallet.CodeRefundTooLarge), "%v", err)

		n.Amount = 10_00
		_, stored, err := w.Engine.RequestRefund(t.Context(), n)

		require.NoError(t, err)
		require.True(t, stored, "the refused request did not take the key")
	})

	t.Run("LostJob", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		r := testfactory.RequestRefund(t, w.Pool, postgres.NewRefund{PaymentID: p.ID, Amount: 10_00, Now: w.Clock.Now()})
		w.Work(jobs.EnqueueChecksArgs{})
		require.Empty(t, w.Sim.Refunds(false), "it is not due yet")
		w.Clock.Advance(10 * time.Minute)

		w.Work(jobs.EnqueueChecksArgs{})

		require.Equal(t, wallet.RefundSucceeded, wait(t, w, r).Status)
		w.RequireBooksBalance()
	})

	t.Run("ForgottenKeyMakesNoSecondRefund", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		r := testfactory.RequestRefund(t, w.Pool, postgres.NewRefund{PaymentID: p.ID, Amount: 10_00, Now: w.Clock.Now()})
		w.Clock.Advance(24 * time.Hour)

		w.Work(jobs.CreateRefundArgs{RefundID: r.ID})

		require.Empty(t, w.Sim.Refunds(false))
		require.EqualValues(t, 15_00, w.Balance(), "absence decides nothing")
	})
}

// TestMoneyBackStorm mixes settlements, refunds, disputes, failures, and repeated and
// lost webhooks in random order. In the end the balances must agree with Stripe.
func TestMoneyBackStorm(t *testing.T) {
	t.Parallel()

	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("Seed%d", seed), func(t *testing.T) {
			t.Parallel()

			w := enginetest.NewWorld(t)
			rng := rand.New(rand.NewPCG(seed, 1))
			for _, kind := range []string{stripesim.HookDrop, stripesim.HookDuplicate, stripesim.HookReorder} {
				w.Sim.WebhookFault(stripesim.WebhookFault{
					Kind: kind, Dice: stripesim.Dice{Probability: 0.2}, Concurrent: true, Delay: stripesim.Duration(20 * time.Millisecond), Times: 3,
				})
			}
			cards := []wallet.PaymentMethod{w.Card("pm_card_visa"), w.Card("pm_card_pendingRefund"), w.Card("pm_card_refundFail")}
			for range 4 {
				w.Fund(cards[rng.IntN(len(cards))])
			}

			for range 40 {
				storm(w, rng)
			}
			w.Sim.ClearFaults()
			w.Sim.Advance(time.Minute)
			w.Sim.DrainAll()
			w.AwaitQuiet()
			w.Work(jobs.SweepEventsArgs{Mode: wallet.ModeTest})
			w.AwaitQuiet()

			w.RequireBooksBalance()
		})
	}
}

// storm makes one random change at Stripe, or requests a refund here. Either may be
// refused.
func storm(w *enginetest.World, rng *rand.Rand) {
	intents := w.Sim.Intents(false)
	if len(intents) == 0 {
		return // no charge has arrived yet
	}
	intent := intents[rng.IntN(len(intents))]
	switch rng.IntN(8) {
	case 0, 1:
		_, _ = w.Sim.CreateRefund(intent.ID, 1+rng.Int64N(25_00))
	case 2:
		if refunds := w.Sim.Refunds(false); len(refunds) > 0 {
			_, _ = w.Sim.EndRefund(refunds[rng.IntN(len(refunds))].ID, []string{"failed", "canceled", "succeeded"}[rng.IntN(3)])
		}
	case 3:
		_, _ = w.Sim.OpenDispute(intent.ID, stripesim.DisputeOptions{Inquiry: rng.IntN(3) == 0})
	case 4:
		if disputes := w.Sim.Disputes(false); len(disputes) > 0 {
			_, _ = w.Sim.ResolveDispute(disputes[rng.IntN(len(disputes))].ID, rng.IntN(2) == 0)
		}
	case 5:
		if id, err := uuid.Parse(intent.Metadata.Get("payment_id")); err == nil {
			_, _, _ = w.Engine.RequestRefund(context.Background(), postgres.NewRefund{
				ID: wallet.NewID(), PaymentID: id, Amount: rng.Int64N(25_00), Force: true, Now: w.Clock.Now(),
			})
		}
	case 6:
		var ids []string
		for _, e := range w.Sim.Events(false, "charge.*", "payment_intent.*") {
			ids = append(ids, e.ID)
		}
		_ = w.Sim.Replay(ids[max(0, len(ids)-20):], stripesim.ReplayOptions{Concurrent: true, Seed: rng.Uint64()})
	default:
		w.Work(jobs.SweepEventsArgs{Mode: wallet.ModeTest})
	}
}
