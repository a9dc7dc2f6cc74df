//go:build parts

package worker_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/partstest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/worker"
)

// A pooler in session mode works, and payments go on after it was restarted.
func TestPgBouncerInSessionMode(t *testing.T) {
	t.Parallel()

	b := setup(t)
	bouncer := partstest.StartPgBouncer(t, b.pool.Config().ConnString(), partstest.PoolSession)
	p := b.start(t, func(o *worker.Options) { o.Settings.DatabaseURL = config.Secret(bouncer.URL) })
	status, answer := b.fund(t, p, nil)
	require.Equal(t, http.StatusOK, status, answer)

	bouncer.Stop()
	requireReady(t, p, "not ready: database: not reachable\n")
	bouncer.Start(t)
	requireReady(t, p, "ready\n")

	status, answer = b.fund(t, p, nil)
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, "completed", answer["status"])
}

// A pooler in transaction mode is refused at the start, in words.
func TestPgBouncerInTransactionMode(t *testing.T) {
	t.Parallel()

	b := setup(t)
	bouncer := partstest.StartPgBouncer(t, b.pool.Config().ConnString(), partstest.PoolTransaction)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	err = worker.Run(ctx, worker.Options{
		Listener: l, Log: slog.New(slog.DiscardHandler), Ready: func(net.Addr) { cancel() },
		Settings: config.Settings{
			Database: config.Database{DatabaseURL: config.Secret(bouncer.URL)},
			Limits:   config.Limits{Workers: 1},
			Stripe:   config.Stripe{StripeAPIURL: b.sim.URL, StripeTestSecretKey: simtest.Key},
		},
	})

	var unfit *postgres.UnfitError
	require.ErrorAs(t, err, &unfit)
	require.Contains(t, err.Error(), "pool_mode = session")
}
