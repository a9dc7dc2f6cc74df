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

// NewIdempotencyKey returns a new random key of 26 characters. Store it with the
// order before the request. A program that is restarted then finds its payment
// instead of making a second one.
func NewIdempotencyKey() string { return rand.Text() }

// send sends the request until the answer is final, all attempts are used, or ctx
// ends.
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

// left returns the remaining time of ctx in whole seconds, less a margin for the
// transmission of the answer.
func left(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return MaxWait
	}
	const way = 500 * time.Millisecond
	return max(0, (time.Until(deadline) - way).Truncate(time.Second))
}

// again reports whether repeating the request may give another answer.
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

// pause returns how long to wait after an attempt: a little longer than Retry-After
// says, or a random time below a bound that doubles with each attempt.
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
	return mathrand.N(d + 1) //nolint:gosec // need not be unpredictable
}

// retryAfter parses the header, which the API always sends in seconds.
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

// poll calls ask until it returns true or an error, with growing pauses.
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
