package dashboard_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/bench"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

var nextPage = regexp.MustCompile(`rel="next" href="([^"]+)"`)

// walk reads a list page by page and returns the matches of a pattern and the number of
// pages.
func (c *client) walk(path, pattern string) (found []string, pages int) {
	c.t.Helper()
	const enough = 20
	row := regexp.MustCompile(pattern)
	for pages < enough {
		r := c.get(path)
		require.Equal(c.t, http.StatusOK, r.status, r.body)
		pages++
		for _, m := range row.FindAllStringSubmatch(r.body, -1) {
			found = append(found, m[1])
		}
		m := nextPage.FindStringSubmatch(r.body)
		if m == nil {
			return found, pages
		}
		path = strings.ReplaceAll(m[1], "&amp;", "&")
	}
	require.Fail(c.t, "the list does not end")
	return nil, 0
}

// sheet returns the rows of a list's CSV file without the header.
func (c *client) sheet(path string) [][]string {
	c.t.Helper()
	r := c.get(path)
	require.Equal(c.t, http.StatusOK, r.status, r.body)
	require.Equal(c.t, "text/csv; charset=utf-8", r.header.Get("Content-Type"))
	require.Regexp(c.t, `^attachment; filename="[a-z-]+-test-20260314-092653\.csv"$`, r.header.Get("Content-Disposition"))
	rows, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
	require.NoError(c.t, err)
	return rows[1:]
}

const paymentRow = `<td class="num strong"><a href="/admin/test/payments/([^"]+)"`

func TestPaymentPages(t *testing.T) {
	t.Parallel()

	b := setup(t)
	var all, failed []string
	const n = 120
	for i := range n {
		status := wallet.PaymentSucceeded
		if i%4 == 0 {
			status = wallet.PaymentFailed
		}
		p := b.payment(t, time.Duration(n-i)*time.Minute, testfactory.PaymentOpts{Status: status, Amount: 10_00 + int64(i)})
		all = append(all, p.ID.String())
		if status == wallet.PaymentFailed {
			failed = append(failed, p.ID.String())
		}
	}
	slices.Reverse(all)
	slices.Reverse(failed)
	c := b.as(t, postgres.RoleAdmin)

	found, pages := c.walk("/admin/test/payments", paymentRow)
	require.Equal(t, all, found)
	require.Equal(t, 3, pages)
	found, pages = c.walk("/admin/test/payments?status=failed", paymentRow)
	require.Equal(t, failed, found)
	require.Equal(t, 1, pages)
	found, _ = c.walk("/admin/test/payments?failure=insufficient_funds", paymentRow)
	require.Equal(t, failed, found)
	for _, owner := range []string{"customer=" + b.merchant.Customer.ID.String(), "wallet=" + b.merchant.Wallet.ID.String()} {
		found, _ = c.walk("/admin/test/payments?"+owner, paymentRow)
		require.Equal(t, all, found, owner)
		found, _ = c.walk("/admin/test/payments?status=failed&"+owner, paymentRow)
		require.Equal(t, failed, found, owner)
	}
	from, until := b.now.Add(-30*time.Minute), b.now.Add(-10*time.Minute)
	found, _ = c.walk("/admin/test/payments?from="+url.QueryEscape(from.Format(time.RFC3339))+"&until="+url.QueryEscape(until.Format(time.RFC3339)), paymentRow)
	require.Equal(t, all[10:30], found)
	found, _ = c.walk("/admin/test/payments?until=2026-03-14", paymentRow)
	require.Equal(t, all, found, "the period includes the last day")
	require.Empty(t, first(c.walk("/admin/test/payments?until=2026-03-13", paymentRow)))

	sheet := c.sheet("/admin/test/payments?status=failed&format=csv")
	require.Len(t, sheet, len(failed))
	require.Equal(t, failed[0], sheet[0][1])
	require.Equal(t, "11.16", sheet[0][3])
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/payments?status=lost").status)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/payments?cursor=nonsense").status)
	require.Equal(t, http.StatusUnprocessableEntity, c.get("/admin/test/payments?from=yesterday").status)
}

func first[A, B any](a A, _ B) A { return a }

