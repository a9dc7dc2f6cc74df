//go:build browser

package dashboard_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// fund requests a payment through the API with a card that requires a challenge. It returns
// the payment's id and the URL of the challenge.
func (h *house) fund(t *testing.T) (id, redirect string) {
	t.Helper()

	body := `{"amount":"25.00","payment_method_id":"` + wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, h.threeDS.ID) + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/v1/wallet/fund", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+h.merchant.APIKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "browser-"+uuid.NewString())
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	err = h.pool.QueryRow(t.Context(), `
		select id::text, redirect_url from payments where status = 'requires_action' order by id desc limit 1`).Scan(&id, &redirect)
	require.NoError(t, err)
	return id, redirect
}

// TestPaymentPageFollowsAChallenge searches for a payment by its id and watches its timeline
// while a second tab completes the challenge.
func TestPaymentPageFollowsAChallenge(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	id, redirect := h.fund(t)
	b := browse(t)
	b.login(h, postgres.RoleSupport)

	b.do(
		chromedp.SendKeys(`input[type=search]`, wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, uuid.MustParse(id))+"\r"),
		chromedp.WaitVisible(`//h3[contains(., "3-D Secure challenge")]`),
		see("Challenge deadline"),
	)
	require.False(t, evaluate[bool](b, `document.body.innerText.includes("Settlement booked")`))

	bank := b.another()
	bank.do(
		chromedp.Navigate(redirect),
		chromedp.Click(`button[value=succeed]`),
		chromedp.WaitVisible(`main[data-state=completed]`),
	)

	b.do(
		chromedp.WaitVisible(`//h3[contains(., "Settlement booked")]`),
		chromedp.WaitVisible(`//h1//span[contains(@class, "good")][contains(., "Succeeded")]`),
	)
	require.False(t, evaluate[bool](b, `document.body.innerText.includes("Challenge deadline")`), "the challenge has ended")
	require.Equal(t, h.url+"/admin/test/payments/"+id, evaluate[string](b, `location.href`), "the page updates itself")
	require.Empty(t, b.complaints)
}

// TestRetryDiscardedJob finds a discarded job, retries it, and waits on its page until it is
// completed.
func TestRetryDiscardedJob(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	var id int64
	require.NoError(t, h.pool.QueryRow(t.Context(), `
		insert into river_job (state, kind, queue, args, attempt, max_attempts, finalized_at, attempted_at, errors)
		values ('discarded', 'delete_idempotency_keys', 'periodic', '{}', 1, 1, now(), now(),
			array['{"at":"2026-03-14T09:00:00Z","attempt":1,"error":"connection refused","trace":""}'::jsonb])
		returning id`).Scan(&id))
	b := browse(t)
	b.login(h, postgres.RoleOperator)

	b.do(
		chromedp.Click(`//nav[@aria-label="Sections"]/a[contains(., "Jobs")]`),
		chromedp.Click(`//nav[@aria-label="State"]/a[contains(., "Discarded")]`),
		chromedp.Click(`//td/a[contains(., "Delete idempotency keys")]`),
		see("connection refused"),
		confirm("Retry", "the database is back"),
		see("The job has been queued to run now."),
		chromedp.WaitVisible(`//h1//span[contains(., "Completed")]`), // the page follows the job
		see("the database is back"),
	)
	require.Empty(t, b.complaints)
}

// TestReplayEvent opens the preview of a replay and replays the event.
func TestReplayEvent(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	id, _ := h.fund(t)
	b := browse(t)
	b.login(h, postgres.RoleOperator)
	require.Eventually(t, func() bool {
		var n int
		return h.pool.QueryRow(t.Context(), `select count(*) from stripe_events where payment_id = $1 and status <> 'pending'`, id).Scan(&n) == nil && n > 0
	}, 10*time.Second, 10*time.Millisecond)

	b.do(
		chromedp.Navigate(h.url+"/admin/test/events"),
		chromedp.Click(chromedp.CSS(`.list tbody td.strong a`)),
		chromedp.Click(`//a[contains(., "Replay")]`),
		see("What the replay would change"),
		see("No money would move."),
		chromedp.SendKeys(`form.sure input[name=reason]`, "to be sure"),
		chromedp.Click(`form.sure button`),
		see("The event is pending again, and its job has been queued."),
		chromedp.WaitVisible(`//h1//span[contains(., "Handled") or contains(., "Ignored")]`), // the page follows the event
		see("to be sure"),
	)
	require.Empty(t, b.complaints)
}

