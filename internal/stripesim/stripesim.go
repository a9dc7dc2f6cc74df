// Package stripesim is a Stripe in memory: API version 2023-10-16, stateful,
// concurrent and fast enough to carry load tests. stripe-go v76 runs against
// it unchanged. It serves the API, the hosted 3DS and Checkout pages, delivers
// signed webhooks, produces faults on demand and owns a virtual clock; the
// control API under /_sim/ and the methods of [Server] drive the latter two.
//
// The package knows nothing of Fundrail. What the real Stripe does with real
// banks is left to the real Stripe: a card here does what its test number says.
package stripesim

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// APIVersion is the version of Stripe's API that the simulator speaks.
const APIVersion = "2023-10-16"

// defaultBaseURL stands in for the public address until one is known.
const defaultBaseURL = "http://127.0.0.1:12111"

// Config says how a simulator behaves. The zero value is useful: no webhooks,
// real time, no latency, nothing kept on disk.
type Config struct {
	// BaseURL is the simulator's own public address, without a trailing slash.
	// It starts the addresses of hosted pages. Listen fills it in when empty.
	BaseURL string

	// DisputeDelay is how long after its charge a card that disputes is
	// disputed, on the virtual clock. Zero means 3 s.
	DisputeDelay time.Duration

	// ListLag hides objects younger than this from lists, as a lagging replica
	// would. Retrieving by id is never stale.
	ListLag time.Duration

	// LiveWebhookSecrets sign the events of live mode. Without any, live events
	// are listed and never delivered to WebhookURL.
	LiveWebhookSecrets []string

	// LockWait is how long a request waits for an object that another request
	// holds before it is answered 429 lock_timeout. Zero means 1 s.
	LockWait time.Duration

	// Log receives what a person running the simulator wants to see. Nil means
	// nothing is logged.
	Log *slog.Logger

	// Now is the clock under the virtual clock. Nil means time.Now.
	Now func() time.Time

	// RateLimit is the number of requests per second and mode that are let
	// through before 429 rate_limit. Zero means no limit.
	RateLimit int

	// RefundDelay is how long a refund that settles or fails later takes, on
	// the virtual clock. Zero means 3 s.
	RefundDelay time.Duration

	// RefundEvents adds the newer refund.created, refund.updated and
	// refund.failed events to the events of this API version.
	RefundEvents bool

	// RequestLatency is how long each API request takes before its effect.
	RequestLatency time.Duration

	// SearchLag hides objects younger than this from search.
	SearchLag time.Duration

	// Seed makes ids and the dice of faults repeatable. Zero draws a random
	// one. With a StateFile ids are random all the same, so that a restart
	// never hands out an id twice.
	Seed uint64

	// StateFile keeps the state across restarts, even across a killed process:
	// every change is written to it before it is answered. Empty means memory only.
	StateFile string

	// WebhookConcurrency bounds the deliveries under way at once. Zero means 64.
	WebhookConcurrency int

	// WebhookEvents are the event types that WebhookURL receives, with
	// wildcards such as "payment_intent.*". Empty means all.
	WebhookEvents []string

	// WebhookRetry is the wait before each further attempt of a delivery, on
	// the virtual clock. Nil means RetryFast.
	WebhookRetry []time.Duration

	// WebhookSecrets sign the events of test mode, each with a v1 of its own.
	WebhookSecrets []string

	// WebhookTimeout bounds one delivery attempt. Zero means 20 s.
	WebhookTimeout time.Duration

	// WebhookURL receives events. Empty means they are only listed.
	WebhookURL string
}

// RetryFast is a retry schedule for development and tests: it gives up after
// about five minutes.
func RetryFast() []time.Duration {
	return []time.Duration{
		200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
		15 * time.Second, 30 * time.Second, time.Minute, 3 * time.Minute,
	}
}

// RetryReal grows like Stripe's schedule in live mode, up to three days.
func RetryReal() []time.Duration {
	return []time.Duration{
		5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
		12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 6 * time.Hour,
	}
}