// TestRareRowsAreFoundOnLaterPages has more rows than one page of a filtered list reads.
func TestRareRowsAreFoundOnLaterPages(t *testing.T) {
	t.Parallel()

	b := setup(t)
	old := b.payment(t, 30*24*time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentFailed, Amount: 999_00})
	_, err := b.pool.Exec(t.Context(), `update payments set failure_decline_code = 'lost_card' where id = $1`, old.ID)
	require.NoError(t, err)
	const n = views.ListWindow + 500
	require.NoError(t, bench.Fill{
		Payments: n, Jobs: 0, Until: b.now, Over: time.Hour, Progress: func(string, int) {},
	}.Run(t.Context(), b.pool))
	_, err = b.pool.Exec(t.Context(), `
		update payments set status = 'failed', failed_at = created_at, failure_code = 'card_declined', succeeded_at = null, balance_after = null,
			canceled_at = null, next_check_at = null where id <> $1`, old.ID)
	require.NoError(t, err)
	f := views.PaymentFilter{Mode: wallet.ModeTest, FailureCode: "lost_card", Limit: 50}

	page, err := views.ListPaymentRows(t.Context(), b.pool, f)
	require.NoError(t, err)
	require.Empty(t, page.Rows)
	require.True(t, page.Partial, "the page reports that there may be more")
	for page.Next != "" {
		f.Before = must(wallet.ParseID("", "", page.Next))
		page, err = views.ListPaymentRows(t.Context(), b.pool, f)
		require.NoError(t, err)
	}
	require.Len(t, page.Rows, 1)
	require.Equal(t, old.ID, page.Rows[0].ID)
}

func TestJobPages(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Hour, testfactory.PaymentOpts{})
	args := `{"payment_ids":["` + p.ID.String() + `"]}`
	const n = 60
	ids := map[string][]string{}
	for i := range n {
		for _, kind := range []string{"charge_payments", "handle_event"} {
			for _, state := range []string{"available", "completed", "discarded"} {
				// Jobs of the same time are sorted by id.
				at := b.now.Add(time.Duration(i/3) * time.Second)
				id := strconv.FormatInt(b.job(t, state, kind, args, at), 10)
				ids[state] = append(ids[state], id)
				ids[""] = append(ids[""], id)
				ids[kind] = append(ids[kind], id)
			}
		}
	}
	c := b.as(t, postgres.RoleAdmin)
	const row = `<td class="strong"><a href="/admin/test/jobs/(\d+)"`

	for name, tc := range map[string]struct {
		query string
		want  []string
	}{
		"All":       {"", backwards(ids[""])},
		"Completed": {"?state=completed", backwards(ids["completed"])},
		"Discarded": {"?state=discarded", backwards(ids["discarded"])},
		"ByKind":    {"?kind=handle_event", backwards(ids["handle_event"])},
		"ByText":    {"?text=I/O+timeout", backwards(ids["discarded"])},
		"Narrow":    {"?state=discarded&kind=handle_event&text=timeout&priority=1&queue=settle", nil},
	} {
		found, pages := c.walk("/admin/test/jobs"+tc.query, row)
		if tc.want != nil {
			require.Equal(t, tc.want, found, name)
			require.Equal(t, (len(tc.want)+49)/50, pages, name)
			continue
		}
		require.Len(t, found, n, name)
	}
	found, _ := c.walk("/admin/test/jobs?state=available", row)
	require.ElementsMatch(t, ids["available"], found)
	found, _ = c.walk("/admin/test/jobs?state=available&queue=charge", row)
	require.Len(t, found, n)
	require.True(t, slices.IsSortedFunc(found, func(a, b string) int { return must(strconv.Atoi(a)) - must(strconv.Atoi(b)) }), "jobs are in the order in which they are due")
	require.Empty(t, first(c.walk("/admin/test/jobs?priority=3", row)))
	require.Empty(t, first(c.walk("/admin/test/jobs?text=100%25", row)), "a wildcard matches only itself")
	require.Len(t, c.sheet("/admin/test/jobs?state=completed&format=csv"), 2*n)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/jobs?state=lost").status)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/jobs?cursor=x").status)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/jobs?state=completed&cursor=5").status)
}

func backwards(list []string) []string {
	c := slices.Clone(list)
	slices.SortFunc(c, func(a, b string) int { return must(strconv.Atoi(b)) - must(strconv.Atoi(a)) })
	return c
}

