// Package simtest runs the Stripe simulator in tests. Each simulator has its own
// port and is closed when its test ends. Helper methods fail the test instead of
// returning errors. The simulator itself is package stripesim.
package simtest

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require" //nolint:depguard // this package is for tests
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// Key is an API key of test mode, and LiveKey one of live mode.
const (
	Key     = "sk_test_simtest"
	LiveKey = "sk_live_simtest"
)

// drainTimeout limits how long a test waits for deliveries.
const drainTimeout = 15 * time.Second

// Sim is a running simulator. It has the control methods of its Server.
type Sim struct {
	*stripesim.Server
	// URL is the address for clients, as for STRIPE_API_URL.
	URL string

	t testing.TB
}

// Option changes the configuration of a simulator.
type Option func(*stripesim.Config)

// WithConfig changes any field of the configuration.
func WithConfig(change func(*stripesim.Config)) Option { return change }

// WithNow sets the base of the virtual clock.
func WithNow(now func() time.Time) Option {
	return func(c *stripesim.Config) { c.Now = now }
}

// WithWebhook delivers the events of test mode to url, signed by secrets.
func WithWebhook(url string, secrets ...string) Option {
	return func(c *stripesim.Config) { c.WebhookURL, c.WebhookSecrets = url, secrets }
}

// New starts a simulator that ends with the test. Its seed is fixed, so ids and
// dice are the same in every run. Webhooks are retried after short waits.
func New(tb testing.TB, opts ...Option) *Sim {
	tb.Helper()
	cfg := stripesim.Config{
		Seed:         1,
		WebhookRetry: []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, time.Second},
	}
	for _, o := range opts {
		o(&cfg)
	}
	srv, err := stripesim.New(cfg)
	require.NoError(tb, err)
	run, err := srv.Listen("127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() {
		// The test's context has already been canceled.
		ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		require.NoError(tb, run.Close(ctx))
	})
	return &Sim{Server: srv, URL: run.URL, t: tb}
}

// Client returns a stripe-go client for test mode that does not retry.
func (s *Sim) Client() *client.API { return s.ClientFor(Key) }

// ClientFor is Client with another key.
func (s *Sim) ClientFor(key string) *client.API {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		EnableTelemetry:   new(false),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(0),
		URL:               new(s.URL),
	})
	return client.New(key, &stripe.Backends{API: backend, Connect: backend, Uploads: backend})
}

// Fault adds an API fault and returns its id.
func (s *Sim) Fault(f stripesim.Fault) string {
	s.t.Helper()
	id, err := s.AddFault(f)
	require.NoError(s.t, err)
	return id
}

// WebhookFault adds a webhook fault and returns its id.
func (s *Sim) WebhookFault(f stripesim.WebhookFault) string {
	s.t.Helper()
	id, err := s.AddWebhookFault(f)
	require.NoError(s.t, err)
	return id
}

// Applied returns how often a fault of either kind was applied.
func (s *Sim) Applied(id string) int {
	for _, f := range s.Faults() {
		if f.Rule.ID == id {
			return int(f.Applied)
		}
	}
	for _, f := range s.WebhookFaults() {
		if f.Rule.ID == id {
			return int(f.Applied)
		}
	}
	return 0
}

// Customer creates a customer and returns its id.
func (s *Sim) Customer() string {
	s.t.Helper()
	cus, err := s.CreateCustomer(stripesim.NewCustomer{Email: "ada@example.com"})
	require.NoError(s.t, err)
	return cus.ID
}

// Card creates a payment method of a test card, such as "pm_card_visa", attaches it
// to the customer and returns its id. It attaches even cards that Stripe would
// refuse.
func (s *Sim) Card(customer, card string) string {
	s.t.Helper()
	pm, err := s.CreatePaymentMethod(stripesim.SavedCard{Card: card, Customer: customer})
	require.NoError(s.t, err)
	return pm.ID
}

// Challenge answers a 3DS challenge as the cardholder would and returns the
// status that follows.
func (s *Sim) Challenge(intent string, pass bool) string {
	s.t.Helper()
	outcome := stripesim.OutcomeFail
	if pass {
		outcome = stripesim.OutcomeSucceed
	}
	status, err := s.CompleteChallenge(intent, outcome)
	require.NoError(s.t, err)
	return status
}

// MustIntent returns a PaymentIntent. It fails the test if there is none.
func (s *Sim) MustIntent(id string) stripesim.Intent {
	s.t.Helper()
	pi, ok := s.Intent(id)
	require.True(s.t, ok, "no PaymentIntent %s", id)
	return pi
}

// IntentsWith returns the PaymentIntents of test mode with the metadata value.
func (s *Sim) IntentsWith(key, value string) []stripesim.Intent {
	var out []stripesim.Intent
	for _, pi := range s.Intents(false) {
		if pi.Metadata.Get(key) == value {
			out = append(out, pi)
		}
	}
	return out
}

// Drain waits until no webhook is queued or in flight. It does not wait for
// scheduled retries.
func (s *Sim) Drain() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), drainTimeout)
	defer cancel()
	require.NoError(s.t, s.WaitIdle(ctx))
}

// DrainAll waits until every webhook is delivered or given up, including retries
// and delayed ones.
func (s *Sim) DrainAll() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		c := s.Deliveries()
		return c.Queued == 0 && c.InFlight == 0 && c.Scheduled == 0
	}, drainTimeout, 2*time.Millisecond)
}

// ReturnQuery returns the query parameters of an address that a browser was
// redirected to.
func ReturnQuery(tb testing.TB, location string) url.Values {
	tb.Helper()
	u, err := url.Parse(location)
	require.NoError(tb, err)
	return u.Query()
}
