package stripeapi

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// maxAnswer is the largest answer that is read. A page of a hundred of the largest
// objects is far smaller.
const maxAnswer = 32 << 20

var errAnswerTooLarge = errors.New("answer too large")

// exchange is what the transport saw of one call. It is filled in even if the
// backend cannot decode the answer.
type exchange struct {
	status    int
	requestID string
	// replayed reports whether this is the stored answer of an earlier request with
	// the same key. It may be outdated.
	replayed bool
	took     time.Duration
	date     time.Time // by the server's clock, zero if the answer had none
}

type exchangeKey struct{}

// httpClient returns the client that makes the requests: a copy of the configured
// one, or one tuned for many concurrent calls to a single host.
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
	// Stripe's API does not redirect. A request with a secret key must not follow a
	// redirect to another host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

func newTransport() *http.Transport {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = standard.Clone()
	}
	// The default keeps two idle connections per host, and a worker has hundreds of
	// concurrent calls to one.
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 1024
	transport.IdleConnTimeout = 60 * time.Second
	// Without pings, one dead HTTP/2 connection would block all of its calls until
	// they time out.
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	return transport
}

// recorder records the answer in the exchange of the request's context, and limits
// how much of it is read.
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

// boundedBody fails an answer that is too long. Ending it instead would pass a
// truncated answer for a whole one.
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
