package api

import (
	"context"
	"io"
	"log/slog"
	"maps"
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

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// bundle is a server with a merchant, on the engine that it really runs on.
// Nobody works the jobs: outcomes come from the test.
type bundle struct {
	testfactory.Merchant
	engine   *jobs.Engine
	handler  http.Handler
	log      *syncBuffer
	payments *scripted
	pool     *pgxpool.Pool
	routes   []*echo.Route
	server   *Server
	time     *clock
}

// setup makes a bundle. Answers come at once; a test that waits says how long.
func setup(t *testing.T, change ...func(*Server)) *bundle {
	t.Helper()

	b := &bundle{log: &syncBuffer{}, time: &clock{now: testfactory.Now}}
	e := enginetest.New(t, enginetest.Options{Now: b.time.Now})
	b.engine, b.pool = e.Engine, e.Pool
	b.payments = &scripted{Engine: e.Engine}
	b.Merchant = testfactory.NewMerchant(t, b.pool, testfactory.MerchantOpts{})
	b.server = &Server{
		DB:        b.pool,
		Payments:  b.payments,
		Log:       slog.New(slog.NewTextHandler(b.log, nil)),
		Now:       b.time.Now,
		PublicURL: "https://fundrail.example",
		FundWait:  0,
	}
	for _, c := range change {
		c(b.server)
	}
	h := b.server.Handler()
	b.routes = h.(*echo.Echo).Routes()
	b.handler = openapitest.Handler(t, h)
	return b
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// scripted is the engine with a charge that ends at once in an outcome, if there
// is one, in place of the job that waits in the queue.
type scripted struct {
	*jobs.Engine
	accept  func(ctx context.Context, p postgres.NewPayment) (bool, error) // in place of the engine's, if set
	outcome *wallet.Outcome
}

func (s *scripted) Accept(ctx context.Context, p postgres.NewPayment) (bool, error) {
	if s.accept != nil {
		return s.accept(ctx, p)
	}
	ok, err := s.Engine.Accept(ctx, p)
	if ok && err == nil && s.outcome != nil {
		o := *s.outcome
		if o.Kind == wallet.OutcomeSucceeded {
			o.AmountReceived, o.Currency = p.Amount, p.Currency
		}
		o.IntentID = testfactory.Token("pi_") // each payment has its own
		err = s.settle(ctx, p.ID, o, p.CreatedAt)
	}
	return ok, err
}

func (s *scripted) TopUp(ctx context.Context, p postgres.PreparedTopUp) (bool, error) {
	ok, err := s.Engine.TopUp(ctx, p)
	if ok && err == nil && s.outcome != nil && p.Purchase != nil && p.Purchase.Charged() {
		o := *s.outcome
		if o.Kind == wallet.OutcomeSucceeded {
			o.AmountReceived, o.Currency = p.Purchase.Amount, p.Purchase.Currency
		}
		o.IntentID = testfactory.Token("pi_")
		err = s.settle(ctx, p.Purchase.ID, o, p.Now)
	}
	return ok, err
}

func (s *scripted) settle(ctx context.Context, id wallet.ID, o wallet.Outcome, now time.Time) error {
	_, err := s.Settle(ctx, wallet.Settlement{
		PaymentID: id, Outcome: o, Cause: wallet.Cause{Kind: wallet.CauseJob, ID: "1"},
		ActionDeadline: now.Add(24 * time.Hour), Now: now,
	})
	return err
}

// ends lets charges end in an outcome from now on, and their callers wait for it.
func (b *bundle) ends(o wallet.Outcome) {
	b.payments.outcome = &o
	b.server.FundWait = 10 * time.Second
}

// do sends a request with the merchant's key and the headers given as pairs; an
// empty value leaves one out.
func (b *bundle) do(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
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
	b.handler.ServeHTTP(rec, r)
	return rec
}

// fund asks for 25 dollars from the merchant's card.
func (b *bundle) fund(t *testing.T, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	return b.do(t, http.MethodPost, "/v1/wallet/fund", b.body("25.00"), headers...)
}

func (b *bundle) body(amount string) string {
	return `{"payment_method_id":"` + b.methodID() + `","amount":"` + amount + `"}`
}

func (b *bundle) methodID() string {
	return wallet.Spell(wallet.PrefixPaymentMethod, b.Mode, b.PaymentMethod.ID)
}

// stored lists the merchant's payments, the oldest first.
func (b *bundle) stored(t *testing.T) []wallet.Payment {
	t.Helper()

	list, err := postgres.ListPayments(t.Context(), b.pool, b.Wallet.ID, wallet.ID{}, 1000)
	require.NoError(t, err)
	slices.Reverse(list)
	return list
}

// only gives the merchant's one payment.
func (b *bundle) only(t *testing.T) wallet.Payment {
	t.Helper()

	list := b.stored(t)
	require.Len(t, list, 1)
	return list[0]
}

// requireAnswer expects a status and a body, to the byte.
func requireAnswer(t *testing.T, rec *httptest.ResponseRecorder, status int, body string) {
	t.Helper()

	require.Equal(t, body, rec.Body.String())
	require.Equal(t, status, rec.Code)
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	require.NotEmpty(t, rec.Header().Get("X-Request-Id"))
	require.NotEmpty(t, rec.Header().Get("X-RateLimit-Remaining"))
}

// send is do over a real connection, for what a recorder cannot show.
func (b *bundle) send(ctx context.Context, method, url string, body io.Reader, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+b.APIKey)
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, header)
	return http.DefaultClient.Do(r)
}
