package stripesim_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

func TestIdempotency(t *testing.T) {
	t.Parallel()

	const create = "/v1/payment_intents"
	charge := func(b *bundle, more ...string) string {
		return form(append([]string{
			"amount", "1000", "currency", "usd", "confirm", "true", "payment_method", "pm_card_visa",
			"payment_method_types[]", "card",
		}, more...)...)
	}

	t.Run("ReplayIsByteForByteTheFirstAnswer", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		body := charge(b, "expand[]", "latest_charge")
		first := b.raw(t, http.MethodPost, create, body, "Idempotency-Key", "k")
		id, _ := first.json(t)["id"].(string)
		_, err := b.client.PaymentIntents.Update(id, &stripe.PaymentIntentParams{Description: new("later")})
		require.NoError(t, err)
		again := b.raw(t, http.MethodPost, create, body, "Idempotency-Key", "k")

		require.Equal(t, string(first.body), string(again.body))
		require.Equal(t, first.status, again.status)
		require.Len(t, b.sim.Intents(false), 1)
		require.Equal(t, "k", again.header.Get("Idempotency-Key"))
		require.Equal(t, first.header.Get("Request-Id"), first.header.Get("Original-Request"))
		require.Empty(t, first.header.Get("Idempotent-Replayed"))
		require.Equal(t, first.header.Get("Request-Id"), again.header.Get("Original-Request"))
		require.NotEqual(t, first.header.Get("Request-Id"), again.header.Get("Request-Id"))
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	})

	t.Run("ADeclineIsStored", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := b.params("pm_card_chargeCustomerFail")
		p.SetIdempotencyKey("k")
		_, err := b.client.PaymentIntents.New(p)
		first := asStripe(t, err)
		_, err = b.client.PaymentIntents.New(p)
		again := asStripe(t, err)

		require.Equal(t, http.StatusPaymentRequired, again.HTTPStatusCode)
		require.Equal(t, first.PaymentIntent.ID, again.PaymentIntent.ID)
		require.Equal(t, string(first.LastResponse.RawJSON), string(again.LastResponse.RawJSON))
		require.Len(t, b.sim.Charges(false), 1)
	})

	t.Run("OrderOfParametersDoesNotMatter", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first := b.raw(t, http.MethodPost, create, "amount=1000&currency=usd&payment_method_types[0]=card", "Idempotency-Key", "k")
		again := b.raw(t, http.MethodPost, create, "payment_method_types[]=card&currency=usd&amount=1000", "Idempotency-Key", "k")
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.Equal(t, string(first.body), string(again.body))
	})

	t.Run("OtherParametersAreRefused", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.raw(t, http.MethodPost, create, charge(b), "Idempotency-Key", "k")
		a := b.raw(t, http.MethodPost, create, charge(b, "metadata[attempt]", "2"), "Idempotency-Key", "k")
		require.Equal(t, http.StatusBadRequest, a.status)
		require.Equal(t, "idempotency_error", a.problem(t)["type"])
		require.NotContains(t, a.problem(t), "code")
	})

	t.Run("AnotherEndpointIsRefused", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa", withKey("k"))
		_, err := b.client.Refunds.New(&stripe.RefundParams{
			Params: stripe.Params{IdempotencyKey: new("k")}, PaymentIntent: &pi.ID,
		})
		require.Equal(t, stripe.ErrorTypeIdempotency, asStripe(t, err).Type)
		require.Empty(t, b.sim.Refunds(false))
	})

	t.Run("RefusalsFromBeforeExecutionAreForgotten", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		a := b.raw(t, http.MethodPost, create, charge(b, "amount", "1"), "Idempotency-Key", "k")
		require.Equal(t, http.StatusBadRequest, a.status)
		a = b.raw(t, http.MethodPost, create, charge(b), "Idempotency-Key", "k", "Authorization", "none")
		require.Equal(t, http.StatusUnauthorized, a.status)
		a = b.raw(t, http.MethodPost, create, charge(b), "Idempotency-Key", "k")
		require.Equal(t, http.StatusOK, a.status)
		require.Empty(t, a.header.Get("Idempotent-Replayed"))
	})

	t.Run("ARefusalByStateIsStored", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa")
		cancel := create + "/" + pi.ID + "/cancel"
		a := b.raw(t, http.MethodPost, cancel, "", "Idempotency-Key", "k")
		require.Equal(t, "payment_intent_unexpected_state", a.problem(t)["code"])
		a = b.raw(t, http.MethodPost, cancel, "", "Idempotency-Key", "k")
		require.Equal(t, "true", a.header.Get("Idempotent-Replayed"))
	})

	t.Run("KeysAreKeptFor24Hours", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first := b.paid(t, "pm_card_visa")
		again := func() string {
			p := b.params("pm_card_visa")
			p.PaymentMethod = &first.PaymentMethod.ID
			p.SetIdempotencyKey("k")
			pi, err := b.client.PaymentIntents.New(p)
			require.NoError(t, err)
			return pi.ID
		}
		id := again()
		b.sim.Advance(24*time.Hour - time.Second)
		require.Equal(t, id, again())
		b.sim.Advance(time.Second)
		require.NotEqual(t, id, again())
	})

	t.Run("KeyInUseIsAConflict", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		slow := b.sim.Fault(stripesim.Fault{
			Kind: stripesim.FaultLatency, Delay: stripesim.Duration(10 * time.Second), Dice: stripesim.Dice{Count: 1},
		})
		body := charge(b)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = b.try(t, http.MethodPost, create, body, "Idempotency-Key", "k") })
		require.Eventually(t, func() bool { return b.sim.Applied(slow) == 1 }, 5*time.Second, time.Millisecond)
		a := b.raw(t, http.MethodPost, create, body, "Idempotency-Key", "k")

		require.Equal(t, http.StatusConflict, a.status)
		require.Equal(t, "idempotency_key_in_use", a.problem(t)["code"])
		stopped(t, b.sim.Server) // ends the slow request early
		wg.Wait()
	})

	t.Run("ConcurrentDuplicatesChargeOnce", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.sim.SetRequestLatency(5 * time.Millisecond)
		body := charge(b)
		statuses := make([]int, 16)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				if a, err := b.try(t, http.MethodPost, create, body, "Idempotency-Key", "k"); err == nil {
					statuses[i] = a.status
				}
			})
		}
		wg.Wait()

		require.Contains(t, statuses, http.StatusOK)
		for _, s := range statuses {
			require.Contains(t, []int{http.StatusOK, http.StatusConflict}, s)
		}
		require.Len(t, b.sim.Charges(false), 1)
	})

	t.Run("TwoKeysOnOneIntentLock", func(t *testing.T) {
		t.Parallel()

		b := setup(t, func(c *stripesim.Config) { c.LockWait = 10 * time.Millisecond })
		pi := b.inStatus(t, stripesim.StatusRequiresConfirmation)
		slow := b.sim.Fault(stripesim.Fault{
			Kind: stripesim.FaultLatency, Delay: stripesim.Duration(10 * time.Second),
			Match: stripesim.Match{Path: "/v1/payment_intents/*/confirm"},
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = b.try(t, http.MethodPost, create+"/"+pi.ID+"/confirm", "return_url="+returnURL, "Idempotency-Key", "a")
		})
		require.Eventually(t, func() bool { return b.sim.Applied(slow) == 1 }, 5*time.Second, time.Millisecond)
		var a *answer
		require.Eventually(t, func() bool { // the first request may have been counted before it holds the lock
			a = b.raw(t, http.MethodPost, create+"/"+pi.ID, "description=x", "Idempotency-Key", "b"+time.Now().String())
			return a.status == http.StatusTooManyRequests
		}, 5*time.Second, time.Millisecond)

		require.Equal(t, "lock_timeout", a.problem(t)["code"])
		require.Equal(t, "invalid_request_error", a.problem(t)["type"])
		stopped(t, b.sim.Server)
		wg.Wait()
	})

	t.Run("GetAndDeleteIgnoreKeys", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		path := "/v1/customers/" + b.customer
		a := b.raw(t, http.MethodDelete, path, "", "Idempotency-Key", "k")
		require.Equal(t, true, a.json(t)["deleted"])
		require.Empty(t, a.header.Get("Idempotency-Key"))
		a = b.raw(t, http.MethodDelete, path, "", "Idempotency-Key", "k")
		require.Equal(t, http.StatusNotFound, a.status)
	})

	t.Run("KeysOfTheModesAreApart", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.raw(t, http.MethodPost, create, charge(b), "Idempotency-Key", "k")
		a := b.raw(t, http.MethodPost, create, charge(b), "Idempotency-Key", "k", "Authorization", "Bearer sk_live_x")
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, true, a.json(t)["livemode"])
		require.Empty(t, a.header.Get("Idempotent-Replayed"))
	})

	t.Run("LongKeysAreRefused", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		a := b.raw(t, http.MethodPost, create, charge(b), "Idempotency-Key", strings.Repeat("k", 256))
		require.Equal(t, http.StatusBadRequest, a.status)
	})
}
