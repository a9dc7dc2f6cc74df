package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// world is a dashboard with rows for every page.
type world struct {
	*testBundle
	payment wallet.Payment
	jobID   string
}

func newWorld(t *testing.T) *world {
	t.Helper()

	w := &world{testBundle: setup(t)}
	w.payment = w.testBundle.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
	w.event(t, "evt_1", wallet.ModeTest, w.payment, postgres.EventHandled, w.now.Add(-59*time.Minute))
	w.jobID = strconv.FormatInt(w.job(t, "discarded", "charge_payments", `{"payment_ids":["`+w.payment.ID.String()+`"]}`, w.payment.CreatedAt), 10)
	_, err := w.pool.Exec(t.Context(), `insert into river_queue (name, metadata, updated_at) values ('charge', '{}', $1)`, w.now)
	require.NoError(t, err)
	return w
}

// pages returns the paths of all pages that every role can read.
func (w *world) pages() []string {
	m := "/admin/test"
	customer, walletID := w.merchant.Customer.ID.String(), w.merchant.Wallet.ID.String()
	return []string{
		m, m + "?period=7d", m + "/attention", m + "/search", m + "/search?q=nothing", m + "/payments", m + "/payments?status=open",
		m + "/payments/" + w.payment.ID.String(), m + "/wallets", m + "/wallets/" + walletID, m + "/wallets/" + walletID + "?view=lots",
		m + "/wallets/" + walletID + "?view=ledger", m + "/customers", m + "/customers/" + customer, m + "/invoices", m + "/jobs", m + "/jobs?state=discarded",
		m + "/jobs/" + w.jobID, m + "/queues", m + "/events", m + "/events/evt_1", m + "/audit",
	}
}

// operatorPages returns the paths of the previews of writes.
func (w *world) operatorPages() []string {
	return []string{"/admin/test/events/evt_1/replay", "/admin/test/jobs/bulk?action=retry&state=discarded"}
}

type writeRoute struct {
	path  string
	form  url.Values
	least postgres.Role
}

