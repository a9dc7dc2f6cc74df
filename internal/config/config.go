// Package config is what Fundrail can be told from outside: one declared struct
// whose fields are flags and environment variables at once, read once, with
// every problem reported together. What the settings do is left to the packages
// that are given them.
package config

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Secret is a string that keeps itself out of logs, errors and JSON. Code that
// needs the value converts it to a string.
type Secret string

const hidden = "[secret]"

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// Settings is everything that a running service needs to be told. Commands that
// need less embed one of its parts.
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

// Database is where the money is.
type Database struct {
	DatabaseURL Secret `name:"database-url" env:"DATABASE_URL" group:"Settings" placeholder:"postgres://…" help:"PostgreSQL to work on."`
}

// HTTP is where the service answers, and under which address others know it.
type HTTP struct {
	ListenAddr string `name:"listen" env:"LISTEN_ADDR" group:"Settings" default:"127.0.0.1:8080" help:"Host and port to answer on; port 0 picks one."`
	// PublicURL starts the addresses that are handed out. Empty means the
	// address that is listened on; PublicAddress says which.
	PublicURL string `name:"public-url" env:"PUBLIC_URL" group:"Settings" placeholder:"https://…" help:"Address others reach the service under, without a slash at its end."`
}

// Stripe is how to reach Stripe in each mode. A mode without a secret key is not
// served.
type Stripe struct {
	StripeTestSecretKey      Secret   `name:"stripe-test-secret-key" env:"STRIPE_TEST_SECRET_KEY" group:"Settings" placeholder:"sk_test_…" help:"Stripe's secret or restricted key for test mode."`
	StripeLiveSecretKey      Secret   `name:"stripe-live-secret-key" env:"STRIPE_LIVE_SECRET_KEY" group:"Settings" placeholder:"sk_live_…" help:"Stripe's secret or restricted key for live mode."`
	StripeTestWebhookSecrets []Secret `name:"stripe-test-webhook-secrets" env:"STRIPE_TEST_WEBHOOK_SECRETS" group:"Settings" placeholder:"whsec_…,…" help:"What signs Stripe's events of test mode; several while rotating."`
	StripeLiveWebhookSecrets []Secret `name:"stripe-live-webhook-secrets" env:"STRIPE_LIVE_WEBHOOK_SECRETS" group:"Settings" placeholder:"whsec_…,…" help:"What signs Stripe's events of live mode; several while rotating."`
	// StripeAPIURL is empty for the real Stripe.
	StripeAPIURL string `name:"stripe-api-url" env:"STRIPE_API_URL" group:"Settings" placeholder:"http://…" help:"Where Stripe's API is; the real one unless given."`
	// StripeRateLimit is per mode; CallsPerSecond says what 0 means.
	StripeRateLimit int `name:"stripe-rate-limit" env:"STRIPE_RATE_LIMIT" group:"Settings" default:"0" help:"Calls per second that all processes together make in each mode; 0 stays below the limits of the real Stripe, and sets none elsewhere."`
}

// Stripe allows 100 calls a second in live mode and 25 in test mode. A burst may
// add a quarter to ours.
const (
	defaultLiveCalls = 80
	defaultTestCalls = 20
)

// CallsPerSecond is how many calls the processes of a database may make to Stripe in
// a mode, 0 when there is no limit: a Stripe at another address is a simulated one.
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

// Limits are how long and how much.
type Limits struct {
	// FundWait is how long a fund request waits for the charge's outcome.
	FundWait time.Duration `name:"fund-wait" env:"FUND_WAIT" group:"Settings" default:"20s" help:"How long a fund request waits for its outcome before it is answered 202."`
	// ActionDeadline is how long a cardholder has for a 3-D Secure challenge.
	ActionDeadline time.Duration `name:"action-deadline" env:"ACTION_DEADLINE" group:"Settings" default:"24h" help:"How long a cardholder has to pass a 3-D Secure challenge."`
	// Workers is how many charges are under way at once in one process.
	Workers int `name:"workers" env:"WORKERS" group:"Settings" default:"100" help:"Charges that one process has under way at once."`
	// RateLimitPerMinute is per API key.
	RateLimitPerMinute int `name:"rate-limit-per-minute" env:"RATE_LIMIT_PER_MINUTE" group:"Settings" default:"1000" help:"Requests per minute and API key, at all processes together."`
	// WalletsPerCustomer is how many active wallets a customer may have.
	WalletsPerCustomer int `name:"wallets-per-customer" env:"WALLETS_PER_CUSTOMER" group:"Settings" default:"6" help:"Active wallets that one customer may have."`
}

