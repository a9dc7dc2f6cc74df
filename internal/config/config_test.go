package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/wallet"
)

// environment is the least that a service needs, with the given variables on top.
func environment(more ...string) func(string) string {
	env := map[string]string{
		"DATABASE_URL":           "postgres://fundrail:hush@127.0.0.1:5432/fundrail",
		"STRIPE_TEST_SECRET_KEY": "sk_test_hush",
	}
	for pair := range slices.Chunk(more, 2) {
		env[pair[0]] = pair[1]
	}
	return func(name string) string { return env[name] }
}

func TestLoad(t *testing.T) {
	t.Parallel()

	t.Run("Defaults", func(t *testing.T) {
		t.Parallel()

		s, err := config.Load(environment())

		require.NoError(t, err)
		require.Equal(t, config.Settings{
			Database: config.Database{DatabaseURL: "postgres://fundrail:hush@127.0.0.1:5432/fundrail"},
			HTTP:     config.HTTP{ListenAddr: "127.0.0.1:8080"},
			Stripe:   config.Stripe{StripeTestSecretKey: "sk_test_hush"},
			Limits: config.Limits{
				ActionDeadline: 24 * time.Hour, FundWait: 20 * time.Second, RateLimitPerMinute: 1000, WalletsPerCustomer: 6, Workers: 100,
			},
			Log:        config.Log{LogFormat: "json", LogLevel: "info"},
			Monitoring: config.Monitoring{ReadyMaxEventAge: time.Hour},
			Retention: config.Retention{
				CompletedJobRetention: 24 * time.Hour, DeliveryRetention: 30 * 24 * time.Hour, EventRetention: 90 * 24 * time.Hour,
				FailedJobRetention: 7 * 24 * time.Hour,
			},
			Stopping: config.Stopping{StopWithin: 9 * time.Second},
			Webhooks: config.Webhooks{WebhookEndpointLimit: 10},
		}, s)
	})

	t.Run("Everything", func(t *testing.T) {
		t.Parallel()

		s, err := config.Load(environment(
			"ACTION_DEADLINE", "90m",
			"FUND_WAIT", "1500ms",
			"LISTEN_ADDR", "[::]:0",
			"LOG_FORMAT", "text",
			"LOG_LEVEL", "debug",
			"PROFILE_LISTEN_ADDR", "[::1]:6060",
			"PUBLIC_URL", "https://pay.example.com/fundrail",
			"RATE_LIMIT_PER_MINUTE", "60",
			"STRIPE_API_URL", "http://127.0.0.1:12111",
			"STRIPE_LIVE_SECRET_KEY", "rk_live_hush",
			"STRIPE_LIVE_WEBHOOK_SECRETS", "whsec_new,whsec_old",
			"STRIPE_TEST_WEBHOOK_SECRETS", "whsec_test",
			"WORKERS", "7",
		))

		require.NoError(t, err)
		require.Equal(t, config.HTTP{ListenAddr: "[::]:0", PublicURL: "https://pay.example.com/fundrail"}, s.HTTP)
		require.Equal(t, config.Limits{
			ActionDeadline: 90 * time.Minute, FundWait: 1500 * time.Millisecond, RateLimitPerMinute: 60, WalletsPerCustomer: 6, Workers: 7,
		}, s.Limits)
		require.Equal(t, config.Log{LogFormat: "text", LogLevel: "debug"}, s.Log)
		require.Equal(t, "[::1]:6060", s.ProfileListenAddr)
		require.Equal(t, "http://127.0.0.1:12111", s.StripeAPIURL)
		require.Equal(t, config.Secret("rk_live_hush"), s.SecretKey(wallet.ModeLive))
		require.Equal(t, config.Secret("sk_test_hush"), s.SecretKey(wallet.ModeTest))
		require.Equal(t, []config.Secret{"whsec_new", "whsec_old"}, s.WebhookSecrets(wallet.ModeLive))
		require.Equal(t, []config.Secret{"whsec_test"}, s.WebhookSecrets(wallet.ModeTest))
	})

	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"ActionDeadlineNegative", []string{"ACTION_DEADLINE", "-1h"}, "ACTION_DEADLINE must be longer than zero, not -1h0m0s"},
		{"DatabaseMissing", []string{"DATABASE_URL", ""}, "DATABASE_URL is required"},
		{"DatabaseNotPostgres", []string{"DATABASE_URL", "mysql://hush@127.0.0.1"}, "DATABASE_URL must be a URL such as"},
		{"DatabaseNotURL", []string{"DATABASE_URL", "postgres://x:hush%@127.0.0.1"}, "DATABASE_URL must be a URL such as"},
		{"FundWaitNoUnit", []string{"FUND_WAIT", "20"}, "FUND_WAIT: "},
		{"FundWaitZero", []string{"FUND_WAIT", "0s"}, "FUND_WAIT must be longer than zero, not 0s"},
		{"KeyEmptyAfterPrefix", []string{"STRIPE_TEST_SECRET_KEY", "sk_test_"}, "STRIPE_TEST_SECRET_KEY must be a key of test mode"},
		{"KeyOfOtherMode", []string{"STRIPE_LIVE_SECRET_KEY", "sk_test_hush"}, "STRIPE_LIVE_SECRET_KEY must be a key of live mode: sk_live_… or rk_live_…"},
		{"KeyPublishable", []string{"STRIPE_TEST_SECRET_KEY", "pk_test_hush"}, "STRIPE_TEST_SECRET_KEY must be a key of test mode"},
		{"KeyWithNewline", []string{"STRIPE_TEST_SECRET_KEY", "sk_test_hush\n"}, "STRIPE_TEST_SECRET_KEY must be a key of test mode"},
		{"ListenAddrNoPort", []string{"LISTEN_ADDR", "127.0.0.1"}, `LISTEN_ADDR must be a host and port such as 127.0.0.1:8080, not "127.0.0.1"`},
		{"ListenAddrPortTooLarge", []string{"LISTEN_ADDR", ":65536"}, `LISTEN_ADDR must be a host and port`},
		{"LogFormat", []string{"LOG_FORMAT", "xml"}, `LOG_FORMAT must be json or text, not "xml"`},
		{"LogLevel", []string{"LOG_LEVEL", "loud"}, `LOG_LEVEL must be debug, info, warn or error, not "loud"`},
		{"MetricsListenAddr", []string{"METRICS_LISTEN_ADDR", "9090"}, "METRICS_LISTEN_ADDR must be a host and port"},
		{"NoMode", []string{"STRIPE_TEST_SECRET_KEY", ""}, "STRIPE_TEST_SECRET_KEY or STRIPE_LIVE_SECRET_KEY is required"},
		{"ProfileListenAddrForAll", []string{"PROFILE_LISTEN_ADDR", ":6060"}, `PROFILE_LISTEN_ADDR must be a loopback address and port such as 127.0.0.1:6060, not ":6060"`},
		{"ProfileListenAddrNoAddress", []string{"PROFILE_LISTEN_ADDR", "here:6060"}, "PROFILE_LISTEN_ADDR must be a loopback address"},
		{"ReadyMaxEventAge", []string{"READY_MAX_EVENT_AGE", "-1s"}, "READY_MAX_EVENT_AGE and READY_MAX_PAYMENT_AGE must not be below zero"},
		{"DeliveryRetention", []string{"DELIVERY_RETENTION", "24h"}, "DELIVERY_RETENTION must be 0 or at least 48h0m0s"},
		{"EventRetention", []string{"EVENT_RETENTION", "720h"}, "EVENT_RETENTION must be 0 or at least 744h0m0s"},
		{"JobRetention", []string{"COMPLETED_JOB_RETENTION", "0s"}, "COMPLETED_JOB_RETENTION"},
		{"StopDelay", []string{"STOP_DELAY", "-1s"}, "STOP_DELAY must not be below zero"},
		{"StopWithin", []string{"STOP_WITHIN", "500ms"}, "STOP_WITHIN must be at least 1s"},
		{"WebhookEndpointLimit", []string{"WEBHOOK_ENDPOINT_LIMIT", "0"}, "WEBHOOK_ENDPOINT_LIMIT must be at least 1"},
		{"PublicURLEndsInSlash", []string{"PUBLIC_URL", "https://pay.example.com/"}, `PUBLIC_URL must not end in a slash: "https://pay.example.com/"`},
		{"PublicURLRelative", []string{"PUBLIC_URL", "pay.example.com"}, "PUBLIC_URL must be a URL that starts with http:// or https://"},
		{"PublicURLWithQuery", []string{"PUBLIC_URL", "https://pay.example.com?a=b"}, "PUBLIC_URL must have nothing but scheme, host and path"},
		{"RateLimitZero", []string{"RATE_LIMIT_PER_MINUTE", "0"}, "RATE_LIMIT_PER_MINUTE must be at least 1, not 0"},
		{"StripeRateLimit", []string{"STRIPE_RATE_LIMIT", "-1"}, "STRIPE_RATE_LIMIT must not be negative"},
		{"StripeAPIURL", []string{"STRIPE_API_URL", "127.0.0.1:12111"}, "STRIPE_API_URL must be a URL that starts with http:// or https://"},
		{"WebhookSecretEmpty", []string{"STRIPE_TEST_WEBHOOK_SECRETS", "whsec_hush, ,whsec_hush"}, "STRIPE_TEST_WEBHOOK_SECRETS: secret 2 is empty"},
		{"WebhookSecretsWithoutKey", []string{"STRIPE_LIVE_WEBHOOK_SECRETS", "whsec_hush"}, "STRIPE_LIVE_WEBHOOK_SECRETS needs STRIPE_LIVE_SECRET_KEY"},
		{"WorkersNotANumber", []string{"WORKERS", "many"}, "WORKERS: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			_, err := config.Load(environment(tt.env...))

			require.ErrorContains(t, err, tt.want)
			require.Len(t, strings.Split(err.Error(), "\n"), 1, "one mistake, one line")
			require.NotContains(t, err.Error(), "hush")
		})
	}

	t.Run("EveryProblemAtOnce", func(t *testing.T) {
		t.Parallel()

		_, err := config.Load(environment(
			"DATABASE_URL", "", "FUND_WAIT", "soon", "LOG_LEVEL", "loud", "STRIPE_TEST_SECRET_KEY", "", "WORKERS", "-1"))

		for _, name := range []string{"DATABASE_URL", "FUND_WAIT", "LOG_LEVEL", "STRIPE_TEST_SECRET_KEY", "WORKERS"} {
			require.ErrorContains(t, err, name)
		}
		require.Len(t, strings.Split(err.Error(), "\n"), 5)
	})
}

