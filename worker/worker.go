// Package worker runs the service. It opens the database pools, starts the engine,
// River and the HTTP server, and stops them in reverse order. The parts themselves
// are in other packages.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/telemetry"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
	"github.com/fundrail/fundrail/migrations"
)

// Options configures Run. Settings and Log are required.
type Options struct {
	Settings config.Settings
	Log      *slog.Logger
	// WithoutHTTP disables the API, the webhooks and the dashboard.
	WithoutHTTP bool
	// WithoutWorkers disables the working of jobs. Other processes must work them.
	WithoutWorkers bool
	// Listener is the HTTP server's listener. Nil means to listen on
	// Settings.ListenAddr. Run closes it.
	Listener net.Listener
	// Ready is called when all parts have started. The address is nil without HTTP.
	// It may be nil.
	Ready func(addr net.Addr)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Traces exports the spans. Nil means to export them to Settings.OTLPEndpoint.
	// Run closes it.
	Traces *telemetry.Traces
}

// maxConns is the size of the connection pool. Jobs hold no connection during a
// call to Stripe, so a few connections are enough for many workers.
const maxConns = 16

// lookUpConns is the size of the pool for the look-ups of requests.
const lookUpConns = 4

// viewConns is the size of the dashboard's own pool. The dashboard's long queries
// must not delay payments.
const viewConns = 4

// viewSilence is how long the dashboard waits for the first byte of an answer: its
// overviews read much.
const viewSilence = 30 * time.Second

// Run runs the service until ctx ends, and then stops it within the limits of the
// settings. It returns an error wrapping migrations.ErrUnknownSchema if the
// database has an unknown schema.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Listener == nil && !o.WithoutHTTP {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Settings.ListenAddr)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		o.Listener = l
	}
	if o.Listener != nil {
		defer func() { _ = o.Listener.Close() }() // the server has usually closed it
	}
	if o.Traces == nil {
		var err error
		if o.Traces, err = telemetry.NewTraces(ctx, o.Settings.OTLPEndpoint); err != nil {
			return err
		}
	}
	defer closeTraces(ctx, o)
	var pools []*pgxpool.Pool
	defer func() { closePools(ctx, o, pools) }()
	open := func(p postgres.PoolOptions) (*pgxpool.Pool, error) {
		p.URL = string(o.Settings.DatabaseURL)
		pool, err := postgres.OpenPool(ctx, p)
		if err == nil {
			pools = append(pools, pool)
		}
		return pool, err
	}
	pool, err := open(postgres.PoolOptions{
		MaxConns: maxConns, Name: postgres.ProcessName(!o.WithoutWorkers), PlanByIndex: true, Tracer: o.Traces.Queries(),
	})
	if err != nil {
		return err
	}
	if err := postgres.CheckSessions(ctx, pool); err != nil {
		return err
	}
	if err := migrations.Check(ctx, pool); err != nil {
		return err
	}
	if err := allowTestSettings(ctx, o.Settings.Test, pool); err != nil {
		return err
	}
	lookUps, err := open(postgres.PoolOptions{
		MaxConns: lookUpConns, Name: postgres.ApplicationName, PlanByIndex: true, Tracer: o.Traces.Queries(),
	})
	if err != nil {
		return err
	}
	views, err := open(postgres.PoolOptions{MaxConns: viewConns, Name: postgres.ApplicationName, Silence: viewSilence})
	if err != nil {
		return err
	}
	s, err := newService(ctx, o, pool, lookUps, views)
	if err != nil {
		return err
	}
	if o.Settings.MetricsListenAddr != "" {
		stop, err := s.serveMetrics(ctx, o.Settings.MetricsListenAddr)
		if err != nil {
			return err
		}
		defer stop()
	}
	if o.Settings.ProfileListenAddr != "" {
		stop, err := s.serveProfiles(ctx, o.Settings.ProfileListenAddr)
		if err != nil {
			return err
		}
		defer stop()
	}
	return s.run(ctx)
}

// allowTestSettings applies the settings for tests. It returns an error if the
// database does not carry the marker of a test.
func allowTestSettings(ctx context.Context, t config.Test, pool *pgxpool.Pool) error {
	if !t.InUse() {
		return nil
	}
	if err := postgres.CheckTestMarker(ctx, pool, t.TestMarker); err != nil {
		return err
	}
	if t.TestBreak == "" && t.TestCrash == "" {
		return nil
	}
	return breakpoint.Enable(breakpoint.Switch(t.TestBreak), breakpoint.Point(t.TestCrash))
}

// service holds the parts of one process.
type service struct {
	Options
	id      string
	pool    *pgxpool.Pool
	lookUps *pgxpool.Pool // for the look-ups of requests
	views   *pgxpool.Pool // for the dashboard
	engine  *jobs.Engine
	// metrics counts what the process does.
	metrics *telemetry.Metrics
	working atomic.Bool // the workers are running
	leaving atomic.Bool // the process has been asked to stop
	river   *river.Client[pgx.Tx]
	server  *http.Server // nil without HTTP
	api     *api.Server  // nil without HTTP
	// dashboard is nil without HTTP.
	dashboard *dashboard.Dashboard
	// limits are the rate limits for Stripe, which processes share.
	limits []*stripeapi.FairLimiter
	// ability is asked by load balancers.
	ability *ability
}

