// Package enginetest runs the engine for tests, on a database of its own and with the
// test's clock. Its River client inserts jobs and, on request, works them.
package enginetest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// Retention is how long a test's engine keeps old rows.
var Retention = jobs.Retention{Deliveries: 30 * 24 * time.Hour, Events: 90 * 24 * time.Hour}

// Options configure a test's engine. All have defaults.
type Options struct {
	Log *slog.Logger
	Now func() time.Time
	// Pool is the database. Default: a new one.
	Pool   *pgxpool.Pool
	Stripe map[wallet.Mode]jobs.Stripe
	// Work starts workers for every queue.
	Work bool
}

// Bundle is an engine with its database and clients.
type Bundle struct {
	Engine *jobs.Engine
	Pool   *pgxpool.Pool
	River  *river.Client[pgx.Tx]
}

// New starts an engine that stops with the test.
func New(tb testing.TB, o Options) *Bundle {
	tb.Helper()

	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pool == nil {
		o.Pool = testdb.New(tb)
	}
	ctx := context.WithoutCancel(tb.Context())
	const cooldown = 5 * time.Millisecond
	engine := jobs.NewEngine(ctx, jobs.Options{
		ActionDeadline: 24 * time.Hour,
		FetchCooldown:  cooldown,
		Log:            o.Log,
		Merchants:      delivery.NewSender(delivery.Config{AllowPrivate: true}),
		Now:            o.Now,
		PollEvery:      20 * time.Millisecond,
		Pool:           o.Pool,
		PublicURL:      "https://fundrail.example",
		Retention:      Retention,
		Stripe:         o.Stripe,
	})
	cfg := &river.Config{
		Logger:      slog.New(slog.DiscardHandler),
		Middleware:  []rivertype.Middleware{jobs.Middleware(o.Log, o.Now)},
		RetryPolicy: jobs.RetryPolicy{Now: time.Now},
	}
	if o.Work {
		cfg.FetchCooldown, cfg.FetchPollInterval = cooldown, 50*time.Millisecond
		cfg.Queues = map[string]river.QueueConfig{
			jobs.QueueCharge: {MaxWorkers: 20}, jobs.QueueCheck: {MaxWorkers: 5}, jobs.QueueDeliver: {MaxWorkers: 20},
			jobs.QueuePeriodic: {MaxWorkers: 2}, jobs.QueueSettle: {MaxWorkers: 20},
		}
		cfg.TestOnly = true
		cfg.Workers = engine.Workers()
	}
	client, err := river.NewClient(riverpgxv5.New(o.Pool), cfg)
	require.NoError(tb, err)
	engine.Connect(client)
	if o.Work {
		require.NoError(tb, client.Start(ctx))
		looking, stop := context.WithCancel(ctx)
		var looks sync.WaitGroup
		looks.Go(func() { engine.DispatchDeliveries(looking) })
		looks.Go(func() { engine.LookForDueEvents(looking) })
		tb.Cleanup(func() {
			stop()
			looks.Wait()
		})
	}
	tb.Cleanup(func() {
		if o.Work {
			require.NoError(tb, client.StopAndCancel(ctx))
		}
		engine.Close(ctx)
	})
	return &Bundle{Engine: engine, Pool: o.Pool, River: client}
}