func TestEnvironment(t *testing.T) {
	t.Parallel()

	type cli struct {
		Part struct {
			config.Database
			config.Limits
		} `cmd:""`
		Whole struct {
			config.Settings
		} `cmd:""`
		Loud struct {
			config.Log
		} `cmd:"" set:"log_format=text"`
	}
	parse := func(t *testing.T, getenv func(string) string, args ...string) (cli, error) {
		t.Helper()
		var c cli
		parser, err := kong.New(&c, config.Environment(getenv))
		require.NoError(t, err)
		_, err = parser.Parse(args)
		return c, err
	}

	t.Run("FlagsWinOverVariables", func(t *testing.T) {
		t.Parallel()

		c, err := parse(t, environment("WORKERS", "7"), "whole", "--workers=9")

		require.NoError(t, err)
		require.Equal(t, 9, c.Whole.Workers)
	})

	t.Run("PartsAreCheckedAlone", func(t *testing.T) {
		t.Parallel()

		_, err := parse(t, environment("STRIPE_TEST_SECRET_KEY", "", "LOG_LEVEL", "loud"), "part")
		require.NoError(t, err)

		_, err = parse(t, environment("DATABASE_URL", "", "WORKERS", "0"), "part")
		require.EqualError(t, err, "DATABASE_URL is required\nWORKERS must be at least 1, not 0")
	})

	t.Run("CommandsHaveDefaultsOfTheirOwn", func(t *testing.T) {
		t.Parallel()

		c, err := parse(t, environment(), "loud")
		require.NoError(t, err)
		require.Equal(t, "text", c.Loud.LogFormat)
	})

	t.Run("HelpNamesVariables", func(t *testing.T) {
		t.Parallel()

		var (
			c   cli
			out bytes.Buffer
		)
		parser, err := kong.New(&c, config.Environment(environment()), kong.Writers(&out, &out), kong.Exit(func(int) { panic("exit") }))
		require.NoError(t, err)

		require.Panics(t, func() { _, _ = parser.Parse([]string{"whole", "--help"}) })

		require.Contains(t, out.String(), "($STRIPE_TEST_SECRET_KEY or")
		require.NotContains(t, out.String(), "hush")
	})
}

