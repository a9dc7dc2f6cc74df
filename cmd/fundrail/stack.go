package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/devpg"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/migrations"
	"github.com/fundrail/fundrail/webhooks"
	"github.com/fundrail/fundrail/worker"
)

// stopPostgres is how long PostgreSQL may take to stop. The service has limits of
// its own, which let charges in flight finish.
const stopPostgres = 5 * time.Second

// stackOptions say what a stack is made of.
type stackOptions struct {
	// Database is used as it is when given; otherwise a private PostgreSQL is.
	Database config.Database
	// DataDir keeps everything from one start to the next. Nil keeps nothing.
	DataDir      *dataDir
	HTTP         config.HTTP
	Limits       config.Limits
	Log          *slog.Logger
	Now          func() time.Time
	StripeListen string
}

// stack is what dev and demo run: PostgreSQL, the simulator, and the service
// with its workers, all in this process but for PostgreSQL.
type stack struct {
	apiURL      string
	databaseURL string
	pool        *pgxpool.Pool
	seed        *seed
	served      chan error // what the service ended with
	sim         *simClient
	stops       []func(context.Context) error
}

// startStack returns when everything answers. It leaves nothing behind when it
// fails.
func startStack(ctx context.Context, o stackOptions) (_ *stack, err error) {
	s := &stack{seed: newSeed(o.Now()), served: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
	}()
	if o.DataDir != nil {
		if s.seed, err = loadSeed(o.DataDir, o.Now()); err != nil {
			return nil, err
		}
	}
	// The simulator is told the address that the service got, so the listener
	// comes first and the service, which needs all the rest, last.
	listener, err := listenAgain(ctx, o.HTTP.ListenAddr, s.seed.ListenAddr)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	s.onStop(func(context.Context) error { _ = listener.Close(); return nil }) // the service has usually closed it
	s.seed.ListenAddr = listener.Addr().String()
	s.apiURL = config.AddressURL(s.seed.ListenAddr)
	for _, start := range []func(context.Context, stackOptions) error{
		s.startDatabase, s.startSimulator, s.plantSeed,
	} {
		if err := start(ctx, o); err != nil {
			return nil, err
		}
	}
	return s, s.startService(ctx, o, listener)
}

// onStop adds a step to the way down, which is the way up in reverse.
func (s *stack) onStop(step func(context.Context) error) { s.stops = append(s.stops, step) }

// stop takes everything down.
func (s *stack) stop(ctx context.Context) error {
	var problems []error
	for _, step := range slices.Backward(s.stops) {
		problems = append(problems, step(ctx))
	}
	s.stops = nil
	return errors.Join(problems...)
}

func (s *stack) startDatabase(ctx context.Context, o stackOptions) error {
	s.databaseURL = string(o.Database.DatabaseURL)
	if s.databaseURL == "" {
		if err := s.startPostgres(ctx, o); err != nil {
			return err
		}
	}
	pool, err := connect(ctx, config.Database{DatabaseURL: config.Secret(s.databaseURL)})
	if err != nil {
		return err
	}
	s.pool = pool
	s.onStop(func(context.Context) error { pool.Close(); return nil })
	return migrations.Up(ctx, pool, o.Log)
}

func (s *stack) startPostgres(ctx context.Context, o stackOptions) error {
	opts := devpg.Options{Log: o.Log}
	if o.DataDir != nil {
		opts.DataDir, opts.Durable = o.DataDir.file(postgresDir), true
	}
	server, err := devpg.Start(ctx, opts)
	if err != nil {
		return err
	}
	s.databaseURL = server.DatabaseURL()
	s.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopPostgres)
		defer cancel()
		return server.Stop(ctx)
	})
	return nil
}

func (s *stack) startSimulator(ctx context.Context, o stackOptions) error {
	cfg := stripesim.Config{
		Log:            o.Log,
		WebhookSecrets: []string{s.seed.WebhookSecret},
		WebhookURL:     s.apiURL + webhooks.Path,
	}
	if o.DataDir != nil {
		cfg.StateFile = o.DataDir.file(stripeFile)
	}
	sim, err := stripesim.New(cfg)
	if err != nil {
		return err
	}
	running, err := listenSimulator(sim, o.StripeListen, s.seed.StripeListenAddr) //nolint:contextcheck // it outlives this start
	if err != nil {
		return errors.Join(fmt.Errorf("--stripe-listen: %w", err), sim.Close(context.WithoutCancel(ctx)))
	}
	s.sim = &simClient{http: &http.Client{Timeout: 10 * time.Second}, server: sim, url: running.URL}
	s.seed.StripeListenAddr = running.Addr
	s.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopSimulator)
		defer cancel()
		return running.Close(ctx)
	})
	return nil
}

// plantSeed makes the organization exist. What the seed thought up is saved
// first: a start that dies on the way is continued by the next one.
func (s *stack) plantSeed(ctx context.Context, o stackOptions) error {
	if o.DataDir != nil {
		if err := s.seed.save(o.DataDir); err != nil {
			return err
		}
	}
	if err := s.seed.createAtStripe(s.sim.server); err != nil {
		return err
	}
	stripe, err := stripeapi.New(stripeapi.Config{Mode: wallet.ModeTest, SecretKey: stripeTestKey, URL: s.sim.url})
	if err != nil {
		return err
	}
	return s.seed.createInDatabase(ctx, s.pool, stripe)
}

func (s *stack) startService(ctx context.Context, o stackOptions, listener net.Listener) error {
	settings := config.Settings{
		Database: config.Database{DatabaseURL: config.Secret(s.databaseURL)},
		HTTP:     o.HTTP,
		Limits:   o.Limits,
		Stripe: config.Stripe{
			StripeAPIURL:             s.sim.url,
			StripeTestSecretKey:      stripeTestKey,
			StripeTestWebhookSecrets: []config.Secret{config.Secret(s.seed.WebhookSecret)},
		},
		Webhooks: config.Webhooks{
			WebhookAllowPrivate:  true, // everything is on this machine
			WebhookEndpointLimit: postgres.DefaultEndpointLimit,
		},
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.served <- worker.Run(serving, worker.Options{
			Settings: settings,
			Listener: listener,
			Log:      o.Log,
			Ready:    func(net.Addr) { close(ready) },
		})
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	select {
	case <-ready:
		return nil
	case err := <-s.served:
		return fmt.Errorf("the service did not start: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listenAgain listens on addr. Where that leaves the port open, the one of the
// start before is taken, if it is free.
func listenAgain(ctx context.Context, addr, previous string) (net.Listener, error) {
	var lc net.ListenConfig
	if samePlace(addr, previous) {
		if l, err := lc.Listen(ctx, "tcp", previous); err == nil {
			return l, nil
		}
	}
	return lc.Listen(ctx, "tcp", addr)
}

func listenSimulator(sim *stripesim.Server, addr, previous string) (*stripesim.Running, error) {
	if samePlace(addr, previous) {
		if running, err := sim.Listen(previous); err == nil {
			return running, nil
		}
	}
	return sim.Listen(addr)
}

// samePlace tells whether addr leaves the port open and previous is on the same
// host.
func samePlace(addr, previous string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" || previous == "" {
		return false
	}
	was, _, err := net.SplitHostPort(previous)
	return err == nil && was == host
}
