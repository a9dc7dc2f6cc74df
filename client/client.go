// Package client calls a Fundrail server. It adds money to a prepaid wallet and
// reports the result. It uses the standard library only.
//
// A Client does what a careful caller would do:
//
//   - Every request that creates something has an Idempotency-Key, which the caller
//     gives or the client generates. If its answer is lost, or asks for another try,
//     the request is repeated with the same key. Nothing is created twice.
//   - It waits as long as the server's Retry-After says. Without that header it waits
//     for random times with a growing upper bound, so that many clients do not retry
//     at the same time.
//   - It waits for the outcome of a payment. First it asks the server to delay the
//     answer, and then it polls.
//
// All of this ends with the caller's context, which should therefore have a
// deadline. The payment itself does not end with it: see PendingError.
//
// Amounts of money are decimal strings, as in the API: see Amount.
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

// The defaults of a Config.
const (
	DefaultMaxAttempts = 10
	DefaultMaxBackoff  = 10 * time.Second
	DefaultMinBackoff  = 250 * time.Millisecond
	DefaultWait        = 20 * time.Second
)

// MaxWait is the longest time that the server delays an answer.
const MaxWait = time.Minute

// Config configures a Client. URL and Key are required.
type Config struct {
	// URL is the server's address, such as https://pay.example.com. A path in it is
	// put before the paths of the API.
	URL string
	// Key is the API key, aks_test_… or aks_live_…. It determines the organization,
	// the mode and the wallet.
	Key string
	// HTTP sends the requests. Nil means a client without a timeout, because each
	// attempt has its own. It must not follow redirects.
	HTTP *http.Client
	// MaxAttempts is how often a request is sent at most. Zero means
	// DefaultMaxAttempts, and 1 means no repetition. The polling of a payment is
	// limited only by the context.
	MaxAttempts int
	// MinBackoff and MaxBackoff bound the waits between attempts. The wait before
	// the n-th repetition is random, from 0 to MinBackoff doubled n-1 times, and at
	// most MaxBackoff.
	MinBackoff time.Duration
	MaxBackoff time.Duration
	// Wait is how long the server may delay the answer until the outcome is known,
	// in whole seconds and at most MaxWait. Zero means DefaultWait. If it is
	// negative, the server answers immediately.
	Wait time.Duration
}

// Client calls one server with one API key. It is safe for concurrent use. It must
// be created with New.
type Client struct {
	base        string
	key         string
	http        *http.Client
	maxAttempts int
	minBackoff  time.Duration
	maxBackoff  time.Duration
	wait        time.Duration
}

// New returns a client, or an error if cfg is invalid. It does not call the server.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("fundrail: invalid URL: %w", err)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("fundrail: %q is not the URL of a server", cfg.URL)
	case cfg.Key == "" || strings.ContainsAny(cfg.Key, " \t\r\n"):
		return nil, errors.New("fundrail: the API key is empty or contains white space")
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
			// A redirect would send the key to another address.
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

// call is a request that may be sent several times.
type call struct {
	method string
	path   string
	query  url.Values
	body   any // nil for no body
	// key is sent as Idempotency-Key unless it is empty.
	key string
	// hold is how long the server may delay its answer. It is negative for requests
	// without an outcome to wait for.
	hold time.Duration
	// repeated is called before the request is sent again. It may be nil.
	repeated func()
}

// attemptTime limits one attempt, in addition to the time that the server may delay
// the answer.
const attemptTime = 15 * time.Second

// once sends the request once and decodes a 2xx answer into out. The header is nil
// if no answer was received.
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
	defer func() { _ = resp.Body.Close() }() // the body has been read
	const maxAnswer = 16 << 20
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &transportError{err} // an incomplete answer counts as lost
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

// get sends a GET request and decodes the answer into out.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	_, err := c.send(ctx, call{method: http.MethodGet, path: path, query: query, hold: -1}, out)
	return err
}
