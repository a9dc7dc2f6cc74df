package api_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/apitest"
)

func TestProxies(t *testing.T) {
	t.Parallel()

	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/64")}
	for name, tt := range map[string]struct {
		trusted       []netip.Prefix
		peer          string
		forwardedFor  []string
		proto         []string
		tls           bool
		wantIP        string
		wantTransport string
	}{
		"NoProxyIsTrusted":       {nil, "10.0.0.1:1", []string{"192.0.2.7"}, []string{"https"}, false, "10.0.0.1", ""},
		"OtherPeerIsNotTrusted":  {proxies, "192.0.2.1:1", []string{"192.0.2.7"}, []string{"https"}, false, "192.0.2.1", ""},
		"LoopbackIsNotTrusted":   {proxies, "127.0.0.1:1", []string{"192.0.2.7"}, []string{"https"}, false, "127.0.0.1", ""},
		"PrivateIsNotTrusted":    {proxies, "192.168.0.1:1", []string{"192.0.2.7"}, []string{"https"}, false, "192.168.0.1", ""},
		"ProxyIsTrusted":         {proxies, "10.0.0.1:1", []string{"192.0.2.7"}, []string{"https"}, false, "192.0.2.7", "max-age=31536000"},
		"ProxyOfIPv6IsTrusted":   {proxies, "[2001:db8::1]:1", []string{"192.0.2.7"}, []string{"https"}, false, "192.0.2.7", "max-age=31536000"},
		"WhatTheCallerMadeUp":    {proxies, "10.0.0.1:1", []string{"198.51.100.1, 192.0.2.7"}, []string{"https", "http"}, false, "192.0.2.7", ""},
		"ProxiesBehindEachOther": {proxies, "10.0.0.1:1", []string{"192.0.2.7, 10.0.0.2"}, []string{"https"}, false, "192.0.2.7", "max-age=31536000"},
		"ProxyInTheClear":        {proxies, "10.0.0.1:1", []string{"192.0.2.7"}, []string{"http"}, false, "192.0.2.7", ""},
		"OwnTLS":                 {nil, "192.0.2.1:1", nil, nil, true, "192.0.2.1", "max-age=31536000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			e := api.NewEcho(slog.New(slog.DiscardHandler))
			api.TrustProxies(e, tt.trusted)
			e.GET("/", func(c echo.Context) error { return c.String(http.StatusOK, c.RealIP()) })
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"] = tt.forwardedFor, tt.proto
			r.Header.Set("X-Real-Ip", "198.51.100.99")
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			rec := httptest.NewRecorder()

			e.ServeHTTP(rec, r)

			require.Equal(t, tt.wantIP, rec.Body.String())
			require.Equal(t, tt.wantTransport, rec.Header().Get("Strict-Transport-Security"))
		})
	}
}

func TestEveryAnswerKeepsBrowsersOut(t *testing.T) {
	t.Parallel()

	e := api.NewEcho(slog.New(slog.DiscardHandler))
	for _, path := range []string{"/", "/v1/wallet", "/api/v1/wallets"} {
		h := apitest.Request(t, e, http.MethodGet, path, nil).Header()

		require.Equal(t, "default-src 'none'; frame-ancestors 'none'", h.Get("Content-Security-Policy"))
		require.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"))
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "DENY", h.Get("X-Frame-Options"))
		require.Empty(t, h.Get("Strict-Transport-Security"))
	}
}

func TestServerLimitsEverything(t *testing.T) {
	t.Parallel()

	s := api.NewHTTPServer(http.NotFoundHandler())

	require.NotZero(t, s.IdleTimeout)
	require.NotZero(t, s.MaxHeaderBytes)
	require.NotZero(t, s.ReadHeaderTimeout)
	require.NotZero(t, s.ReadTimeout)
	require.Greater(t, s.WriteTimeout, api.MaxWait, "a caller who waits for the longest time is answered")
}
