package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func (b *testBundle) jobState(t *testing.T, id int64) string {
	t.Helper()
	var state string
	err := b.pool.QueryRow(t.Context(), `select coalesce((select state::text from river_job where id = $1), 'deleted')`, id).Scan(&state)
	require.NoError(t, err)
	return state
}

// jsonOf decodes a JSON column of an audit row.
func jsonOf(t *testing.T, raw json.RawMessage) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m), "%s", raw)
	return m
}

func TestJobActions(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		state, action string
		form          url.Values
		want          string
	}{
		"RetryDiscarded": {state: "discarded", action: "retry", want: "available"},
		"RetryCompleted": {state: "completed", action: "retry", want: "available"},
		"CancelRetrying": {state: "retryable", action: "cancel", want: "cancelled"},
		"SnoozeRetrying": {state: "retryable", action: "snooze", form: url.Values{"for": {"1h"}}, want: "scheduled"},
		"DeleteFinished": {state: "completed", action: "delete", want: "deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			p := b.payment(t, time.Hour, testfactory.PaymentOpts{})
			id := b.job(t, tc.state, "charge_payments", `{"payment_ids":["`+p.ID.String()+`"]}`, p.CreatedAt)
			c := b.as(t, postgres.RoleAdmin)

			r := c.post("/admin/test/jobs/"+strconv.FormatInt(id, 10)+"/"+tc.action, tc.form)

			require.Equal(t, http.StatusSeeOther, r.status, r.body)
			require.Equal(t, tc.want, b.jobState(t, id))
			list := b.actions(t)
			require.Len(t, list, 1)
			a := list[0]
			require.Equal(t, "job."+tc.action, a.Action)
			require.Equal(t, "ticket 4711", a.Reason)
			require.Equal(t, "admin@fundrail.test", a.Actor)
			require.Equal(t, postgres.RoleAdmin, a.Role)
			require.Equal(t, strconv.FormatInt(id, 10), a.SubjectID)
			require.Equal(t, tc.state, jsonOf(t, a.Before)["state"])
			if tc.want == "deleted" {
				require.Nil(t, a.After)
			} else {
				require.Equal(t, tc.want, jsonOf(t, a.After)["state"])
				require.Contains(t, c.get(r.header.Get("Location")).body, "ticket 4711", "the job's page shows the action")
			}
			require.NotEmpty(t, a.RequestID)
			require.WithinDuration(t, b.now, a.At, 0)
		})
	}
}

func TestFailedActionsChangeNothing(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	c := w.as(t, postgres.RoleAdmin)
	running := strconv.FormatInt(w.job(t, "running", "enqueue_checks", `{}`, w.now), 10)
	for name, tc := range map[string]struct {
		path   string
		form   url.Values
		status int
	}{
		"JobIsUnknown":      {"/jobs/999999/retry", nil, http.StatusNotFound},
		"JobIsRunning":      {"/jobs/" + running + "/delete", nil, http.StatusConflict},
		"RunningJobSnoozed": {"/jobs/" + running + "/snooze", url.Values{"for": {"1h"}}, http.StatusConflict},
		"NoSuchSnooze":      {"/jobs/" + w.jobID + "/snooze", url.Values{"for": {"1y"}}, http.StatusUnprocessableEntity},
		"QueueIsUnknown":    {"/queues/nothing/pause", nil, http.StatusNotFound},
		"AllQueues":         {"/queues/*/pause", nil, http.StatusNotFound},
		"EventIsUnknown":    {"/events/evt_none/replay", nil, http.StatusNotFound},
		"PaymentIsUnknown":  {"/payments/" + wallet.NewID().String() + "/check", nil, http.StatusNotFound},
		"ReasonIsMissing":   {"/queues/charge/pause", url.Values{"reason": {"  "}}, http.StatusUnprocessableEntity},
		"ReasonIsTooLong":   {"/queues/charge/pause", url.Values{"reason": {strings.Repeat("x", 501)}}, http.StatusUnprocessableEntity},
		"NothingInBulk":     {"/jobs/bulk", url.Values{"action": {"retry"}}, http.StatusUnprocessableEntity},
		"UnknownInBulk":     {"/jobs/bulk", url.Values{"action": {"explode"}, "id": {"1"}}, http.StatusNotFound},
	} {
		r := c.post("/admin/test"+tc.path, tc.form)
		require.Equal(t, tc.status, r.status, "%s: %s", name, r.body)
	}
	require.Empty(t, w.actions(t))
	require.Equal(t, "running", w.jobState(t, must(strconv.ParseInt(running, 10, 64))))
}