// TestJobsOfAPayment finds the jobs of a payment among others, without an index.
func TestJobsOfAPayment(t *testing.T) {
	t.Parallel()

	b := setup(t)
	for i := range 300 { // other jobs
		b.job(t, "completed", "enqueue_checks", `{}`, b.now.Add(time.Duration(i-200)*time.Minute))
		if i == 50 {
			_, err := b.pool.Exec(t.Context(), `delete from river_job where id % 3 = 0 or id = 1`) // leave gaps between ids
			require.NoError(t, err)
		}
	}
	_, err := b.pool.Exec(t.Context(), `delete from river_job where created_at > $1`, b.now.Add(-70*time.Minute))
	require.NoError(t, err)
	p := b.payment(t, 70*time.Minute, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction})
	other := b.payment(t, 70*time.Minute, testfactory.PaymentOpts{})
	_, err = b.pool.Exec(t.Context(), `update payments set checks = 5 where id = $1`, p.ID)
	require.NoError(t, err)
	b.event(t, "evt_1", wallet.ModeTest, p, postgres.EventHandled, p.CreatedAt.Add(3*time.Minute))
	want := []string{
		b.jobAt(t, `{"payment_ids":["`+other.ID.String()+`","`+p.ID.String()+`"]}`, "charge_payments", p.CreatedAt.Add(time.Second)),
		b.jobAt(t, `{"payment_id":"`+p.ID.String()+`"}`, "check_payment", p.CreatedAt.Add(65*time.Second)),
		b.jobAt(t, `{"event_id":"evt_1"}`, "handle_event", p.CreatedAt.Add(3*time.Minute+2*time.Second)),
		b.jobAt(t, `{"payment_id":"`+p.ID.String()+`"}`, "check_payment", p.CreatedAt.Add(time.Hour+14*time.Second)),
	}
	b.jobAt(t, `{"payment_id":"`+other.ID.String()+`"}`, "check_payment", p.CreatedAt.Add(time.Hour+14*time.Second))
	for i := range 100 {
		b.job(t, "completed", "enqueue_checks", `{}`, b.now.Add(time.Duration(i)*time.Minute))
	}
	c := b.as(t, postgres.RoleSupport)

	for _, spelled := range []string{p.ID.String(), wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, p.ID)} {
		found, _ := c.walk("/admin/test/jobs?tag="+spelled, `<td class="strong"><a href="/admin/test/jobs/(\d+)"`)
		require.Equal(t, backwards(want), found)
	}
	found, _ := c.walk("/admin/test/jobs?tag=evt_1", `<td class="strong"><a href="/admin/test/jobs/(\d+)"`)
	require.Equal(t, want[2:3], found)
	require.Empty(t, first(c.walk("/admin/test/jobs?tag=evt_none", `<td class="strong"><a href="/admin/test/jobs/(\d+)"`)))
	timeline := c.get("/admin/test/payments/" + p.ID.String()).body
	for _, id := range want {
		require.Contains(t, timeline, "/admin/test/jobs/"+id+`"`)
	}
}

func (b *testBundle) jobAt(t *testing.T, args, kind string, at time.Time) string {
	t.Helper()
	return strconv.FormatInt(b.job(t, "completed", kind, args, at), 10)
}

func TestEventPages(t *testing.T) {
	t.Parallel()

	b := setup(t)
	var all, pending []string
	const n = 120
	for i := range n {
		status := postgres.EventHandled
		if i%2 == 0 {
			status = postgres.EventPending
		}
		id := fmt.Sprintf("evt_%03d", i)
		b.event(t, id, wallet.ModeTest, wallet.Payment{}, status, b.now.Add(time.Duration(i)*time.Second))
		all = append([]string{id}, all...)
		if status == postgres.EventPending {
			pending = append(pending, id)
		}
	}
	c := b.as(t, postgres.RoleAdmin)
	const row = `<td class="strong"><a href="/admin/test/events/([^"]+)"`

	found, pages := c.walk("/admin/test/events", row)
	require.Equal(t, all, found)
	require.Equal(t, 3, pages)
	found, _ = c.walk("/admin/test/events?status=pending", row)
	require.Equal(t, pending, found, "the oldest first")
	found, _ = c.walk("/admin/test/events?type=payment_intent.succeeded&status=handled", row)
	require.Len(t, found, n/2)
	require.Empty(t, first(c.walk("/admin/test/events?type=charge.refunded", row)))
	require.Len(t, c.sheet("/admin/test/events?format=csv"), n)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/events?cursor=x").status)
}

