//go:build browser

package dashboard_test

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/bench"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// accessibility is a script that finds accessibility problems: missing labels and landmarks,
// low contrast, and a wrong order of headings or focus.
//
//go:embed testdata/accessibility.js
var accessibility string

// TestPages opens every page in both sizes and both colour schemes. No page may log an error,
// overflow the window or have an accessibility problem. If SCREENSHOTS names a folder, the
// test saves a screenshot of each page there.
func TestPages(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	paths := h.furnish(t)
	b := browse(t)
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))

	b.do(screens[0].use(), chromedp.Navigate(h.url+"/admin/login"))
	b.inspect(t, folder, "login")
	b.login(h, postgres.RoleAdmin)
	for _, p := range paths {
		b.do(chromedp.Navigate(h.url+"/admin/test"+p.path), chromedp.WaitReady("main"))
		b.inspect(t, folder, p.name)
	}
	b.do(chromedp.Navigate(h.url + "/admin/live/payments"))
	b.inspect(t, folder, "live")
	require.Empty(t, b.complaints)
}

// inspect checks the open page and saves its screenshots, in every size and colour scheme.
func (b *tab) inspect(t *testing.T, folder, name string) {
	t.Helper()
	for _, s := range screens {
		for _, colours := range []string{"light", "dark"} {
			b.do(s.use(), scheme(colours))
			problems := evaluate[[]string](b, strings.ReplaceAll(accessibility, "WINDOW_WIDTH", strconv.FormatInt(s.width, 10)))
			ctx, cancel := b.within()
			image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			cancel()
			require.NoError(t, err)
			require.Empty(t, problems, "%s, %s, %s:\n%s", name, s.name, colours, strings.Join(problems, "\n"))
			file := filepath.Join(folder, fmt.Sprintf("%s-%s-%s.png", name, s.name, colours))
			require.NoError(t, os.WriteFile(file, image, 0o600))
		}
	}
	b.do(screens[0].use(), scheme("light"))
}

type pagePath struct{ name, path string }

// furnish stores rows for every page and returns the paths of the pages.
func (h *house) furnish(t *testing.T) []pagePath {
	t.Helper()

	now := time.Now().UTC()
	require.NoError(t, bench.Fill{
		Payments: 2400, Jobs: 4800, Until: now.Add(-2 * time.Minute), Over: 40 * time.Hour, Progress: func(string, int) {},
	}.Run(t.Context(), h.pool))
	// Fill makes retryable jobs that were due in the past. Make them due in the future.
	_, err := h.pool.Exec(t.Context(), `
		update river_job set state = 'retryable', scheduled_at = now() + interval '20 minutes', finalized_at = null, attempt = 3
		where attempt between 3 and 4`)
	require.NoError(t, err)
	ids := map[string]string{}
	for name, query := range map[string]string{
		"settled":   `select payment_id::text from stripe_events where mode = 'test' and type = 'payment_intent.succeeded' order by received_at desc limit 1`,
		"declined":  `select id::text from payments where mode = 'test' and status = 'failed' order by id desc limit 1`,
		"waiting":   `select id::text from payments where mode = 'test' and status = 'requires_action' order by id desc limit 1`,
		"event":     `select id from stripe_events where mode = 'test' order by received_at desc limit 1`,
		"wallet":    `select wallet_id::text from payments where mode = 'test' and status = 'succeeded' group by 1 order by count(*) desc, 1 limit 1`,
		"discarded": `select id::text from river_job where state = 'discarded' and kind = 'charge_payments' order by id desc limit 1`,
	} {
		var id string
		require.NoError(t, h.pool.QueryRow(t.Context(), query).Scan(&id), name)
		ids[name] = id
	}
	var customer string
	require.NoError(t, h.pool.QueryRow(t.Context(), `select customer_id::text from wallets where id = $1`, ids["wallet"]).Scan(&customer))
	h.troubles(t, ids, now)
	story := h.story(t)
	return []pagePath{
		{"overview", "?period=24h"},
		{"attention", "/attention"},
		{"payments", "/payments"},
		{"payments-failed", "/payments?status=failed"},
		{"payment-settled", "/payments/" + ids["settled"]},
		{"payment-declined", "/payments/" + ids["declined"]},
		{"payment-waiting", "/payments/" + ids["waiting"]},
		{"payment-story", "/payments/" + story},
		{"wallets", "/wallets"},
		{"wallet", "/wallets/" + ids["wallet"]},
		{"wallet-lots", "/wallets/" + ids["wallet"] + "?view=lots"},
		{"wallet-ledger", "/wallets/" + ids["wallet"] + "?view=ledger"},
		{"customers", "/customers"},
		{"customer", "/customers/" + customer},
		{"invoices", "/invoices"},
		{"jobs", "/jobs"},
		{"jobs-discarded", "/jobs?state=discarded"},
		{"job", "/jobs/" + ids["discarded"]},
		{"bulk", "/jobs/bulk?action=retry&state=discarded"},
		{"queues", "/queues"},
		{"events", "/events"},
		{"event", "/events/" + ids["event"]},
		{"replay", "/events/" + ids["event"] + "/replay"},
		{"audit", "/audit"},
		{"action", "/audit/1"},
		{"search", "/search"},
		{"search-found", "/search?q=20.00+today"},
		{"search-nothing", "/search?q=nothing-here"},
		{"failure", "/nowhere"},
	}
}

