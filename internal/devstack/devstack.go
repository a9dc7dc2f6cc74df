// Package devstack starts what `fundrail dev` and `fundrail demo` run on: PostgreSQL,
// the simulated Stripe, an organization with a wallet and cards, and the service with
// its workers. All of it runs in this process except PostgreSQL. What the commands do
// with the stack is left to them and to package demo.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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

// How long the parts of a stack may take to stop. The service has limits of its own,
// which let charges in flight finish.
const (
	stopPostgres  = 5 * time.Second
	stopSimulator = 3 * time.Second
)

// Options configure a stack. Errors that an address or a directory causes name the
// flag that both commands have for it.
type Options struct {
	// DatabaseURL is the database to use. A private PostgreSQL is started when it is
	// empty.
	DatabaseURL config.Secret
	// DataDir keeps the state from one start to the next. Nothing is kept when it is
	// nil.
	DataDir      *DataDir
	HTTP         config.HTTP
	Limits       config.Limits
	Log          *slog.Logger
	Now          func() time.Time
	StripeListen string
}

// Stack is a running stack.
type Stack struct {
	APIURL      string
	DatabaseURL string
	Pool        *pgxpool.Pool
	Seed        *Seed
	Simulator   *stripesim.Server
	StripeURL   string

	served chan error
	stops  []func(context.Context) error
}

// Start returns when every part answers. It leaves nothing behind when it fails.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	s := &Stack{Seed: newSeed(o.Now()), served: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if o.DataDir != nil {
		if s.Seed, err = loadSeed(o.DataDir, o.Now()); err != nil {
			return nil, err
		}
	}
	// The simulator delivers to the address of the service, so the service's listener
	// comes first. The service itself needs everything else, so it comes last.
	listener, err := listen(ctx, o.HTTP.ListenAddr, s.Seed.ListenAddr)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	s.onStop(func(context.Context) error { _ = listener.Close(); return nil }) // the service has usually closed it
	s.Seed.ListenAddr = listener.Addr().String()
	s.APIURL = config.AddressURL(s.Seed.ListenAddr)
	for _, start := range []func(context.Context, Options) error{
		s.startDatabase, s.startSimulator, s.createSeed,
	} {
		if err := start(ctx, o); err != nil {
			return nil, err
		}
	}
	return s, s.startService(ctx, o, listener)
}

// Served receives the service's error when the service ends, and nil when it ends
// because the stack is stopped.
func (s *Stack) Served() <-chan error { return s.served }

// onStop adds a step to Stop, which takes the steps in reverse.
func (s *Stack) onStop(step func(context.Context) error) { s.stops = append(s.stops, step) }

// Stop stops every part.
func (s *Stack) Stop(ctx context.Context) error {
	var problems []error
	for _, step := range slices.Backward(s.stops) {
		problems = append(problems, step(ctx))
	}
	s.stops = nil
	return errors.Join(problems...)
}

func (s *Stack) startDatabase(ctx context.Context, o Options) error {
	s.DatabaseURL = string(o.DatabaseURL)
	if s.DatabaseURL == "" {
		if err := s.startPostgres(ctx, o); err != nil {
			return err
		}
	}
	pool, err := pgxpool.New(ctx, s.DatabaseURL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	s.Pool = pool
	s.onStop(func(context.Context) error { pool.Close(); return nil })
	if err := pool.Ping(ctx); err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	return migrations.Up(ctx, pool, o.Log)
}

func (s *Stack) startPostgres(ctx context.Context, o Options) error {
	opts := devpg.Options{Log: o.Log}
	if o.DataDir != nil {
		opts.DataDir, opts.Durable = o.DataDir.file(postgresDir), true
	}
	server, err := devpg.Start(ctx, opts)
	if err != nil {
		return err
	}
	s.DatabaseURL = server.DatabaseURL()
	s.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopPostgres)
		defer cancel()
		return server.Stop(ctx)
	})
	return nil
}

func (s *Stack) startSimulator(ctx context.Context, o Options) error {
	cfg := stripesim.Config{
		Log:            o.Log,
		WebhookSecrets: []string{s.Seed.WebhookSecret},
		WebhookURL:     s.APIURL + webhooks.Path,
	}
	if o.DataDir != nil {
		cfg.StateFile = o.DataDir.file(stripeFile)
	}
	sim, err := stripesim.New(cfg)
	if err != nil {
		return err
	}
	running, err := listenSimulator(sim, o.StripeListen, s.Seed.StripeListenAddr) //nolint:contextcheck // it outlives this start
	if err != nil {
		return errors.Join(fmt.Errorf("--stripe-listen: %w", err), sim.Close(context.WithoutCancel(ctx)))
	}
	s.Simulator, s.StripeURL = sim, running.URL
	s.Seed.StripeListenAddr = running.Addr
	s.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopSimulator)
		defer cancel()
		return running.Close(ctx)
	})
	return nil
}

// createSeed creates the seed at the simulator and in the database. It saves the seed
// first, so that the next start can complete what this one leaves unfinished.
func (s *Stack) createSeed(ctx context.Context, o Options) error {
	if o.DataDir != nil {
		if err := s.Seed.save(o.DataDir); err != nil {
			return err
		}
	}
	if err := s.Seed.createAtStripe(s.Simulator); err != nil {
		return err
	}
	stripe, err := stripeapi.New(stripeapi.Config{Mode: wallet.ModeTest, SecretKey: StripeKey, URL: s.StripeURL})
	if err != nil {
		return err
	}
	return s.Seed.createInDatabase(ctx, s.Pool, stripe)
}

func (s *Stack) startService(ctx context.Context, o Options, listener net.Listener) error {
	settings := config.Settings{
		Database: config.Database{DatabaseURL: config.Secret(s.DatabaseURL)},
		HTTP:     o.HTTP,
		Limits:   o.Limits,
		Stripe: config.Stripe{
			StripeAPIURL:             s.StripeURL,
			StripeTestSecretKey:      StripeKey,
			StripeTestWebhookSecrets: []config.Secret{config.Secret(s.Seed.WebhookSecret)},
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

// listen listens on addr. When addr has port 0, it takes the port of the previous
// start if that port is free.
func listen(ctx context.Context, addr, previous string) (net.Listener, error) {
	var lc net.ListenConfig
	if anyPortOfSameHost(addr, previous) {
		if l, err := lc.Listen(ctx, "tcp", previous); err == nil {
			return l, nil
		}
	}
	return lc.Listen(ctx, "tcp", addr)
}

// listenSimulator is listen for the simulator, which opens its own listener.
func listenSimulator(sim *stripesim.Server, addr, previous string) (*stripesim.Running, error) {
	if anyPortOfSameHost(addr, previous) {
		if running, err := sim.Listen(previous); err == nil {
			return running, nil
		}
	}
	return sim.Listen(addr)
}

// anyPortOfSameHost reports whether addr has port 0 and previous is an address of the
// same host.
func anyPortOfSameHost(addr, previous string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" || previous == "" {
		return false
	}
	previousHost, _, err := net.SplitHostPort(previous)
	return err == nil && previousHost == host
}
