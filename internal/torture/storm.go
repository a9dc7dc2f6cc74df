package torture

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/devpg"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/migrations"
	"github.com/fundrail/fundrail/webhooks"
)

const (
	stripeKey     = "sk_test_torture"
	webhookSecret = "whsec_torture"
)

// storm is a running storm with everything that it has started.
type storm struct {
	Options
	plan Plan

	dog       *watchdog
	server    *devpg.Server
	pool      *pgxpool.Pool
	sim       *stripesim.Server
	stripe    *stripesim.Running
	balancer  *balancer
	receiver  *receiver
	merchants []merchant
	processes []*process
	serving   []*process       // those that the balancer sends requests to, in its order
	proxies   []*pgproxy.Proxy // one before PostgreSQL for each process
	clients   *clients
	counts    counts
	began     time.Time
	outages   overlap // outages of Stripe's API
	silences  overlap // periods without webhooks
	playing   sync.WaitGroup

	forgetting     sync.WaitGroup
	stopForgetting context.CancelFunc

	mu   sync.Mutex
	hits map[string]int64 // hits of the simulator's rules
}

// overlap counts overlapping actions of one kind. The first begins the effect and
// the last ends it.
type overlap struct {
	mu sync.Mutex
	n  int
}

func (s *overlap) push(begin func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n++; s.n == 1 {
		begin()
	}
}

func (s *overlap) pop(end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n--; s.n == 0 {
		end()
	}
}

// start starts everything, the services last.
func (s *storm) start(ctx context.Context) (err error) {
	if s.dog, err = startWatchdog(); err != nil {
		return err
	}
	if s.server, err = devpg.Start(ctx, devpg.Options{Log: s.Log}); err != nil {
		return err
	}
	marker := rand.Text()
	if err := s.openDatabase(ctx, marker); err != nil {
		return err
	}
	if err := s.openStripe(); err != nil { //nolint:contextcheck // stop closes it
		return err
	}
	if s.receiver, err = startReceiver(ctx, s.Seed); err != nil {
		return err
	}
	for n := range merchants {
		m, err := createMerchant(ctx, s.pool, s.sim, s.receiver, n, s.Now())
		if err != nil {
			return fmt.Errorf("create a merchant: %w", err)
		}
		s.merchants = append(s.merchants, m)
	}
	if err := s.openServices(ctx, marker); err != nil {
		return err
	}
	s.clients = newClients(s)
	forgetting, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopForgetting = stop
	s.forgetting.Go(func() { s.forgetKeys(forgetting) })
	return nil
}

func (s *storm) openDatabase(ctx context.Context, marker string) error {
	cfg, err := pgxpool.ParseConfig(s.server.DatabaseURL())
	if err != nil {
		return err
	}
	cfg.MaxConns = 4
	cfg.ConnConfig.RuntimeParams["application_name"] = "torture"
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return err
	}
	if err := migrations.Up(ctx, s.pool, s.Log); err != nil {
		return err
	}
	if err := postgres.PlaceTestMarker(ctx, s.pool, marker); err != nil {
		return err
	}
	if s.Break != breakpoint.SettleGuard {
		return nil
	}
	// Constraints of the schema enforce the same rule as the guard. They are
	// removed as well, so that the broken guard has an effect.
	_, err = s.pool.Exec(ctx, `
		drop index transfers_settlement;
		do $$
		declare c record;
		begin
			for c in select conname from pg_constraint where conrelid = 'payment_moves'::regclass and contype = 'c' loop
				execute format('alter table payment_moves drop constraint %I', c.conname);
			end loop;
		end $$`)
	return err
}

func (s *storm) openStripe() (err error) {
	s.sim, err = stripesim.New(stripesim.Config{
		LockWait:       500 * time.Millisecond,
		Seed:           s.Seed + 1, // zero would mean a random seed
		WebhookRetry:   webhookRetry(),
		WebhookTimeout: 5 * time.Second,
	})
	if err != nil {
		return err
	}
	s.stripe, err = s.sim.Listen("127.0.0.1:0")
	return err
}