// story creates a payment that settles after a challenge and is partly refunded, and returns
// its id.
func (h *house) story(t *testing.T) (id string) {
	t.Helper()

	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	t.Cleanup(shop.Close)
	testfactory.Endpoint(t, h.pool, testfactory.EndpointOpts{OrganizationID: h.merchant.Organization.ID, URL: shop.URL})
	id, redirect := h.fund(t)
	var intent string
	require.NoError(t, h.pool.QueryRow(t.Context(), `select stripe_payment_intent_id from payments where id = $1`, id).Scan(&intent))
	res, err := http.PostForm(redirect, url.Values{"outcome": {"succeed"}}) // follows the redirect to the return URL
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	settled := func(kind string) func() bool {
		return func() bool {
			var n int
			err := h.pool.QueryRow(t.Context(), `select count(*) from transfers where payment_id = $1 and kind = $2`, id, kind).Scan(&n)
			return err == nil && n > 0
		}
	}
	require.Eventually(t, settled("settlement"), 20*time.Second, 20*time.Millisecond)
	_, err = h.sim.CreateRefund(intent, 5_00)
	require.NoError(t, err)
	require.Eventually(t, settled("refund"), 20*time.Second, 20*time.Millisecond)
	return id
}

// troubles stores items of each kind that needs attention.
func (h *house) troubles(t *testing.T, ids map[string]string, now time.Time) {
	t.Helper()

	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := h.pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	stuck := testfactory.Payment(t, h.pool, testfactory.PaymentOpts{
		Merchant: h.merchant, Status: wallet.PaymentProcessing, CreatedAt: now.Add(-11 * time.Minute), Amount: 180_00,
		ID: idAt(now.Add(-11 * time.Minute)),
	})
	exec(`update payments set next_check_at = $2, checks = 3 where id = $1`, stuck.ID, now.Add(4*time.Minute))
	exec(`update payments set action_deadline_at = $2 where id = $1`, ids["waiting"], now.Add(38*time.Minute))
	exec(`insert into stripe_events (id, mode, type, api_version, object_id, stripe_payment_intent_id, payment_id, status, source, body, created_at, received_at, due_at)
		values ('evt_1QUnhandled', 'test', 'payment_intent.succeeded', '2023-10-16', $2, $2, $1, 'pending', 'webhook', '{"id":"evt_1QUnhandled"}', $3, $3, $4)`,
		stuck.ID, stuck.StripePaymentIntentID, now.Add(-9*time.Minute), now.Add(3*time.Minute))
	exec(`insert into payment_discrepancies (payment_id, kind, stripe_payment_intent_id, expected_amount, expected_currency, received_amount, received_currency, cause_kind, cause_id, found_at)
		select id, 'amount_mismatch', stripe_payment_intent_id, amount, currency, amount - 500, currency, 'event', 'evt_1', $2 from payments where id = $1`,
		ids["settled"], now.Add(-90*time.Second))
	exec(`insert into river_queue (name, metadata, updated_at) select name, '{}', now() from unnest(array['charge', 'check', 'periodic', 'settle']) name on conflict do nothing`)
	exec(`update river_queue set paused_at = $1 where name = 'check'`, now.Add(-25*time.Minute))
	var user postgres.User
	list, err := postgres.ListUsers(t.Context(), h.pool)
	require.NoError(t, err)
	for _, u := range list {
		if u.Role == postgres.RoleOperator {
			user = u
		}
	}
	job, err := strconv.ParseInt(ids["discarded"], 10, 64)
	require.NoError(t, err)
	for _, a := range []struct{ action, kind, id, reason, before, after string }{
		{"queue.pause", "queue", "check", "Stripe reports an incident, checks only make it worse", `{"paused_at":null}`, `{"paused_at":"` + now.Format(time.RFC3339) + `"}`},
		{"job.retry", "job", strconv.FormatInt(job, 10), "Stripe is back", `{"state":"discarded","attempt":12}`, `{"state":"available","attempt":12}`},
		{"payment.check", "payment", ids["settled"], "Customer asks where the money is, ticket 4711", `{"status":"succeeded","checks":0}`, `{"job_id":1}`},
	} {
		exec(`insert into operator_actions (mode, user_id, actor, role, action, subject_kind, subject_id, reason, before, after, request_id, acted_at)
			values ('test', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			user.ID, user.Email, user.Role, a.action, a.kind, a.id, a.reason, a.before, a.after, wallet.NewID().String(), now.Add(-25*time.Second))
	}
}
