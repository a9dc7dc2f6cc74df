// Package apitest sets up the API for tests: a server that speaks both dialects, a
// merchant who calls it, and the engine that it really runs on. No job is worked:
// the outcomes of payments come from the test.
package apitest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lago"
	"github.com/fundrail/fundrail/internal/api/lava"
	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// Bundle is a server with a merchant. The merchant's fields are the Bundle's.
type Bundle struct {
	testfactory.Merchant
	Engine   *jobs.Engine
	Handler  http.Handler // answers what the OpenAPI document describes, or the test fails
	Log      *Log
	Payments *Scripted
	Pool     *pgxpool.Pool
	Routes   []*echo.Route
	Clock    *Clock

	// The server and its dialects may be changed by a test.
	Server *api.Server
	Lava   *lava.Dialect
	Lago   *lago.Dialect
}

// publicURL begins the addresses that the server hands out.
const publicURL = "https://fundrail.example"

// Setup makes a Bundle, and changes its server and dialects before the routes are
// added. Unless FundWait is changed, fund requests are answered without waiting.
func Setup(t *testing.T, change ...func(*Bundle)) *Bundle {
	t.Helper()

	pool := testdb.New(t)
	return SetupFor(t, pool, testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{}), change...)
}

// SetupFor is Setup on a database that has the merchant already: a process that
// starts. The server, the engine and its River client use the pool.
func SetupFor(t *testing.T, pool *pgxpool.Pool, m testfactory.Merchant, change ...func(*Bundle)) *Bundle {
	t.Helper()

	b := &Bundle{Merchant: m, Pool: pool, Log: &Log{}, Clock: &Clock{now: testfactory.Now}}
	b.Engine = enginetest.New(t, enginetest.Options{Now: b.Clock.Now, Pool: pool}).Engine
	b.Payments = &Scripted{Engine: b.Engine}
	b.Server = &api.Server{
		DB:       b.Pool,
		Payments: b.Payments,
		Log:      slog.New(slog.NewTextHandler(b.Log, nil)),
		Now:      b.Clock.Now,
	}
	b.Lava = &lava.Dialect{Server: b.Server, PublicURL: publicURL}
	b.Lago = &lago.Dialect{Server: b.Server}
	for _, c := range change {
		c(b)
	}
	h := b.Server.Handler(b.Lava, b.Lago)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		b.Server.Close(ctx)
	})
	b.Routes = h.(*echo.Echo).Routes()
	b.Handler = openapitest.Handler(t, h)
	return b
}

// OtherProcess returns the handler of another process on the same database.
func (b *Bundle) OtherProcess() http.Handler {
	s := &api.Server{
		DB: b.Pool, Payments: b.Payments, Log: b.Server.Log, Now: b.Clock.Now,
		RateLimit: b.Server.RateLimit, FundRateLimit: b.Server.FundRateLimit,
	}
	return s.Handler(&lava.Dialect{Server: s, PublicURL: publicURL}, &lago.Dialect{Server: s})
}

// Clock is a time that a test moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the time forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Log keeps the server's log lines. Many goroutines may write to it.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *Log) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns the lines so far.
func (b *Log) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Scripted is the engine with charges whose outcomes come from the test.
type Scripted struct {
	*jobs.Engine
	// OnAccept replaces the engine's Accept unless it is nil.
	OnAccept func(ctx context.Context, p postgres.NewPayment) (bool, error)
	// Outcome is how charges end as soon as they are accepted. Unless it is given,
	// they stay open.
	Outcome *wallet.Outcome
}

// Accept implements api.Payments.
func (s *Scripted) Accept(ctx context.Context, p postgres.NewPayment) (bool, error) {
	if s.OnAccept != nil {
		return s.OnAccept(ctx, p)
	}
	ok, err := s.Engine.Accept(ctx, p)
	if ok && err == nil && s.Outcome != nil {
		o := *s.Outcome
		if o.Kind == wallet.OutcomeSucceeded {
			o.AmountReceived, o.Currency = p.Amount, p.Currency
		}
		o.IntentID = testfactory.Token("pi_") // each payment has its own
		err = s.SettleOutcome(ctx, p.ID, o, p.CreatedAt)
	}
	return ok, err
}

// TopUp implements api.Payments.
func (s *Scripted) TopUp(ctx context.Context, p postgres.PreparedTopUp) (bool, error) {
	ok, err := s.Engine.TopUp(ctx, p)
	if ok && err == nil && s.Outcome != nil && p.Purchase != nil && p.Purchase.Charged() {
		o := *s.Outcome
		if o.Kind == wallet.OutcomeSucceeded {
			o.AmountReceived, o.Currency = p.Purchase.Amount, p.Purchase.Currency
		}
		o.IntentID = testfactory.Token("pi_")
		err = s.SettleOutcome(ctx, p.Purchase.ID, o, p.Now)
	}
	return ok, err
}

