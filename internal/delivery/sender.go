// Package delivery speaks to merchants' endpoints: it writes an event in the
// endpoint's dialect, signs it and sends it, once. It opens no connection to a
// private network. What is sent when, and what becomes of a failure, is left to
// package jobs.
package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// DefaultTimeout is how long an endpoint has to answer, from dialing to the last
// byte that is read.
const DefaultTimeout = 10 * time.Second

// Config says how endpoints are reached. All of it has defaults.
type Config struct {
	// AllowPrivate lets endpoints be on this machine or in private networks.
	AllowPrivate bool
	// Timeout is how long one attempt may take, DefaultTimeout unless given.
	Timeout time.Duration
}

// Sender sends deliveries. It is safe for concurrent use.
type Sender struct{ client *http.Client }

// NewSender makes a Sender.
func NewSender(c Config) *Sender {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	dialer := &net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}
	if !c.AllowPrivate {
		dialer.Control = refusePrivate
	}
	return &Sender{client: &http.Client{
		// Where an endpoint sends us on to is not what the merchant has registered.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       c.Timeout,
		Transport: &http.Transport{
			// No proxy: it would dial for us, and the address would go unchecked.
			DialContext:            dialer.DialContext,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
			IdleConnTimeout:        30 * time.Second,
			MaxConnsPerHost:        64,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    8,
			MaxResponseHeaderBytes: 64 << 10,
			TLSHandshakeTimeout:    c.Timeout,
		},
	}}
}

// Message is a delivery to be sent.
type Message struct {
	DeliveryID wallet.ID
	Endpoint   wallet.Endpoint
	// Secrets sign it; the first is the current one.
	Secrets []string
	Event   wallet.MerchantEvent
	// Now is signed with it where the dialect asks for that.
	Now time.Time
}

// maxAnswer is how much of an answer is read, so that the connection can be used
// again. Nothing in it counts but the status.
const maxAnswer = 16 << 10

// Send makes one attempt. The status is that of the answer, 0 when there was none.
// An error says why the delivery did not succeed, in words that may be shown to
// the merchant; every status of the two hundreds is a success.
func (s *Sender) Send(ctx context.Context, m Message) (int, error) {
	body, err := Body(m.Endpoint.Signature, m.Event)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Endpoint.URL, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the address is not one that can be called")
	}
	req.Header = header(m, body)
	res, err := s.client.Do(req)
	if err != nil {
		return 0, describe(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // an answer cut short is an answer
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return res.StatusCode, fmt.Errorf("answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	}
	return res.StatusCode, nil
}

// describe says why there was no answer, without the URL, which may hold a token.
func describe(err error) error {
	if refused, ok := errors.AsType[*refusedAddressError](err); ok {
		return refused
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return errors.New("no answer in time")
		}
		err = u.Err
	}
	return fmt.Errorf("no answer: %w", err)
}

// CheckURL finds out whether a merchant may register an address: an absolute URL
// of http or https, in live mode only of https, without a password in it. Where
// it leads is checked when it is dialed.
func CheckURL(address string, mode wallet.Mode, allowPrivate bool) error {
	const maxLen = 2048
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("must be a URL that begins with https://")
	case len(address) > maxLen:
		return errors.New("must be at most " + strconv.Itoa(maxLen) + " characters")
	case u.User != nil:
		return errors.New("must not hold a user name or password")
	case u.Scheme == "http" && mode == wallet.ModeLive && !allowPrivate:
		return errors.New("must begin with https:// in live mode")
	case allowPrivate:
		return nil
	case strings.EqualFold(u.Hostname(), "localhost"):
		return errors.New("must not be in a private network")
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && !public(ip) {
		return errors.New("must not be in a private network")
	}
	return nil
}
