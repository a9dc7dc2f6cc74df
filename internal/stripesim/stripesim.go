// Package stripesim simulates Stripe in memory, with API version 2023-10-16. It is
// stateful, concurrent and fast enough for load tests. stripe-go v76 works with it
// unchanged. It serves the API and the hosted 3DS and Checkout pages, delivers
// signed webhooks, produces faults on demand and has a virtual clock. Faults and
// clock are controlled by the control API under /_sim/ and by the methods of
// [Server].
//
// The package does not depend on Fundrail. It does not simulate banks: a test
// card's number determines its behavior.
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

// APIVersion is the version of Stripe's API that the simulator implements.
const APIVersion = "2023-10-16"

// defaultBaseURL is the public address until another one is set.
const defaultBaseURL = "http://127.0.0.1:12111"

// Config configures a simulator. The zero value is usable: it has no webhooks, real
// time, no latency and no state file.
type Config struct {
	// BaseURL is the simulator's public address, without a trailing slash. The
	// addresses of hosted pages start with it. If it is empty, Listen sets it.
	BaseURL string

	// DisputeDelay is the time between a charge and the dispute that its card
	// causes, by the virtual clock. Zero means 3 s.
	DisputeDelay time.Duration

	// ListLag hides objects younger than this from lists, as a replica with lag
	// would. Reading by id is never stale.
	ListLag time.Duration

	// LiveWebhookSecrets sign the events of live mode. If empty, live events are
	// listed but not delivered to WebhookURL.
	LiveWebhookSecrets []string

	// LockWait is how long a request waits for an object that another request
	// holds. Then it is answered 429 lock_timeout. Zero means 1 s.
	LockWait time.Duration

	// Log receives messages for the person who runs the simulator. Nil means no
	// log.
	Log *slog.Logger

	// Now is the base of the virtual clock. Nil means time.Now.
	Now func() time.Time

	// RateLimit is the maximum number of requests per second and mode. Further
	// requests are answered 429 rate_limit. Zero means no limit.
	RateLimit int

	// RefundDelay is the time after which a refund with a later result settles or
	// fails, by the virtual clock. Zero means 3 s.
	RefundDelay time.Duration

	// RefundEvents adds the refund.created, refund.updated and refund.failed events
	// of newer API versions.
	RefundEvents bool

	// RequestLatency is how long each API request waits before its effect.
	RequestLatency time.Duration

	// SearchLag hides objects younger than this from search.
	SearchLag time.Duration

	// Seed makes ids and the dice of faults repeatable. Zero means a random seed.
	// With a StateFile ids are always random, so that a restart never repeats an
	// id.
	Seed uint64

	// StateFile keeps the state across restarts, even if the process is killed.
	// Every change is written to it before the request is answered. Empty means
	// that the state is in memory only.
	StateFile string

	// WebhookConcurrency limits concurrent deliveries. Zero means 64.
	WebhookConcurrency int

	// WebhookEvents are the event types that WebhookURL receives. They may end in a
	// wildcard, as in "payment_intent.*". Empty means all.
	WebhookEvents []string

	// WebhookRetry holds the waits between the attempts of a delivery, by the
	// virtual clock. Nil means RetryFast.
	WebhookRetry []time.Duration

	// WebhookSecrets sign the events of test mode. Each adds a v1 signature.
	WebhookSecrets []string

	// WebhookTimeout limits one delivery attempt. Zero means 20 s.
	WebhookTimeout time.Duration

	// WebhookURL receives the events. Empty means that they are listed but not
	// delivered.
	WebhookURL string
}

// RetryFast returns a retry schedule for development and tests. It gives up after
// about five minutes.
func RetryFast() []time.Duration {
	return []time.Duration{
		200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
		15 * time.Second, 30 * time.Second, time.Minute, 3 * time.Minute,
	}
}

// RetryReal returns a retry schedule like Stripe's in live mode, which lasts three
// days.
func RetryReal() []time.Duration {
	return []time.Duration{
		5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
		12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 6 * time.Hour,
	}
}

func (c *Config) setDefaults() {
	defaultDuration(&c.DisputeDelay, 3*time.Second)
	defaultDuration(&c.LockWait, time.Second)
	defaultDuration(&c.RefundDelay, 3*time.Second)
	defaultDuration(&c.WebhookTimeout, 20*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the only use of the real clock
	}
	if c.WebhookConcurrency <= 0 {
		c.WebhookConcurrency = 64
	}
	if c.WebhookRetry == nil {
		c.WebhookRetry = RetryFast()
	}
}

func defaultDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

// Server is one simulated Stripe account in both modes. It is an [http.Handler] and
// safe for concurrent use. It must be closed after use.
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

// New returns a simulator with a running clock and webhook sender. It fails only if
// the state file cannot be read or written.
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

// SetBaseURL sets the public address that links to hosted pages start with.
func (s *Server) SetBaseURL(url string) {
	for len(url) > 0 && url[len(url)-1] == '/' {
		url = url[:len(url)-1]
	}
	if url == "" {
		url = defaultBaseURL
	}
	s.baseURL.Store(&url)
}

// BaseURL returns the public address that links to hosted pages start with.
func (s *Server) BaseURL() string { return *s.baseURL.Load() }

// SetWebhook sets the address for the events of test mode and the secrets that sign
// them. Each secret adds a v1 to the signature header, as Stripe does while a
// secret is rolled. An empty url ends deliveries to the previous address.
func (s *Server) SetWebhook(url string, secrets ...string) {
	s.test.setConfigured(url, secrets, s.cfg.WebhookEvents)
}

// SetLiveWebhook is SetWebhook for live mode. Without secrets, live events are not
// delivered.
func (s *Server) SetLiveWebhook(url string, secrets ...string) {
	if len(secrets) == 0 {
		url = ""
	}
	s.live.setConfigured(url, secrets, s.cfg.WebhookEvents)
}

// Close stops the clock and the webhook sender, waits for deliveries in flight
// until ctx ends, and closes the state file. It can be called twice.
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
