package lago_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
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

		b := apitest.Setup(t)
		b.EndWith(testfactory.Succeeded(0, wallet.USD))
		first := b.TopUp(t, apitest.Fields("paid_credits", `"10"`, "granted_credits", `"5"`), "Idempotency-Key", "k", "Prefer", "wait=5")
		require.Empty(t, first.Header().Get("Idempotent-Replayed"))
		again := b.Do(t, http.MethodPost, "/api/v1/wallet_transactions",
			`{"other":1, "wallet_transaction" : {"granted_credits":"5","paid_credits":"10","wallet_id":"`+b.Wallet.ID.String()+`"}}`,
			"Idempotency-Key", "k")
		apitest.RequireReplay(t, first, again)
		require.EqualValues(t, 15_00, b.WalletNow(t).Balance)
		apitest.RequireAnswer(t, b.TopUp(t, apitest.Fields("paid_credits", `"11"`, "granted_credits", `"5"`), "Idempotency-Key", "k"),
			http.StatusUnprocessableEntity, lagoKeyReused)
		require.Len(t, b.Stored(t), 1)
	})

	t.Run("EveryKindOfTopUp", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"9"`)))
		for _, sent := range []string{"paid_credits", "granted_credits", "voided_credits"} {
			first := b.TopUp(t, apitest.Fields(sent, `"5"`), "Idempotency-Key", sent)
			apitest.RequireReplay(t, first, b.TopUp(t, apitest.Fields(sent, `"5"`), "Idempotency-Key", sent))
		}
		first := b.TopUp(t, apitest.Fields(), "Idempotency-Key", "nothing")
		apitest.RequireReplay(t, first, b.TopUp(t, apitest.Fields(), "Idempotency-Key", "nothing"))
		require.EqualValues(t, 9_00, b.WalletNow(t).Balance)
		b.RequireBooksBalance(t)
	})

	t.Run("ReplayShowsTheRowsAsTheyAreNow", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`), "Idempotency-Key", "k"))[0]
		require.Equal(t, "pending", first["status"])
		testfactory.Move(t, b.Pool, b.Only(t).ID, testfactory.Succeeded(10_00, wallet.USD), testfactory.Now)
		again := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`), "Idempotency-Key", "k"))[0]
		require.Equal(t, "settled", again["status"])
		require.Equal(t, first["lago_id"], again["lago_id"])
	})

	t.Run("ReasonsToRefuseCountOnlyWhenTheKeyIsNew", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := b.TopUp(t, apitest.Fields("granted_credits", `"5"`), "Idempotency-Key", "k")
		require.Equal(t, http.StatusOK, b.Do(t, http.MethodDelete, "/api/v1/wallets/"+b.Wallet.ID.String(), "").Code)
		apitest.RequireReplay(t, first, b.TopUp(t, apitest.Fields("granted_credits", `"5"`), "Idempotency-Key", "k"))
		requireInvalid(t, b.TopUp(t, apitest.Fields("granted_credits", `"5"`), "Idempotency-Key", "new"), `{"wallet_id":["wallet_is_terminated"]}`)
	})

	t.Run("WhileTheFirstMayStillWait", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		served := make(chan int)
		body := `{"wallet_transaction":{"wallet_id":"` + b.Wallet.ID.String() + `","paid_credits":"10"}}`
		go func() {
			served <- b.Do(t, http.MethodPost, "/api/v1/wallet_transactions", body, "Idempotency-Key", "k", "Prefer", "wait=60").Code
		}()
		require.Eventually(t, func() bool { return len(b.Stored(t)) == 1 }, 10*time.Second, 5*time.Millisecond)
		apitest.RequireAnswer(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`), "Idempotency-Key", "k"), http.StatusConflict, lagoKeyInUse)
		require.NoError(t, b.Payments.SettleOutcome(t.Context(), b.Only(t).ID, testfactory.Declined(), testfactory.Now))
		require.Equal(t, http.StatusOK, <-served)
		require.Equal(t, "failed", rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`), "Idempotency-Key", "k"))[0]["status"])
	})

	t.Run("TheSameRequestManyTimesAtOnce", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		answers := make(chan string)
		body := `{"wallet_transaction":{"wallet_id":"` + b.Wallet.ID.String() + `","paid_credits":"10","granted_credits":"1"}}`
		const n = 8
		for range n {
			go func() {
				answers <- b.Do(t, http.MethodPost, "/api/v1/wallet_transactions", body, "Idempotency-Key", "k").Body.String()
			}()
		}
		first := <-answers
		for range n - 1 {
			require.Equal(t, first, <-answers)
		}
		require.EqualValues(t, 1_00, b.WalletNow(t).Balance)
		require.Len(t, b.Stored(t), 1)
	})

	t.Run("Wallets", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := newWallet(t, b, apitest.Fields("name", `"a"`, "granted_credits", `"5"`), "Idempotency-Key", "k")
		again := newWallet(t, b, apitest.Fields("name", `"a"`, "granted_credits", `"5"`), "Idempotency-Key", "k")
		require.Equal(t, first["lago_id"], again["lago_id"])
		require.Equal(t, "5.0", again["credits_balance"], "as it stands now")
		fields := apitest.Fields("external_customer_id", `"`+b.Customer.ExternalID+`"`, "name", `"b"`)
		apitest.RequireAnswer(t, b.DoLago(t, http.MethodPost, "/wallets", "wallet", fields, "Idempotency-Key", "k"),
			http.StatusUnprocessableEntity, lagoKeyReused)
	})

	t.Run("CustomersAndMetadata", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for _, c := range []struct{ path, body, other string }{
			{"/customers", `{"customer":{"external_id":"c","name":"A"}}`, `{"customer":{"external_id":"c","name":"B"}}`},
			{"/wallets/" + b.Wallet.ID.String() + "/metadata", `{"metadata":{"a":"1"}}`, `{"metadata":{"a":"2"}}`},
		} {
			first := b.Do(t, http.MethodPost, "/api/v1"+c.path, c.body, "Idempotency-Key", "k")
			apitest.RequireReplay(t, first, b.Do(t, http.MethodPost, "/api/v1"+c.path, c.body, "Idempotency-Key", "k"))
			apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/api/v1"+c.path, c.other, "Idempotency-Key", "k"),
				http.StatusUnprocessableEntity, lagoKeyReused)
		}
	})

	t.Run("KeyThatIsNone", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		apitest.RequireAnswer(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`), "Idempotency-Key", "a b"), http.StatusBadRequest,
			`{"status":400,"error":"Bad Request","code":"idempotency_key_invalid"}`)
	})
}
