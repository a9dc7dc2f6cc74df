package worker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/telemetry"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/worker"
)

func TestOneTraceFromRequestToDelivery(t *testing.T) {
	t.Parallel()

	b, merchant := setup(t), newReceiver(t)
	b.m.PaymentMethod = testfactory.PaymentMethod(t, b.pool, testfactory.PaymentMethodOpts{Customer: b.m.Customer})
	_, err := b.sim.CreatePaymentMethod(stripesim.SavedCard{
		Card: "pm_card_authenticationRequired", Customer: b.m.Customer.StripeCustomerID, ID: b.m.PaymentMethod.StripePaymentMethodID,
	})
	require.NoError(t, err)
	_, endpointSecret := testfactory.Endpoint(t, b.pool, testfactory.EndpointOpts{
		Events: []string{"payment.succeeded"}, OrganizationID: b.m.Organization.ID, URL: merchant.url,
	})
	spans := tracetest.NewInMemoryExporter()
	p := b.start(t, func(o *worker.Options) {
		o.Settings.Webhooks = config.Webhooks{WebhookAllowPrivate: true, WebhookEndpointLimit: 10}
		o.Traces = telemetry.TracesTo(sdktrace.WithSyncer(kept{spans}))
	})

	status, answer := b.fund(t, p, nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "requires_action", answer["status"])
	id, err := wallet.ParseID(wallet.PrefixPayment, b.m.Mode, answer["payment_id"].(string))
	require.NoError(t, err)
	payment, err := postgres.GetPayment(t.Context(), b.pool, id)
	require.NoError(t, err)
	b.sim.Challenge(payment.StripePaymentIntentID, true)
	select {
	case <-merchant.called:
	case <-time.After(15 * time.Second):
		require.Fail(t, "the merchant should receive the event")
	}
	p.end(t)

	for _, s := range spans.GetSpans() {
		shown := fmt.Sprint(s.Name, s.Attributes, s.Events, s.Status)
		for _, hush := range []string{b.m.APIKey, endpointSecret, secret, simtest.Key, "_secret_", "42424242"} {
			require.NotContains(t, shown, hush)
		}
	}
	inTrace, statements := map[string]int{}, 0
	for _, s := range spans.GetSpans() {
		if s.SpanContext.TraceID().String() != payment.Traceparent[3:35] {
			continue
		}
		inTrace[s.Name]++
		if s.InstrumentationScope.Name == "github.com/exaring/otelpgx" {
			statements++
		}
	}
	for _, name := range []string{
		"POST /v1/wallet/fund", "charge payment", "stripe charge", "settle payment", "take in event", "handle event",
		"stripe retrieve", "deliver event",
	} {
		require.NotZero(t, inTrace[name], "%s in %v", name, inTrace)
	}
	require.NotZero(t, statements)
	require.GreaterOrEqual(t, inTrace["settle payment"], 2, "the challenge, and the money: %v", inTrace)
	in := b.sim.MustIntent(payment.StripePaymentIntentID)
	require.Empty(t, in.Metadata.Get("traceparent"), "a repeated request must not differ from the first")
}

func TestNothingIsTracedWithoutACollector(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.start(t, nil)
	_, answer := b.fund(t, p, nil)
	id, err := wallet.ParseID(wallet.PrefixPayment, b.m.Mode, answer["payment_id"].(string))
	require.NoError(t, err)

	payment, err := postgres.GetPayment(t.Context(), b.pool, id)

	require.NoError(t, err)
	require.Empty(t, payment.Traceparent)
	traces, err := telemetry.NewTraces(t.Context(), "")
	require.NoError(t, err)
	require.Nil(t, traces.Tracer())
	require.Nil(t, traces.Queries())
	require.Empty(t, traces.Requests())
}

// kept is an exporter that keeps its spans after the service has stopped.
type kept struct{ *tracetest.InMemoryExporter }

// Shutdown implements sdktrace.SpanExporter.
func (kept) Shutdown(context.Context) error { return nil }

// receiver is a merchant's endpoint.
type receiver struct {
	url    string
	called chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()

	r := &receiver{called: make(chan struct{}, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { r.called <- struct{}{} }))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}
