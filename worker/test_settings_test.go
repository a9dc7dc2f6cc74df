package worker_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/worker"
)

// TestTestSettingsNeedAMarkedDatabase tests that settings for tests are refused on
// databases without the marker.
func TestTestSettingsNeedAMarkedDatabase(t *testing.T) {
	t.Parallel()

	for name, marker := range map[string]string{"NoMarker": "", "AnotherMarker": "another test's"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pool := testdb.New(t)
			if marker != "" {
				require.NoError(t, postgres.PlaceTestMarker(t.Context(), pool, marker))
			}

			err := worker.Run(t.Context(), worker.Options{
				Log: slog.New(slog.DiscardHandler),
				Settings: config.Settings{
					Database: config.Database{DatabaseURL: config.Secret(pool.Config().ConnString())},
					Test:     config.Test{TestBreak: "settle-guard", TestMarker: "ours"},
				},
				WithoutHTTP: true,
			})

			require.ErrorContains(t, err, "does not have the marker")
		})
	}

	t.Run("UnknownSwitch", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		require.NoError(t, postgres.PlaceTestMarker(t.Context(), pool, "ours"))

		err := worker.Run(t.Context(), worker.Options{
			Log: slog.New(slog.DiscardHandler),
			Settings: config.Settings{
				Database: config.Database{DatabaseURL: config.Secret(pool.Config().ConnString())},
				Test:     config.Test{TestBreak: "gravity", TestMarker: "ours"},
			},
			WithoutHTTP: true,
		})

		require.ErrorContains(t, err, `unknown switch "gravity"`)
	})
}
