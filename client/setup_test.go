package client_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/client"
	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lago"
	"github.com/fundrail/fundrail/internal/api/lava"
	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// bundle is a real server whose engine charges cards at a simulated Stripe.
type bundle struct {
	*enginetest.World
	url string
}

func setup(t *testing.T) *bundle {
	t.Helper()

	w := enginetest.NewWorld(t)
	s := &api.Server{DB: w.Pool, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now, Payments: w.Engine}
	server := httptest.NewServer(openapitest.Handler(t, s.Handler(
		&lava.Dialect{Server: s, FundWait: 10 * time.Second, PublicURL: "https://fundrail.example", WebhookAllowPrivate: true},
		&lago.Dialect{Server: s},
	)))
	t.Cleanup(server.Close)
	return &bundle{World: w, url: server.URL}
}

// client returns a client of the server with short waits.
func (b *bundle) client(t *testing.T, change ...func(*client.Config)) *client.Client {
	t.Helper()
	return newClient(t, b.url, b.Merchant.APIKey, change...)
}

func newClient(t *testing.T, url, key string, change ...func(*client.Config)) *client.Client {
	t.Helper()

	cfg := client.Config{URL: url, Key: key, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	c, err := client.New(cfg)
	require.NoError(t, err)
	return c
}

// card saves one of Stripe's test cards and returns its id in the API.
func (b *bundle) card(name string) string {
	return wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, b.Card(name).ID)
}

// lossy is a network that loses the first answers to some requests. The server
// receives every request.
type lossy struct {
	method string

	mu   sync.Mutex
	left int
	keys []string // of the requests with the method
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || r.Method != l.method {
		return resp, err
	}
	l.keys = append(l.keys, r.Header.Get("Idempotency-Key"))
	if l.left == 0 {
		return resp, nil
	}
	l.left--
	_ = resp.Body.Close()
	return nil, errors.New("connection reset by peer")
}

func (l *lossy) sent() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.keys...)
}

// through makes a client use the network.
func through(network http.RoundTripper) func(*client.Config) {
	return func(cfg *client.Config) { cfg.HTTP = &http.Client{Transport: network} }
}

// scripted returns a server that sends the given answers in order, and the last one
// repeatedly.
func scripted(t *testing.T, answers ...http.HandlerFunc) (string, *counter) {
	t.Helper()

	n := &counter{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := n.next(r)
		answers[min(i, len(answers)-1)](w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, n
}

// counter counts requests and records their times.
type counter struct {
	mu       sync.Mutex
	times    []time.Time
	requests []*http.Request
}

func (c *counter) next(r *http.Request) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times, c.requests = append(c.times, time.Now()), append(c.requests, r)
	return len(c.times) - 1
}

func (c *counter) all() ([]time.Time, []*http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Time{}, c.times...), append([]*http.Request{}, c.requests...)
}

// says returns a handler that answers with a status, a body and pairs of header
// names and values.
func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}