// openServices starts the balancer and the processes.
func (s *storm) openServices(ctx context.Context, marker string) error {
	var backends []string
	for i := range s.Processes {
		p := &process{
			args: []string{"serve"}, dog: s.dog, program: s.Program,
			logPath: filepath.Join(s.Dir, fmt.Sprintf("process-%d.log", i)),
		}
		if i%3 == 2 {
			p.args = []string{"worker"}
		} else {
			addr, err := freeAddr(ctx)
			if err != nil {
				return err
			}
			p.url = "http://" + addr
			backends, s.serving = append(backends, p.url), append(s.serving, p)
			p.env = append(p.env, "LISTEN_ADDR="+addr)
		}
		s.processes = append(s.processes, p)
	}
	var err error
	if s.balancer, err = startBalancer(ctx, backends); err != nil {
		return err
	}
	s.sim.SetWebhook(s.balancer.url+webhooks.Path, webhookSecret)
	for _, p := range s.processes {
		proxy, databaseURL, err := pgproxy.StartURL(ctx, s.server.DatabaseURL())
		if err != nil {
			return err
		}
		s.proxies = append(s.proxies, proxy)
		p.env = append(append(append([]string{}, s.Environ...), s.settings(marker, databaseURL)...), p.env...)
		if err := p.start(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, p := range s.processes {
		if err := p.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settings returns the environment of a service that reaches PostgreSQL at
// databaseURL.
func (s *storm) settings(marker, databaseURL string) []string {
	return []string{
		"ACTION_DEADLINE=" + actionDeadline.String(),
		"DATABASE_URL=" + databaseURL,
		"FUNDRAIL_TEST_BREAK=" + string(s.Break),
		"FUNDRAIL_TEST_CHECK_SCALE=" + strconv.Itoa(checkScale),
		"FUNDRAIL_TEST_KEY_LIFE=" + keyLife.String(),
		"FUNDRAIL_TEST_MARKER=" + marker,
		"FUNDRAIL_TEST_RESCUE_AFTER=" + rescueAfter.String(),
		"FUND_WAIT=" + fundWait.String(),
		"LOG_FORMAT=json",
		"LOG_LEVEL=info",
		"PROFILE_LISTEN_ADDR=",
		"PUBLIC_URL=" + s.balancer.url,
		"RATE_LIMIT_PER_MINUTE=1000000",
		"STRIPE_API_URL=" + s.stripe.URL,
		"STRIPE_LIVE_SECRET_KEY=",
		"STRIPE_LIVE_WEBHOOK_SECRETS=",
		"STRIPE_TEST_SECRET_KEY=" + stripeKey,
		"STRIPE_TEST_WEBHOOK_SECRETS=" + webhookSecret,
		"WEBHOOK_ALLOW_PRIVATE=true",
		"WORKERS=" + strconv.Itoa(workers),
	}
}

// freeAddr returns an address with a port that is free now. It is below the range
// of ephemeral ports, so that it is still free when the process is started again.
func freeAddr(ctx context.Context) (string, error) {
	const low, high, tries = 15000, 32000, 50
	var l net.Listener
	var err error
	for range tries {
		port := low + mathrand.IntN(high-low) //nolint:gosec // any port is good
		l, err = new(net.ListenConfig).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}

// play plays the plan. It returns when the storm's duration is over or ctx ends.
func (s *storm) play(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.Duration)
	defer cancel()
	s.began = s.Now()
	s.sim.SetListLag(listLag)
	for _, f := range apiFaults() {
		s.mustAdd(s.sim.AddFault(f))
	}
	for _, f := range webhookFaults() {
		s.mustAdd(s.sim.AddWebhookFault(f))
	}
	// Actions end later than the storm, when their effects are undone.
	s.playing.Go(func() {
		for _, p := range s.plan.Payments {
			if !s.until(ctx, p.At) {
				return
			}
			s.clients.pay(ctx, p)
		}
	})
	for _, a := range s.plan.Actions {
		if !s.until(ctx, a.At) {
			break
		}
		s.playing.Go(func() { s.act(ctx, a) })
	}
	<-ctx.Done()
	s.playing.Wait()
}

// mustAdd panics if a rule of this package is invalid.
func (s *storm) mustAdd(_ string, err error) {
	if err != nil {
		panic(err)
	}
}

// until waits for a time of the plan. It reports whether ctx lasted until then.
func (s *storm) until(ctx context.Context, at time.Duration) bool {
	return pause(ctx, at-s.Now().Sub(s.began))
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stopFaults removes all faults and starts the processes that are down.
func (s *storm) stopFaults(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.say("storm over after %s; faults lifted, draining", s.Now().Sub(s.began).Round(time.Second))
	s.gatherFaults()
	for what, hits := range s.receiver.stopFailures() {
		s.keepReport(what, hits)
	}
	s.sim.ClearFaults()
	s.sim.SetListLag(0)
	for _, p := range s.processes {
		p.signal(syscall.SIGCONT)
		if p.running() {
			continue
		}
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

// gatherFaults records the hits of the simulator's rules before they are removed.
func (s *storm) gatherFaults() {
	for _, f := range s.sim.Faults() {
		s.keepReport(f.Rule.ID, f.Applied)
	}
	for _, f := range s.sim.WebhookFaults() {
		s.keepReport(f.Rule.ID, f.Applied)
	}
}

func (s *storm) keepReport(rule string, hits int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hits == nil {
		s.hits = map[string]int64{}
	}
	s.hits[rule] += hits
}

// stop stops everything, the services first. It can be called after start has
// failed.
func (s *storm) stop(ctx context.Context) error {
	if s.stopForgetting != nil {
		s.stopForgetting()
		s.forgetting.Wait()
	}
	var problems []error
	var ended sync.WaitGroup
	for _, p := range s.processes {
		ended.Go(func() {
			p.signal(syscall.SIGCONT)
			p.end(syscall.SIGTERM)
		})
	}
	ended.Wait()
	for _, p := range s.proxies {
		problems = append(problems, p.Close())
	}
	if s.balancer != nil {
		s.balancer.close()
	}
	if s.receiver != nil {
		s.receiver.close()
	}
	if s.stripe != nil {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		problems = append(problems, s.stripe.Close(ctx))
	}
	if s.pool != nil {
		s.pool.Close()
	}
	if s.server != nil {
		problems = append(problems, s.server.Stop(ctx))
	}
	if s.dog != nil {
		s.dog.dismiss()
	}
	return errors.Join(problems...)
}