func newService(ctx context.Context, o Options, pool, lookUps, views *pgxpool.Pool) (*service, error) {
	s := &service{Options: o, pool: pool, lookUps: lookUps, views: views}
	s.metrics = telemetry.NewMetrics(telemetry.Config{Log: o.Log, Modes: servedModes(o.Settings), Now: o.Now, Pool: pool})
	stripe, limits, err := stripeClients(ctx, o, s.metrics)
	if err != nil {
		return nil, err
	}
	s.limits = limits
	var addr net.Addr
	listenAddr := ""
	if o.Listener != nil {
		addr = o.Listener.Addr()
		listenAddr = addr.String()
	}
	publicURL := o.Settings.PublicAddress(addr)
	s.ability = &ability{try: s.tryAbility, now: o.Now, log: o.Log}
	var successor bool
	s.id, successor = clientID(listenAddr)
	s.engine = jobs.NewEngine(ctx, jobs.Options{
		ActionDeadline: o.Settings.ActionDeadline,
		CheckScale:     o.Settings.TestCheckScale,
		FetchCooldown:  fetchCooldown,
		KeyLife:        o.Settings.TestKeyLife,
		Log:            o.Log,
		Merchants:      delivery.NewSender(delivery.Config{AllowPrivate: o.Settings.WebhookAllowPrivate}),
		Now:            o.Now,
		Pool:           pool,
		PublicURL:      publicURL,
		Retention:      jobs.Retention{Deliveries: o.Settings.DeliveryRetention, Events: o.Settings.EventRetention},
		Stripe:         stripe,
		Tracer:         o.Traces.Tracer(),
		Watch:          s.metrics,
		Workers:        o.Settings.Workers,
	})
	s.river, err = newRiver(pool, s.engine, o, s.id, s.metrics.JobMiddleware())
	if err != nil {
		return nil, err
	}
	s.engine.Connect(s.river)
	if successor && !o.WithoutWorkers {
		n, err := postgres.TakeBackJobs(ctx, pool, s.id, o.Now())
		if err != nil {
			return nil, err
		}
		if n > 0 {
			o.Log.WarnContext(ctx, "jobs of the process before taken back", slog.Int64("jobs", n))
		}
	}
	if !o.WithoutHTTP {
		if s.server, err = newServer(s, publicURL); err != nil { //nolint:contextcheck // requests have their own contexts
			return nil, err
		}
	}
	return s, nil
}

// stripeClients returns a client for each mode with a key. Each client has its own
// breaker and a rate limiter.
func stripeClients(ctx context.Context, o Options, m *telemetry.Metrics) (clients map[wallet.Mode]jobs.Stripe, limits []*stripeapi.FairLimiter, err error) {
	clients = make(map[wallet.Mode]jobs.Stripe)
	for _, mode := range wallet.Modes {
		key := o.Settings.SecretKey(mode)
		if key == "" {
			continue
		}
		cfg := stripeapi.Config{
			Breaker: stripeapi.NewBreaker(stripeapi.BreakerConfig{
				Now: o.Now,
				OnChange: func(s stripeapi.BreakerState) {
					o.Log.WarnContext(ctx, "stripe breaker moved", slog.String("mode", string(mode)), slog.String("state", string(s)))
					m.StripeDown(mode, s != stripeapi.BreakerClosed)
				},
			}),
			Mode: mode, SecretKey: string(key), Timeout: o.Settings.TestRescueAfter / 3, URL: o.Settings.StripeAPIURL,
			Tracer: o.Traces.Tracer(),
		}
		cfg.Now, cfg.OnCall = o.Now, func(c stripeapi.Call) { m.StripeCall(mode, c) }
		if calls := o.Settings.CallsPerSecond(mode); calls > 0 {
			l := stripeapi.NewFairLimiter(calls)
			cfg.Limiter, limits = l, append(limits, l)
		}
		c, err := stripeapi.New(cfg)
		if err != nil {
			return nil, nil, fmt.Errorf("stripe: %w", err)
		}
		clients[mode] = c
	}
	return clients, limits, nil
}

// run starts the parts, waits until ctx ends or the HTTP server fails, and stops
// the parts.
func (s *service) run(ctx context.Context) error {
	// River must outlive ctx: it is stopped below, after the HTTP server.
	if !s.WithoutWorkers {
		if err := s.river.Start(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("start river: %w", err)
		}
		s.working.Store(true)
	}
	if !s.WithoutWorkers {
		polling, stop := context.WithCancel(context.WithoutCancel(ctx))
		var pollers sync.WaitGroup
		pollers.Go(func() { s.engine.DispatchDeliveries(polling) })
		pollers.Go(func() { s.engine.LookForDueEvents(polling) })
		if len(s.limits) > 0 {
			pollers.Go(func() { s.shareLimits(polling) })
		}
		defer pollers.Wait()
		defer stop()
	}
	failed := make(chan error, 1)
	var addr net.Addr
	if s.server != nil {
		addr = s.Listener.Addr()
		go func() { failed <- s.serve() }()
	}
	s.Log.InfoContext(ctx, "started",
		slog.String("id", s.id), slog.Bool("http", s.server != nil), slog.Bool("workers", !s.WithoutWorkers))
	if s.Ready != nil {
		s.Ready(addr)
	}
	var err error
	select {
	case <-ctx.Done():
		s.leave(context.WithoutCancel(ctx))
	case err = <-failed:
	}
	return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
}

func (s *service) serve() error {
	if s.server.TLSConfig != nil {
		return s.server.ServeTLS(s.Listener, "", "") // the certificate is in TLSConfig
	}
	return s.server.Serve(s.Listener)
}