// TestActionInDoubt loses the answer to the commit of an action.
func TestActionInDoubt(t *testing.T) {
	t.Parallel()

	var proxy *pgproxy.Proxy
	b := setup(t, func(c *dashboard.Config) {
		var (
			url string
			err error
		)
		proxy, url, err = pgproxy.StartURL(t.Context(), c.Pool.Config().ConnString())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, proxy.Close()) })
		c.Pool, err = postgres.OpenPool(t.Context(), postgres.PoolOptions{URL: url, MaxConns: 2})
		require.NoError(t, err)
		t.Cleanup(c.Pool.Close)
	})
	_, err := b.pool.Exec(t.Context(), `insert into river_queue (name, metadata, updated_at) values ('charge', '{}', $1)`, b.now)
	require.NoError(t, err)
	c := b.as(t, postgres.RoleAdmin)
	fault := proxy.Inject(pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.CloseConn, SQL: "operator_actions"})

	r := c.post("/admin/test/queues/charge/pause", nil)

	require.NoError(t, fault.Wait(t.Context(), 1))
	require.Equal(t, http.StatusAccepted, r.status, r.body)
	require.Contains(t, r.body, "may have been carried out")
	require.Len(t, b.actions(t), 1, "it was")

	proxy.Inject(pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.CloseConn, SQL: "operator_actions"})
	r = c.post("/admin/test/queues/charge/resume", nil)
	require.Equal(t, http.StatusAccepted, r.status, r.body)
	require.Len(t, b.actions(t), 1, "it was not, but that is not known either")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestBulkChangesOnlyPreviewedJobs(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Hour, testfactory.PaymentOpts{})
	args := `{"payment_ids":["` + p.ID.String() + `"]}`
	const n = 30
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = b.job(t, "discarded", "charge_payments", args, p.CreatedAt)
	}
	other := b.job(t, "discarded", "handle_event", `{}`, p.CreatedAt)
	c := b.as(t, postgres.RoleOperator)

	preview := c.get("/admin/test/jobs/bulk?action=retry&state=discarded&kind=charge_payments").body

	require.Contains(t, preview, "<h1>Retry 30 jobs</h1>")
	form := url.Values{"action": {"retry"}}
	for _, field := range strings.Split(preview, `name="id" value="`)[1:] {
		id, _, _ := strings.Cut(field, `"`)
		form.Add("id", id)
	}
	require.Len(t, form["id"], n)
	late := b.job(t, "discarded", "charge_payments", args, p.CreatedAt)
	form.Add("id", "999999") // a job that was deleted meanwhile

	r := c.post("/admin/test/jobs/bulk", form)

	require.Equal(t, http.StatusSeeOther, r.status, r.body)
	for _, id := range ids {
		require.Equal(t, "available", b.jobState(t, id))
	}
	require.Equal(t, "discarded", b.jobState(t, other))
	require.Equal(t, "discarded", b.jobState(t, late), "a job that was not in the preview does not change")
	list := b.actions(t)
	require.Len(t, list, 1)
	after := jsonOf(t, list[0].After)
	require.Len(t, after["touched"], n)
	require.InDelta(t, n+1, after["asked"], 0)
	require.Contains(t, c.get("/admin/test/jobs/bulk?action=retry&id="+strconv.FormatInt(other, 10)).body, "<h1>Retry 1 job</h1>")
}

