package stripeapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

var (
	checkoutID = uuid.MustParse("01939f2e-5b00-7000-8000-000000000004")
	customerID = uuid.MustParse("01939f2e-5b00-7000-8000-000000000005")
	refundID   = uuid.MustParse("01939f2e-5b00-7000-8000-000000000006")
)

func checkoutRequest() CheckoutRequest {
	return CheckoutRequest{
		CheckoutID:     checkoutID,
		PaymentID:      paymentID,
		WalletID:       walletID,
		OrganizationID: organizationID,
		Amount:         75_00,
		Currency:       wallet.USD,
		CustomerID:     "cus_1",
		Title:          "LAGO-2026-001",
		SuccessURL:     "https://pay.example.com/done",
		CancelURL:      "https://pay.example.com/back",
		ReceiptEmail:   "ada@example.com",
		SaveCard:       true,
		ExpiresAt:      now.Add(24 * time.Hour),
	}
}

func refundRequest() RefundRequest {
	return RefundRequest{RefundID: refundID, PaymentID: paymentID, IntentID: "pi_1", Amount: 25_00, Reason: RefundRequested}
}

// everyCall makes each call of the client with all parameters that it can send. The
// part of the key before the slash is the name of the method.
var everyCall = map[string]func(context.Context, *Client) (any, error){
	"AmountRefunded": func(ctx context.Context, c *Client) (any, error) {
		return c.AmountRefunded(ctx, "ch_1")
	},
	"AttachPaymentMethod": func(ctx context.Context, c *Client) (any, error) {
		return c.AttachPaymentMethod(ctx, "pm_1", "cus_1")
	},
	"Cancel/Abandoned": func(ctx context.Context, c *Client) (any, error) {
		return c.Cancel(ctx, "pi_1", CancelAbandoned), nil
	},
	"Cancel/Duplicate": func(ctx context.Context, c *Client) (any, error) {
		return c.Cancel(ctx, "pi_1", CancelDuplicate), nil
	},
	"Cancel/Requested": func(ctx context.Context, c *Client) (any, error) {
		return c.Cancel(ctx, "pi_1", CancelRequested), nil
	},
	"Charge/OnSession": func(ctx context.Context, c *Client) (any, error) {
		return c.Charge(ctx, chargeRequest()), nil
	},
	"Charge/OffSession": func(ctx context.Context, c *Client) (any, error) {
		req := chargeRequest()
		req.OffSession = true
		return c.Charge(ctx, req), nil
	},
	"Confirm": func(ctx context.Context, c *Client) (any, error) {
		return c.Confirm(ctx, ConfirmRequest{
			PaymentID: wallet.NewID(), IntentID: "pi_1", PaymentMethodID: "pm_1", ReturnURL: "https://fundrail.example/return", Attempt: 1,
		}), nil
	},
	"CreateCheckoutSession": func(ctx context.Context, c *Client) (any, error) {
		return c.CreateCheckoutSession(ctx, checkoutRequest())
	},
	"CreateCustomer": func(ctx context.Context, c *Client) (any, error) {
		return c.CreateCustomer(ctx, CustomerRequest{
			CustomerID: customerID, OrganizationID: organizationID, ExternalID: "42", Email: "ada@example.com", Name: "Ada",
		})
	},
	"CreateRefund/Duplicate": func(ctx context.Context, c *Client) (any, error) {
		req := refundRequest()
		req.Reason = RefundDuplicate
		return c.CreateRefund(ctx, req)
	},
	"CreateRefund/Fraudulent": func(ctx context.Context, c *Client) (any, error) {
		req := refundRequest()
		req.Reason = RefundFraudulent
		return c.CreateRefund(ctx, req)
	},
	"CreateRefund/Requested": func(ctx context.Context, c *Client) (any, error) {
		return c.CreateRefund(ctx, refundRequest())
	},
	"CreateWebhookEndpoint": func(ctx context.Context, c *Client) (any, error) {
		return c.CreateWebhookEndpoint(ctx, "https://pay.example.com/webhooks/stripe", []string{"payment_intent.succeeded", "charge.refunded"})
	},
	"DetachPaymentMethod": func(ctx context.Context, c *Client) (any, error) {
		return c.DetachPaymentMethod(ctx, "pm_1")
	},
	"DisputesOf": func(ctx context.Context, c *Client) (any, error) {
		return c.DisputesOf(ctx, "pi_1")
	},
	"ExpireCheckoutSession": func(ctx context.Context, c *Client) (any, error) {
		return c.ExpireCheckoutSession(ctx, "cs_1")
	},
	"FindIntent": func(ctx context.Context, c *Client) (any, error) {
		o, _, err := c.FindIntent(ctx, "cus_1", paymentID, now)
		return o, err
	},
	"GetCheckoutSession": func(ctx context.Context, c *Client) (any, error) {
		return c.GetCheckoutSession(ctx, "cs_1")
	},
	"GetDispute": func(ctx context.Context, c *Client) (any, error) {
		return c.GetDispute(ctx, "dp_1")
	},
	"GetPaymentMethod": func(ctx context.Context, c *Client) (any, error) {
		return c.GetPaymentMethod(ctx, "pm_1")
	},
	"GetRefund": func(ctx context.Context, c *Client) (any, error) {
		return c.GetRefund(ctx, "re_1")
	},
	"ListCharges": func(ctx context.Context, c *Client) (any, error) {
		return collect(c.ListCharges(ctx, Window{Since: now, Until: now.Add(time.Hour)}))
	},
	"ListDisputes": func(ctx context.Context, c *Client) (any, error) {
		return collect(c.ListDisputes(ctx, Window{Since: now, Until: now.Add(time.Hour)}))
	},
	"ListEvents/After": func(ctx context.Context, c *Client) (any, error) {
		return collect(c.ListEvents(ctx, EventQuery{After: "evt_0", Types: []string{"payment_intent.*", "refund.failed"}}))
	},
	"ListEvents/Since": func(ctx context.Context, c *Client) (any, error) {
		return collect(c.ListEvents(ctx, EventQuery{Since: now}))
	},
	"ListIntents": func(ctx context.Context, c *Client) (any, error) {
		return collect(c.ListIntents(ctx, Window{Since: now, Until: now.Add(time.Hour)}))
	},
	"ListPaymentMethods": func(ctx context.Context, c *Client) (any, error) {
		return c.ListPaymentMethods(ctx, "cus_1")
	},
	"ListRefunds": func(ctx context.Context, c *Client) (any, error) {
		return collect(c.ListRefunds(ctx, Window{Since: now, Until: now.Add(time.Hour)}))
	},
	"ListWebhookEndpoints": func(ctx context.Context, c *Client) (any, error) {
		return c.ListWebhookEndpoints(ctx)
	},
	"RefundsOf": func(ctx context.Context, c *Client) (any, error) {
		return c.RefundsOf(ctx, "pi_1")
	},
	"Retrieve": func(ctx context.Context, c *Client) (any, error) {
		return c.Retrieve(ctx, "pi_1"), nil
	},
}

