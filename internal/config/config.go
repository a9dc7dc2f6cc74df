// Package config declares the settings of Fundrail in one struct, whose fields are flags
// and environment variables. They are read once, and all problems are reported together.
// What a setting does is up to the package that gets it.
package config

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Secret is a string that does not appear in logs, errors or JSON. Code that needs the
// value converts it to a string.
type Secret string

const hidden = "[secret]"

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// Settings are all settings of a service. Commands that need fewer embed a part of them.
type Settings struct {
	Database
	HTTP
	Edge
	Stripe
	Limits
	Log
	Monitoring
	Profiling
	Retention
	Stopping
	Webhooks
	Test
}

// Database is the address of the database.
type Database struct {
	DatabaseURL Secret `name:"database-url" env:"DATABASE_URL" group:"Settings" placeholder:"postgres://…" help:"Address of the PostgreSQL database."`
}

// HTTP is the address that the service listens on, and the one that clients use.
type HTTP struct {
	ListenAddr string `name:"listen" env:"LISTEN_ADDR" group:"Settings" default:"127.0.0.1:8080" help:"Host and port to answer on; port 0 picks one."`
	// PublicURL is the prefix of links to the service. PublicAddress returns the prefix
	// if it is empty.
	PublicURL string `name:"public-url" env:"PUBLIC_URL" group:"Settings" placeholder:"https://…" help:"Address that clients use, without a slash at its end. Default: the address listened on."`
}

// Stripe configures access to Stripe in each mode. A mode without a secret key is not
// served.
type Stripe struct {
	StripeTestSecretKey      Secret   `name:"stripe-test-secret-key" env:"STRIPE_TEST_SECRET_KEY" group:"Settings" placeholder:"sk_test_…" help:"Stripe's secret or restricted key for test mode."`
	StripeLiveSecretKey      Secret   `name:"stripe-live-secret-key" env:"STRIPE_LIVE_SECRET_KEY" group:"Settings" placeholder:"sk_live_…" help:"Stripe's secret or restricted key for live mode."`
	StripeTestWebhookSecrets []Secret `name:"stripe-test-webhook-secrets" env:"STRIPE_TEST_WEBHOOK_SECRETS" group:"Settings" placeholder:"whsec_…,…" help:"Secrets that sign Stripe's events of test mode; several while rotating."`
	StripeLiveWebhookSecrets []Secret `name:"stripe-live-webhook-secrets" env:"STRIPE_LIVE_WEBHOOK_SECRETS" group:"Settings" placeholder:"whsec_…,…" help:"Secrets that sign Stripe's events of live mode; several while rotating."`
	// StripeAPIURL is empty for the real Stripe.
	StripeAPIURL string `name:"stripe-api-url" env:"STRIPE_API_URL" group:"Settings" placeholder:"http://…" help:"Address of Stripe's API. Default: the real one."`
	// StripeRateLimit is per mode. CallsPerSecond returns what 0 means.
	StripeRateLimit int `name:"stripe-rate-limit" env:"STRIPE_RATE_LIMIT" group:"Settings" default:"0" help:"Calls per second in each mode, of all processes together; 0 stays below the real Stripe's limits, and means no limit for a simulated one."`
}

// Stripe allows 100 calls a second in live mode and 25 in test mode. A burst may exceed
// these limits by a quarter.
const (
	defaultLiveCalls = 80
	defaultTestCalls = 20
)

// CallsPerSecond returns how many calls the processes of a database may make to Stripe in
// a mode. It returns 0, for no limit, if another address makes it a simulated Stripe.
func (s Stripe) CallsPerSecond(mode wallet.Mode) int {
	switch {
	case s.StripeRateLimit > 0:
		return s.StripeRateLimit
	case s.StripeAPIURL != "":
		return 0
	case mode == wallet.ModeLive:
		return defaultLiveCalls
	default:
		return defaultTestCalls
	}
}

// Limits bound how long things take and how many there are.
type Limits struct {
	// FundWait is how long a fund request waits for the charge's outcome.
	FundWait time.Duration `name:"fund-wait" env:"FUND_WAIT" group:"Settings" default:"20s" help:"How long a fund request waits for its outcome before it is answered with 202."`
	// ActionDeadline is how long a cardholder has for a 3-D Secure challenge.
	ActionDeadline time.Duration `name:"action-deadline" env:"ACTION_DEADLINE" group:"Settings" default:"24h" help:"How long a cardholder has to pass a 3-D Secure challenge."`
	// Workers is the number of concurrent charges in one process.
	Workers int `name:"workers" env:"WORKERS" group:"Settings" default:"100" help:"Concurrent charges of one process."`
	// RateLimitPerMinute is per API key.
	RateLimitPerMinute int `name:"rate-limit-per-minute" env:"RATE_LIMIT_PER_MINUTE" group:"Settings" default:"1000" help:"Requests per minute and API key, to all processes together."`
	// WalletsPerCustomer is how many active wallets a customer may have.
	WalletsPerCustomer int `name:"wallets-per-customer" env:"WALLETS_PER_CUSTOMER" group:"Settings" default:"6" help:"Active wallets that one customer may have."`
}

