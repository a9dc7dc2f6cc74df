package dashboard_test

import (
	"bufio"
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestSearch(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Hour, testfactory.PaymentOpts{
		Status: wallet.PaymentSucceeded, Amount: 123_45,
		Idempotency: &postgres.IdempotencyRecord{Operation: "POST /v1/wallet/fund", Key: "order-4711", WaitUntil: b.now},
	})
	b.event(t, "evt_found", wallet.ModeTest, p, postgres.EventHandled, b.now)
	job := strconv.FormatInt(b.job(t, "completed", "charge_payments", `{"payment_ids":["`+p.ID.String()+`"]}`, b.now), 10)
	refundID, disputeID := b.moneyBack(t, p)
	c := b.as(t, postgres.RoleSupport)
	payment, customer := "/admin/test/payments/"+p.ID.String(), "/admin/test/customers/"+b.merchant.Customer.ID.String()

	for query, want := range map[string]string{
		p.ID.String(): payment,
		wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, p.ID): payment,
		" " + p.StripePaymentIntentID + " ":                       payment,
		p.StripeChargeID:                                          payment,
		p.WalletTransactionID.String():                            payment,
		"order-4711":                                              payment,
		"123.45 2026-03-14":                                       payment,
		"123.45 today":                                            payment,
		"123.45":                                                  payment,
		b.merchant.PaymentMethod.Last4:                            payment,
		b.merchant.Wallet.ID.String():                             "/admin/test/wallets/" + b.merchant.Wallet.ID.String(),
		wallet.Spell(wallet.PrefixWallet, wallet.ModeTest, b.merchant.Wallet.ID):               "/admin/test/wallets/" + b.merchant.Wallet.ID.String(),
		b.merchant.Customer.ID.String():                                                        customer,
		b.merchant.Customer.ExternalID:                                                         customer,
		b.merchant.Customer.Email:                                                              customer,
		b.merchant.Customer.StripeCustomerID:                                                   customer,
		wallet.Spell(wallet.PrefixCustomer, wallet.ModeTest, b.merchant.Customer.ID):           customer,
		wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, b.merchant.PaymentMethod.ID): customer,
		b.merchant.PaymentMethod.StripePaymentMethodID:                                         customer,
		"re_back": payment,
		wallet.Spell(wallet.PrefixRefund, wallet.ModeTest, refundID): payment,
		"dp_back":          payment,
		disputeID.String(): payment,
		"evt_found":        "/admin/test/events/evt_found",
		job:                "/admin/test/jobs/" + job,
	} {
		r := c.get("/admin/test/search?q=" + url.QueryEscape(query))
		require.Equal(t, want, r.header.Get("Location"), "%s: %s", query, r.body)
	}
	for _, query := range []string{"pi_none", "123.45 2026-03-13", "123.45 yesterday", "99.99", "%", "' or true --", "9999999999999999999999"} {
		r := c.get("/admin/test/search?q=" + url.QueryEscape(query))
		require.Equal(t, http.StatusOK, r.status, query)
		require.Contains(t, r.body, "Nothing found", query)
	}
	for _, query := range []string{
		p.ID.String(), p.StripePaymentIntentID, wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, p.ID), "re_back", "dp_back",
		b.merchant.Customer.StripeCustomerID,
	} {
		r := c.get("/admin/live/search?q=" + query)
		require.Contains(t, r.body, "This belongs to test mode.", query)
		require.NotContains(t, r.body, "123.45")
	}
	require.Equal(t, http.StatusUnprocessableEntity, c.get("/admin/test/search?q="+strings.Repeat("x", 300)).status)
}

// moneyBack stores a partial refund and a partial dispute of a payment, and returns their
// ids.
func (b *testBundle) moneyBack(t *testing.T, p wallet.Payment) (refund, dispute wallet.ID) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		_, err := postgres.ApplyMoneyBack(t.Context(), tx, postgres.MoneyBack{
			PaymentID: p.ID, Now: b.now,
			Refunds: []wallet.RefundState{{
				ID: "re_back", IntentID: p.StripePaymentIntentID, Amount: 4_00, Currency: wallet.USD, Status: wallet.RefundSucceeded, CreatedAt: b.now,
			}},
			Disputes: []wallet.DisputeState{{
				ID: "dp_back", IntentID: p.StripePaymentIntentID, Amount: 6_00, Currency: wallet.USD, Status: "needs_response", CreatedAt: b.now,
				Withdrawn: 6_00, FundsCurrency: wallet.USD,
			}},
		})
		return err
	}))
	require.NoError(t, b.pool.QueryRow(t.Context(), `select r.id, d.id from refunds r, disputes d`).Scan(&refund, &dispute))
	return refund, dispute
}

