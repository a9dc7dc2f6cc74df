package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	lagoKeyInUse  = `{"status":409,"error":"Conflict","code":"idempotency_key_in_use"}`
	lagoKeyReused = `{"status":422,"error":"Unprocessable Entity","code":"idempotency_key_reused"}`
)

func TestLagoIdempotency(t *testing.T) {
	t.Parallel()

	t.Run("ATopUpIsMadeOnce", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.ends(testfactory.Succeeded(0, wallet.USD))
		first := b.topUp(t, with("paid_credits", `"10"`, "granted_credits", `"5"`), "Idempotency-Key", "k", "Prefer", "wait=5")
		require.Empty(t, first.Header().Get("Idempotent-Replayed"))
		again := b.do(t, http.MethodPost, "/api/v1/wallet_transactions",
			`{"other":1, "wallet_transaction" : {"granted_credits":"5","paid_credits":"10","wallet_id":"`+b.Wallet.ID.String()+`"}}`,
			"Idempotency-Key", "k")
		requireReplay(t, first, again)
		require.EqualValues(t, 15_00, b.walletNow(t).Balance)
		requireAnswer(t, b.topUp(t, with("paid_credits", `"11"`, "granted_credits", `"5"`), "Idempotency-Key", "k"),
			http.StatusUnprocessableEntity, lagoKeyReused)
		require.Len(t, b.stored(t), 1)
	})

	t.Run("EveryKindOfTopUp", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		rows(t, b.topUp(t, with("granted_credits", `"9"`)))
		for _, sent := range []string{"paid_credits", "granted_credits", "voided_credits"} {
			first := b.topUp(t, with(sent, `"5"`), "Idempotency-Key", sent)
			requireReplay(t, first, b.topUp(t, with(sent, `"5"`), "Idempotency-Key", sent))
		}
		first := b.topUp(t, with(), "Idempotency-Key", "nothing")
		requireReplay(t, first, b.topUp(t, with(), "Idempotency-Key", "nothing"))
		require.EqualValues(t, 9_00, b.walletNow(t).Balance)
		b.requireBooksBalance(t)
	})

	t.Run("AReplayTellsHowTheRowsStandNow", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first := rows(t, b.topUp(t, with("paid_credits", `"10"`), "Idempotency-Key", "k"))[0]
		require.Equal(t, "pending", first["status"])
		testfactory.Move(t, b.pool, b.only(t).ID, testfactory.Succeeded(10_00, wallet.USD), testfactory.Now)
		again := rows(t, b.topUp(t, with("paid_credits", `"10"`), "Idempotency-Key", "k"))[0]
		require.Equal(t, "settled", again["status"])
		require.Equal(t, first["lago_id"], again["lago_id"])
	})

	t.Run("WhatSpeaksAgainstItMattersOnlyWhenTheKeyIsNew", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first := b.topUp(t, with("granted_credits", `"5"`), "Idempotency-Key", "k")
		require.Equal(t, http.StatusOK, b.do(t, http.MethodDelete, "/api/v1/wallets/"+b.Wallet.ID.String(), "").Code)
		requireReplay(t, first, b.topUp(t, with("granted_credits", `"5"`), "Idempotency-Key", "k"))
		requireInvalid(t, b.topUp(t, with("granted_credits", `"5"`), "Idempotency-Key", "new"), `{"wallet_id":["wallet_is_terminated"]}`)
	})

	t.Run("WhileTheFirstMayStillWait", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		served := make(chan int)
		body := `{"wallet_transaction":{"wallet_id":"` + b.Wallet.ID.String() + `","paid_credits":"10"}}`
		go func() {
			served <- b.do(t, http.MethodPost, "/api/v1/wallet_transactions", body, "Idempotency-Key", "k", "Prefer", "wait=60").Code
		}()
		require.Eventually(t, func() bool { return len(b.stored(t)) == 1 }, 10*time.Second, 5*time.Millisecond)
		requireAnswer(t, b.topUp(t, with("paid_credits", `"10"`), "Idempotency-Key", "k"), http.StatusConflict, lagoKeyInUse)
		require.NoError(t, b.payments.settle(t.Context(), b.only(t).ID, testfactory.Declined(), testfactory.Now))
		require.Equal(t, http.StatusOK, <-served)
		require.Equal(t, "failed", rows(t, b.topUp(t, with("paid_credits", `"10"`), "Idempotency-Key", "k"))[0]["status"])
	})

	t.Run("TheSameRequestManyTimesAtOnce", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		answers := make(chan string)
		body := `{"wallet_transaction":{"wallet_id":"` + b.Wallet.ID.String() + `","paid_credits":"10","granted_credits":"1"}}`
		const n = 8
		for range n {
			go func() {
				answers <- b.do(t, http.MethodPost, "/api/v1/wallet_transactions", body, "Idempotency-Key", "k").Body.String()
			}()
		}
		first := <-answers
		for range n - 1 {
			require.Equal(t, first, <-answers)
		}
		require.EqualValues(t, 1_00, b.walletNow(t).Balance)
		require.Len(t, b.stored(t), 1)
	})

	t.Run("Wallets", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first := b.newWallet(t, with("name", `"a"`, "granted_credits", `"5"`), "Idempotency-Key", "k")
		again := b.newWallet(t, with("name", `"a"`, "granted_credits", `"5"`), "Idempotency-Key", "k")
		require.Equal(t, first["lago_id"], again["lago_id"])
		require.Equal(t, "5.0", again["credits_balance"], "as it stands now")
		fields := with("external_customer_id", `"`+b.Customer.ExternalID+`"`, "name", `"b"`)
		requireAnswer(t, b.lago(t, http.MethodPost, "/wallets", "wallet", fields, "Idempotency-Key", "k"),
			http.StatusUnprocessableEntity, lagoKeyReused)
	})

	t.Run("CustomersAndMetadata", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		for _, c := range []struct{ path, body, other string }{
			{"/customers", `{"customer":{"external_id":"c","name":"A"}}`, `{"customer":{"external_id":"c","name":"B"}}`},
			{"/wallets/" + b.Wallet.ID.String() + "/metadata", `{"metadata":{"a":"1"}}`, `{"metadata":{"a":"2"}}`},
		} {
			first := b.do(t, http.MethodPost, "/api/v1"+c.path, c.body, "Idempotency-Key", "k")
			requireReplay(t, first, b.do(t, http.MethodPost, "/api/v1"+c.path, c.body, "Idempotency-Key", "k"))
			requireAnswer(t, b.do(t, http.MethodPost, "/api/v1"+c.path, c.other, "Idempotency-Key", "k"),
				http.StatusUnprocessableEntity, lagoKeyReused)
		}
	})

	t.Run("KeyThatIsNone", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		requireAnswer(t, b.topUp(t, with("paid_credits", `"10"`), "Idempotency-Key", "a b"), http.StatusBadRequest,
			`{"status":400,"error":"Bad Request","code":"idempotency_key_invalid"}`)
	})
}
