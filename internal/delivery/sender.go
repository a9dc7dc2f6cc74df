// Package delivery sends events to merchants' endpoints. It encodes an event in the
// endpoint's dialect, signs it and makes one attempt to send it. It does not
// connect to private networks. Package jobs decides when to send and what to do
// after a failure.
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

// DefaultTimeout limits one attempt, from dialing to the last byte that is read.
const DefaultTimeout = 10 * time.Second

// Config configures a Sender. The zero value uses the defaults.
type Config struct {
	// AllowPrivate allows endpoints on this machine and in private networks.
	AllowPrivate bool
	// Timeout limits one attempt. Zero means DefaultTimeout.
	Timeout time.Duration
}

// Sender sends deliveries. It is safe for concurrent use.
type Sender struct{ client *http.Client }

// NewSender returns a Sender.
func NewSender(c Config) *Sender {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	dialer := &net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second}
	if !c.AllowPrivate {
		dialer.Control = refusePrivate
	}
	return &Sender{client: &http.Client{
		// The merchant has registered the endpoint, but not the target of its
		// redirects.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       c.Timeout,
		Transport: &http.Transport{
			// No proxy: a proxy would dial for us, so that the address could not be
			// checked.
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
	// Secrets sign the message. The first is the current one.
	Secrets []string
	Event   wallet.MerchantEvent
	// Now is the timestamp, which some dialects sign.
	Now time.Time
}

// maxAnswer is how much of an answer is read, so that the connection can be reused.
// Only the status matters.
const maxAnswer = 16 << 10

// Send makes one attempt. It returns the status of the answer, or 0 without an
// answer. Every 2xx status is a success. The text of an error may be shown to the
// merchant.
func (s *Sender) Send(ctx context.Context, m Message) (int, error) {
	body, err := Body(m.Endpoint.Signature, m.Event)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Endpoint.URL, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the address is not a valid URL")
	}
	req.Header = header(m, body)
	res, err := s.client.Do(req)
	if err != nil {
		return 0, describe(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // an incomplete body does not matter
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return res.StatusCode, fmt.Errorf("answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	}
	return res.StatusCode, nil
}

// describe returns the reason for a missing answer. It omits the URL, which may
// contain a token.
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

// CheckURL returns an error unless a merchant may register the address. It must be
// an absolute URL of http or https, only https in live mode, without user
// information. The address that its name resolves to is checked when it is dialed.
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