func TestBulkSnoozesWaitingJobs(t *testing.T) {
	t.Parallel()

	b := setup(t)
	waiting, done := b.job(t, "retryable", "enqueue_checks", `{}`, b.now), b.job(t, "completed", "enqueue_checks", `{}`, b.now)
	ids := url.Values{"action": {"snooze"}, "id": {strconv.FormatInt(waiting, 10), strconv.FormatInt(done, 10)}}
	c := b.as(t, postgres.RoleOperator)
	require.Contains(t, c.get("/admin/test/jobs/bulk?"+ids.Encode()).body, `<option value="1h">1 hour</option>`)
	require.Equal(t, http.StatusUnprocessableEntity, c.post("/admin/test/jobs/bulk", ids).status, "the duration is missing")
	require.Empty(t, b.actions(t))
	ids.Set("for", "1h")

	require.Equal(t, http.StatusSeeOther, c.post("/admin/test/jobs/bulk", ids).status)

	var at time.Time
	require.NoError(t, b.pool.QueryRow(t.Context(), `select scheduled_at from river_job where id = $1 and state = 'scheduled'`, waiting).Scan(&at))
	require.WithinDuration(t, b.now.Add(time.Hour), at, 0)
	require.Equal(t, "completed", b.jobState(t, done))
	a := b.actions(t)[0]
	require.Equal(t, "jobs.snooze", a.Action)
	require.JSONEq(t, `{"retryable":1,"completed":1}`, string(a.Before))
	require.InDelta(t, done, jsonOf(t, a.After)["left"].([]any)[0], 0)
}

func TestPauseQueue(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	c := w.as(t, postgres.RoleOperator)

	require.Equal(t, http.StatusSeeOther, c.post("/admin/test/queues/charge/pause", url.Values{"reason": {"Stripe is down"}}).status)

	page := c.get("/admin/test/queues").body
	require.Contains(t, page, "by operator@fundrail.test: “Stripe is down”")
	require.Contains(t, c.get("/admin/live").body, "operator@fundrail.test", "queues serve both modes")
	require.Equal(t, http.StatusSeeOther, c.post("/admin/test/queues/charge/resume", nil).status)
	require.NotContains(t, c.get("/admin/test/queues").body, "Stripe is down")
	list := w.actions(t)
	require.Len(t, list, 2)
	require.Nil(t, jsonOf(t, list[0].Before)["paused_at"])
	require.NotNil(t, jsonOf(t, list[0].After)["paused_at"])
}

func TestReplayAfterPreview(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentProcessing, IntentID: "pi_lost"})
	b.event(t, "evt_lost", wallet.ModeTest, p, postgres.EventIgnored, b.now)
	b.stripe.retrieved = wallet.Outcome{
		Kind: wallet.OutcomeSucceeded, IntentID: "pi_lost", ChargeID: "ch_lost", PaymentID: p.ID, AmountReceived: 25_00, Currency: wallet.USD,
	}
	c := b.as(t, postgres.RoleOperator)

	page := c.get("/admin/test/events/evt_lost/replay").body

	require.Contains(t, page, `<td><span class="badge info">Processing</span></td><td><span class="badge good">Succeeded</span></td>`)
	require.Contains(t, page, `<td class="num">0.00 USD</td><td class="num">25.00 USD</td>`)
	stored, err := postgres.GetPayment(t.Context(), b.pool, p.ID)
	require.NoError(t, err)
	require.Equal(t, wallet.PaymentProcessing, stored.Status, "a preview changes nothing")
	event, err := postgres.GetEvent(t.Context(), b.pool, "evt_lost")
	require.NoError(t, err)
	require.Equal(t, postgres.EventIgnored, event.Status)

	require.Equal(t, http.StatusSeeOther, c.post("/admin/test/events/evt_lost/replay", nil).status)

	event, err = postgres.GetEvent(t.Context(), b.pool, "evt_lost")
	require.NoError(t, err)
	require.Equal(t, postgres.EventPending, event.Status)
	a := b.actions(t)[0]
	require.Equal(t, "event.replay", a.Action)
	require.Equal(t, "ignored", jsonOf(t, a.Before)["status"])
	jobID := int64(jsonOf(t, a.After)["job_id"].(float64))
	var kind, args string
	require.NoError(t, b.pool.QueryRow(t.Context(), `select kind, args::text from river_job where id = $1`, jobID).Scan(&kind, &args))
	require.Equal(t, "handle_event", kind)
	require.JSONEq(t, `{"event_id":"evt_lost"}`, args)
	require.Contains(t, c.get("/admin/test/events/evt_lost").body, "/jobs/"+strconv.FormatInt(jobID, 10)+`"`, "the event's page links to the job")
}

