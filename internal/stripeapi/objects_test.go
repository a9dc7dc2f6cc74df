package stripeapi

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

const refundJSON = `{"id":"re_1","object":"refund","amount":2500,"charge":"ch_1","created":1772600767,"currency":"usd",
	"payment_intent":"pi_1","status":"succeeded","failure_reason":null,
	"metadata":{"refund_id":"01939f2e-5b00-7000-8000-000000000006","payment_id":"01939f2e-5b00-7000-8000-000000000001"}}`

func TestRefunds(t *testing.T) {
	t.Parallel()

	want := wallet.RefundState{
		ID: "re_1", IntentID: "pi_1", ChargeID: "ch_1", Amount: 25_00, Currency: wallet.USD, Status: wallet.RefundSucceeded,
		RefundID: refundID, PaymentID: paymentID, CreatedAt: time.Unix(1772600767, 0).UTC(),
	}

	t.Run("Create", func(t *testing.T) {
		t.Parallel()

		got, err := newWire(t, answer(http.StatusOK, refundJSON)).client(t).CreateRefund(t.Context(), refundRequest())

		require.NoError(t, err)
		require.Equal(t, want, got)
	})

	t.Run("ReplayedIsRefreshed", func(t *testing.T) {
		t.Parallel()

		const failedSince = `{"id":"re_1","amount":2500,"currency":"usd","status":"failed","failure_reason":"lost_or_stolen_card"}`
		w := newWire(t, func(res http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodGet {
				answer(http.StatusOK, failedSince)(res, req)
				return
			}
			answer(http.StatusOK, refundJSON, "Idempotent-Replayed", "true")(res, req)
		})

		got, err := w.client(t).CreateRefund(t.Context(), refundRequest())

		require.NoError(t, err)
		require.Equal(t, wallet.RefundFailed, got.Status)
		require.Equal(t, "lost_or_stolen_card", got.FailureReason)
	})

	t.Run("ReplayedStaysWhenItCannotBeRefreshed", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, func(res http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodGet {
				answer(http.StatusInternalServerError, `{}`)(res, req)
				return
			}
			answer(http.StatusOK, refundJSON, "Idempotent-Replayed", "true")(res, req)
		})

		got, err := w.client(t).CreateRefund(t.Context(), refundRequest())

		require.NoError(t, err)
		require.Equal(t, want, got)
	})

	t.Run("OfAnIntent", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, `{"object":"list","data":[`+refundJSON+`]}`))

		got, err := w.client(t).RefundsOf(t.Context(), "pi_1")

		require.NoError(t, err)
		require.Equal(t, []wallet.RefundState{want}, got)
		require.Equal(t, "pi_1", queries(t, w)[0].Get("payment_intent"))
	})

	t.Run("MadeElsewhere", func(t *testing.T) {
		t.Parallel()

		c := newWire(t, answer(http.StatusOK, `{"id":"re_1","amount":2500,"currency":"jpy","status":"pending","charge":{"id":"ch_1"},"payment_intent":null,"metadata":{}}`)).client(t)

		got, err := c.GetRefund(t.Context(), "re_1")

		require.NoError(t, err)
		require.Equal(t, wallet.RefundState{ID: "re_1", ChargeID: "ch_1", Amount: 25_00, Currency: "JPY", Status: wallet.RefundPending}, got)
	})

	for name, tc := range map[string]struct {
		status int
		fields string
		want   Error
	}{
		"NothingLeft":    {400, `"type":"invalid_request_error","code":"charge_already_refunded"`, Error{Kind: wallet.OutcomeRejected, Code: "charge_already_refunded"}},
		"MoreThanIsLeft": {400, `"type":"invalid_request_error","param":"amount"`, Error{Kind: wallet.OutcomeRejected, Param: "amount"}},
		"Disputed":       {400, `"type":"invalid_request_error","code":"charge_disputed"`, Error{Kind: wallet.OutcomeRejected, Code: "charge_disputed"}},
		"Busy":           {429, `"type":"invalid_request_error","code":"lock_timeout"`, Error{Kind: wallet.OutcomeUnavailable, Code: "lock_timeout"}},
		"UnderWay":       {409, `"type":"invalid_request_error","code":"idempotency_key_in_use"`, Error{Kind: wallet.OutcomeUnknown, Code: "idempotency_key_in_use"}},
		"OtherValues":    {400, `"type":"idempotency_error"`, Error{Kind: wallet.OutcomeUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := newWire(t, answer(tc.status, errorJSON(tc.fields))).client(t).CreateRefund(t.Context(), refundRequest())

			e := new(Error)
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.want.Kind, e.Kind)
			require.Equal(t, tc.want.Code, e.Code)
			require.Equal(t, tc.want.Param, e.Param)
			require.Equal(t, tc.status, e.Status)
			require.False(t, e.Replayed)
		})
	}

	t.Run("StoredFailure", func(t *testing.T) {
		t.Parallel()

		c := newWire(t, answer(http.StatusInternalServerError, errorJSON(`"type":"api_error"`), "Idempotent-Replayed", "true")).client(t)

		_, err := c.CreateRefund(t.Context(), refundRequest())

		e := new(Error)
		require.ErrorAs(t, err, &e)
		require.True(t, e.Replayed)
		require.EqualError(t, err, "stripe: create_refund: unknown: api_error, status 500, replayed, req_1")
	})

	t.Run("NotFound", func(t *testing.T) {
		t.Parallel()

		c := newWire(t, answer(http.StatusNotFound, errorJSON(`"type":"invalid_request_error","code":"resource_missing","param":"id"`))).client(t)

		_, err := c.GetRefund(t.Context(), "re_1")

		require.True(t, IsNotFound(err))
		require.False(t, IsNotFound(nil))
	})
}