func TestTimeline(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, 30*time.Minute, testfactory.PaymentOpts{
		Status: wallet.PaymentRequiresAction, IntentID: "pi_story",
		Idempotency: &postgres.IdempotencyRecord{Operation: "POST /v1/wallet/fund", Key: "order-1", WaitUntil: b.now.Add(-29 * time.Minute)},
	})
	b.event(t, "evt_story", wallet.ModeTest, p, postgres.EventHandled, p.CreatedAt.Add(10*time.Minute))
	job := strconv.FormatInt(b.job(t, "completed", "charge_payments", `{"payment_ids":["`+p.ID.String()+`"]}`, p.CreatedAt), 10)
	testfactory.Move(t, b.pool, p.ID, wallet.Outcome{
		Kind: wallet.OutcomeSucceeded, IntentID: "pi_story", ChargeID: "ch_story", AmountReceived: p.Amount, Currency: wallet.USD,
	}, p.CreatedAt.Add(10*time.Minute+time.Second))
	_, err := b.pool.Exec(t.Context(), `update payments set request_id = 'from-the-shop' where id = $1`, p.ID)
	require.NoError(t, err)
	c := b.as(t, postgres.RoleSupport)

	body := c.get("/admin/test/payments/" + p.ID.String()).body

	_, timeline, found := strings.Cut(body, `<ol class="timeline">`)
	require.True(t, found)
	at := -1
	for _, want := range []string{
		"Request accepted", "order-1", "requires action after 0 ms", "from-the-shop", "a key of " + b.merchant.Organization.Name, "/admin/test/jobs/" + job,
		"Charge requested from Stripe", "Answer: requires action", "charge:" + p.ID.String() + ":1", "3-D Secure challenge",
		"10 min without activity", "+ 10 min</span>", "payment_intent.succeeded", "signature verified", "Stripe charged 25.00 USD", "ch_story",
		"Settlement booked", "25.00 USD from Stripe clearing to Wallet", "Balance after",
	} {
		next := strings.Index(timeline, want)
		require.Greater(t, next, at, "%q comes next", want)
		at = next
	}
	require.NotContains(t, timeline, "Challenge deadline", "the challenge has ended")
	require.NotContains(t, b.as(t, postgres.RoleViewer).get("/admin/test/payments/"+p.ID.String()).body, "order-1", "an idempotency key may contain personal data")
}

func TestTimelineOfOpenPayment(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, 10*time.Second, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction})
	body := b.as(t, postgres.RoleSupport).get("/admin/test/payments/" + p.ID.String()).body
	require.Contains(t, body, "Next check")
	require.Contains(t, body, "Challenge deadline")
	require.Contains(t, body, "in 23 h")
	require.Contains(t, body, `data-stream="/admin/test/stream?of=payment&#43;`+p.ID.String()+`&amp;seen=`)
}

func TestOverview(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded, Amount: 1000_00})
	b.payment(t, 2*time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded, Amount: 234_50})
	b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentFailed})
	b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction, Amount: 70_00})
	b.payment(t, 20*time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentFailed})
	c := b.as(t, postgres.RoleViewer)

	body := c.get("/admin/test?period=today").body

	require.Contains(t, body, "1,234.50 USD")
	require.Contains(t, body, "2 of 4 payments")
	require.Contains(t, body, "66.7 %")
	require.Contains(t, body, "Insufficient funds")
	require.Contains(t, body, "70.00 USD")
	require.Contains(t, body, "14 Mar 08:00 to 09:00 UTC: 1 settled, 1 failed, 1 open", "the title of a column has its numbers")
	require.Contains(t, body, `href="/admin/test/payments?from=2026-03-14T08%3A00%3A00Z&amp;until=2026-03-14T09%3A00%3A00Z"`, "a column links to its payments")
	require.Contains(t, body, `>Insufficient funds</a></td><td class="num">1</td><td class="num quiet">33.3 %</td>`, "the rate is of the payments that have an outcome")
	require.Contains(t, c.get("/admin/test?period=24h").body, "50.0 %", "the period includes yesterday's decline")
	require.Contains(t, c.get("/admin/live").body, "0 of 0 payments")
}

