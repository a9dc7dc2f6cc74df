package stripeapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestChargeRequest(t *testing.T) {
	t.Parallel()

	send := func(t *testing.T, reqs ...ChargeRequest) []seen {
		t.Helper()
		w := newWire(t, answer(http.StatusOK, succeeded))
		c := w.client(t)
		for _, req := range reqs {
			require.Equal(t, wallet.OutcomeSucceeded, c.Charge(t.Context(), req).Kind)
		}
		return w.requests()
	}

	t.Run("OnSession", func(t *testing.T) {
		t.Parallel()

		got := send(t, chargeRequest())[0]

		require.Equal(t, http.MethodPost, got.Method)
		require.Equal(t, "/v1/payment_intents", got.URI)
		require.Equal(t, "charge:01939f2e-5b00-7000-8000-000000000001:1", got.Header.Get("Idempotency-Key"))
		require.Equal(t, "application/x-www-form-urlencoded", got.Header.Get("Content-Type"))
		require.Equal(t, "amount=7500"+
			"&confirm=true"+
			"&currency=usd"+
			"&customer=cus_1"+
			"&description=Wallet+funding"+
			"&metadata[organization_id]=01939f2e-5b00-7000-8000-000000000003"+
			"&metadata[payment_id]=01939f2e-5b00-7000-8000-000000000001"+
			"&metadata[wallet_id]=01939f2e-5b00-7000-8000-000000000002"+
			"&payment_method=pm_1"+
			"&payment_method_types[0]=card"+
			"&receipt_email=ada%40example.com"+
			"&return_url=https%3A%2F%2Fpay.example.com%2Fv1%2Fpayments%2F1%2Freturn", got.Body)
	})

	t.Run("OffSession", func(t *testing.T) {
		t.Parallel()

		req := chargeRequest()
		req.OffSession = true
		req.ReceiptEmail, req.Description = "", ""

		got, err := url.ParseQuery(send(t, req)[0].Body)

		require.NoError(t, err)
		require.Equal(t, "true", got.Get("off_session"))
		for _, absent := range []string{"return_url", "receipt_email", "description"} {
			require.NotContains(t, got, absent)
		}
	})

	t.Run("NeitherScriptNorErrorOnChallenge", func(t *testing.T) {
		t.Parallel()

		off := chargeRequest()
		off.OffSession = true
		for _, got := range send(t, chargeRequest(), off) {
			require.NotContains(t, got.Body, "use_stripe_sdk")
			require.NotContains(t, got.Body, "error_on_requires_action")
		}
	})

	t.Run("RepetitionIsIdentical", func(t *testing.T) {
		t.Parallel()

		const times = 20 // enough to show a random map order
		reqs := make([]ChargeRequest, times)
		for i := range reqs {
			reqs[i] = chargeRequest()
		}
		got := send(t, reqs...)
		for _, again := range got[1:] {
			require.Equal(t, got[0].Body, again.Body)
			require.Equal(t, got[0].Header.Get("Idempotency-Key"), again.Header.Get("Idempotency-Key"))
		}
	})

	t.Run("AnotherAttemptHasAnotherKey", func(t *testing.T) {
		t.Parallel()

		second := chargeRequest()
		second.Attempt = 2
		got := send(t, chargeRequest(), second)

		require.Equal(t, "charge:01939f2e-5b00-7000-8000-000000000001:2", got[1].Header.Get("Idempotency-Key"))
		require.Equal(t, got[0].Body, got[1].Body)
	})
}

func TestInvalidCharge(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		change func(*ChargeRequest)
		code   string
	}{
		"NoPayment":       {func(r *ChargeRequest) { r.PaymentID = wallet.ID{} }, wallet.FailureInternal},
		"NoWallet":        {func(r *ChargeRequest) { r.WalletID = wallet.ID{} }, wallet.FailureInternal},
		"NoOrganization":  {func(r *ChargeRequest) { r.OrganizationID = wallet.ID{} }, wallet.FailureInternal},
		"NoAttempt":       {func(r *ChargeRequest) { r.Attempt = 0 }, wallet.FailureInternal},
		"NoAmount":        {func(r *ChargeRequest) { r.Amount = 0 }, wallet.FailureInternal},
		"AmountBelowZero": {func(r *ChargeRequest) { r.Amount = -1 }, wallet.FailureInternal},
		"NoCurrency":      {func(r *ChargeRequest) { r.Currency = "" }, wallet.FailureInternal},
		"NoCustomer":      {func(r *ChargeRequest) { r.CustomerID = "" }, wallet.FailureInternal},
		"NoPaymentMethod": {func(r *ChargeRequest) { r.PaymentMethodID = "" }, wallet.FailurePaymentMethodMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, answer(http.StatusOK, succeeded))
			req := chargeRequest()
			tc.change(&req)

			got := w.client(t).Charge(t.Context(), req)

			require.Equal(t, wallet.OutcomeRejected, got.Kind)
			require.Equal(t, tc.code, got.Failure.Code)
			require.NotEmpty(t, got.Reason)
			require.Empty(t, w.requests())
		})
	}
}