func TestPublicAddress(t *testing.T) {
	t.Parallel()

	listener := &net.TCPAddr{IP: net.IPv4zero, Port: 4321}

	require.Equal(t, "https://a.example", config.HTTP{PublicURL: "https://a.example"}.PublicAddress(listener))
	require.Equal(t, "http://127.0.0.1:4321", config.HTTP{ListenAddr: ":0"}.PublicAddress(listener))
	require.Equal(t, "http://127.0.0.1:8080", config.HTTP{ListenAddr: ":8080"}.PublicAddress(nil))
	require.Equal(t, "http://[::1]:8080", config.HTTP{ListenAddr: "[::1]:8080"}.PublicAddress(nil))
}

func TestSecret(t *testing.T) {
	t.Parallel()

	s, err := config.Load(environment("STRIPE_TEST_WEBHOOK_SECRETS", "whsec_hush"))
	require.NoError(t, err)

	var b bytes.Buffer
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&b, format, s)
	}
	require.NoError(t, json.NewEncoder(&b).Encode(s))
	for _, l := range []config.Log{{LogFormat: "json"}, {LogFormat: "text"}} {
		l.Logger(&b).Info("settings read", slog.Any("settings", s), slog.Any("key", s.StripeTestSecretKey))
	}

	require.NotContains(t, b.String(), "hush")
	require.Contains(t, b.String(), "settings read")
	require.Contains(t, b.String(), "[secret]")
}

func TestCallsPerSecond(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		settings   config.Stripe
		live, test int
	}{
		"RealStripe":      {config.Stripe{}, 80, 20},
		"SimulatedStripe": {config.Stripe{StripeAPIURL: "http://127.0.0.1:12111"}, 0, 0},
		"AsAsked":         {config.Stripe{StripeAPIURL: "http://127.0.0.1:12111", StripeRateLimit: 7}, 7, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tc.live, tc.settings.CallsPerSecond(wallet.ModeLive))
			require.Equal(t, tc.test, tc.settings.CallsPerSecond(wallet.ModeTest))
		})
	}
}