func TestOverviewShowsHealth(t *testing.T) {
	t.Parallel()

	m := &machine{state: stripeapi.BreakerOpen}
	b := setup(t, func(c *dashboard.Config) {
		m.Payments = c.Payments
		c.Payments = m
	})
	_, err := b.pool.Exec(t.Context(), `insert into river_queue (name, metadata, updated_at) values ('charge', '{}', $1), ('settle', '{}', $1)`, b.now)
	require.NoError(t, err)
	for i := range 20 {
		id := b.job(t, "completed", "charge_payments", `{}`, b.now.Add(-time.Minute))
		wait := 40 * time.Millisecond
		if i == 0 {
			wait = 3 * time.Second
		}
		_, err := b.pool.Exec(t.Context(), `update river_job set attempted_at = scheduled_at + $2::bigint * interval '1 millisecond' where id = $1`, id, wait.Milliseconds())
		require.NoError(t, err)
	}
	b.job(t, "completed", "handle_event", `{}`, b.now.Add(-2*time.Hour)) // too old to count
	c := b.as(t, postgres.RoleViewer)

	body := c.get("/admin/test").body

	require.Contains(t, body, "Open: no calls")
	require.Regexp(t, `queue=charge">charge</a></td>.*<td class="right wide quiet">40 ms / 40 ms</td>`, body)
	require.Regexp(t, `queue=settle">settle</a></td>.*<td class="right wide quiet">–</td>`, body)
	require.Regexp(t, `Schema version</th><td class="right num">\d+</td>`, body)
	b.job(t, "completed", "charge_payments", `{}`, b.now) // without a wait
	_, err = b.pool.Exec(t.Context(), `insert into goose_db_version (version_id, is_applied) values (9999, true)`)
	require.NoError(t, err)
	require.Contains(t, c.get("/admin/test").body, `<span class="badge bad">9999</span>`, "a newer program has migrated the database")
	m.state = stripeapi.BreakerHalfOpen
	require.Contains(t, c.get("/admin/test").body, "Half open: testing")
	m.state = stripeapi.BreakerClosed
	require.Contains(t, c.get("/admin/test").body, `<span class="badge good">Closed</span>`)
}

// machine is a dashboard.Payments whose breaker a test sets. It is not safe for concurrent
// requests.
type machine struct {
	dashboard.Payments
	state stripeapi.BreakerState
}

// BreakerState implements dashboard.Payments.
func (m *machine) BreakerState(wallet.Mode) stripeapi.BreakerState { return m.state }

// TestChallengesLinkToPayments follows the link of each figure of the overview to its list.
func TestChallengesLinkToPayments(t *testing.T) {
	t.Parallel()

	b := setup(t)
	open := func() wallet.Payment {
		return b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction})
	}
	move := func(p wallet.Payment, o wallet.Outcome) wallet.Payment {
		o.IntentID = p.StripePaymentIntentID
		return testfactory.Move(t, b.pool, p.ID, o, b.now.Add(-time.Minute))
	}
	waiting := open()
	completed := move(open(), testfactory.Succeeded(25_00, wallet.USD))
	failed := move(open(), testfactory.Declined())
	abandoned := move(open(), testfactory.Canceled())
	require.NoError(t, postgres.MarkReturned(t.Context(), b.pool, completed.ID, b.now.Add(-2*time.Minute)))
	old := b.payment(t, 30*24*time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction})
	plain := b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
	c := b.as(t, postgres.RoleSupport)
	overview := c.get("/admin/test").body

	for stage, want := range map[string][]wallet.Payment{
		"started": {waiting, completed, failed, abandoned}, "returned": {completed}, "completed": {completed}, "failed": {failed}, "abandoned": {abandoned},
	} {
		link := regexp.MustCompile(`href="([^"]*challenge=` + stage + `[^"]*)">[^<]*</a></th><td class="num">` + strconv.Itoa(len(want)) + `<`).FindStringSubmatch(overview)
		require.NotNil(t, link, "%s: %s", stage, overview)
		address := html.UnescapeString(link[1])
		body := c.get(address).body
		for _, p := range want {
			require.Contains(t, body, "/payments/"+p.ID.String(), stage)
		}
		require.Equal(t, len(want), strings.Count(body, `<td class="num strong">`), stage)
		require.Len(t, c.sheet(address+"&format=csv"), len(want), stage)
	}
	require.NotContains(t, c.get("/admin/test/payments?challenge=started&from=2026-03-01").body, old.ID.String())
	require.NotContains(t, c.get("/admin/test/payments?challenge=started&until=2026-03-13").body, waiting.ID.String())
	require.Contains(t, c.get("/admin/test/payments?challenge=started").body, old.ID.String())
	require.Contains(t, c.get("/admin/test/payments?challenge=started&status=failed").body, failed.ID.String())
	require.NotContains(t, c.get("/admin/test/payments?challenge=started&status=failed").body, waiting.ID.String())
	require.NotContains(t, c.get("/admin/test/payments?challenge=started").body, plain.ID.String())
	require.NotContains(t, c.get("/admin/live/payments?challenge=started").body, waiting.ID.String())
	page := c.get("/admin/test/payments?challenge=started&customer=" + wallet.NewID().String())
	require.Equal(t, http.StatusNotFound, page.status)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/payments?challenge=lost").status)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/payments?challenge=started&cursor=nonsense").status)
	require.Equal(t, http.StatusNotFound, c.get("/admin/test/payments?challenge=started&cursor=1~nonsense").status)
	for range 60 {
		open()
	}
	rows, pages := c.walk("/admin/test/payments?challenge=started", paymentRow)
	require.Len(t, rows, 65)
	require.Equal(t, 2, pages)
	require.Len(t, c.sheet("/admin/test/payments?challenge=started&format=csv"), 65)
}