// SettleOutcome settles a payment as the job of its charge would.
func (s *Scripted) SettleOutcome(ctx context.Context, id wallet.ID, o wallet.Outcome, now time.Time) error {
	_, err := s.Settle(ctx, wallet.Settlement{
		PaymentID: id, Outcome: o, Cause: wallet.Cause{Kind: wallet.CauseJob, ID: "1"},
		ActionDeadline: now.Add(24 * time.Hour), Now: now,
	})
	return err
}

// EndWith lets charges end in an outcome from now on, and their callers wait for
// it.
func (b *Bundle) EndWith(o wallet.Outcome) {
	b.Payments.Outcome = &o
	b.Lava.FundWait = 10 * time.Second
}

// Do sends a request with the merchant's key and the headers given as pairs; an
// empty value leaves one out.
func (b *Bundle) Do(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	if body != "" {
		r = httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+b.APIKey)
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
		if pair[1] == "" {
			r.Header.Del(pair[0])
		}
	}
	rec := httptest.NewRecorder()
	b.Handler.ServeHTTP(rec, r)
	return rec
}

// Fund asks for 25 dollars from the merchant's card.
func (b *Bundle) Fund(t *testing.T, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	return b.Do(t, http.MethodPost, "/v1/wallet/fund", b.FundBody("25.00"), headers...)
}

// FundBody is the body of a fund request of an amount from the merchant's card.
func (b *Bundle) FundBody(amount string) string {
	return `{"payment_method_id":"` + b.MethodID() + `","amount":"` + amount + `"}`
}

// MethodID is the id of the merchant's card as Lava's dialect spells it.
func (b *Bundle) MethodID() string {
	return wallet.Spell(wallet.PrefixPaymentMethod, b.Mode, b.PaymentMethod.ID)
}

// Stored lists the merchant's payments, the oldest first.
func (b *Bundle) Stored(t *testing.T) []wallet.Payment {
	t.Helper()

	list, err := postgres.ListPayments(t.Context(), b.Pool, b.Wallet.ID, wallet.ID{}, 1000)
	require.NoError(t, err)
	slices.Reverse(list)
	return list
}

// Only returns the merchant's one payment.
func (b *Bundle) Only(t *testing.T) wallet.Payment {
	t.Helper()

	list := b.Stored(t)
	require.Len(t, list, 1)
	return list[0]
}

// RequireAnswer expects a status and a body, to the byte.
func RequireAnswer(t *testing.T, rec *httptest.ResponseRecorder, status int, body string) {
	t.Helper()

	require.Equal(t, body, rec.Body.String())
	require.Equal(t, status, rec.Code)
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	require.NotEmpty(t, rec.Header().Get("X-Request-Id"))
	require.NotEmpty(t, rec.Header().Get("X-RateLimit-Remaining"))
}

// Send is Do over a real connection, for what a recorder cannot show.
func (b *Bundle) Send(ctx context.Context, method, url string, body io.Reader, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+b.APIKey)
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, header)
	return http.DefaultClient.Do(r)
}

// Serve runs a server made by api.NewHTTPServer, which change may shorten the limits
// of, and returns its address.
func Serve(t *testing.T, h http.Handler, change func(*http.Server)) string {
	t.Helper()

	srv := api.NewHTTPServer(h)
	if change != nil {
		change(srv)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return listener.Addr().String()
}

// Request sends a request without a body and returns the answer.
func Request(t *testing.T, h http.Handler, method, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()

	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	maps.Copy(r.Header, header)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// SpellPayment is a payment's id as Lava's dialect spells it.
func SpellPayment(p wallet.Payment) string {
	return wallet.Spell(wallet.PrefixPayment, p.Mode, p.ID)
}

// RequireReplay expects the same answer again, to the byte, marked as a replay.
func RequireReplay(t *testing.T, first, second *httptest.ResponseRecorder) {
	t.Helper()

	require.Empty(t, first.Header().Get("Idempotent-Replayed"))
	RequireAnswer(t, second, first.Code, first.Body.String())
	require.Equal(t, "true", second.Header().Get("Idempotent-Replayed"))
	require.Equal(t, first.Header().Get("Location"), second.Header().Get("Location"))
	require.Equal(t, first.Header().Get("Retry-After"), second.Header().Get("Retry-After"))
}
