// Package worker is the running service: it opens the database pool, starts the
// engine, River and the HTTP server, and stops them in the reverse order. What
// they do is left to the packages that it puts together.
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

// Options say which parts of the service run in this process.
type Options struct {
	Settings config.Settings
	Log      *slog.Logger
	// WithoutHTTP leaves out the API, webhooks and dashboard.
	WithoutHTTP bool
	// WithoutWorkers leaves the jobs to other processes.
	WithoutWorkers bool
	// Listener is what the HTTP server answers on, Settings.ListenAddr unless
	// given. Run closes it.
	Listener net.Listener
	// Ready is called once everything answers, with the address that is answered
	// on, nil without HTTP.
	Ready func(addr net.Addr)
	// Now is the clock, the system's unless given.
	Now func() time.Time
	// Traces are where spans go, Settings.OTLPEndpoint unless given. Run closes them.
	Traces *telemetry.Traces
}

// maxConns is how many connections a process opens. No connection is held during
// a call to Stripe, so a few serve many workers.
const maxConns = 16

// viewConns is how many connections the dashboard has. It reads in other ways than
// the money does, and must not keep the money waiting.
const viewConns = 4

// viewSilence is how long the dashboard waits for the first word of an answer: its
// overviews read much.
const viewSilence = 30 * time.Second

// Run runs the service until ctx ends, and then stops it in good order, within the
// settings' limits. It refuses to start on a schema that it does not know.
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
	name := postgres.ProcessName(!o.WithoutWorkers)
	pool, err := postgres.OpenPool(ctx, postgres.PoolOptions{
		URL: string(o.Settings.DatabaseURL), MaxConns: maxConns, Name: name, PlanByIndex: true, Tracer: o.Traces.Queries(),
	})
	if err != nil {
		return err
	}
	defer closePool(ctx, o, pool)
	if err := migrations.Check(ctx, pool); err != nil {
		return err
	}
	if err := allowTestSettings(ctx, o.Settings.Test, pool); err != nil {
		return err
	}
	views, err := postgres.OpenPool(ctx, postgres.PoolOptions{
		URL: string(o.Settings.DatabaseURL), MaxConns: viewConns, Name: postgres.ApplicationName, Silence: viewSilence,
	})
	if err != nil {
		return err
	}
	defer closePool(ctx, o, views)
	s, err := newService(ctx, o, pool, views)
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

// allowTestSettings lets settings that are for tests alone take effect on a
// database that was made for a test, and refuses to start with them anywhere
// else.
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

// service is the parts of one process, put together and not yet started.
type service struct {
	Options
	id     string
	pool   *pgxpool.Pool
	views  *pgxpool.Pool // the dashboard's
	engine *jobs.Engine
	// metrics watch the process.
	metrics *telemetry.Metrics
	working atomic.Bool // the workers have been started, and not stopped
	leaving atomic.Bool // the process was told to stop
	river   *river.Client[pgx.Tx]
	server  *http.Server // nil without HTTP
	// dashboard is nil without HTTP.
	dashboard *dashboard.Dashboard
	// limits are those towards Stripe that are shared with other processes.
	limits []*stripeapi.FairLimiter
}

func newService(ctx context.Context, o Options, pool, views *pgxpool.Pool) (*service, error) {
	s := &service{Options: o, pool: pool, views: views}
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
		if s.server, err = newServer(s, publicURL); err != nil { //nolint:contextcheck // requests bring their own
			return nil, err
		}
	}
	return s, nil
}

// stripeClients makes a client for each mode that there is a key for. Each has a
// breaker of its own, and a limit that is shared with other processes.
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

// run starts the parts, waits for the end of ctx or of one of them, and stops
// them.
func (s *service) run(ctx context.Context) error {
	// River must outlive ctx: it is stopped below, after the HTTP server.
	if !s.WithoutWorkers {
		if err := s.river.Start(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("start river: %w", err)
		}
		s.working.Store(true)
	}
	if !s.WithoutWorkers {
		looking, stop := context.WithCancel(context.WithoutCancel(ctx))
		var looks sync.WaitGroup
		looks.Go(func() { s.engine.DispatchDeliveries(looking) })
		looks.Go(func() { s.engine.LookForDueEvents(looking) })
		if len(s.limits) > 0 {
			looks.Go(func() { s.shareLimits(looking) })
		}
		defer looks.Wait()
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
		return s.server.ServeTLS(s.Listener, "", "") // the certificate is in the configuration
	}
	return s.server.Serve(s.Listener)
}
