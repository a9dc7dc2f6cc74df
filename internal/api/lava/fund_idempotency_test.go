package lava_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	bodyKeyInUse  = `{"error":{"message":"A request with this idempotency key is still being processed.","code":"idempotency_key_in_use","status":409}}`
	bodyKeyReused = `{"error":{"message":"This idempotency key was used with a different request.","code":"idempotency_key_reused","status":422}}`
)

func TestFundWalletIdempotency(t *testing.T) {
	t.Parallel()

	t.Run("WithoutKeyEveryCallIsAPayment", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Fund(t)
		b.Fund(t)
		require.Len(t, b.Stored(t), 2)
	})

	t.Run("FinishedIsReplayedToTheByte", func(t *testing.T) {
		t.Parallel()

		for name, o := range map[string]wallet.Outcome{
			"canceled":        testfactory.Canceled(),
			"declined":        testfactory.Declined(),
			"requires_action": testfactory.RequiresAction(),
			"succeeded":       testfactory.Succeeded(0, wallet.USD),
			"rejected": {Kind: wallet.OutcomeRejected, Failure: wallet.Failure{
				Code: wallet.FailurePaymentMethodMissing, Message: "No such PaymentMethod.",
			}},
		} {
			b := apitest.Setup(t)
			b.EndWith(o)
			first := b.Fund(t, "Idempotency-Key", "k")
			b.Fund(t) // the wallet and the card go on
			apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", "k"))
			apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", `"k"`))
			require.Len(t, b.Stored(t), 2, name)
		}
	})

	t.Run("AmountAndMethodMayBeWrittenAnotherWay", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := b.Fund(t, "Idempotency-Key", "k")
		again := b.Do(t, http.MethodPost, "/v1/wallet/fund",
			`{"x":1, "amount":"25", "payment_method_id":"`+b.PaymentMethod.ID.String()+`"}`, "Idempotency-Key", "k")
		apitest.RequireReplay(t, first, again)
	})

	t.Run("AnotherRequestIsRefused", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		other := testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{Customer: b.Customer})
		b.Fund(t, "Idempotency-Key", "k")
		for _, body := range []string{
			b.FundBody("25.01"),
			`{"payment_method_id":"` + spellMethod(b.Mode, other.ID) + `","amount":"25.00"}`,
			`{"payment_method_id":"unknown","amount":"25.00"}`,
		} {
			rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", body, "Idempotency-Key", "k")
			apitest.RequireAnswer(t, rec, http.StatusUnprocessableEntity, bodyKeyReused)
			require.Empty(t, rec.Header().Get("Idempotent-Replayed"))
		}
		require.Len(t, b.Stored(t), 1)
	})

	t.Run("FirstRequestStillWaits", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Millisecond })
		first := b.Fund(t, "Idempotency-Key", "k") // on the clock of the test it goes on waiting
		require.Equal(t, http.StatusAccepted, first.Code)
		rec := b.Fund(t, "Idempotency-Key", "k")
		apitest.RequireAnswer(t, rec, http.StatusConflict, bodyKeyInUse)
		require.Equal(t, "1", rec.Header().Get("Retry-After"))

		b.Clock.Advance(time.Millisecond)
		apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", "k"))
	})

	t.Run("AnsweredIsNotInUse", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Millisecond })
		b.Fund(t, "Idempotency-Key", "k")
		p := b.Only(t)
		require.NoError(t, b.Payments.SettleOutcome(t.Context(), p.ID, testfactory.Declined(), testfactory.Now))
		require.Equal(t, http.StatusPaymentRequired, b.Fund(t, "Idempotency-Key", "k").Code)
	})

	t.Run("OpenPaymentIsReportedAsItStandsNow", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := b.Fund(t, "Idempotency-Key", "k")
		p := b.Only(t)
		id := apitest.SpellPayment(p)
		apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", "k"))

		for _, step := range []struct {
			outcome wallet.Outcome
			status  int
			body    string
		}{
			{
				testfactory.Processing(), http.StatusAccepted,
				`{"status":"processing","payment_id":"` + id + `"}`,
			},
			{
				testfactory.RequiresAction(), http.StatusOK,
				`{"status":"requires_action","payment_id":"` + id +
					`","redirect_url":"https://hooks.stripe.com/3d_secure_2/authenticate?merchant=a&source=b"}`,
			},
			{
				testfactory.Succeeded(25_00, wallet.USD), http.StatusOK,
				`{"status":"completed","payment_id":"` + id + `","balance":"25.00"}`,
			},
		} {
			step.outcome.IntentID = "pi_1"
			require.NoError(t, b.Payments.SettleOutcome(t.Context(), p.ID, step.outcome, testfactory.Now))
			rec := b.Fund(t, "Idempotency-Key", "k")
			apitest.RequireAnswer(t, rec, step.status, step.body)
			require.Equal(t, "true", rec.Header().Get("Idempotent-Replayed"))
		}
	})

	t.Run("BalanceIsThatOfTheCredit", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Succeeded(0, wallet.USD))
		first := b.Fund(t, "Idempotency-Key", "k")
		require.Contains(t, b.Fund(t).Body.String(), `"balance":"50.00"`)
		apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", "k"))
	})

	t.Run("ReplayNeedsNoCardAndNoEmail", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := b.Fund(t, "Idempotency-Key", "k")
		_, err := b.Pool.Exec(t.Context(), `update payment_methods set deleted_at = $1`, testfactory.Now)
		require.NoError(t, err)
		apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", "k"))
		apitest.RequireAnswer(t, b.Fund(t, "Idempotency-Key", "other"), http.StatusNotFound, bodyMethodNotFound)
		_, err = b.Pool.Exec(t.Context(), `update payment_methods set deleted_at = null`)
		require.NoError(t, err)
		_, err = b.Pool.Exec(t.Context(), `update organizations set primary_email = null`)
		require.NoError(t, err)
		apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", "k"))
		apitest.RequireAnswer(t, b.Fund(t, "Idempotency-Key", "other"), http.StatusBadRequest, bodyEmailRequired)
	})

	t.Run("RefusedRequestLeavesTheKeyFree", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		send := func(body string, headers ...string) int {
			return b.Do(t, http.MethodPost, "/v1/wallet/fund", body, append(headers, "Idempotency-Key", "k")...).Code
		}
		require.Equal(t, http.StatusBadRequest, send("{"))
		require.Equal(t, http.StatusBadRequest, send(b.FundBody("1")))
		require.Equal(t, http.StatusUnsupportedMediaType, send(b.FundBody("25"), "Content-Type", "text/plain"))
		require.Equal(t, http.StatusUnauthorized, send(b.FundBody("25"), "Authorization", "Bearer x"))
		require.Equal(t, http.StatusNotFound, send(`{"payment_method_id":"x","amount":"25"}`))
		require.Equal(t, http.StatusAccepted, send(b.FundBody("25")))
	})

	t.Run("KeyIsBoundToAccountAndMode", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		require.Empty(t, b.Fund(t, "Idempotency-Key", "k").Header().Get("Idempotent-Replayed"))
		for _, mode := range wallet.Modes {
			other := *b
			other.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{Mode: mode})
			rec := other.Fund(t, "Idempotency-Key", "k")
			require.Equal(t, http.StatusAccepted, rec.Code)
			require.Empty(t, rec.Header().Get("Idempotent-Replayed"))
		}
	})

	t.Run("KeyIsBoundToTheOperation", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Idempotency: &postgres.IdempotencyRecord{
			Operation: "POST /api/v1/wallet_transactions", Key: "k", WaitUntil: testfactory.Now,
		}})
		require.Equal(t, http.StatusAccepted, b.Fund(t, "Idempotency-Key", "k").Code)
		require.Len(t, b.Stored(t), 2)
	})

	t.Run("KeyIsNewAfterADay", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := b.Fund(t, "Idempotency-Key", "k")
		b.Clock.Advance(24*time.Hour - time.Second)
		apitest.RequireReplay(t, first, b.Fund(t, "Idempotency-Key", "k"))
		b.Clock.Advance(time.Second)
		rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", b.FundBody("30"), "Idempotency-Key", "k")
		require.Equal(t, http.StatusAccepted, rec.Code)
		require.Empty(t, rec.Header().Get("Idempotent-Replayed"))
		require.NotEqual(t, first.Body.String(), rec.Body.String())
		require.Len(t, b.Stored(t), 2)
	})

	t.Run("KeySentTwice", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		url := "http://" + apitest.Serve(t, b.Handler, nil) + "/v1/wallet/fund"
		answer, err := b.Send(t.Context(), http.MethodPost, url, strings.NewReader(b.FundBody("25")), http.Header{"Idempotency-Key": {"k", "k"}})
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusBadRequest, answer.StatusCode)
		require.Empty(t, b.Stored(t))
	})
}

