//go:build jsclient

package js

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lago"
	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// TestJavaScriptClient runs Lago's client, unmodified except for the address, against the whole
// service: the API, the jobs, and a simulated Stripe that delivers events.
func TestJavaScriptClient(t *testing.T) {
	t.Parallel()

	w := enginetest.NewWorld(t)
	card := w.Card("pm_card_visa")
	makeDefault(t, w, card.ID.String())
	s := &api.Server{DB: w.Pool, Payments: w.Engine, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now}
	server := httptest.NewServer(s.Handler(&lago.Dialect{Server: s}))
	t.Cleanup(server.Close)

	dir := t.TempDir() // so that the checkout does not change
	for _, name := range []string{".npmrc", "client.js", "package.json", "package-lock.json"} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	run(t, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	run(t, dir, []string{
		"FUNDRAIL_API_KEY=" + w.Merchant.APIKey, "FUNDRAIL_CUSTOMER=" + w.Merchant.Customer.ExternalID, "FUNDRAIL_URL=" + server.URL,
	}, "node", "client.js")

	report, err := postgres.Audit(t.Context(), w.Pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}

// makeDefault makes a card the customer's default.
func makeDefault(t *testing.T, w *enginetest.World, id string) {
	t.Helper()

	for _, sql := range []string{
		`update payment_methods set is_default = false where id <> $1`, `update payment_methods set is_default = true where id = $1`,
	} {
		_, err := w.Pool.Exec(t.Context(), sql, id)
		require.NoError(t, err)
	}
}

func run(t *testing.T, dir string, env []string, program string, args ...string) {
	t.Helper()

	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	dieWithParent(cmd)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s: %s", program, out)
}