// The tests that iterate over everyCall need it to hold every method.
func TestEveryCallHasEveryMethod(t *testing.T) {
	t.Parallel()

	covered := []string{"Breaker", "Mode"} // these make no call
	for name := range everyCall {
		covered = append(covered, methodOf(name))
	}
	for method := range reflect.TypeFor[*Client]().Methods() {
		require.Contains(t, covered, method.Name)
	}
}

func methodOf(name string) string {
	for i, r := range name {
		if r == '/' {
			return name[:i]
		}
	}
	return name
}

// No error and no result may contain a secret, whatever Stripe answers.
func TestNoSecretsInResults(t *testing.T) {
	t.Parallel()

	for name, call := range everyCall {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var next atomic.Pointer[http.HandlerFunc]
			c := newWire(t, func(res http.ResponseWriter, req *http.Request) { (*next.Load())(res, req) }).client(t)
			for _, row := range sorted {
				next.Store(new(answer(row.status, row.body)))

				result, err := call(t.Context(), c)

				requireNoSecrets(t, fmt.Sprintf("%+v %+v %v", result, err, err))
				if row.status != http.StatusOK && err != nil {
					e := new(Error)
					require.ErrorAs(t, err, &e, row.name)
				}
			}
		})
	}
}

// An answer of the wrong shape must not pass for an empty one.
func TestAnswersOfAnotherShape(t *testing.T) {
	t.Parallel()

	for name, call := range everyCall {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			for _, body := range []string{`{}`, `null`, `[]`, `""`, `{"object":"list"}`, `{"object":"list","data":[{}]}`, `{"object":"list","data":[],"has_more":true}`} {
				c := newWire(t, answer(http.StatusOK, body)).client(t)

				result, err := call(t.Context(), c)

				if o, ok := result.(wallet.Outcome); ok && err == nil {
					require.Equal(t, wallet.OutcomeUnknown, o.Kind, body)
					continue
				}
				e := new(Error)
				require.ErrorAs(t, err, &e, body)
				require.Equal(t, wallet.OutcomeUnknown, e.Kind, body)
			}
		})
	}
}