// writes returns all routes that write.
func (w *world) writes() []writeRoute {
	m := "/admin/test"
	return []writeRoute{
		{m + "/payments/" + w.payment.ID.String() + "/check", nil, postgres.RoleSupport},
		{m + "/jobs/" + w.jobID + "/retry", nil, postgres.RoleOperator},
		{m + "/jobs/" + w.jobID + "/snooze", url.Values{"for": {"1h"}}, postgres.RoleOperator},
		{m + "/jobs/" + w.jobID + "/cancel", nil, postgres.RoleOperator},
		{m + "/jobs/bulk", url.Values{"action": {"retry"}, "id": {w.jobID}}, postgres.RoleOperator},
		{m + "/jobs/bulk", url.Values{"action": {"delete"}, "id": {"999"}}, postgres.RoleAdmin},
		{m + "/queues/charge/pause", nil, postgres.RoleOperator},
		{m + "/queues/charge/resume", nil, postgres.RoleOperator},
		{m + "/events/evt_1/replay", nil, postgres.RoleOperator},
		{m + "/jobs/" + w.jobID + "/delete", nil, postgres.RoleAdmin},
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	for _, role := range postgres.Roles {
		c := w.as(t, role)
		for _, path := range w.pages() {
			require.Equal(t, http.StatusOK, c.get(path).status, "%s reads %s", role, path)
		}
		for _, path := range w.operatorPages() {
			want := http.StatusForbidden
			if role.Includes(postgres.RoleOperator) {
				want = http.StatusOK
			}
			require.Equal(t, want, c.get(path).status, "%s reads %s", role, path)
		}
		for _, route := range w.writes() {
			before := len(w.actions(t))
			r := c.post(route.path, clone(route.form))
			if role.Includes(route.least) {
				require.Equal(t, http.StatusSeeOther, r.status, "%s writes %s: %s", role, route.path, r.body)
				require.Len(t, w.actions(t), before+1, route.path)
				continue
			}
			require.Equal(t, http.StatusForbidden, r.status, "%s writes %s", role, route.path)
			require.Len(t, w.actions(t), before, route.path)
		}
	}
	require.False(t, postgres.Role("root").Includes(postgres.RoleViewer), "an unknown role may do nothing")
}

func clone(form url.Values) url.Values {
	c := url.Values{}
	for k, v := range form {
		c[k] = append([]string(nil), v...)
	}
	return c
}

func TestViewersSeeNoActions(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	for _, path := range w.pages() {
		body := w.as(t, postgres.RoleViewer).get(path).body
		forms := regexp.MustCompile(`action="[^"]*"`).FindAllString(body, -1)
		for _, form := range forms {
			require.Regexp(t, `action="(/admin/logout|/admin/test/search)"`, form, path)
		}
	}
}

func TestWritesRequireTheToken(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	c := w.as(t, postgres.RoleAdmin)
	good := token(t, c.get("/admin/test/audit").body)
	for name, tc := range map[string]struct {
		token  string
		header http.Header
	}{
		"Missing":         {token: ""},
		"Wrong":           {token: "nonsense"},
		"OfAnotherUser":   {token: token(t, w.as(t, postgres.RoleAdmin).get("/admin/test/audit").body)},
		"FromAnotherSite": {token: good, header: http.Header{"Sec-Fetch-Site": {"cross-site"}}},
		"OfAnotherOrigin": {token: good, header: http.Header{"Origin": {"https://evil.example"}}},
	} {
		for _, route := range append(w.writes(), writeRoute{path: "/admin/logout"}) {
			form := clone(route.form)
			form.Set("reason", "none")
			if tc.token != "" {
				form.Set("csrf", tc.token)
			}
			r := c.send(http.MethodPost, route.path, form, tc.header)
			require.Equal(t, http.StatusForbidden, r.status, "%s: %s", name, route.path)
		}
	}
	require.Empty(t, w.actions(t))
	require.Equal(t, http.StatusSeeOther, c.send(http.MethodPost, "/admin/test/queues/charge/pause",
		url.Values{"csrf": {good}, "reason": {"complete request"}}, http.Header{"Origin": {"http://fundrail.example"}}).status)
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	c := w.as(t, postgres.RoleAdmin)
	inline := regexp.MustCompile(`(?i)<script(?:>|[^>]*[^"]>[^<])|<style|\sstyle=|\son[a-z]+=|javascript:`)
	foreign := regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//([^/"]+)`)
	for _, path := range append(append(w.pages(), w.operatorPages()...), "/admin/login", "/admin/nowhere", "/admin/test/payments/nonsense") {
		r := c.get(path)
		require.Equal(t, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", r.header.Get("Content-Security-Policy"), path)
		require.Equal(t, "DENY", r.header.Get("X-Frame-Options"), path)
		require.Equal(t, "nosniff", r.header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-store", r.header.Get("Cache-Control"), path)
		require.NotRegexp(t, inline, r.body, path)
		for _, m := range foreign.FindAllStringSubmatch(r.body, -1) {
			require.Equal(t, "dashboard.stripe.com", m[1], path)
		}
	}
}

func TestAssetsAreCachedForever(t *testing.T) {
	t.Parallel()

	c := setup(t).client(t)
	paths := regexp.MustCompile(`/admin/static/[^"]+`).FindAllString(c.get("/admin/login").body, -1)
	require.Len(t, paths, 3)
	for _, path := range paths {
		r := c.get(path)
		require.Equal(t, http.StatusOK, r.status, path)
		require.Regexp(t, `\.[0-9a-f]{12}\.(css|js|svg)$`, path)
		require.Equal(t, "public, max-age=31536000, immutable", r.header.Get("Cache-Control"))
	}
	require.Equal(t, http.StatusNotFound, c.get("/admin/static/app.css").status)
}

func TestPersonalDataIsMasked(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	customer := w.merchant.Customer
	secrets := []string{customer.Email, customer.ExternalID, customer.Name}
	viewer, support := w.as(t, postgres.RoleViewer), w.as(t, postgres.RoleSupport)
	operator := w.as(t, postgres.RoleOperator)
	require.Equal(t, http.StatusSeeOther, operator.post("/admin/test/queues/charge/pause", nil).status)
	secrets = append(secrets, w.users[postgres.RoleOperator].Email)
	paths := append(w.pages(), "/admin/test/audit/1", "/admin/test/search?q="+w.payment.WalletTransactionID.String(), "/admin/test/search?q=25.00+today")
	for _, list := range []string{
		"payments", "wallets", "customers", "invoices", "jobs", "queues", "events", "audit", "attention", "wallets/" + w.merchant.Wallet.ID.String(),
	} {
		paths = append(paths, "/admin/test/"+list+"?format=csv")
	}
	shown := 0
	for _, path := range paths {
		for _, secret := range secrets {
			require.NotContains(t, viewer.get(path).body, secret, path)
			shown += strings.Count(support.get(path).body, secret)
		}
	}
	require.Greater(t, shown, 10, "the role support sees personal data")
	for _, path := range []string{"/admin/test/payments", "/admin/test/payments?format=csv", "/admin/test/events/evt_1"} {
		require.NotContains(t, viewer.get(path).body, "4242", path)
		require.Contains(t, support.get(path).body, "4242", path)
	}
	require.Contains(t, viewer.get("/admin/test/events/evt_1").body, "2500", "other data is not masked")
	require.Contains(t, viewer.get("/admin/test/search?q="+url.QueryEscape(customer.Email)).body, "requires the role support")
	require.Equal(t, http.StatusSeeOther, support.get("/admin/test/search?q="+url.QueryEscape(strings.ToUpper(customer.Email))).status)
}

func TestModesAreNeverMixed(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	live := testfactory.NewMerchant(t, w.pool, testfactory.MerchantOpts{Mode: wallet.ModeLive})
	p := w.testBundle.payment(t, time.Minute, testfactory.PaymentOpts{Merchant: live, Status: wallet.PaymentRequiresAction})
	w.event(t, "evt_live", wallet.ModeLive, p, postgres.EventPending, w.now.Add(-time.Hour))
	job := strconv.FormatInt(w.job(t, "discarded", "charge_payments", `{"payment_ids":["`+p.ID.String()+`"]}`, w.now), 10)
	both := strconv.FormatInt(w.job(t, "discarded", "charge_payments", `{"payment_ids":["`+p.ID.String()+`","`+w.payment.ID.String()+`"]}`, w.now), 10)
	neither := strconv.FormatInt(w.job(t, "completed", "enqueue_checks", `{}`, w.now), 10)
	c := w.as(t, postgres.RoleAdmin)

	for _, path := range append(w.pages(), w.operatorPages()...) {
		body := c.get(path).body
		for _, foreign := range []string{
			p.ID.String(), p.StripePaymentIntentID, "evt_live", live.Customer.ID.String(), live.Wallet.ID.String(), "/jobs/" + job + `"`,
			wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, p.ID),
		} {
			require.NotContains(t, body, foreign, path)
		}
	}
	for _, path := range []string{
		"/payments/" + p.ID.String(), "/wallets/" + live.Wallet.ID.String(), "/customers/" + live.Customer.ID.String(), "/events/evt_live", "/jobs/" + job,
	} {
		require.Equal(t, http.StatusNotFound, c.get("/admin/test"+path).status, path)
		require.Equal(t, http.StatusOK, c.get("/admin/live"+path).status, path)
	}
	for _, path := range []string{"/payments/" + p.ID.String() + "/check", "/events/evt_live/replay", "/jobs/" + job + "/retry"} {
		require.Equal(t, http.StatusNotFound, c.post("/admin/test"+path, nil).status, path)
	}
	require.Empty(t, w.actions(t))

	for mode, own := range map[string]wallet.Payment{"test": w.payment, "live": p} {
		list := c.get("/admin/" + mode + "/jobs").body
		require.Contains(t, list, "/jobs/"+both+`"`, "a job of both modes is listed in each")
		require.Contains(t, list, "/jobs/"+neither+`"`, "a job of neither mode is listed in each")
		page := c.get("/admin/" + mode + "/jobs/" + both).body
		require.Contains(t, page, "/admin/"+mode+"/payments/"+own.ID.String())
		require.Equal(t, 1, strings.Count(page, `/payments/01`), "the job's page shows only the payments of the mode")
	}
}
