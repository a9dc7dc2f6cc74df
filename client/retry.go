package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// NewIdempotencyKey makes a key: 26 characters that nobody has used before. Keep
// it with what you sell, before you ask for the payment, and a program that starts
// again finds its payment instead of making a second one.
func NewIdempotencyKey() string { return rand.Text() }

// send sends the request until it has an answer that repeating cannot better, or
// has been sent often enough, or ctx ends.
func (c *Client) send(ctx context.Context, r call, out any) (http.Header, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("fundrail: %w", err)
		}
	}
	doubt := false
	for attempt := 1; ; attempt++ {
		r.hold = min(r.hold, left(ctx))
		header, err := c.once(ctx, r, body, out)
		if err == nil || !again(err) {
			return header, err
		}
		doubt = doubt || (r.key != "" && doubtful(err))
		stopped := ctx.Err()
		if stopped == nil && attempt >= c.maxAttempts {
			return nil, inDoubt(doubt, err)
		}
		if stopped == nil {
			stopped = sleep(ctx, c.pause(attempt, header))
		}
		if stopped != nil {
			return nil, inDoubt(doubt, errors.Join(stopped, err))
		}
		if r.repeated != nil {
			r.repeated()
		}
	}
}

func inDoubt(doubt bool, err error) error {
	if doubt {
		return &doubtError{err}
	}
	return err
}

// left is how much of ctx's time there is, in whole seconds, less a little for the
// way back.
func left(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return MaxWait
	}
	const way = 500 * time.Millisecond
	return max(0, (time.Until(deadline) - way).Truncate(time.Second))
}

// again tells whether the same request may have another answer.
func again(err error) bool {
	if _, ok := errors.AsType[*transportError](err); ok {
		return true
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return e.Code == CodeIdempotencyKeyInUse || e.Code == codePaymentUnderWay
	}
}

// pause is how long to wait after an attempt: what Retry-After says and a little
// more, or else anything up to a bound that doubles.
func (c *Client) pause(attempt int, header http.Header) time.Duration {
	if after, ok := retryAfter(header); ok {
		return after + jitter(c.minBackoff)
	}
	bound := c.maxBackoff
	if doubled := c.minBackoff << min(attempt-1, 20); doubled > 0 {
		bound = min(bound, doubled)
	}
	return jitter(bound)
}

func jitter(d time.Duration) time.Duration {
	return mathrand.N(d + 1) //nolint:gosec // nobody has to be kept from guessing it
}

// retryAfter reads the header, in seconds, as the API has it.
func retryAfter(header http.Header) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 16)
	return time.Duration(seconds) * time.Second, err == nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// poll asks until it is told that it is enough, with pauses that grow.
func (c *Client) poll(ctx context.Context, first time.Duration, ask func() (done bool, err error)) error {
	const longest = 5 * time.Second
	for pause := first; ; pause = min(2*pause+c.minBackoff, longest) {
		if err := sleep(ctx, pause/2+jitter(pause/2)); err != nil {
			return err
		}
		if done, err := ask(); err != nil || done {
			return err
		}
	}
}
