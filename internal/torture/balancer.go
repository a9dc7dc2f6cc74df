package torture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// processHeader is the header of an answer that names the process that gave it, by its
// index among the backends.
const processHeader = "X-Storm-Process"

// balancerPatience is longer than a service takes to answer while the database is
// silent.
const balancerPatience = 12 * time.Second

// balancer is a load balancer in front of the services. Requests go to the services
// in turn. If a service cannot be reached, the request goes to the next. After any
// other error the client gets 502.
type balancer struct {
	backends []string
	client   *http.Client
	next     atomic.Uint64
	broken   atomic.Int64 // requests whose answer was lost between service and client
	server   *http.Server
	url      string
}

func startBalancer(ctx context.Context, backends []string) (*balancer, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{
		backends: backends,
		client: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
				MaxIdleConnsPerHost: 32,
			},
		},
		url: "http://" + l.Addr().String(),
	}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.server.Serve(l) }() // the error reports that close was called
	return b, nil
}

func (b *balancer) close() {
	_ = b.server.Close()
	b.client.CloseIdleConnections()
}

// ServeHTTP implements http.Handler.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client closed its connection
	}
	// A frozen process accepts connections and does not answer.
	ctx, cancel := context.WithTimeout(r.Context(), balancerPatience)
	defer cancel()
	first := b.next.Add(1)
	for i := range uint64(len(b.backends)) {
		backend := (first + i) % uint64(len(b.backends))
		res, err := b.forward(ctx, r, b.backends[backend], body)
		if err == nil {
			relay(w, res, backend)
			return
		}
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			break
		}
	}
	if r.Context().Err() == nil {
		b.broken.Add(1)
	}
	w.WriteHeader(http.StatusBadGateway)
}

func (b *balancer) forward(ctx context.Context, r *http.Request, backend string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, backend+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // the backends are our own
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	neverRepeat(req)
	return b.client.Do(req) //nolint:gosec // the backends are our own
}

// neverRepeat keeps a transport from sending a request again by itself. With an
// Idempotency-Key it would do so when a connection breaks, and two requests would have
// one request id.
func neverRepeat(req *http.Request) { req.GetBody = nil }

func relay(w http.ResponseWriter, res *http.Response, backend uint64) {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	maps.Copy(w.Header(), res.Header)
	w.Header().Set(processHeader, strconv.FormatUint(backend, 10))
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body) // fails only if the client has gone
}
