package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Check reports every setting that keeps a service from running, as one error. The error
// names variables and never shows a secret.
func (s Settings) Check() error {
	return errors.Join(
		s.Database.Check(),
		s.HTTP.Check(),
		s.Edge.Check(),
		s.Stripe.Check(),
		s.Limits.Check(),
		s.Log.Check(),
		s.Monitoring.Check(),
		s.Profiling.Check(),
		s.Retention.Check(),
		s.Stopping.Check(),
		s.Webhooks.Check(),
		s.checkTest(),
	)
}

// Check reports a DATABASE_URL that is missing or malformed.
func (d Database) Check() error {
	if d.DatabaseURL == "" {
		return errors.New("DATABASE_URL is required")
	}
	// The parser's error would show the password.
	if u, err := url.Parse(string(d.DatabaseURL)); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return errors.New("DATABASE_URL must be a URL such as postgres://user:password@host:5432/name")
	}
	return nil
}

// Check reports invalid addresses.
func (h HTTP) Check() error {
	var problems []error
	if _, port, err := net.SplitHostPort(h.ListenAddr); err != nil || !validPort(port) {
		problems = append(problems, fmt.Errorf("LISTEN_ADDR must be a host and port such as 127.0.0.1:8080, not %q", h.ListenAddr))
	}
	if h.PublicURL != "" {
		problems = append(problems, checkBaseURL("PUBLIC_URL", h.PublicURL))
		if strings.HasSuffix(h.PublicURL, "/") {
			problems = append(problems, fmt.Errorf("PUBLIC_URL must not end in a slash: %q", h.PublicURL))
		}
	}
	return errors.Join(problems...)
}

// Check reports keys of the wrong mode, and the lack of any key.
func (s Stripe) Check() error {
	var problems []error
	served := false
	for _, mode := range wallet.Modes {
		name := "STRIPE_" + strings.ToUpper(string(mode))
		key, secrets := s.SecretKey(mode), s.WebhookSecrets(mode)
		if key != "" {
			served = true
			problems = append(problems, checkKey(name+"_SECRET_KEY", key, mode))
		}
		for i, secret := range secrets {
			if strings.TrimSpace(string(secret)) == "" {
				problems = append(problems, fmt.Errorf("%s_WEBHOOK_SECRETS: secret %d is empty", name, i+1))
			}
		}
		if len(secrets) > 0 && key == "" {
			problems = append(problems, fmt.Errorf("%s_WEBHOOK_SECRETS needs %s_SECRET_KEY", name, name))
		}
	}
	if !served {
		problems = append(problems, errors.New("STRIPE_TEST_SECRET_KEY or STRIPE_LIVE_SECRET_KEY is required"))
	}
	if s.StripeRateLimit < 0 {
		problems = append(problems, fmt.Errorf("STRIPE_RATE_LIMIT must not be negative, not %d", s.StripeRateLimit))
	}
	if s.StripeAPIURL != "" {
		problems = append(problems, checkBaseURL("STRIPE_API_URL", s.StripeAPIURL))
	}
	return errors.Join(problems...)
}

// Check reports durations and counts that are not above zero.
func (l Limits) Check() error {
	return errors.Join(
		checkDuration("FUND_WAIT", l.FundWait),
		checkDuration("ACTION_DEADLINE", l.ActionDeadline),
		checkCount("WORKERS", l.Workers),
		checkCount("RATE_LIMIT_PER_MINUTE", l.RateLimitPerMinute),
		checkCount("WALLETS_PER_CUSTOMER", l.WalletsPerCustomer),
	)
}

// Check reports invalid addresses and negative ages.
func (m Monitoring) Check() error {
	var problems []error
	if m.MetricsListenAddr != "" {
		if _, port, err := net.SplitHostPort(m.MetricsListenAddr); err != nil || !validPort(port) {
			problems = append(problems, fmt.Errorf("METRICS_LISTEN_ADDR must be a host and port such as 127.0.0.1:9090, not %q", m.MetricsListenAddr))
		}
	}
	if m.OTLPEndpoint != "" {
		problems = append(problems, checkBaseURL("OTEL_EXPORTER_OTLP_ENDPOINT", m.OTLPEndpoint))
	}
	if m.ReadyMaxEventAge < 0 || m.ReadyMaxPaymentAge < 0 {
		problems = append(problems, errors.New("READY_MAX_EVENT_AGE and READY_MAX_PAYMENT_AGE must not be below zero"))
	}
	return errors.Join(problems...)
}

// Check reports a limit that is not above zero.
func (w Webhooks) Check() error { return checkCount("WEBHOOK_ENDPOINT_LIMIT", w.WebhookEndpointLimit) }

// Check reports an unknown level or format.
func (l Log) Check() error {
	var problems []error
	var level slog.Level
	if level.UnmarshalText([]byte(l.LogLevel)) != nil {
		problems = append(problems, fmt.Errorf("LOG_LEVEL must be debug, info, warn or error, not %q", l.LogLevel))
	}
	switch l.LogFormat {
	case "json", "text":
	default:
		problems = append(problems, fmt.Errorf("LOG_FORMAT must be json or text, not %q", l.LogFormat))
	}
	return errors.Join(problems...)
}

func checkKey(name string, key Secret, mode wallet.Mode) error {
	secret, restricted := "sk_"+string(mode)+"_", "rk_"+string(mode)+"_"
	for _, prefix := range []string{secret, restricted} {
		if rest, ok := strings.CutPrefix(string(key), prefix); ok && rest != "" && !strings.ContainsAny(rest, " \t\r\n") {
			return nil
		}
	}
	return fmt.Errorf("%s must be a key of %s mode: %s… or %s…", name, mode, secret, restricted)
}

func checkBaseURL(name, value string) error {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("%s must be a URL that starts with http:// or https://, not %q", name, value)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%s must have nothing but scheme, host and path", name)
	}
	return nil
}

func checkDuration(name string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s must be longer than zero, not %s", name, d)
	}
	return nil
}

func checkCount(name string, n int) error {
	if n <= 0 {
		return fmt.Errorf("%s must be at least 1, not %d", name, n)
	}
	return nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n <= 65535
}

// Check reports an address that is not on the loopback interface.
func (p Profiling) Check() error {
	if p.ProfileListenAddr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(p.ProfileListenAddr)
	if ip := net.ParseIP(host); err != nil || !validPort(port) || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("PROFILE_LISTEN_ADDR must be a loopback address and port such as 127.0.0.1:6060, not %q", p.ProfileListenAddr)
	}
	return nil
}