func TestIDsAreGuarded(t *testing.T) {
	t.Parallel()

	for name, call := range map[string]func(ctx context.Context, c *Client, id string) error{
		"AttachPaymentMethod": func(ctx context.Context, c *Client, id string) error {
			_, err := c.AttachPaymentMethod(ctx, id, "cus_1")
			return err
		},
		"AttachPaymentMethodToNoCustomer": func(ctx context.Context, c *Client, id string) error {
			_, err := c.AttachPaymentMethod(ctx, "pm_1", id)
			return err
		},
		"CreateCheckoutSession": func(ctx context.Context, c *Client, id string) error {
			req := checkoutRequest()
			req.CustomerID = id
			_, err := c.CreateCheckoutSession(ctx, req)
			return err
		},
		"CreateRefund": func(ctx context.Context, c *Client, id string) error {
			req := refundRequest()
			req.IntentID = id
			_, err := c.CreateRefund(ctx, req)
			return err
		},
		"DetachPaymentMethod": func(ctx context.Context, c *Client, id string) error {
			_, err := c.DetachPaymentMethod(ctx, id)
			return err
		},
		"DisputesOf": func(ctx context.Context, c *Client, id string) error {
			_, err := c.DisputesOf(ctx, id)
			return err
		},
		"ExpireCheckoutSession": func(ctx context.Context, c *Client, id string) error {
			_, err := c.ExpireCheckoutSession(ctx, id)
			return err
		},
		"FindIntent": func(ctx context.Context, c *Client, id string) error {
			_, _, err := c.FindIntent(ctx, id, paymentID, now)
			return err
		},
		"GetCheckoutSession": func(ctx context.Context, c *Client, id string) error {
			_, err := c.GetCheckoutSession(ctx, id)
			return err
		},
		"GetDispute": func(ctx context.Context, c *Client, id string) error {
			_, err := c.GetDispute(ctx, id)
			return err
		},
		"GetPaymentMethod": func(ctx context.Context, c *Client, id string) error {
			_, err := c.GetPaymentMethod(ctx, id)
			return err
		},
		"GetRefund": func(ctx context.Context, c *Client, id string) error {
			_, err := c.GetRefund(ctx, id)
			return err
		},
		"ListPaymentMethods": func(ctx context.Context, c *Client, id string) error {
			_, err := c.ListPaymentMethods(ctx, id)
			return err
		},
		"RefundsOf": func(ctx context.Context, c *Client, id string) error {
			_, err := c.RefundsOf(ctx, id)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, answer(http.StatusOK, `{"id":"x_1","object":"list","data":[],"status":"open"}`))
			c := w.client(t)
			require.NoError(t, call(t.Context(), c, "id_1"))
			require.Len(t, w.requests(), 1)

			for _, id := range []string{"", "id_1/refund", "id_1?x=y", "../x"} {
				e := new(Error)
				require.ErrorAs(t, call(t.Context(), c, id), &e)
				require.Equal(t, wallet.OutcomeRejected, e.Kind)
			}
			require.Len(t, w.requests(), 1, "invalid ids are not sent")
		})
	}
}

func TestInvalidRequests(t *testing.T) {
	t.Parallel()

	w := newWire(t, answer(http.StatusOK, `{}`))
	c := w.client(t)

	for name, call := range map[string]func() error{
		"RefundWithoutID": func() error {
			req := refundRequest()
			req.RefundID = wallet.ID{}
			_, err := c.CreateRefund(t.Context(), req)
			return err
		},
		"RefundOfNothing": func() error {
			req := refundRequest()
			req.Amount = 0
			_, err := c.CreateRefund(t.Context(), req)
			return err
		},
		"CheckoutWithoutID": func() error {
			req := checkoutRequest()
			req.CheckoutID = wallet.ID{}
			_, err := c.CreateCheckoutSession(t.Context(), req)
			return err
		},
		"CheckoutOfNothing": func() error {
			req := checkoutRequest()
			req.Amount = 0
			_, err := c.CreateCheckoutSession(t.Context(), req)
			return err
		},
		"CustomerWithoutID": func() error {
			_, err := c.CreateCustomer(t.Context(), CustomerRequest{})
			return err
		},
		"IntentOfNoPayment": func() error {
			_, _, err := c.FindIntent(t.Context(), "cus_1", wallet.ID{}, now)
			return err
		},
		"EndpointNowhere": func() error {
			_, err := c.CreateWebhookEndpoint(t.Context(), "", []string{"*"})
			return err
		},
		"EndpointForNothing": func() error {
			_, err := c.CreateWebhookEndpoint(t.Context(), "https://example.com", nil)
			return err
		},
	} {
		e := new(Error)
		require.ErrorAs(t, call(), &e, name)
		require.Equal(t, wallet.OutcomeRejected, e.Kind, name)
	}
	require.Empty(t, w.requests())
}

