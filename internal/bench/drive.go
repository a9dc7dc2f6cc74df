package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// load describes how requests are sent.
type load struct {
	// clients is the number of clients. Each sends its next request after the
	// answer to the last.
	clients int
	// rate is used instead of clients if it is not zero. It is the number of
	// requests per second, sent at random times (a Poisson process), whether
	// earlier ones have been answered or not.
	rate float64
	// async requests an answer when the payment is accepted. Otherwise the answer
	// is sent when the payment has ended.
	async    bool
	duration time.Duration
}

// driven holds the latencies that clients measured.
type driven struct {
	accepted   []time.Duration // from the request to status 202
	settled    []time.Duration // from the request to the status completed
	challenged []time.Duration // from the request to the challenge
	first      time.Time
	last       time.Time // when the last answer arrived
}

func (d *driven) add(o driven) {
	d.accepted = append(d.accepted, o.accepted...)
	d.settled = append(d.settled, o.settled...)
	d.challenged = append(d.challenged, o.challenged...)
}

func (d *driven) requests() int { return len(d.accepted) + len(d.settled) + len(d.challenged) }

// driver sends fund requests to a service and passes the challenges.
type driver struct {
	addrs []string // of the service's processes, used in turn
	deck  *deck
	now   func() time.Time
	sim   string // the simulator's address
}

// drive loads the service until the load's duration is over.
func (d *driver) drive(ctx context.Context, l load) (driven, error) {
	total := driven{first: d.now()}
	work := d.closedLoop
	if l.rate > 0 {
		work = d.openLoop
	}
	parts, err := work(ctx, l, total.first.Add(l.duration))
	for _, p := range parts {
		total.add(p)
	}
	total.last = d.now()
	return total, err
}

// closedLoop runs clients that each send one request after the other.
func (d *driver) closedLoop(ctx context.Context, l load, until time.Time) ([]driven, error) {
	parts, errs := make([]driven, l.clients), make([]error, l.clients)
	var wg sync.WaitGroup
	for i := range l.clients {
		wg.Go(func() {
			c, err := d.newClient(ctx, i)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.close()
			for d.now().Before(until) && ctx.Err() == nil {
				if errs[i] = c.fund(d.now(), l.async); errs[i] != nil {
					break
				}
			}
			parts[i] = c.seen
		})
	}
	wg.Wait()
	return parts, errors.Join(append(errs, ctx.Err())...)
}

// openLoop sends requests at random times. Latencies count from the time at which a
// request was due, so that they include the delay of a service that falls behind.
func (d *driver) openLoop(ctx context.Context, l load, until time.Time) ([]driven, error) {
	var (
		errs []error
		idle []*client
		mu   sync.Mutex
		wg   sync.WaitGroup
		all  []*client
	)
	take := func() (*client, error) {
		mu.Lock()
		defer mu.Unlock()
		if n := len(idle); n > 0 {
			c := idle[n-1]
			idle = idle[:n-1]
			return c, nil
		}
		c, err := d.newClient(ctx, len(all))
		if err == nil {
			all = append(all, c)
		}
		return c, err
	}
	for due := d.now(); due.Before(until) && ctx.Err() == nil; due = due.Add(time.Duration(rand.ExpFloat64() / l.rate * float64(time.Second))) { //nolint:gosec // random times, not secrets
		if err := waitUntil(ctx, d.now, due); err != nil {
			break
		}
		wg.Go(func() {
			c, err := take()
			if err == nil {
				err = c.fund(due, l.async)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			idle = append(idle, c)
		})
	}
	wg.Wait()
	parts := make([]driven, len(all))
	for i, c := range all {
		parts[i] = c.seen
		c.close()
	}
	return parts, errors.Join(append(errs, ctx.Err())...)
}

func waitUntil(ctx context.Context, now func() time.Time, due time.Time) error {
	d := due.Sub(now())
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// client is a paying client. It has a connection to the service and, after the
// first challenge, one to the simulator.
type client struct {
	ctx     context.Context //nolint:containedctx // lives as long as one load
	driver  *driver
	request []byte
	seen    driven
	service *conn
	stripe  *conn
}

func (d *driver) newClient(ctx context.Context, n int) (*client, error) {
	service, err := dial(ctx, d.addrs[n%len(d.addrs)])
	if err != nil {
		return nil, err
	}
	return &client{ctx: ctx, driver: d, service: service}, nil
}

func (c *client) close() {
	c.service.close()
	if c.stripe != nil {
		c.stripe.close()
	}
}

// fund sends the next request and passes its challenge, if it has one.
func (c *client) fund(since time.Time, async bool) error {
	request, challenge := c.driver.deck.deal(c.request[:0], async)
	c.request = request
	status, body, err := c.service.do(request)
	if err != nil {
		return fmt.Errorf("fund: %w", err)
	}
	took := c.driver.now().Sub(since)
	switch {
	case challenge && status == http.StatusOK:
		c.seen.challenged = append(c.seen.challenged, took)
		return c.passChallenge(body)
	case async && status == http.StatusAccepted:
		c.seen.accepted = append(c.seen.accepted, took)
		return nil
	case !async && status == http.StatusOK:
		c.seen.settled = append(c.seen.settled, took)
		return nil
	default:
		return fmt.Errorf("fund: answered %d %s", status, body)
	}
}

// passChallenge answers the challenge on the simulator's page, as the cardholder
// would.
func (c *client) passChallenge(body []byte) error {
	var answer struct {
		RedirectURL string `json:"redirect_url"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.RedirectURL == "" {
		return fmt.Errorf("no challenge where one was expected: %s", body)
	}
	page, err := url.Parse(answer.RedirectURL)
	if err != nil {
		return err
	}
	if c.stripe == nil {
		if c.stripe, err = dial(c.ctx, c.driver.sim); err != nil {
			return err
		}
	}
	c.request = appendPost(c.request[:0], page.Host, page.RequestURI(), "application/x-www-form-urlencoded", []byte("outcome=succeed"))
	status, answered, err := c.stripe.do(c.request)
	if err != nil {
		return fmt.Errorf("pass a challenge: %w", err)
	}
	if status >= http.StatusBadRequest {
		return fmt.Errorf("pass a challenge: answered %d %s", status, answered)
	}
	return nil
}
