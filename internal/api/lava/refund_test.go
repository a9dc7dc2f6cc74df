package lava_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lava"
	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// refundBundle is a server on an engine whose jobs reach a simulated Stripe.
type refundBundle struct {
	*apitest.Bundle
	world *enginetest.World
}

func setupRefunds(t *testing.T) *refundBundle {
	t.Helper()

	w := enginetest.NewWorld(t)
	s := &api.Server{DB: w.Pool, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now, Payments: w.Engine}
	d := &lava.Dialect{Server: s, FundWait: 15 * time.Second, PublicURL: "https://fundrail.example"}
	return &refundBundle{
		Bundle: &apitest.Bundle{
			Merchant: w.Merchant, Engine: w.Engine, Handler: openapitest.Handler(t, s.Handler(d)), Pool: w.Pool, Server: s, Lava: d,
		},
		world: w,
	}
}

// paid is a payment of 25.00 that is in the wallet.
func (b *refundBundle) paid() wallet.Payment {
	return b.world.Await(b.world.Fund(b.world.Card("pm_card_visa")), wallet.PaymentSucceeded)
}

func (b *refundBundle) refund(t *testing.T, p wallet.Payment, body string, headers ...string) (*httptest.ResponseRecorder, lava.RefundResource) {
	t.Helper()

	rec := b.Do(t, http.MethodPost, "/v1/payments/"+apitest.SpellPayment(p)+"/refund", body, headers...)
	var r lava.RefundResource
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &r))
	return rec, r
}

func TestRefundPayment(t *testing.T) {
	t.Parallel()

	t.Run("InPartsAndThenTheRest", func(t *testing.T) {
		t.Parallel()

		b := setupRefunds(t)
		p := b.paid()

		rec, r := b.refund(t, p, `{"amount":"10.5","reason":"requested_by_customer"}`)

		require.Equal(t, http.StatusOK, rec.Code, rec.Body)
		require.Regexp(t, `^re_test_[0-9A-Z]{26}$`, r.RefundID)
		require.Equal(t, apitest.SpellPayment(p), r.PaymentID)
		require.Equal(t, "completed", r.Status)
		require.Equal(t, "10.50", r.Amount)
		require.EqualValues(t, 14_50, b.world.Balance())
		rec, r = b.refund(t, p, "")
		require.Equal(t, http.StatusOK, rec.Code, rec.Body)
		require.Equal(t, "14.50", r.Amount)
		require.Len(t, b.world.Sim.Refunds(false), 2)
		rec = b.Do(t, http.MethodGet, "/v1/payments/"+apitest.SpellPayment(p), "")
		require.Contains(t, rec.Body.String(), `"status":"completed"`)
		require.Contains(t, rec.Body.String(), `"amount_refunded":"25.00","refunds":[{"refund_id":"re_test_`)
		rec, _ = b.refund(t, p, "")
		apitest.RequireAnswer(t, rec, http.StatusConflict,
			`{"error":{"message":"Nothing is left of this payment to refund.","code":"payment_already_refunded","status":409}}`)
		b.world.RequireBooksBalance()
	})

	t.Run("MoreThanThereIs", func(t *testing.T) {
		t.Parallel()

		b := setupRefunds(t)
		p := b.paid()
		rec, _ := b.refund(t, p, `{"amount":"25.01"}`)
		apitest.RequireAnswer(t, rec, http.StatusBadRequest,
			`{"error":{"message":"The amount is more than is left of this payment: 25.00.","code":"refund_exceeds_payment","status":400}}`)
		require.Empty(t, b.world.Sim.Refunds(false))
	})

	t.Run("MoneyThatWasSpent", func(t *testing.T) {
		t.Parallel()

		b := setupRefunds(t)
		spent, p := b.paid(), b.paid()
		_, err := b.world.Sim.OpenDispute(spent.StripePaymentIntentID, stripesim.DisputeOptions{})
		require.NoError(t, err)
		b.world.AwaitBalance(25_00)
		rec, _ := b.refund(t, p, `{"amount":"5.00"}`)
		require.Equal(t, http.StatusOK, rec.Code, rec.Body)

		testfactory.Spend(t, b.Pool, b.Merchant, 15_00)
		rec, _ = b.refund(t, p, "")
		apitest.RequireAnswer(t, rec, http.StatusBadRequest,
			`{"error":{"message":"The amount is more than is unspent in the wallet: 5.00.","code":"refund_exceeds_balance","status":400}}`)
		rec, r := b.refund(t, p, `{"force":true}`)
		require.Equal(t, http.StatusOK, rec.Code, rec.Body)
		require.Equal(t, "20.00", r.Amount)
		require.Contains(t, b.Do(t, http.MethodGet, "/v1/wallet", "").Body.String(), `"balance":"-15.00"`)
	})

	t.Run("OneKeyOneRefund", func(t *testing.T) {
		t.Parallel()

		b := setupRefunds(t)
		p, other := b.paid(), b.paid()
		first, _ := b.refund(t, p, `{"amount":"10"}`, "Idempotency-Key", "k")
		require.Equal(t, http.StatusOK, first.Code, first.Body)

		again, _ := b.refund(t, p, `{"amount":"10.00"}`, "Idempotency-Key", "k")
		require.Equal(t, first.Body.String(), again.Body.String())
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		for _, different := range []struct {
			p    wallet.Payment
			body string
		}{{p, `{"amount":"10.01"}`}, {p, `{}`}, {p, `{"amount":"10","force":true}`}, {other, `{"amount":"10"}`}} {
			rec, _ := b.refund(t, different.p, different.body, "Idempotency-Key", "k")
			require.Equal(t, http.StatusUnprocessableEntity, rec.Code, rec.Body)
		}
		require.Len(t, b.world.Sim.Refunds(false), 1)
		require.EqualValues(t, 40_00, b.world.Balance())
	})

	t.Run("RefusedByStripe", func(t *testing.T) {
		t.Parallel()

		b := setupRefunds(t)
		p := b.paid()
		b.world.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		_, err := b.world.Sim.OpenDispute(p.StripePaymentIntentID, stripesim.DisputeOptions{})
		require.NoError(t, err)

		rec, _ := b.refund(t, p, "")

		refunds, err := postgres.RefundsOf(t.Context(), b.Pool, p.ID)
		require.NoError(t, err)
		require.Len(t, refunds, 1, "the refund is stored, so the answer must name it")
		apitest.RequireAnswer(t, rec, http.StatusUnprocessableEntity,
			`{"error":{"message":"The refund failed: charge_disputed.","code":"refund_failed","status":422,"payment_id":"`+apitest.SpellPayment(p)+
				`","refund_id":"`+wallet.Spell(wallet.PrefixRefund, p.Mode, refunds[0].ID)+`"}}`)
	})

	t.Run("Later", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t) // no process works the refund's job
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentSucceeded})

		rec := b.Do(t, http.MethodPost, "/v1/payments/"+p.ID.String()+"/refund", `{"amount":"10.00"}`, "Prefer", "respond-async")

		require.Equal(t, http.StatusAccepted, rec.Code, rec.Body)
		require.Contains(t, rec.Body.String(), `"status":"processing"`)
		require.Equal(t, "https://fundrail.example/v1/payments/"+apitest.SpellPayment(p), rec.Header().Get("Location"))
		require.Equal(t, "respond-async", rec.Header().Get("Preference-Applied"))
		w, err := postgres.GetWallet(t.Context(), b.Pool, b.Wallet.ID)
		require.NoError(t, err)
		require.EqualValues(t, 15_00, w.Balance, "it cannot be spent meanwhile")
	})

	t.Run("WhatCannotBeRefunded", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		open := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentRequiresAction})
		apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/v1/payments/"+apitest.SpellPayment(open)+"/refund", ""), http.StatusConflict,
			`{"error":{"message":"Only a completed payment can be refunded.","code":"payment_not_refundable","status":409}}`)
		others := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
		apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/v1/payments/"+apitest.SpellPayment(others)+"/refund", ""), http.StatusNotFound,
			`{"error":{"message":"Payment not found.","code":"payment_not_found","status":404}}`)
	})

	t.Run("BadRequests", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentSucceeded})
		for body, path := range map[string]string{
			`{"amount":10}`: "amount", `{"amount":"0"}`: "amount", `{"amount":"-1"}`: "amount", `{"amount":"1.001"}`: "amount",
			`{"amount":"1e2"}`: "amount", `{"amount":""}`: "amount", `{"amount":"99999999999999999999"}`: "amount",
			`{"force":"yes"}`: "force", `{"force":null}`: "force", `{"reason":"because"}`: "reason",
		} {
			rec := b.Do(t, http.MethodPost, "/v1/payments/"+apitest.SpellPayment(p)+"/refund", body)
			require.Equal(t, http.StatusBadRequest, rec.Code, body)
			require.Contains(t, rec.Body.String(), `"issues":[{"path":["`+path+`"],`, body)
		}
		rec := b.Do(t, http.MethodPost, "/v1/payments/"+apitest.SpellPayment(p)+"/refund", `[]`)
		require.Contains(t, rec.Body.String(), "body_schema_validation_failed")
	})
}

