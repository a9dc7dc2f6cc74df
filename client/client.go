// Package client calls a Fundrail server: it puts money into a prepaid wallet and
// tells what became of it. It needs nothing beyond the standard library.
//
// A Client does by itself what a careful caller would:
//
//   - Every request that makes something carries an Idempotency-Key, the caller's
//     or a new one, and is repeated under that key when its answer got lost or was
//     one that says to try again. Nothing is made twice.
//   - It comes back when the server's Retry-After says so, and otherwise after
//     pauses that grow and are drawn at random, so that clients do not come back
//     together.
//   - It waits for the outcome of a payment: first by asking the server to hold its
//     answer, then by asking again.
//
// All of that ends with the caller's context, which should therefore have a
// deadline. A payment does not end with it: see PendingError.
//
// Amounts of money are decimal strings, as the API has them: see Amount.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults of a Config.
const (
	DefaultMaxAttempts = 10
	DefaultMaxBackoff  = 10 * time.Second
	DefaultMinBackoff  = 250 * time.Millisecond
	DefaultWait        = 20 * time.Second
)

// MaxWait is the longest that a server holds an answer.
const MaxWait = time.Minute

// Config says which server to call, and how patiently.
type Config struct {
	// URL is where the server is, such as https://pay.example.com. A path in it goes
	// before those of the API.
	URL string
	// Key is the API key, aks_test_… or aks_live_…. It decides the organization, the
	// mode and the wallet.
	Key string
	// HTTP sends requests. Unless given it is one without a limit on time, which the
	// attempts have themselves. It must not follow redirects.
	HTTP *http.Client
	// MaxAttempts is how often a request is sent at most, DefaultMaxAttempts unless
	// given; 1 repeats nothing. How often the state of a payment is asked for has no
	// limit but the context's.
	MaxAttempts int
	// MinBackoff and MaxBackoff are the bounds of the pauses between attempts: the
	// n-th is drawn from 0 to MinBackoff doubled n times, and at most MaxBackoff.
	MinBackoff time.Duration
	MaxBackoff time.Duration
	// Wait is how long the server is asked to hold the answer until there is an
	// outcome, in whole seconds, DefaultWait unless given and MaxWait at most. If it
	// is negative the server answers at once.
	Wait time.Duration
}

// Client calls one server with one API key. It may be used by several goroutines
// at once. New makes one.
type Client struct {
	base        string
	key         string
	http        *http.Client
	maxAttempts int
	minBackoff  time.Duration
	maxBackoff  time.Duration
	wait        time.Duration
}

// New makes a client. It reports a Config that cannot work; the server is not
// asked for anything yet.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("fundrail: the URL cannot be read: %w", err)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("fundrail: %q is not the address of a server", cfg.URL)
	case cfg.Key == "" || strings.ContainsAny(cfg.Key, " \t\r\n"):
		return nil, errors.New("fundrail: there is no API key, or it holds white space")
	case cfg.MaxAttempts < 0 || cfg.MinBackoff < 0 || cfg.MaxBackoff < 0:
		return nil, errors.New("fundrail: attempts and pauses cannot be negative")
	}
	c := &Client{
		base:        strings.TrimSuffix(u.String(), "/"),
		key:         cfg.Key,
		http:        cfg.HTTP,
		maxAttempts: or(cfg.MaxAttempts, DefaultMaxAttempts),
		minBackoff:  or(cfg.MinBackoff, DefaultMinBackoff),
		maxBackoff:  or(cfg.MaxBackoff, DefaultMaxBackoff),
		wait:        max(0, min(or(cfg.Wait, DefaultWait), MaxWait)),
	}
	if c.http == nil {
		c.http = &http.Client{
			// A redirect would take the key to another address.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c, nil
}

func or[T comparable](given, otherwise T) T {
	var zero T
	if given == zero {
		return otherwise
	}
	return given
}

// call is a request that may be sent more than once.
type call struct {
	method string
	path   string
	query  url.Values
	body   any // nil for none
	// key goes as Idempotency-Key, if it is not empty.
	key string
	// hold is how long the server is asked to wait for an outcome, negative if there
	// is nothing to wait for.
	hold time.Duration
	// repeated is called before the request is sent again.
	repeated func()
}

// attemptTime is how long an attempt may take beyond the time that the server was
// asked to hold the answer.
const attemptTime = 15 * time.Second

// once sends the request one time and decodes a 2xx into out. The headers are there
// unless nothing was received.
func (c *Client) once(ctx context.Context, r call, body []byte, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime+max(0, r.hold))
	defer cancel()
	req, err := c.request(ctx, r, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &transportError{err}
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	const maxAnswer = 16 << 20
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &transportError{err} // half an answer is none
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.Header, newError(resp, data)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			return nil, &transportError{fmt.Errorf("read the answer: %w", err)}
		}
	}
	return resp.Header, nil
}

func (c *Client) request(ctx context.Context, r call, body []byte) (*http.Request, error) {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("fundrail: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", "fundrail-go")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	switch {
	case r.hold >= time.Second:
		req.Header.Set("Prefer", fmt.Sprintf("wait=%d", r.hold/time.Second))
	case r.hold >= 0:
		req.Header.Set("Prefer", "respond-async")
	}
	return req, nil
}

// get asks for something and decodes it.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	_, err := c.send(ctx, call{method: http.MethodGet, path: path, query: query, hold: -1}, out)
	return err
}