// TestFundWalletConcurrentDuplicates sends one request many times at once. One of
// them makes the payment; the others are told to wait, or how it went.
func TestFundWalletConcurrentDuplicates(t *testing.T) {
	t.Parallel()

	const duplicates = 24
	b := apitest.Setup(t)
	b.EndWith(testfactory.Succeeded(0, wallet.USD))
	answers := make([]*httptest.ResponseRecorder, duplicates)
	others := make([]*httptest.ResponseRecorder, duplicates)
	var wg sync.WaitGroup
	for i := range duplicates {
		wg.Go(func() { answers[i] = b.Fund(t, "Idempotency-Key", "same") })
		wg.Go(func() {
			others[i] = b.Do(t, http.MethodPost, "/v1/wallet/fund", b.FundBody("30.00"), "Idempotency-Key", "same")
		})
	}
	wg.Wait()

	p := b.Only(t)
	winners, losers := answers, others
	if p.Amount == 30_00 {
		winners, losers = others, answers
	}
	fresh := 0
	for _, rec := range winners {
		switch rec.Code {
		case http.StatusConflict:
			apitest.RequireAnswer(t, rec, http.StatusConflict, bodyKeyInUse)
		default:
			apitest.RequireAnswer(t, rec, http.StatusOK, `{"status":"completed","payment_id":"`+apitest.SpellPayment(p)+
				`","balance":"`+wallet.FormatMinor(p.Amount, wallet.USD)+`"}`)
			if rec.Header().Get("Idempotent-Replayed") == "" {
				fresh++
			}
		}
	}
	require.Equal(t, 1, fresh)
	for _, rec := range losers {
		apitest.RequireAnswer(t, rec, http.StatusUnprocessableEntity, bodyKeyReused)
	}
	report, err := postgres.Audit(t.Context(), b.Pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}