func TestChallengeLinkIsGivenAgainUntilTheDeadline(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentRequiresAction})
	show := func() string {
		return b.Do(t, http.MethodGet, "/v1/payments/"+apitest.SpellPayment(p), "").Body.String()
	}

	b.Clock.Advance(24*time.Hour - time.Second)
	require.Contains(t, show(), `"redirect_url":"https://hooks.stripe.com/`)

	b.Clock.Advance(time.Second)
	require.NotContains(t, show(), "redirect_url")
}

func TestReturnIsCountedOnce(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentRequiresAction})
	other := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentRequiresAction})
	testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentSucceeded})
	for range 2 {
		apitest.Request(t, b.Handler, http.MethodGet, "/v1/payments/"+apitest.SpellPayment(p)+"/return", nil)
	}
	apitest.Request(t, b.Handler, http.MethodHead, "/v1/payments/"+apitest.SpellPayment(other)+"/return", nil)
	move := func(p wallet.Payment, o wallet.Outcome) {
		o.IntentID = p.StripePaymentIntentID
		testfactory.Move(t, b.Pool, p.ID, o, testfactory.Now)
	}
	move(p, testfactory.Succeeded(p.Amount, p.Currency))
	move(other, testfactory.Canceled())

	counts, err := postgres.ChallengeCounts(t.Context(), b.Pool, wallet.ModeTest, testfactory.Now)

	require.NoError(t, err)
	require.Equal(t, postgres.Challenges{Started: 2, Returned: 1, Completed: 1, Abandoned: 1}, counts)
	counts, err = postgres.ChallengeCounts(t.Context(), b.Pool, wallet.ModeTest, testfactory.Now.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, postgres.Challenges{}, counts)
}