func TestAttention(t *testing.T) {
	t.Parallel()

	b := setup(t)
	c := b.as(t, postgres.RoleSupport)
	require.Contains(t, c.get("/admin/test/attention").body, "All is well")
	unknown := b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentProcessing})
	b.payment(t, time.Minute, testfactory.PaymentOpts{Status: wallet.PaymentProcessing}) // too young to need attention
	lapsing := b.payment(t, 23*time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction})
	b.event(t, "evt_waiting", wallet.ModeTest, unknown, postgres.EventPending, b.now.Add(-time.Hour))
	job := b.job(t, "discarded", "enqueue_checks", `{}`, b.now.Add(-time.Hour))
	b.job(t, "discarded", "enqueue_checks", `{}`, b.now.Add(-30*24*time.Hour)) // too old to need attention
	worth := b.payment(t, time.Minute, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded, Amount: 77_00})
	b.job(t, "discarded", "charge_payments", `{"payment_ids":["`+worth.ID.String()+`"]}`, b.now.Add(-time.Hour))
	settled := b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
	_, err := b.pool.Exec(t.Context(), `
		insert into payment_discrepancies (payment_id, kind, stripe_payment_intent_id, expected_amount, expected_currency,
			received_amount, received_currency, cause_kind, cause_id, found_at)
		values ($1, 'amount_mismatch', 'pi_x', 2500, 'USD', 2400, 'USD', 'event', 'evt_x', $2)`, settled.ID, b.now)
	require.NoError(t, err)

	body := c.get("/admin/test/attention").body

	for _, want := range []string{
		"Charged but not credited", "Stripe and the books differ", "Outcome unknown", "Challenge deadline near", "Events not handled", "Discarded jobs",
		"/payments/" + lapsing.ID.String(), "/events/evt_waiting", "/jobs/" + strconv.FormatInt(job, 10), "24.00 USD", "i/o timeout", "77.00 USD",
	} {
		require.Contains(t, body, want)
	}
	require.Contains(t, c.get("/admin/test").body, "<strong>7</strong> items need attention")
	require.Len(t, c.sheet("/admin/test/attention?format=csv"), 7)
	require.Contains(t, c.get("/admin/live/attention").body, "Discarded jobs", "a job of neither mode is shown in both")
	require.NotContains(t, c.get("/admin/live/attention").body, "Outcome unknown")
}

