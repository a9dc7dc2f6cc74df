package api_test

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lago"
	"github.com/fundrail/fundrail/internal/api/lava"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The routes whose operations the tests look at. A lavaRoutes or lagoRoutes is a dialect
// with no others, which answers with the operation.
type (
	lavaRoutes struct{ *lava.Dialect }
	lagoRoutes struct{ *lago.Dialect }
)

func (lavaRoutes) Register(g *echo.Group) {
	answerOperations(g, "/wallet/fund", "/webhooks/:id/rotate_secret", "/payments/:id/refund")
}

func (lagoRoutes) Register(g *echo.Group) {
	answerOperations(g, "/wallets", "/wallets/:id", "/customers/:external_id/wallets/:code/metadata/:key",
		"/customers/:external_id/payment_methods/:id")
}

func answerOperations(g *echo.Group, paths ...string) {
	for _, path := range paths {
		g.POST(path, func(c echo.Context) error {
			return c.String(http.StatusOK, api.Operation(c, wallet.ModeTest))
		})
	}
}

// operation returns a function that returns the operation of a POST.
func operation(t *testing.T) func(target string) string {
	t.Helper()

	h := (&api.Server{Log: slog.New(slog.DiscardHandler), Now: time.Now}).Handler(lavaRoutes{}, lagoRoutes{})
	return func(target string) string {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, nil))
		require.Equal(t, http.StatusOK, rec.Code)
		return rec.Body.String()
	}
}

func TestOperation(t *testing.T) {
	t.Parallel()

	id := wallet.NewID()
	webhook, payment := wallet.Spell(wallet.PrefixWebhook, wallet.ModeTest, id), wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, id)

	t.Run("ThePathAsItWasSent", func(t *testing.T) { // so records stay valid that were made from it
		t.Parallel()

		of := operation(t)
		for _, target := range []string{
			"/v1/wallet/fund",
			"/v1/webhooks/" + webhook + "/rotate_secret",
			"/v1/payments/" + payment + "/refund",
			"/api/v1/wallets",
			"/api/v1/wallets/" + id.String(),
			"/api/v1/customers/ada@reader.example/payment_methods/" + id.String(),
			"/api/v1/customers/a%2Fb%20%C3%A9/wallets/default/metadata/row",
			"/api/v1/wallets/none",
			"/v1/webhooks/none/rotate_secret",
		} {
			require.Equal(t, "POST "+target, of(target))
		}
		require.Equal(t, "POST /api/v1/wallets", of("/api/v1/wallets?page=2"))
	})

	t.Run("EverySpellingOfAnID", func(t *testing.T) {
		t.Parallel()

		of := operation(t)
		for canonical, others := range map[string][]string{
			"/v1/webhooks/" + webhook + "/rotate_secret": {
				"/v1/webhooks/%77" + webhook[1:] + "/rotate_secret",
				"/v1/webhooks/wh_test_" + strings.ToLower(webhook[len("wh_test_"):]) + "/rotate_secret",
				"/v1/webhooks/" + id.String() + "/rotate_secret",
				"/v1/webhooks/" + strings.ToUpper(id.String()) + "/rotate_secret",
			},
			"/v1/payments/" + payment + "/refund": {"/v1/payments/" + id.String() + "/refund"},
			"/api/v1/wallets/" + id.String(): {
				"/api/v1/wallets/" + strings.ToUpper(id.String()),
				"/api/v1/wallets/" + strings.ReplaceAll(id.String(), "-", "%2d"),
			},
			"/api/v1/customers/ada@x/wallets/d/metadata/row": {"/api/v1/customers/ada%40x/wallets/%64/metadata/r%6Fw"},
		} {
			for _, other := range others {
				require.Equal(t, "POST "+canonical, of(other))
			}
		}
	})

	t.Run("DifferentPathsDiffer", func(t *testing.T) {
		t.Parallel()

		of := operation(t)
		seen := make(map[string]string)
		long := strings.Repeat("é", 255)
		for _, target := range []string{
			"/api/v1/customers/a%2Fwallets/wallets/b/metadata/c",
			"/api/v1/customers/a/wallets/wallets%2Fb/metadata/c",
			"/api/v1/customers/:code/wallets/b/metadata/c",
			"/api/v1/customers/b/wallets/:external_id/metadata/c",
			"/api/v1/customers/a%252Fb/wallets/b/metadata/c",
			"/api/v1/customers/a%2Fb/wallets/b/metadata/c",
			"/api/v1/customers/A/wallets/b/metadata/c", // a name, not an id
			"/api/v1/customers/a/wallets/b/metadata/c",
			"/api/v1/customers/" + url.PathEscape(long) + "/wallets/b/metadata/c",
			"/api/v1/customers/" + url.PathEscape(long) + "/wallets/b/metadata/d",
		} {
			got := of(target)
			require.Empty(t, seen[got], target)
			seen[got] = target
		}
	})

	t.Run("Short", func(t *testing.T) {
		t.Parallel()

		of := operation(t)
		random := rand.New(rand.NewPCG(1, 2))
		long := make([]byte, 1000)
		for i := range long {
			long[i] = byte(random.IntN(256))
		}
		for _, target := range []string{
			"/v1/webhooks/" + url.PathEscape(string(long)) + "/rotate_secret",
			"/api/v1/customers/" + url.PathEscape(string(long)) + "/wallets/" + url.PathEscape(string(long)) + "/metadata/x",
		} {
			require.LessOrEqual(t, len(of(target)), 512)
		}
	})
}