// Webhooks configures the deliveries to merchants' endpoints.
type Webhooks struct {
	// WebhookAllowPrivate is for development. With it, a merchant can make the service
	// call addresses in its own network.
	WebhookAllowPrivate bool `name:"webhook-allow-private" env:"WEBHOOK_ALLOW_PRIVATE" group:"Settings" help:"Deliver to merchants' endpoints in private networks too."`
	// WebhookEndpointLimit is per organization and mode.
	WebhookEndpointLimit int `name:"webhook-endpoint-limit" env:"WEBHOOK_ENDPOINT_LIMIT" group:"Settings" default:"10" help:"Webhook endpoints that an organization may have in a mode."`
}

// Monitoring configures metrics, traces and readiness.
type Monitoring struct {
	// OTLPEndpoint receives traces. Without it there are none.
	OTLPEndpoint string `name:"otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" group:"Settings" placeholder:"http://…" help:"OpenTelemetry collector to send traces to, over HTTP. Default: no traces."`
	// MetricsListenAddr moves /metrics away from the address that merchants call. A
	// process without HTTP has no other address for it.
	MetricsListenAddr string `name:"metrics-listen" env:"METRICS_LISTEN_ADDR" group:"Settings" placeholder:"HOST:PORT" help:"Separate address for /metrics, /healthz and /readyz. Default: the API's address."`
	// ReadyMaxEventAge takes the process out of service while an event of Stripe's has
	// waited for longer, because an operator has to look into that.
	ReadyMaxEventAge time.Duration `name:"ready-max-event-age" env:"READY_MAX_EVENT_AGE" group:"Settings" default:"1h" help:"Age of an unhandled event from which /readyz fails; 0 for no limit."`
	// ReadyMaxPaymentAge does the same for a payment of unknown outcome.
	ReadyMaxPaymentAge time.Duration `name:"ready-max-payment-age" env:"READY_MAX_PAYMENT_AGE" group:"Settings" default:"0s" help:"Age of a payment in processing from which /readyz fails; 0 for no limit."`
}

// Log is the level and the format of the log.
type Log struct {
	LogLevel  string `name:"log-level" env:"LOG_LEVEL" group:"Settings" default:"${log_level}" help:"debug, info, warn or error."`
	LogFormat string `name:"log-format" env:"LOG_FORMAT" group:"Settings" default:"${log_format}" help:"json or text."`
}

// Profiling configures Go's profiler.
type Profiling struct {
	// ProfileListenAddr is a loopback address, because profiles show the data of a
	// process.
	ProfileListenAddr string `name:"profile-listen" env:"PROFILE_LISTEN_ADDR" group:"Settings" placeholder:"127.0.0.1:6060" help:"Loopback host and port of Go's profiler. Default: no profiler."`
}

// SecretKey returns Stripe's key for a mode, which is empty if the mode is not served.
func (s Stripe) SecretKey(mode wallet.Mode) Secret {
	if mode == wallet.ModeLive {
		return s.StripeLiveSecretKey
	}
	return s.StripeTestSecretKey
}

// WebhookSecrets returns the secrets that sign Stripe's events of a mode.
func (s Stripe) WebhookSecrets(mode wallet.Mode) []Secret {
	if mode == wallet.ModeLive {
		return s.StripeLiveWebhookSecrets
	}
	return s.StripeTestWebhookSecrets
}

// PublicAddress returns the prefix of links to the service, without a slash at its end:
// PublicURL, or the listener's address, or ListenAddr for a process that has no listener.
func (h HTTP) PublicAddress(listener net.Addr) string {
	if h.PublicURL != "" {
		return h.PublicURL
	}
	if listener != nil {
		return AddressURL(listener.String())
	}
	return AddressURL(h.ListenAddr)
}

// AddressURL returns the URL at which a client on this machine reaches a host and port
// that a server listens on.
func AddressURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Logger returns a logger that writes to w in the configured level and format.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.LogLevel)) // Check has checked it; info otherwise
	opts := &slog.HandlerOptions{Level: level}
	if strings.EqualFold(l.LogFormat, "text") {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