func TestWalletPages(t *testing.T) {
	t.Parallel()

	b := setup(t)
	const n = 60
	var want int64
	for i := range n {
		p := b.payment(t, time.Duration(n-i)*time.Minute, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded, Amount: 10_00 + int64(i)})
		want += p.Amount
	}
	c := b.as(t, postgres.RoleAdmin)
	wallets := "/admin/test/wallets/"

	page := c.get(wallets + wallet.Spell(wallet.PrefixWallet, wallet.ModeTest, b.merchant.Wallet.ID))
	require.Contains(t, page.body, wallet.FormatMinor(want, wallet.USD)+" USD")
	ledger := c.sheet(wallets + b.merchant.Wallet.ID.String() + "?view=ledger&format=csv")
	require.Len(t, ledger, n)
	balance := int64(0)
	slices.Reverse(ledger)
	for i, line := range ledger {
		balance += 10_00 + int64(i)
		require.Equal(t, wallet.FormatMinor(balance, wallet.USD), line[3], "line %d", i)
	}
	shown, pages := c.walk(wallets+b.merchant.Wallet.ID.String()+"?view=ledger", `<td class="num strong">([\d,.]+) USD</td>`)
	require.Equal(t, 2, pages)
	require.Len(t, shown, n)
	require.Equal(t, "10.00", shown[n-1], "the balance continues on the next page")
	for _, view := range []string{"", "?view=lots"} {
		found, _ := c.walk(wallets+b.merchant.Wallet.ID.String()+view, `<a class="mono" href="/admin/test/payments/([^"]+)"`)
		require.Len(t, found, n, view)
	}
	require.Equal(t, http.StatusNotFound, c.get(wallets+b.merchant.Wallet.ID.String()+"?view=attic").status)
	require.Equal(t, http.StatusNotFound, c.get(wallets+b.merchant.Wallet.ID.String()+"?view=ledger&cursor=1").status)
}

func TestOwnersPages(t *testing.T) {
	t.Parallel()

	b := setup(t)
	const n = 110 // in addition to the merchant's own
	for range n {
		testfactory.Wallet(t, b.pool, testfactory.WalletOpts{})
	}
	c := b.as(t, postgres.RoleAdmin)
	for list, row := range map[string]string{
		"wallets":   `<td class="num strong"><a href="/admin/test/wallets/([^"]+)"`,
		"customers": `<td class="strong"><a href="/admin/test/customers/([^"]+)"`,
	} {
		found, pages := c.walk("/admin/test/"+list, row)
		require.Len(t, found, n+1, list)
		require.Equal(t, 3, pages, list)
		require.True(t, slices.IsSortedFunc(found, func(a, b string) int { return strings.Compare(b, a) }), list)
		require.Len(t, c.sheet("/admin/test/"+list+"?format=csv"), n+1, list)
	}
}

func TestCSVContainsNoFormulas(t *testing.T) {
	t.Parallel()

	b := setup(t)
	testfactory.Customer(t, b.pool, testfactory.CustomerOpts{
		ExternalID: `=HYPERLINK("https://evil.example")`, Email: "+1@reader.example", OrganizationID: b.merchant.Organization.ID,
	})
	sheet := b.as(t, postgres.RoleSupport).sheet("/admin/test/customers?format=csv")
	require.Equal(t, `'=HYPERLINK("https://evil.example")`, sheet[0][2])
	require.Equal(t, "'+1@reader.example", sheet[0][3])
}

func TestAuditPages(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	c := w.as(t, postgres.RoleAdmin)
	const n = 52
	for i := range n {
		c.post("/admin/test/queues/charge/"+[]string{"pause", "resume"}[i%2], url.Values{"reason": {"round " + strconv.Itoa(i)}})
	}
	found, pages := c.walk("/admin/test/audit", `<td class="strong"><a href="/admin/test/audit/(\d+)"`)
	require.Len(t, found, n)
	require.Equal(t, 2, pages)
	found, _ = c.walk("/admin/test/audit?action=queue.pause&actor=admin@fundrail.test", `<td class="strong"><a href="/admin/test/audit/(\d+)"`)
	require.Len(t, found, n/2)
	page := c.get("/admin/test/audit/" + found[0]).body
	require.Contains(t, page, "“round 50”")
	require.Contains(t, page, "&#34;paused_at&#34;: null")
	require.Len(t, c.sheet("/admin/test/audit?format=csv"), n)
	require.Equal(t, http.StatusNotFound, c.get("/admin/live/audit/"+found[0]).status)
	_, err := w.pool.Exec(t.Context(), `delete from operator_actions`)
	require.ErrorContains(t, err, "append-only")
}

func TestJobPageShowsMetadata(t *testing.T) {
	t.Parallel()

	b := setup(t)
	plain, noted := b.job(t, "completed", "enqueue_checks", `{}`, b.now), b.job(t, "completed", "enqueue_checks", `{}`, b.now)
	_, err := b.pool.Exec(t.Context(), `update river_job set metadata = '{"river:periodic": true}' where id = $1`, noted)
	require.NoError(t, err)
	c := b.as(t, postgres.RoleViewer)
	require.NotContains(t, c.get("/admin/test/jobs/"+strconv.FormatInt(plain, 10)).body, "Metadata")
	require.Contains(t, c.get("/admin/test/jobs/"+strconv.FormatInt(noted, 10)).body, "&#34;river:periodic&#34;: true")
}