func TestRetrieveAndCancelRequests(t *testing.T) {
	t.Parallel()

	w := newWire(t, answer(http.StatusOK, succeeded))
	c := w.client(t)

	require.Equal(t, wallet.OutcomeSucceeded, c.Retrieve(t.Context(), "pi_1").Kind)
	require.Equal(t, wallet.OutcomeSucceeded, c.Cancel(t.Context(), "pi_1", CancelAbandoned).Kind)
	require.Equal(t, wallet.OutcomeSucceeded, c.Cancel(t.Context(), "pi_1", "").Kind)

	got := w.requests()
	require.Equal(t, "GET /v1/payment_intents/pi_1", got[0].Method+" "+got[0].URI)
	require.Equal(t, "POST /v1/payment_intents/pi_1/cancel", got[1].Method+" "+got[1].URI)
	require.Equal(t, "cancellation_reason=abandoned", got[1].Body)
	require.Empty(t, got[2].Body)
	require.NotEmpty(t, got[1].Header.Get("Idempotency-Key"))
	require.NotEqual(t, got[1].Header.Get("Idempotency-Key"), got[2].Header.Get("Idempotency-Key"))
}

func TestIntentIDsAreGuarded(t *testing.T) {
	t.Parallel()

	for name, id := range map[string]string{
		"Empty":     "",
		"OtherPath": "pi_1/cancel",
		"Query":     "pi_1?expand=x",
		"TooLong":   strings.Repeat("p", 256),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, answer(http.StatusOK, succeeded))
			c := w.client(t)

			require.Equal(t, unknown("no intent id"), c.Retrieve(t.Context(), id))
			require.Equal(t, unknown("no intent id"), c.Cancel(t.Context(), id, CancelAbandoned))
			require.Empty(t, w.requests())
		})
	}
}

// A stored answer shows the intent as it was when the key was first used.
func TestReplayedAnswerIsRefreshed(t *testing.T) {
	t.Parallel()

	const declinedThen = `{"error":{"type":"card_error","code":"expired_card","message":"Your card has expired.","payment_intent":{"id":"pi_1"}}}`
	challengedThen := intentJSON("requires_action", `,"next_action":{"type":"redirect_to_url","redirect_to_url":{"url":"`+challengePage+`"}}`)

	for name, tc := range map[string]struct {
		thenStatus int
		then       string
		nowStatus  int
		now        string
		want       wallet.OutcomeKind
		code       string
		calls      int
	}{
		"ChallengePassedSince":   {200, challengedThen, 200, succeeded, wallet.OutcomeSucceeded, "", 2},
		"ChallengeStillOpen":     {200, challengedThen, 200, challengedThen, wallet.OutcomeRequiresAction, "", 2},
		"CanceledSince":          {200, challengedThen, 200, intentJSON("canceled", ``), wallet.OutcomeCanceled, wallet.FailureCanceled, 2},
		"DeclinedSince":          {200, challengedThen, 200, intentJSON("requires_payment_method", lastError(`"type":"card_error","code":"expired_card"`)), wallet.OutcomeDeclined, "expired_card", 2},
		"SecondLookFails":        {200, challengedThen, 500, `{}`, wallet.OutcomeRequiresAction, "", 2},
		"SecondLookIsNotAllowed": {200, challengedThen, 429, errorJSON(`"type":"invalid_request_error"`), wallet.OutcomeRequiresAction, "", 2},
		"SuccessStays":           {200, succeeded, 500, `{}`, wallet.OutcomeSucceeded, "", 1},
		"DeclineKeepsItsReason":  {402, declinedThen, 200, intentJSON("canceled", ``), wallet.OutcomeDeclined, "expired_card", 2},
		"DeclinePaidSince":       {402, declinedThen, 200, succeeded, wallet.OutcomeSucceeded, "", 2},
		"StoredFailure":          {500, errorJSON(`"type":"api_error"`), 200, succeeded, wallet.OutcomeUnknown, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, func(res http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodGet {
					answer(tc.nowStatus, tc.now)(res, req)
					return
				}
				answer(tc.thenStatus, tc.then, "Idempotent-Replayed", "true")(res, req)
			})

			got := w.client(t).Charge(t.Context(), chargeRequest())

			require.Equal(t, tc.want, got.Kind)
			require.Equal(t, tc.code, got.Failure.Code)
			require.Len(t, w.requests(), tc.calls)
		})
	}
}

// Stripe's error for a consumed payment method has no code. Only then is the
// payment method read.
func TestConsumedPaymentMethod(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		refusal string
		status  int
		method  string
		want    string
		calls   int
	}{
		"Detached":       {`"type":"invalid_request_error"`, 200, `{"id":"pm_1","customer":null}`, wallet.FailurePaymentMethodMissing, 2},
		"Another's":      {`"type":"invalid_request_error"`, 200, `{"id":"pm_1","customer":"cus_2"}`, wallet.FailurePaymentMethodMissing, 2},
		"Gone":           {`"type":"invalid_request_error"`, 404, errorJSON(`"type":"invalid_request_error","code":"resource_missing"`), wallet.FailurePaymentMethodMissing, 2},
		"StillThere":     {`"type":"invalid_request_error"`, 200, `{"id":"pm_1","customer":"cus_1"}`, wallet.FailureInternal, 2},
		"NotReadable":    {`"type":"invalid_request_error"`, 500, `{}`, wallet.FailureInternal, 2},
		"RefusedByACode": {`"type":"invalid_request_error","code":"amount_too_small"`, 200, `{"id":"pm_1","customer":null}`, wallet.FailureInternal, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, func(res http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodGet {
					answer(tc.status, tc.method)(res, req)
					return
				}
				answer(http.StatusBadRequest, errorJSON(tc.refusal))(res, req)
			})

			got := w.client(t).Charge(t.Context(), chargeRequest())

			require.Equal(t, wallet.OutcomeRejected, got.Kind)
			require.Equal(t, tc.want, got.Failure.Code)
			require.Len(t, w.requests(), tc.calls)
		})
	}
}
