package dashboard_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

const password = "correct horse battery"

// passwordHash is computed once, because hashing is slow by design.
var passwordHash = sync.OnceValues(func() (string, error) { return dashboard.HashPassword(password) })

// testBundle is a dashboard on its own database, with a user for each role. No worker runs
// the jobs.
type testBundle struct {
	merchant testfactory.Merchant
	now      time.Time    // when the test began
	passed   atomic.Int64 // how far the clock was moved since, in nanoseconds
	pool     *pgxpool.Pool
	stripe   *stripe
	handler  http.Handler
	url      string
	users    map[postgres.Role]postgres.User
}

func setup(t *testing.T, change ...func(*dashboard.Config)) *testBundle {
	t.Helper()

	b := &testBundle{now: testfactory.Now, stripe: &stripe{}, users: make(map[postgres.Role]postgres.User)}
	now := func() time.Time { return b.now.Add(time.Duration(b.passed.Load())) }
	engine := enginetest.New(t, enginetest.Options{
		Now: now, Stripe: map[wallet.Mode]jobs.Stripe{wallet.ModeTest: b.stripe, wallet.ModeLive: b.stripe},
	})
	b.pool = engine.Pool
	b.merchant = testfactory.NewMerchant(t, b.pool, testfactory.MerchantOpts{})
	hash, err := passwordHash()
	require.NoError(t, err)
	for _, role := range postgres.Roles {
		u := postgres.User{
			ID: wallet.NewID(), Email: string(role) + "@fundrail.test", Role: role, PasswordHash: hash, CreatedAt: testfactory.Now,
		}
		require.NoError(t, postgres.InsertUser(t.Context(), b.pool, u))
		b.users[role] = u
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	config := dashboard.Config{
		Log: log, Payments: engine.Engine, Now: now, Pool: b.pool, PublicURL: "http://fundrail.example", River: engine.River,
		Periodic: []dashboard.Periodic{{Kind: "enqueue_checks", Every: 15 * time.Second}}, PeriodicQueue: jobs.QueuePeriodic,
	}
	for _, c := range change {
		c(&config)
	}
	d := dashboard.New(config)
	e := api.NewEcho(log)
	d.Register(e)
	server := httptest.NewServer(e)
	t.Cleanup(func() {
		d.Close()
		server.Close()
	})
	b.handler, b.url = e, server.URL
	return b
}

// advance moves the clock forward. It is safe to call while the engine's goroutines read the
// clock.
func (b *testBundle) advance(d time.Duration) { b.passed.Add(int64(d)) }

// stripe is a jobs.Stripe with an answer that a test sets.
type stripe struct {
	jobs.Stripe
	retrieved wallet.Outcome
}

// Breaker implements jobs.Stripe. A nil breaker is always closed.
func (*stripe) Breaker() *stripeapi.Breaker { return nil }

// Retrieve implements jobs.Stripe.
func (s *stripe) Retrieve(context.Context, string) wallet.Outcome { return s.retrieved }

// client sends requests as a browser without scripts does. It keeps cookies and does not
// follow redirects.
type client struct {
	*testBundle
	http *http.Client
	t    *testing.T
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *testBundle) client(t *testing.T) *client {
	t.Helper()

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &client{testBundle: b, t: t, http: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// as returns a client that is logged in with a role.
func (b *testBundle) as(t *testing.T, role postgres.Role) *client {
	t.Helper()

	c := b.client(t)
	r := c.login(b.users[role].Email, password)
	require.Equal(t, http.StatusSeeOther, r.status, r.body)
	return c
}

func (c *client) login(email, password string) answer {
	c.t.Helper()
	page := c.get("/admin/login")
	return c.send(http.MethodPost, "/admin/login", url.Values{
		"csrf": {token(c.t, page.body)}, "email": {email}, "password": {password},
	}, nil)
}

func (c *client) get(path string) answer {
	c.t.Helper()
	return c.send(http.MethodGet, path, nil, nil)
}

// post sends a form with a reason and the token of the session.
func (c *client) post(path string, form url.Values) answer {
	c.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	if !form.Has("csrf") {
		form.Set("csrf", token(c.t, c.get("/admin/test/audit").body))
	}
	if !form.Has("reason") {
		form.Set("reason", "ticket 4711")
	}
	return c.send(http.MethodPost, path, form, nil)
}

func (c *client) send(method, path string, form url.Values, header http.Header) answer {
	c.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	require.NoError(c.t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(req.Header, header)
	res, err := c.http.Do(req)
	require.NoError(c.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	return answer{status: res.StatusCode, header: res.Header, body: string(text)}
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// token returns the token in a page's forms.
func token(t *testing.T, body string) string {
	t.Helper()
	m := tokenField.FindStringSubmatch(body)
	require.NotNil(t, m, body)
	return m[1]
}

// actions are the audit rows, the oldest first.
func (b *testBundle) actions(t *testing.T) []postgres.OperatorAction {
	t.Helper()
	const all = 1000
	var list []postgres.OperatorAction
	for _, mode := range wallet.Modes {
		part, err := views.ListOperatorActions(t.Context(), b.pool, views.OperatorActionFilter{Mode: mode, Limit: all})
		require.NoError(t, err)
		for _, a := range part {
			list = append([]postgres.OperatorAction{a}, list...)
		}
	}
	return list
}

// idAt is an id as if it had been made at a time.
func idAt(at time.Time) wallet.ID {
	id, first := wallet.NewID(), wallet.FirstID(at)
	copy(id[:6], first[:6])
	return id
}

// payment stores a payment that was accepted some time before now.
func (b *testBundle) payment(t *testing.T, before time.Duration, opts testfactory.PaymentOpts) wallet.Payment {
	t.Helper()
	opts.CreatedAt = b.now.Add(-before)
	opts.ID = idAt(opts.CreatedAt)
	if opts.Merchant.Wallet.ID == (wallet.ID{}) {
		opts.Merchant = b.merchant
	}
	return testfactory.Payment(t, b.pool, opts)
}

// job stores a job as River would, and returns its id.
func (b *testBundle) job(t *testing.T, state, kind, args string, at time.Time) int64 {
	t.Helper()
	var id int64
	err := b.pool.QueryRow(t.Context(), `
		insert into river_job (state, kind, queue, args, attempt, max_attempts, created_at, scheduled_at, attempted_at, finalized_at, errors)
		values ($1::text::river_job_state, $2, case $2 when 'charge_payments' then 'charge' when 'handle_event' then 'settle' else 'periodic' end,
			$3::text::jsonb, 1, 12, $4, $4, $4, case when $1 in ('completed', 'cancelled', 'discarded') then $4::timestamptz + interval '1 second' end,
			case when $1 in ('discarded', 'retryable') then array['{"at":"2026-03-14T09:00:00Z","attempt":1,"error":"read tcp: i/o timeout","trace":""}'::jsonb] end)
		returning id`, state, kind, args, at).Scan(&id)
	require.NoError(t, err)
	return id
}

// event stores an event about a payment.
func (b *testBundle) event(t *testing.T, id string, mode wallet.Mode, p wallet.Payment, status postgres.EventStatus, at time.Time) {
	t.Helper()
	var paymentID *wallet.ID
	if p.ID != (wallet.ID{}) {
		paymentID = &p.ID
	}
	_, err := b.pool.Exec(t.Context(), `
		insert into stripe_events (id, mode, type, stripe_payment_intent_id, payment_id, status, source, body, created_at, received_at, due_at, handled_at)
		values ($1, $2, 'payment_intent.succeeded', nullif($3, ''), $4, $5, 'webhook',
			'{"id":"evt","data":{"object":{"receipt_email":"ada@reader.example","last4":"4242","amount":2500}}}',
			$6, $6, $6::timestamptz + interval '5 minutes', case when $5 <> 'pending' then $6::timestamptz end)`,
		id, mode, p.StripePaymentIntentID, paymentID, status, at)
	require.NoError(t, err)
}
