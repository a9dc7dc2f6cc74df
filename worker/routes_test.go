package worker

import (
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/testdb"
)

// TestRoutesAreDescribed tests that the API's description contains every route of
// the service, except operators' pages, and no others.
func TestRoutesAreDescribed(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	s, err := newService(t.Context(), Options{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, WithoutWorkers: true,
		Settings: config.Settings{HTTP: config.HTTP{ListenAddr: "127.0.0.1:0"}},
	}, pool, pool, pool)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.dashboard.Close()
		s.engine.Close(t.Context())
	})

	described, mounted := openapitest.Scopes(), map[string]bool{}
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, r := range s.server.Handler.(*echo.Echo).Routes() {
		if r.Method == http.MethodHead || r.Path == "/admin" || strings.HasPrefix(r.Path, "/admin/") {
			continue
		}
		operation := r.Method + " " + parameter.ReplaceAllString(r.Path, "{$1}")
		_, ok := described[operation]
		require.True(t, ok, "internal/openapi/openapi.yaml does not describe %s", operation)
		mounted[operation] = true
	}
	for operation := range described {
		require.True(t, mounted[operation], "internal/openapi/openapi.yaml describes %s, which is no route", operation)
	}
}
