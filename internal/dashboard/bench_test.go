package dashboard_test

import (
	"html"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/bench"
	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// BenchmarkPages requests each page and reports the median and maximum time of the server
// and the size of the page. It fills a small database, or uses the one that
// FILLED_DATABASE_URL names, which `fundrail seed` has filled.
func BenchmarkPages(b *testing.B) {
	pool := filled(b)
	h := benchHandler(b, pool)
	cookie := loginTo(b, pool, h)
	paths := benchPaths(b, pool)
	for _, list := range []string{"payments", "wallets", "customers", "events", "jobs", "jobs?state=completed", "jobs?state=discarded"} {
		name, _, _ := strings.Cut(strings.ReplaceAll(list, "?state=", "-"), "?")
		paths[name+"-page-40"] = deep(b, h, cookie, "/"+list)
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		path := paths[name]
		b.Run(name, func(b *testing.B) {
			var (
				size  int
				times []time.Duration
			)
			for b.Loop() {
				req := httptest.NewRequest(http.MethodGet, "/admin/test"+path, nil)
				req.Header.Set("Cookie", cookie)
				res := httptest.NewRecorder()
				started := time.Now()
				h.ServeHTTP(res, req)
				times = append(times, time.Since(started))
				require.Equal(b, http.StatusOK, res.Code, path)
				size = res.Body.Len()
			}
			slices.Sort(times)
			ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			b.ReportMetric(ms(times[len(times)/2]), "p50-ms")
			b.ReportMetric(ms(times[len(times)-1]), "max-ms")
			b.ReportMetric(float64(size), "page-B")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func filled(b *testing.B) *pgxpool.Pool {
	b.Helper()

	if address := os.Getenv("FILLED_DATABASE_URL"); address != "" {
		pool, err := pgxpool.New(b.Context(), address)
		require.NoError(b, err)
		b.Cleanup(pool.Close)
		return pool
	}
	pool := testdb.New(b)
	require.NoError(b, bench.Fill{
		Payments: 2000, Jobs: 6000, Until: time.Now(), Over: 30 * 24 * time.Hour, Progress: func(string, int) {},
	}.Run(b.Context(), pool))
	return pool
}

func benchHandler(b *testing.B, pool *pgxpool.Pool) http.Handler {
	b.Helper()

	engine := enginetest.New(b, enginetest.Options{Pool: pool})
	e := api.NewEcho(slog.New(slog.DiscardHandler))
	d := dashboard.New(dashboard.Config{
		Log: slog.New(slog.DiscardHandler), Payments: engine.Engine, Now: time.Now, Pool: pool, PublicURL: "http://fundrail.example",
		River: engine.River, PeriodicQueue: jobs.QueuePeriodic,
	})
	b.Cleanup(d.Close)
	d.Register(e)
	return e
}

// loginTo creates an admin, logs in and returns the session's cookie.
func loginTo(b *testing.B, pool *pgxpool.Pool, h http.Handler) string {
	b.Helper()

	hash, err := passwordHash()
	require.NoError(b, err)
	email := strings.ToLower(wallet.NewID().String()) + "@fundrail.test"
	require.NoError(b, postgres.InsertUser(b.Context(), pool, postgres.User{
		ID: wallet.NewID(), Email: email, Role: postgres.RoleAdmin, PasswordHash: hash, CreatedAt: time.Now(),
	}))
	page := httptest.NewRecorder()
	h.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/admin/login", nil))
	form := url.Values{"csrf": {tokenField.FindStringSubmatch(page.Body.String())[1]}, "email": {email}, "password": {password}}
	req := httptest.NewRequest(http.MethodPost, "/admin/login", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	cookie, _, _ := strings.Cut(page.Header().Get("Set-Cookie"), ";")
	req.Header.Set("Cookie", cookie)
	res := httptest.NewRecorder()
	h.ServeHTTP(res, req)
	require.Equal(b, http.StatusSeeOther, res.Code, res.Body.String())
	session, _, _ := strings.Cut(res.Header().Get("Set-Cookie"), ";")
	return session
}

// deep follows the links to the next page of a list, at most 39 times, and returns the path
// of the last page.
func deep(b *testing.B, h http.Handler, cookie, path string) string {
	b.Helper()

	next := regexp.MustCompile(`rel="next" href="/admin/test([^"]+)"`)
	for range 39 {
		req := httptest.NewRequest(http.MethodGet, "/admin/test"+path, nil)
		req.Header.Set("Cookie", cookie)
		res := httptest.NewRecorder()
		h.ServeHTTP(res, req)
		link := next.FindStringSubmatch(res.Body.String())
		if link == nil {
			return path
		}
		path = html.UnescapeString(link[1])
	}
	return path
}

// benchPaths returns the paths of every list, of lists with the most expensive filters, and
// of the detail pages of rows in the middle of the lists.
func benchPaths(b *testing.B, pool *pgxpool.Pool) map[string]string {
	b.Helper()

	find := func(query string) (id string) {
		require.NoError(b, pool.QueryRow(b.Context(), query).Scan(&id), query)
		return id
	}
	const middle = `select id::text from payments where mode = 'test' and id >= (select id from payments order by id offset (select reltuples::int / 2 from pg_class where relname = 'payments') limit 1) order by id limit 1`
	payment := find(middle)
	owner := find(`select wallet_id::text from payments where id = '` + payment + `'`)
	customer := find(`select customer_id::text from wallets where id = '` + owner + `'`)
	invoice := find(`select id::text from invoices where mode = 'test' order by id offset (select reltuples::int / 2 from pg_class where relname = 'invoices') limit 1`)
	event := find(`select id from stripe_events where payment_id = '` + payment + `'`)
	job := find(`select id::text from river_job where state = 'discarded' order by finalized_at desc limit 1`)
	charge := find(`select coalesce(stripe_charge_id, 'ch_none') from payments where id = '` + payment + `'`)
	day := find(`select to_char(max(created_at) at time zone 'UTC', 'YYYY-MM-DD') from payments`)
	return map[string]string{
		"overview-today": "", "overview-24h": "?period=24h", "overview-7d": "?period=7d", "attention": "/attention",
		"payments": "/payments", "payments-page-in-the-middle": "/payments?cursor=" + payment, "payments-open": "/payments?status=open",
		"payments-canceled": "/payments?status=canceled", "payments-by-reason": "/payments?failure=expired_card",
		"payments-by-absent-reason": "/payments?failure=nothing_of_the_sort", "payments-of-a-customer": "/payments?customer=" + customer,
		"payment": "/payments/" + payment, "wallets": "/wallets", "wallet": "/wallets/" + owner, "wallet-ledger": "/wallets/" + owner + "?view=ledger",
		"wallet-lots": "/wallets/" + owner + "?view=lots", "customers": "/customers", "customer": "/customers/" + customer, "invoices": "/invoices",
		"invoices-page-in-the-middle": "/invoices?cursor=" + invoice,
		"jobs":                        "/jobs", "jobs-completed": "/jobs?state=completed", "jobs-discarded": "/jobs?state=discarded", "jobs-scheduled": "/jobs?state=scheduled",
		"jobs-by-kind": "/jobs?kind=check_payment", "jobs-by-absent-kind": "/jobs?kind=nothing", "jobs-by-text": "/jobs?text=timeout",
		"jobs-completed-of-a-queue": "/jobs?state=completed&queue=charge", "jobs-of-a-payment": "/jobs?tag=" + payment, "job": "/jobs/" + job,
		"bulk-preview": "/jobs/bulk?action=retry&state=discarded", "queues": "/queues", "events": "/events", "events-pending": "/events?status=pending",
		"events-by-type": "/events?type=payment_intent.canceled", "event": "/events/" + event, "audit": "/audit",
		"search-nothing": "/search?q=pi_none", "search-charge-elsewhere": "/search?q=x" + charge, "search-amount": "/search?q=20.00+today",
		"payments-by-challenge": "/payments?challenge=completed", "payments-by-challenge-today": "/payments?challenge=completed&from=" + day,
		"search-word": "/search?q=matches-nothing",
	}
}