func TestTimelineShowsMoneyBackAndDeliveries(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction, IntentID: "pi_back"})
	testfactory.Move(t, b.pool, p.ID, wallet.Outcome{
		Kind: wallet.OutcomeSucceeded, IntentID: "pi_back", ChargeID: "ch_back", AmountReceived: p.Amount, Currency: wallet.USD, RequestID: "req_settled",
	}, b.now.Add(-50*time.Minute))
	require.NoError(t, postgres.MarkReturned(t.Context(), b.pool, p.ID, b.now.Add(-51*time.Minute)))
	require.NoError(t, pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		_, err := postgres.ApplyMoneyBack(t.Context(), tx, postgres.MoneyBack{
			PaymentID: p.ID, Now: b.now.Add(-10 * time.Minute),
			Refunds:  []wallet.RefundState{{ID: "re_back", IntentID: "pi_back", Amount: 4_00, Currency: wallet.USD, Status: wallet.RefundSucceeded, CreatedAt: b.now.Add(-11 * time.Minute)}},
			Disputes: []wallet.DisputeState{{ID: "du_back", IntentID: "pi_back", Amount: 6_00, Currency: wallet.USD, Status: "needs_response", Reason: "fraudulent", CreatedAt: b.now.Add(-11 * time.Minute), Withdrawn: 6_00, FundsCurrency: wallet.USD}},
		})
		return err
	}))
	uncharged := b.payment(t, time.Minute, testfactory.PaymentOpts{Amount: 99_00})
	endpoint, event, delivery := wallet.NewID(), wallet.NewID(), wallet.NewID()
	for _, insert := range []struct {
		sql  string
		args []any
	}{
		{`insert into webhook_endpoints (id, organization_id, mode, name, url, signature, types, secret, failures, failing_since, last_error, created_at, updated_at)
			values ($1, $2, 'test', 'Shop', 'https://shop.example', 'standard', '{}', 'whsec_x', 3, $3, 'connection refused', $3, $3)`, []any{endpoint, b.merchant.Organization.ID, b.now}},
		{`insert into merchant_events (id, organization_id, mode, type, object_id, sequence, snapshot, created_at)
			values ($1, $2, 'test', 'payment.succeeded', $3, 99, '{}', $4)`, []any{event, b.merchant.Organization.ID, p.ID, b.now}},
		{`insert into deliveries (id, endpoint_id, event_id, object_id, sequence, status, attempts, created_at)
			values ($1, $2, $3, $4, 99, 'pending', 2, $5)`, []any{delivery, endpoint, event, p.ID, b.now}},
		{`insert into delivery_attempts (delivery_id, attempted_at, duration_ms, response_status, error) values ($1, $2, 12, 503, 'answered 503')`, []any{delivery, b.now}},
		{`insert into reconciliations (id, mode, source, since, until, payments, refunds, disputes, charged_not_credited, credited_not_charged,
				amount_differs, open_too_long, refund_differs, dispute_differs, repaired, findings, started_at, finished_at)
			values ($1, 'test', 'job', $3, $4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, $2, $4, $4)`, []any{
			wallet.NewID(), `[{"kind":"charged_not_credited","payment_id":"` + p.ID.String() + `","stripe_id":"pi_back","detail":"Stripe took 25.00 USD","repaired":false},
				{"kind":"credited_not_charged","payment_id":"` + uncharged.ID.String() + `","stripe_id":"pi_never","detail":"Stripe has no charge","repaired":false},
				{"kind":"refund_differs","payment_id":"` + p.ID.String() + `","stripe_id":"re_back","detail":"Stripe gave back 5.00 USD","repaired":false}]`,
			b.now.Add(-time.Hour), b.now,
		}},
	} {
		_, err := b.pool.Exec(t.Context(), insert.sql, insert.args...)
		require.NoError(t, err)
	}
	c := b.as(t, postgres.RoleSupport)

	body := c.get("/admin/test/payments/" + p.ID.String()).body
	require.Less(t, strings.Index(body, "Settlement booked"), strings.Index(body, "Refund succeeded"), "a refund comes after the settlement")
	for _, want := range []string{
		"Status requested from Stripe", "Answer: succeeded", "req_settled", "https://dashboard.stripe.com/test/logs/req_settled", "Cardholder returned",
		"Refund succeeded", "4.00 USD back to the card", "re_back", "Refund booked", "4.00 USD from Wallet to",
		"Dispute: needs response", "du_back", "fraudulent", "payment.succeeded to the merchant", "to Shop, pending", "503", "answered 503",
	} {
		require.Contains(t, body, want)
	}
	attention := c.get("/admin/test/attention").body
	for _, want := range []string{
		"Charged but not credited", "Stripe took 25.00 USD", "25.00 USD", "Credited but not charged", "Stripe has no charge", "99.00 USD",
		"Drift found by the reconciliation", "Stripe gave back 5.00 USD", "Disputes", "6.00 USD", "Deliveries failing", "connection refused",
	} {
		require.Contains(t, attention, want)
	}
	require.Regexp(t, `Drift from Stripe</a></th><td class="right"><span class="badge bad">3</span>`, c.get("/admin/test").body)
	require.Contains(t, c.get("/admin/live").body, "not compared yet")
}