// TestPauseAndResumeQueue pauses a queue, checks that it is paused, and resumes it.
func TestPauseAndResumeQueue(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	b := browse(t)
	b.login(h, postgres.RoleOperator)
	tile := func(rest string) string { return `//section[h2 or .//h2[.="check"]][.//h2[.="check"]]` + rest }

	b.do(
		chromedp.Navigate(h.url+"/admin/test/queues"),
		chromedp.Click(tile(`//summary`)),
		chromedp.SendKeys(tile(`//input[@name="reason"]`), "Stripe is down"),
		chromedp.Click(tile(`//button[.="Pause"]`)),
		see("The queue is paused."),
		chromedp.WaitVisible(tile(`//span[contains(., "Paused")]`)),
		see("“Stripe is down”"),
	)
	var paused bool
	require.NoError(t, h.pool.QueryRow(t.Context(), `select paused_at is not null from river_queue where name = 'check'`).Scan(&paused))
	require.True(t, paused)
	b.do(
		chromedp.Click(tile(`//summary`)),
		chromedp.SendKeys(tile(`//input[@name="reason"]`), "Stripe is back"),
		chromedp.Click(tile(`//button[.="Resume"]`)),
		chromedp.WaitVisible(tile(`//span[contains(., "Working")]`)),
		chromedp.Navigate(h.url+"/admin/test/audit"),
		see("queue.pause"), see("queue.resume"), see("Stripe is back"),
	)
	require.Empty(t, b.complaints)
}

// post sends a form by a script in the page and returns the status of the response.
func (b *tab) post(path, form string) int {
	b.t.Helper()
	ctx, cancel := b.within()
	defer cancel()
	status, err := chromedp.Run(ctx, chromedp.Evaluate[int](`fetch(`+strconv.Quote(path)+`, {
		method: "POST", redirect: "manual", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: `+form+`,
	}).then((answer) => answer.status)`, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return status
}

const ownToken = `"reason=none&csrf=" + document.querySelector("[name=csrf]").value`

// TestViewerIsRefused checks that a viewer sees no actions and that writes are refused.
func TestViewerIsRefused(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	id, _ := h.fund(t)
	b := browse(t)
	b.login(h, postgres.RoleViewer)

	b.do(chromedp.Navigate(h.url+"/admin/test/payments/"+id), see("3-D Secure challenge"))
	require.False(t, evaluate[bool](b, `!!document.querySelector("details.confirm")`))
	require.False(t, evaluate[bool](b, `document.body.innerText.includes(`+strconv.Quote(h.merchant.Customer.Email)+`)`))
	require.Equal(t, http.StatusForbidden, b.post("/admin/test/payments/"+id+"/check", ownToken))
	require.Equal(t, http.StatusForbidden, b.post("/admin/test/queues/charge/pause", ownToken))
	b.do(chromedp.Navigate(h.url+"/admin/test/jobs/bulk?action=retry"), see("Not allowed"))
}

// TestFormWithoutTokenIsRefused sends the form of a page without its token.
func TestFormWithoutTokenIsRefused(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	b := browse(t)
	b.login(h, postgres.RoleAdmin)

	b.do(chromedp.Navigate(h.url + "/admin/test/queues"))
	require.Equal(t, http.StatusForbidden, b.post("/admin/test/queues/check/pause", `"reason=none"`))
	require.Equal(t, http.StatusForbidden, b.post("/admin/test/queues/check/pause", `"reason=none&csrf=guessed"`))
	evaluate[any](b, `document.querySelectorAll("main [name=csrf]").forEach((field) => field.remove())`)
	b.do(
		chromedp.Click(chromedp.CSS(`main details.confirm summary`)),
		chromedp.SendKeys(chromedp.CSS(`main details[open] input[name=reason]`), "none"),
		chromedp.Click(chromedp.CSS(`main details[open] button`)),
		see("token is missing"),
	)
	var paused int
	require.NoError(t, h.pool.QueryRow(t.Context(), `select count(*) from river_queue where paused_at is not null`).Scan(&paused))
	require.Zero(t, paused)
}

// TestWithoutScripts searches, reads and writes with scripts disabled.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()

	h := newHouse(t)
	id, _ := h.fund(t)
	b := browse(t)
	b.do(withoutScript())
	b.login(h, postgres.RoleSupport)

	b.do(
		chromedp.SendKeys(`input[type=search]`, id+"\r"),
		see("3-D Secure challenge"),
		confirm("Check now", "without script"),
		see("A check of this payment has been queued."),
	)
}