func TestDisputes(t *testing.T) {
	t.Parallel()

	const head = `{"id":"dp_1","object":"dispute","amount":7500,"charge":"ch_1","created":1772600767,"currency":"usd","payment_intent":"pi_1","reason":"fraudulent",`
	state := func(s wallet.DisputeState) wallet.DisputeState {
		s.ID, s.ChargeID, s.IntentID, s.Amount, s.Currency = "dp_1", "ch_1", "pi_1", 75_00, wallet.USD
		s.Reason, s.CreatedAt = "fraudulent", time.Unix(1772600767, 0).UTC()
		return s
	}

	for name, tc := range map[string]struct {
		body  string
		want  wallet.DisputeState
		debit int64
	}{
		"Inquiry": {
			`"status":"warning_needs_response","balance_transactions":[]}`,
			wallet.DisputeState{Status: wallet.DisputeWarningNeedsResponse},
			0,
		},
		"FundsWithdrawn": {
			`"status":"needs_response","balance_transactions":[{"amount":-7500,"fee":1500,"net":-9000,"currency":"usd"}]}`,
			wallet.DisputeState{Status: wallet.DisputeNeedsResponse, Withdrawn: 75_00, FundsCurrency: wallet.USD},
			75_00,
		},
		"FundsReinstated": {
			`"status":"won","balance_transactions":[{"amount":-7500,"fee":1500,"currency":"usd"},{"amount":7500,"fee":-1500,"currency":"usd"}]}`,
			wallet.DisputeState{Status: wallet.DisputeWon, Withdrawn: 75_00, Reinstated: 75_00, FundsCurrency: wallet.USD},
			0,
		},
		"FundsInOtherCurrency": {
			`"status":"lost","balance_transactions":[{"amount":-6800,"fee":1500,"currency":"eur"}]}`,
			wallet.DisputeState{Status: wallet.DisputeLost, Withdrawn: 68_00, FundsCurrency: "EUR"},
			75_00,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, func(res http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/v1/disputes" {
					answer(http.StatusOK, `{"object":"list","data":[`+head+tc.body+`]}`)(res, req)
					return
				}
				answer(http.StatusOK, head+tc.body)(res, req)
			})
			c := w.client(t)

			got, err := c.GetDispute(t.Context(), "dp_1")
			require.NoError(t, err)
			require.Equal(t, state(tc.want), got)
			require.Equal(t, tc.debit, got.Debit())

			listed, err := c.DisputesOf(t.Context(), "pi_1")
			require.NoError(t, err)
			require.Equal(t, []wallet.DisputeState{got}, listed)
			require.Equal(t, "pi_1", queries(t, w)[1].Get("payment_intent"))
		})
	}
}

func TestCharges(t *testing.T) {
	t.Parallel()

	c := newWire(t, answer(http.StatusOK, `{"object":"list","data":[{"id":"ch_1","amount":7500,"amount_captured":7500,"amount_refunded":2500,
		"created":1772600767,"currency":"usd","disputed":true,"payment_intent":"pi_1","status":"succeeded",
		"metadata":{"payment_id":"01939f2e-5b00-7000-8000-000000000001"}}]}`)).client(t)

	got, err := collect(c.ListCharges(t.Context(), Window{}))

	require.NoError(t, err)
	require.Equal(t, []Charge{{
		ID: "ch_1", IntentID: "pi_1", PaymentID: paymentID, Amount: 75_00, AmountCaptured: 75_00, AmountRefunded: 25_00,
		Currency: wallet.USD, Status: "succeeded", Disputed: true, CreatedAt: time.Unix(1772600767, 0).UTC(),
	}}, got)
}