func TestPreviewOfReplayThatMovesNoMoney(t *testing.T) {
	t.Parallel()

	w := newWorld(t)
	page := w.as(t, postgres.RoleOperator).get("/admin/test/events/evt_1/replay").body
	require.Contains(t, page, "the payment was succeeded already")
	require.Contains(t, page, "No money would move.")
}

// TestReplayPreviewMatchesReplay tests answers of Stripe that do not end the payment, and one
// that does.
func TestReplayPreviewMatchesReplay(t *testing.T) {
	t.Parallel()

	declined := wallet.Outcome{Kind: wallet.OutcomeDeclined, Failure: wallet.Failure{Code: "card_declined", DeclineCode: "insufficient_funds"}}
	wanted := wallet.Outcome{Kind: wallet.OutcomeDeclined, Failure: wallet.Failure{Code: "authentication_required"}}
	for name, test := range map[string]struct {
		opts   testfactory.PaymentOpts
		change string
		stripe wallet.Outcome
		want   string
	}{
		"CheckoutPageIsOpen": {
			testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction},
			`update payments set payment_method_id = null where id = $1`, declined,
			"the payment page is still open",
		},
		"ConfirmedOnSession": {
			testfactory.PaymentOpts{Status: wallet.PaymentProcessing},
			`update payments set off_session = true where id = $1`, wanted,
			"confirmed once more as on-session",
		},
		"IntentOfAnotherPayment": {
			testfactory.PaymentOpts{Status: wallet.PaymentProcessing},
			`update payments set checks = 1 where id = $1`,
			wallet.Outcome{Kind: wallet.OutcomeSucceeded, PaymentID: wallet.NewID()},
			"the intent names another payment",
		},
		"StripeIsUnavailable": {
			testfactory.PaymentOpts{Status: wallet.PaymentProcessing},
			`update payments set checks = 1 where id = $1`,
			wallet.Outcome{Kind: wallet.OutcomeUnavailable},
			"the job would be tried again later",
		},
		"FinalDecline": {
			testfactory.PaymentOpts{Status: wallet.PaymentProcessing},
			`update payments set checks = 1 where id = $1`, declined,
			`<span class="badge bad">Failed</span>`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			p := b.payment(t, time.Hour, test.opts)
			_, err := b.pool.Exec(t.Context(), test.change, p.ID)
			require.NoError(t, err)
			b.event(t, "evt_preview", wallet.ModeTest, p, postgres.EventHandled, b.now)
			b.stripe.retrieved = test.stripe
			b.stripe.retrieved.IntentID = p.StripePaymentIntentID

			page := b.as(t, postgres.RoleOperator).get("/admin/test/events/evt_preview/replay").body

			require.Contains(t, page, test.want)
			if name == "FinalDecline" {
				return
			}
			require.Contains(t, page, "unchanged")
			require.NotContains(t, page, `<span class="badge bad">Failed</span>`)
		})
	}
}

func TestCheckPayment(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentProcessing})
	c := b.as(t, postgres.RoleSupport)

	r := c.post("/admin/test/payments/"+wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, p.ID)+"/check", nil)

	require.Equal(t, http.StatusSeeOther, r.status)
	jobID := int64(jsonOf(t, b.actions(t)[0].After)["job_id"].(float64))
	require.Equal(t, "available", b.jobState(t, jobID))
	page := c.get("/admin/test/payments/" + p.ID.String()).body
	require.Contains(t, page, "ticket 4711", "the timeline shows the action")
	require.Contains(t, page, "/jobs/"+strconv.FormatInt(jobID, 10)+`"`)
}
