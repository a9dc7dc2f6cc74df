package stripesim_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// TestObjectsHaveAllFields compares each object with the fields of stripe-go's type.
// Every field must be present, null if it is empty.
func TestObjectsHaveAllFields(t *testing.T) {
	t.Parallel()

	b := setup(t)
	pi := b.paid(t, "pm_card_createDispute")
	b.sim.Advance(time.Minute)
	refunded := b.paid(t, "pm_card_visa")
	refund, err := b.refund(refunded.ID, 0)
	require.NoError(t, err)
	failed, _ := b.pay(t, "pm_card_chargeCustomerFail")
	acting, _ := b.pay(t, "pm_card_authenticationRequired")
	warned := b.paid(t, "pm_card_createIssuerFraudRecord")
	b.sim.Advance(time.Minute)
	si, err := b.client.SetupIntents.New(&stripe.SetupIntentParams{Customer: &b.customer})
	require.NoError(t, err)
	ep, err := b.client.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
		EnabledEvents: stripe.StringSlice([]string{"*"}), URL: new("http://127.0.0.1:1"),
	})
	require.NoError(t, err)
	cs, err := b.client.CheckoutSessions.New(&stripe.CheckoutSessionParams{
		LineItems: []*stripe.CheckoutSessionLineItemParams{{PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
			Currency: new("usd"), UnitAmount: stripe.Int64(500),
			ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: new("Credits")},
		}}},
		Mode: new("payment"), SuccessURL: new("https://shop.example/thanks"),
	})
	require.NoError(t, err)
	charge, err := b.client.Charges.Get(pi.LatestCharge.ID, nil)
	require.NoError(t, err)

	// Stripe shows these fields only when they are expanded or the object is
	// deleted, for other kinds of payment methods, or in newer versions of the API.
	sometimes := map[string][]string{
		"Charge":          {"refunds"},
		"CheckoutSession": {"line_items"},
		"Customer":        {"deleted", "sources", "subscriptions", "tax_ids"},
		"Event":           {"account"},
		"WebhookEndpoint": {"deleted", "secret"},
	}
	for _, tt := range []struct {
		path string
		typ  any
	}{
		{"/v1/payment_intents/" + pi.ID, stripe.PaymentIntent{}},
		{"/v1/payment_intents/" + failed.ID, stripe.PaymentIntent{}},
		{"/v1/payment_intents/" + acting.ID, stripe.PaymentIntent{}},
		{"/v1/charges/" + pi.LatestCharge.ID, stripe.Charge{}},
		{"/v1/charges/" + failed.LatestCharge.ID, stripe.Charge{}},
		{"/v1/refunds/" + refund.ID, stripe.Refund{}},
		{"/v1/disputes/" + b.sim.Disputes(false)[0].ID, stripe.Dispute{}},
		{"/v1/customers/" + b.customer, stripe.Customer{}},
		{"/v1/payment_methods/" + pi.PaymentMethod.ID, stripe.PaymentMethod{}},
		{"/v1/setup_intents/" + si.ID, stripe.SetupIntent{}},
		{"/v1/events/" + b.sim.Events(false)[0].ID, stripe.Event{}},
		{"/v1/webhook_endpoints/" + ep.ID, stripe.WebhookEndpoint{}},
		{"/v1/checkout/sessions/" + cs.ID, stripe.CheckoutSession{}},
		{"/v1/balance_transactions/" + charge.BalanceTransaction.ID, stripe.BalanceTransaction{}},
	} {
		typ := reflect.TypeOf(tt.typ)
		a := b.raw(t, http.MethodGet, tt.path, "")
		require.Equal(t, http.StatusOK, a.status, tt.path)
		requireFields(t, a.json(t), typ, sometimes[typ.Name()])
		require.NoError(t, json.Unmarshal(a.body, reflect.New(typ).Interface()), "%s is readable", tt.path)
	}
	list := b.raw(t, http.MethodGet, "/v1/radar/early_fraud_warnings?charge="+warned.LatestCharge.ID, "").json(t)
	warnings, _ := list["data"].([]any)
	require.Len(t, warnings, 1)
	warning, _ := warnings[0].(map[string]any)
	requireFields(t, warning, reflect.TypeFor[stripe.RadarEarlyFraudWarning](), nil)
}

func requireFields(t *testing.T, got map[string]any, typ reflect.Type, sometimes []string) {
	t.Helper()
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" || slices.Contains(sometimes, name) {
			continue
		}
		if typ == reflect.TypeFor[stripe.PaymentMethod]() && isOtherKind(name, field.Type) {
			continue
		}
		require.Contains(t, got, name, "%s", typ.Name())
	}
}

// isOtherKind reports whether a field of a payment method belongs to another kind
// of payment method.
func isOtherKind(name string, typ reflect.Type) bool {
	return typ.Kind() == reflect.Pointer && strings.HasPrefix(typ.Elem().Name(), "PaymentMethod") &&
		!slices.Contains([]string{"card", "billing_details", "radar_options"}, name)
}

func TestIDs(t *testing.T) {
	t.Parallel()

	b := setup(t)
	pi := b.paid(t, "pm_card_visa")
	for id, prefix := range map[string]string{
		pi.ID: "pi_3", pi.LatestCharge.ID: "ch_3", pi.PaymentMethod.ID: "pm_1", b.customer: "cus_",
		b.sim.Events(false)[0].ID: "evt_3",
	} {
		require.True(t, strings.HasPrefix(id, prefix), id)
		require.Regexp(t, `^[a-z]+_[0-9A-Za-z]{14,}$`, id)
	}
	require.True(t, strings.HasPrefix(pi.ClientSecret, pi.ID+"_secret_"))
	again := setup(t).paid(t, "pm_card_visa")
	require.Equal(t, pi.ID, again.ID, "a seed repeats its ids")
	other := setup(t, func(c *stripesim.Config) { c.Seed = 2 }).paid(t, "pm_card_visa")
	require.NotEqual(t, pi.ID, other.ID)
}