func TestInvoices(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Hour, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
	const n = 60
	for i := range n {
		_, err := b.pool.Exec(t.Context(), `
			with purchase as (
				insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status, amount, credit_amount, created_at)
				values ($1, $2, 'test', $3, 'inbound', 'purchased', 'pending', 2500, 25, $4) returning id
			)
			insert into invoices (id, organization_id, mode, customer_id, wallet_id, wallet_transaction_id, status, payment_status, currency, amount,
				credit_amount, rate_amount, description, issuing_date, created_at, updated_at)
			select $5, $2, 'test', $6, $3, id, 'open', 'pending', 'USD', 2500, 25, 1, 'Credits', '2026-03-14', $4, $4 from purchase`,
			wallet.NewID(), b.merchant.Organization.ID, p.WalletID, b.now.Add(time.Duration(i)*time.Second), wallet.NewID(), b.merchant.Customer.ID)
		require.NoError(t, err)
	}
	c := b.as(t, postgres.RoleSupport)
	found, pages := c.walk("/admin/test/invoices", `<td class="num strong">(25.00 USD)</td>`)
	require.Len(t, found, n)
	require.Equal(t, 2, pages)
	require.Len(t, c.sheet("/admin/test/invoices?format=csv"), n)
	require.Contains(t, c.get("/admin/live/invoices").body, "There are no invoices in this mode.")
}

func TestStreamReportsChanges(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.payment(t, time.Minute, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction, IntentID: "pi_live"})
	c := b.as(t, postgres.RoleViewer)
	stream := regexp.MustCompile(`data-stream="([^"]+)"`).FindStringSubmatch(c.get("/admin/test/payments/" + p.ID.String()).body)
	require.NotNil(t, stream)
	// The stream also reports a change between loading the page and opening the stream.
	testfactory.Move(t, b.pool, p.ID, wallet.Outcome{
		Kind: wallet.OutcomeSucceeded, IntentID: "pi_live", ChargeID: "ch_1", AmountReceived: p.Amount, Currency: wallet.USD,
	}, b.now)
	// A stream may last longer than the server's write timeout.
	brisk := httptest.NewUnstartedServer(b.handler)
	brisk.Config.WriteTimeout = 500 * time.Millisecond
	brisk.Start()
	t.Cleanup(brisk.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // less than streamLife
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, brisk.URL+html.UnescapeString(stream[1]), nil)
	require.NoError(t, err)
	res, err := c.http.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	lines := bufio.NewScanner(res.Body)
	next := func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		require.NoError(t, lines.Err())
		return "the end"
	}
	require.Equal(t, "retry: 3000", next())
	require.Equal(t, "event: change", next())
	require.Regexp(t, `^data: [0-9a-f]{16}$`, next())

	b.event(t, "evt_stream", wallet.ModeTest, p, postgres.EventPending, b.now)

	require.Equal(t, "event: change", next())
	require.Regexp(t, `^data: `, next())

	hash, err := passwordHash()
	require.NoError(t, err)
	_, err = postgres.SetPassword(t.Context(), b.pool, b.users[postgres.RoleViewer].Email, hash, b.now.Add(time.Second))
	require.NoError(t, err)

	require.Equal(t, "the end", next(), "a stream ends with its session")
}

func TestStreamRequiresLogin(t *testing.T) {
	t.Parallel()

	b := setup(t)
	r := b.client(t).send(http.MethodGet, "/admin/test/stream?of=jobs", nil, http.Header{"Accept": {"text/event-stream"}})
	require.Equal(t, http.StatusNoContent, r.status)
	c := b.as(t, postgres.RoleViewer)
	for _, of := range []string{"", "nonsense", "payment x", "job x"} {
		require.Equal(t, http.StatusNotFound, c.get("/admin/test/stream?of="+url.QueryEscape(of)).status, of)
	}
}

func TestHomeRedirectsToTheModeInUse(t *testing.T) {
	t.Parallel()

	b := setup(t)
	c := b.as(t, postgres.RoleViewer)
	require.Equal(t, "/admin/test", c.get("/admin").header.Get("Location"))
	testfactory.APIKey(t, b.pool, testfactory.APIKeyOpts{Mode: wallet.ModeLive})
	require.Equal(t, "/admin/live", c.get("/admin").header.Get("Location"))
	c.get("/admin/test/payments")
	require.Equal(t, "/admin/test", c.get("/admin").header.Get("Location"), "the mode of the last page")
	require.Equal(t, http.StatusNotFound, c.get("/admin/both/payments").status)
}
