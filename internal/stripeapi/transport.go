package stripeapi

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// maxAnswer is the largest answer that is read. A page of a hundred events with
// the largest objects is far below it.
const maxAnswer = 32 << 20

var errAnswerTooLarge = errors.New("answer too large")

// exchange is what the transport saw of one call. It also knows of answers that
// the backend could make nothing of.
type exchange struct {
	status    int
	requestID string
	// replayed tells that the answer is the stored one of an earlier request
	// with the same key, and may be old.
	replayed bool
	took     time.Duration
	date     time.Time // by the clock of whoever answered, zero if they did not say
}

type exchangeKey struct{}

// httpClient is the client that carries the calls: its own copy of the one
// given, or one tuned for many calls at once to a single host.
func httpClient(cfg Config) *http.Client {
	client := &http.Client{Transport: newTransport()}
	if cfg.HTTPClient != nil {
		*client = *cfg.HTTPClient
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = recorder{client.Transport}
	client.Timeout = cfg.Timeout
	if client.Timeout <= 0 {
		client.Timeout = DefaultTimeout
	}
	// Stripe's API doesn't redirect, and a request with a key must not wander.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

func newTransport() *http.Transport {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = standard.Clone()
	}
	// The default keeps two idle connections for each host, and a worker has
	// hundreds of calls under way to one.
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 1024
	transport.IdleConnTimeout = 60 * time.Second
	// One dead HTTP/2 connection would otherwise hold all its calls until they
	// time out.
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	return transport
}

// recorder notes what came back in the exchange that the context carries, and
// bounds how much of an answer is read.
type recorder struct {
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if x, ok := req.Context().Value(exchangeKey{}).(*exchange); ok {
		x.status = res.StatusCode
		x.requestID = word(res.Header.Get("Request-Id"))
		x.replayed = res.Header.Get("Idempotent-Replayed") == "true"
		x.date, _ = http.ParseTime(res.Header.Get("Date"))
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: maxAnswer}
	return res, nil
}

// boundedBody fails, rather than ends, when the answer is too long: half an
// answer must not pass for a whole one.
type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errAnswerTooLarge
	}
	return n, err
}