// Webhooks are how merchants' endpoints are reached.
type Webhooks struct {
	// WebhookAllowPrivate is for development: whoever may register an endpoint can
	// then have this service call its own network.
	WebhookAllowPrivate bool `name:"webhook-allow-private" env:"WEBHOOK_ALLOW_PRIVATE" group:"Settings" help:"Deliver to merchants' endpoints in private networks too."`
	// WebhookEndpointLimit is per organization and mode.
	WebhookEndpointLimit int `name:"webhook-endpoint-limit" env:"WEBHOOK_ENDPOINT_LIMIT" group:"Settings" default:"10" help:"Webhook endpoints that an organization may have in a mode."`
}

// Monitoring is how operators see in.
type Monitoring struct {
	// OTLPEndpoint is where traces go. Without it none are made.
	OTLPEndpoint string `name:"otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" group:"Settings" placeholder:"http://…" help:"OpenTelemetry collector to send traces to, over HTTP; none unless given."`
	// MetricsListenAddr takes /metrics off the address that merchants call. A
	// process without HTTP has it nowhere else.
	MetricsListenAddr string `name:"metrics-listen" env:"METRICS_LISTEN_ADDR" group:"Settings" placeholder:"HOST:PORT" help:"Address of its own for /metrics, /healthz and /readyz; otherwise they are where the API is."`
	// ReadyMaxEventAge is a red line: an event of Stripe's that waits for longer
	// takes the process out of service until somebody looks.
	ReadyMaxEventAge time.Duration `name:"ready-max-event-age" env:"READY_MAX_EVENT_AGE" group:"Settings" default:"1h" help:"Age of an unhandled event from which /readyz says no; 0 for none."`
	// ReadyMaxPaymentAge is another: a payment nobody knows the outcome of.
	ReadyMaxPaymentAge time.Duration `name:"ready-max-payment-age" env:"READY_MAX_PAYMENT_AGE" group:"Settings" default:"0s" help:"Age of a payment in processing from which /readyz says no; 0 for none."`
}

// Log is how much is logged and in which form.
type Log struct {
	LogLevel  string `name:"log-level" env:"LOG_LEVEL" group:"Settings" default:"${log_level}" help:"debug, info, warn or error."`
	LogFormat string `name:"log-format" env:"LOG_FORMAT" group:"Settings" default:"${log_format}" help:"json or text."`
}

// Profiling is for finding out where the time goes.
type Profiling struct {
	// ProfileListenAddr is a loopback address, because profiles show what a
	// process works on.
	ProfileListenAddr string `name:"profile-listen" env:"PROFILE_LISTEN_ADDR" group:"Settings" placeholder:"127.0.0.1:6060" help:"Loopback host and port where Go's profiler answers; nowhere unless given."`
}

// SecretKey is Stripe's key for a mode, empty when the mode is not served.
func (s Stripe) SecretKey(mode wallet.Mode) Secret {
	if mode == wallet.ModeLive {
		return s.StripeLiveSecretKey
	}
	return s.StripeTestSecretKey
}

// WebhookSecrets are what signs Stripe's events of a mode.
func (s Stripe) WebhookSecrets(mode wallet.Mode) []Secret {
	if mode == wallet.ModeLive {
		return s.StripeLiveWebhookSecrets
	}
	return s.StripeTestWebhookSecrets
}

// PublicAddress is what the addresses that are handed out start with, without a
// slash at its end: PublicURL, or else the address that listener got, or else,
// for a process that does not listen, the one it is told to listen on.
func (h HTTP) PublicAddress(listener net.Addr) string {
	if h.PublicURL != "" {
		return h.PublicURL
	}
	if listener != nil {
		return AddressURL(listener.String())
	}
	return AddressURL(h.ListenAddr)
}

// AddressURL turns a host and port that is listened on into a URL that a client
// on this machine can call.
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

// Logger logs to w as the settings say.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.LogLevel)) // checked when it was read; info otherwise
	opts := &slog.HandlerOptions{Level: level}
	if strings.EqualFold(l.LogFormat, "text") {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