func (c *Config) setDefaults() {
	orDuration(&c.DisputeDelay, 3*time.Second)
	orDuration(&c.LockWait, time.Second)
	orDuration(&c.RefundDelay, 3*time.Second)
	orDuration(&c.WebhookTimeout, 20*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the clock comes in here and is passed on
	}
	if c.WebhookConcurrency <= 0 {
		c.WebhookConcurrency = 64
	}
	if c.WebhookRetry == nil {
		c.WebhookRetry = RetryFast()
	}
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

// Server is one simulated Stripe account in both modes. It is an
// [http.Handler] and safe for concurrent use. Close it when done.
type Server struct {
	baseURL  atomic.Pointer[string]
	cfg      Config
	clock    *clock
	closing  sync.Once
	done     chan struct{}
	faults   faultSet[Fault]
	hooks    faultSet[WebhookFault]
	ids      *idSource
	journal  *journal
	latency  atomic.Int64
	limiter  limiter
	live     *account
	router   *router
	sender   *sender
	settings settings
	test     *account
}

// New builds a simulator and starts its clock and webhook sender. It fails
// only when the state file cannot be read or written.
func New(cfg Config) (*Server, error) {
	cfg.setDefaults()
	seed := cfg.Seed
	if seed == 0 {
		seed = randomSeed()
	}
	s := &Server{cfg: cfg, done: make(chan struct{})}
	idSeed := seed
	if cfg.StateFile != "" {
		idSeed = randomSeed()
	}
	s.ids = newIDSource(idSeed)
	s.faults.seed, s.hooks.seed = seed, seed+1
	s.latency.Store(int64(cfg.RequestLatency))
	s.settings.listLag.Store(int64(cfg.ListLag))
	s.settings.searchLag.Store(int64(cfg.SearchLag))
	s.limiter.perSecond.Store(int64(cfg.RateLimit))
	s.clock = newClock(cfg.Now)
	s.test, s.live = newAccount(s, false), newAccount(s, true)
	s.sender = newSender(s)
	s.SetBaseURL(cfg.BaseURL)
	s.router = newRouter(s)
	if cfg.StateFile != "" {
		j, err := openJournal(s, cfg.StateFile)
		if err != nil {
			return nil, fmt.Errorf("open simulator state: %w", err)
		}
		s.journal = j
	}
	s.SetWebhook(cfg.WebhookURL, cfg.WebhookSecrets...)
	s.SetLiveWebhook(cfg.WebhookURL, cfg.LiveWebhookSecrets...)
	s.sender.start()
	s.clock.start(s.fire)
	s.resumeDeliveries()
	return s, nil
}

func randomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // crypto/rand never fails on supported systems
	return binary.LittleEndian.Uint64(b[:])
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.router.ServeHTTP(w, r)
}

// Handler returns the server as an [http.Handler].
func (s *Server) Handler() http.Handler { return s }

// SetBaseURL sets the public address that hosted pages are linked under.
func (s *Server) SetBaseURL(url string) {
	for len(url) > 0 && url[len(url)-1] == '/' {
		url = url[:len(url)-1]
	}
	if url == "" {
		url = defaultBaseURL
	}
	s.baseURL.Store(&url)
}

// BaseURL is the public address that hosted pages are linked under.
func (s *Server) BaseURL() string { return *s.baseURL.Load() }

// SetWebhook sets where the events of test mode are delivered, and the secrets
// that sign them: each adds a v1 to the signature header, as while Stripe rolls
// a secret. An empty url stops deliveries to the one set before.
func (s *Server) SetWebhook(url string, secrets ...string) {
	s.test.setConfigured(url, secrets, s.cfg.WebhookEvents)
}

// SetLiveWebhook is SetWebhook for live mode.
func (s *Server) SetLiveWebhook(url string, secrets ...string) {
	if len(secrets) == 0 {
		url = ""
	}
	s.live.setConfigured(url, secrets, s.cfg.WebhookEvents)
}

// Close stops the clock and the webhook sender, waits for deliveries under way
// until ctx ends, and completes the state file. It is safe to call twice.
func (s *Server) Close(ctx context.Context) error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		s.clock.stop()
		err = errors.Join(s.sender.stop(ctx), s.journal.close())
	})
	return err
}

// account returns the data of one mode.
func (s *Server) account(live bool) *account {
	if live {
		return s.live
	}
	return s.test
}
