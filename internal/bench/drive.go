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

// load is how requests come.
type load struct {
	// clients each send one request after the other.
	clients int
	// rate is requests per second that come whatever became of those before, at
	// random moments (a Poisson process), instead of clients.
	rate float64
	// async asks for an answer as soon as the payment is accepted; otherwise the
	// answer tells how the payment ended.
	async    bool
	duration time.Duration
}

// driven is what clients saw.
type driven struct {
	accepted   []time.Duration // request to 202
	settled    []time.Duration // request to completed
	challenged []time.Duration // request to the challenge
	first      time.Time
	last       time.Time // the last answer
}

func (d *driven) add(o driven) {
	d.accepted = append(d.accepted, o.accepted...)
	d.settled = append(d.settled, o.settled...)
	d.challenged = append(d.challenged, o.challenged...)
}

func (d *driven) requests() int { return len(d.accepted) + len(d.settled) + len(d.challenged) }

// driver sends fund requests to a service, and passes the challenges.
type driver struct {
	addrs []string // of the service's processes, taken in turn
	deck  *deck
	now   func() time.Time
	sim   string // the simulator's address
}

// drive puts a load on the service until its duration is over.
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

// closedLoop has each client send one request after the other.
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

// openLoop sends requests at random moments. What it measures counts from the
// moment at which a request was to be sent, so that a service which falls behind
// cannot hide it.
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
	for due := d.now(); due.Before(until) && ctx.Err() == nil; due = due.Add(time.Duration(rand.ExpFloat64() / l.rate * float64(time.Second))) { //nolint:gosec // moments, not secrets
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

// client is one who pays, with a connection to the service and, once a challenge
// was to be passed, one to the simulator.
type client struct {
	ctx     context.Context //nolint:containedctx // it lives as long as one load
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

// fund sends the next request and passes the challenge if there is one.
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

// passChallenge does at the simulator's page what the cardholder would.
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