func TestPaymentMethods(t *testing.T) {
	t.Parallel()

	const card = `{"id":"pm_1","object":"payment_method","type":"card","customer":"cus_1",
		"card":{"brand":"visa","last4":"4242","exp_month":12,"exp_year":2030,"fingerprint":"abc"}}`
	want := PaymentMethod{
		ID: "pm_1", CustomerID: "cus_1", Type: "card", Brand: "visa", Last4: "4242", ExpiryMonth: 12, ExpiryYear: 2030, Fingerprint: "abc",
	}

	t.Run("Attach", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, card))

		got, err := w.client(t).AttachPaymentMethod(t.Context(), "pm_1", "cus_1")

		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, "/v1/payment_methods/pm_1/attach", w.requests()[0].URI)
		require.Equal(t, "customer=cus_1", w.requests()[0].Body)
	})

	t.Run("AttachIsDeclined", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusPaymentRequired, messageJSON(`"type":"card_error","code":"card_declined","decline_code":"insufficient_funds"`, noFunds)))

		_, err := w.client(t).AttachPaymentMethod(t.Context(), "pm_1", "cus_1")

		e := new(Error)
		require.ErrorAs(t, err, &e)
		require.Equal(t, wallet.OutcomeDeclined, e.Kind)
		require.Equal(t, "insufficient_funds", e.DeclineCode)
	})

	t.Run("Detach", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, `{"id":"pm_1","type":"us_bank_account","customer":null}`))

		got, err := w.client(t).DetachPaymentMethod(t.Context(), "pm_1")

		require.NoError(t, err)
		require.Equal(t, PaymentMethod{ID: "pm_1", Type: "us_bank_account"}, got)
		require.Equal(t, "POST /v1/payment_methods/pm_1/detach", w.requests()[0].Method+" "+w.requests()[0].URI)
	})

	t.Run("List", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, `{"object":"list","data":[`+card+`]}`))

		got, err := w.client(t).ListPaymentMethods(t.Context(), "cus_1")

		require.NoError(t, err)
		require.Equal(t, []PaymentMethod{want}, got)
		require.Equal(t, "card", queries(t, w)[0].Get("type"))
	})
}

func TestCheckoutSessions(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		body string
		want CheckoutSession
	}{
		"Open": {
			`{"id":"cs_1","expires_at":1772687167,"metadata":{"payment_id":"01939f2e-5b00-7000-8000-000000000001"},"payment_intent":null,
				"payment_status":"unpaid","status":"open","url":"https://checkout.stripe.com/c/pay/cs_1"}`,
			CheckoutSession{
				ID: "cs_1", URL: "https://checkout.stripe.com/c/pay/cs_1", PaymentID: paymentID, Status: "open",
				ExpiresAt: time.Unix(1772687167, 0).UTC(),
			},
		},
		"Paid": {
			`{"id":"cs_1","payment_intent":"pi_1","payment_status":"paid","status":"complete","url":null}`,
			CheckoutSession{ID: "cs_1", IntentID: "pi_1", Status: "complete", Paid: true},
		},
		"Expired": {
			`{"id":"cs_1","payment_intent":{"id":"pi_1"},"payment_status":"unpaid","status":"expired","url":null}`,
			CheckoutSession{ID: "cs_1", IntentID: "pi_1", Status: "expired"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, answer(http.StatusOK, tc.body))
			c := w.client(t)

			created, err := c.CreateCheckoutSession(t.Context(), checkoutRequest())
			require.NoError(t, err)
			require.Equal(t, tc.want, created)
			got, err := c.GetCheckoutSession(t.Context(), "cs_1")
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			expired, err := c.ExpireCheckoutSession(t.Context(), "cs_1")
			require.NoError(t, err)
			require.Equal(t, tc.want, expired)

			asked := w.requests()
			require.Equal(t, "GET /v1/checkout/sessions/cs_1", asked[1].Method+" "+asked[1].URI)
			require.Equal(t, "POST /v1/checkout/sessions/cs_1/expire", asked[2].Method+" "+asked[2].URI)
		})
	}
}

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()

	const endpoint = `{"id":"we_1","object":"webhook_endpoint","api_version":"2023-10-16","enabled_events":["charge.refunded"],
		"secret":"whsec_1","status":"enabled","url":"https://pay.example.com/webhooks/stripe"}`
	want := WebhookEndpoint{
		ID: "we_1", URL: "https://pay.example.com/webhooks/stripe", Secret: "whsec_1", APIVersion: "2023-10-16",
		Events: []string{"charge.refunded"}, Enabled: true,
	}

	t.Run("Create", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, endpoint))

		got, err := w.client(t).CreateWebhookEndpoint(t.Context(), want.URL, want.Events)

		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, "enabled_events[0]=charge.refunded&url=https%3A%2F%2Fpay.example.com%2Fwebhooks%2Fstripe&api_version=2023-10-16",
			w.requests()[0].Body)
	})

	t.Run("List", func(t *testing.T) {
		t.Parallel()

		got, err := newWire(t, answer(http.StatusOK, `{"object":"list","data":[`+endpoint+`]}`)).client(t).ListWebhookEndpoints(t.Context())

		require.NoError(t, err)
		require.Equal(t, []WebhookEndpoint{want}, got)
	})
}
