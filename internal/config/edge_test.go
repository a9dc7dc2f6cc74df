package config_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/wallet"
)

func file(t *testing.T, content string) string {
	t.Helper()

	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()

	t.Run("EverySecretHasOne", func(t *testing.T) {
		t.Parallel()

		s, err := config.Load(environment(
			"DATABASE_URL", "", "DATABASE_URL_FILE", file(t, "postgres://filed@127.0.0.1/x\n"),
			"STRIPE_TEST_SECRET_KEY", "", "STRIPE_TEST_SECRET_KEY_FILE", file(t, "sk_test_filed\r\n"),
			"STRIPE_TEST_WEBHOOK_SECRETS_FILE", file(t, "whsec_new,whsec_old\n"),
			"STRIPE_LIVE_SECRET_KEY_FILE", file(t, "rk_live_filed"),
			"STRIPE_LIVE_WEBHOOK_SECRETS_FILE", file(t, "whsec_live"),
		))

		require.NoError(t, err)
		require.Equal(t, config.Secret("postgres://filed@127.0.0.1/x"), s.DatabaseURL)
		require.Equal(t, config.Secret("sk_test_filed"), s.SecretKey(wallet.ModeTest))
		require.Equal(t, config.Secret("rk_live_filed"), s.SecretKey(wallet.ModeLive))
		require.Equal(t, []config.Secret{"whsec_new", "whsec_old"}, s.WebhookSecrets(wallet.ModeTest))
		require.Equal(t, []config.Secret{"whsec_live"}, s.WebhookSecrets(wallet.ModeLive))
	})

	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"Both", []string{"DATABASE_URL_FILE", file(t, "postgres://hush")}, "DATABASE_URL and DATABASE_URL_FILE are both set"},
		{"Missing", []string{"DATABASE_URL", "", "DATABASE_URL_FILE", "/nowhere/at/all"}, "DATABASE_URL_FILE: open /nowhere/at/all: no such file"},
		{"Empty", []string{"STRIPE_LIVE_SECRET_KEY_FILE", file(t, "\n")}, "STRIPE_LIVE_SECRET_KEY_FILE: the file is empty"},
		{"Wrong", []string{"STRIPE_LIVE_SECRET_KEY_FILE", file(t, "hush")}, "STRIPE_LIVE_SECRET_KEY must be a key of live mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			_, err := config.Load(environment(tt.env...))

			require.ErrorContains(t, err, tt.want)
			require.Len(t, strings.Split(err.Error(), "\n"), 1)
			require.NotContains(t, err.Error(), "hush")
		})
	}

	t.Run("OtherSettingsHaveNone", func(t *testing.T) {
		t.Parallel()

		s, err := config.Load(environment("FUND_WAIT_FILE", file(t, "1s")))

		require.NoError(t, err)
		require.NotEqual(t, "1s", s.FundWait.String())
	})
}

func TestEdge(t *testing.T) {
	t.Parallel()

	t.Run("Proxies", func(t *testing.T) {
		t.Parallel()

		s, err := config.Load(environment("TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1"))

		require.NoError(t, err)
		proxies, err := s.Proxies()
		require.NoError(t, err)
		require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}, proxies)
		require.False(t, s.TLS())
		require.Equal(t, "http://127.0.0.1:443", s.PublicAddress(&net.TCPAddr{Port: 443}))
	})

	t.Run("TLSIsInTheAddress", func(t *testing.T) {
		t.Parallel()

		s := config.Settings{Edge: config.Edge{TLSCertFile: "cert.pem", TLSKeyFile: "key.pem"}}
		require.Equal(t, "https://127.0.0.1:443", s.PublicAddress(&net.TCPAddr{Port: 443}))
		s.PublicURL = "http://pay.example"
		require.Equal(t, "http://pay.example", s.PublicAddress(nil))
	})

	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"ProxyByName", []string{"TRUSTED_PROXIES", "proxy.internal"}, `TRUSTED_PROXIES must be networks such as 10.0.0.0/8, not "proxy.internal"`},
		{"CertificateAlone", []string{"TLS_CERT_FILE", "cert.pem"}, "TLS_CERT_FILE and TLS_KEY_FILE need each other"},
		{"KeyAlone", []string{"TLS_KEY_FILE", "key.pem"}, "TLS_CERT_FILE and TLS_KEY_FILE need each other"},
		{"NoCertificate", []string{"TLS_CERT_FILE", "/nowhere/c.pem", "TLS_KEY_FILE", "/nowhere/k.pem"}, "TLS_CERT_FILE and TLS_KEY_FILE: open /nowhere/c.pem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			_, err := config.Load(environment(tt.env...))

			require.ErrorContains(t, err, tt.want)
		})
	}
}