// Stripe refuses a repeated key with other parameters, so the bodies of all
// requests with a key must be the same byte for byte.
func TestKeyedRequests(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		key, uri, body string
	}{
		"CreateRefund/Requested": {
			"refund:01939f2e-5b00-7000-8000-000000000006", "/v1/refunds",
			"amount=2500&metadata[payment_id]=01939f2e-5b00-7000-8000-000000000001" +
				"&metadata[refund_id]=01939f2e-5b00-7000-8000-000000000006" +
				"&payment_intent=pi_1&reason=requested_by_customer",
		},
		"CreateCustomer": {
			"customer:01939f2e-5b00-7000-8000-000000000005:", "/v1/customers",
			"email=ada%40example.com&metadata[customer_id]=01939f2e-5b00-7000-8000-000000000005" +
				"&metadata[external_id]=42&metadata[organization_id]=01939f2e-5b00-7000-8000-000000000003&name=Ada",
		},
		"CreateCheckoutSession": {
			"checkout:01939f2e-5b00-7000-8000-000000000004", "/v1/checkout/sessions",
			"cancel_url=https%3A%2F%2Fpay.example.com%2Fback&customer=cus_1&expires_at=1772687167" +
				"&line_items[0][price_data][currency]=usd&line_items[0][price_data][product_data][name]=LAGO-2026-001" +
				"&line_items[0][price_data][unit_amount]=7500&line_items[0][quantity]=1" +
				"&metadata[organization_id]=01939f2e-5b00-7000-8000-000000000003" +
				"&metadata[payment_id]=01939f2e-5b00-7000-8000-000000000001" +
				"&metadata[wallet_id]=01939f2e-5b00-7000-8000-000000000002&mode=payment" +
				"&payment_intent_data[description]=LAGO-2026-001" +
				"&payment_intent_data[metadata][organization_id]=01939f2e-5b00-7000-8000-000000000003" +
				"&payment_intent_data[metadata][payment_id]=01939f2e-5b00-7000-8000-000000000001" +
				"&payment_intent_data[metadata][wallet_id]=01939f2e-5b00-7000-8000-000000000002" +
				"&payment_intent_data[receipt_email]=ada%40example.com&payment_intent_data[setup_future_usage]=off_session" +
				"&payment_method_types[0]=card&success_url=https%3A%2F%2Fpay.example.com%2Fdone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, answer(http.StatusOK, `{"id":"x_1","status":"open"}`))
			c := w.client(t)
			for range 10 {
				_, err := everyCall[name](t.Context(), c)
				require.NoError(t, err)
			}

			first := w.requests()[0]
			require.Equal(t, tc.uri, first.URI)
			require.Equal(t, tc.body, first.Body)
			require.Contains(t, first.Header.Get("Idempotency-Key"), tc.key)
			for _, again := range w.requests() {
				require.Equal(t, first.Body, again.Body)
				require.Equal(t, first.Header.Get("Idempotency-Key"), again.Header.Get("Idempotency-Key"))
			}
		})
	}

	t.Run("CustomerThatChanged", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, `{"id":"cus_1"}`))
		c := w.client(t)
		for _, email := range []string{"ada@example.com", "ada@example.org"} {
			_, err := c.CreateCustomer(t.Context(), CustomerRequest{CustomerID: customerID, OrganizationID: organizationID, Email: email})
			require.NoError(t, err)
		}

		keys := make([]string, 0, 2)
		for _, req := range w.requests() {
			keys = append(keys, req.Header.Get("Idempotency-Key"))
		}
		require.Len(t, slices.Compact(keys), 2)
	})
}
