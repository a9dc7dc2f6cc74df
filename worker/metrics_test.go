package worker_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/worker"
)

// body returns the status and the body of the answer to a GET request.
func body(t *testing.T, url string) (int, string) {
	t.Helper()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(content)
}

// syncBuffer is a log in memory that is safe for concurrent use.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.start(t, nil)
	testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m, Status: wallet.PaymentRequiresAction, CreatedAt: time.Now().Add(-30 * time.Second)})
	b.fund(t, p, nil)
	require.Equal(t, http.StatusNotFound, get(t, p.url+"/v1/made/up/path"))
	b.sim.DrainAll()

	status, metrics := body(t, p.url+"/metrics")

	require.Equal(t, http.StatusOK, status)
	for _, want := range []string{
		`fundrail_http_requests_total{method="POST",route="/v1/wallet/fund",status="200"} 1`,
		`fundrail_http_requests_total{method="POST",route="/webhooks/stripe",status="200"}`,
		`fundrail_http_requests_total{method="GET",route="other",status="404"} 1`,
		`fundrail_jobs_total{kind="charge_payments",outcome="done"} 1`,
		`fundrail_job_wait_seconds_count{kind="charge_payments"} 1`,
		`fundrail_stripe_calls_total{mode="test",op="charge",outcome="succeeded"} 1`,
		`fundrail_payment_moves_total{currency="USD",mode="test",status="succeeded"} 1`,
		`fundrail_payment_moves_amount_total{currency="USD",mode="test",status="succeeded"} 2500`,
		`fundrail_settle_latency_seconds_count{mode="test"} 1`,
		`fundrail_event_lag_seconds_count{mode="test",source="webhook"}`,
		`fundrail_open_payments{currency="USD",mode="test",status="requires_action"} 1`,
		`fundrail_open_payments_amount{currency="USD",mode="test",status="requires_action"} 2500`,
		`fundrail_oldest_open_payment_age_seconds{mode="test",status="requires_action"} 3`,
		`fundrail_oldest_open_payment_age_seconds{mode="test",status="processing"} 0`,
		`fundrail_oldest_unhandled_event_age_seconds{mode="test"}`,
		`fundrail_stripe_down{mode="test"} 0`,
		`fundrail_books_readable 1`,
		`fundrail_db_connections{state="idle"}`,
	} {
		require.Contains(t, metrics, want)
	}
	require.NotContains(t, metrics, "made/up", "labels come from a bounded set")
}

func TestReady(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.start(t, func(o *worker.Options) {
		o.Settings.ReadyMaxEventAge, o.Settings.ReadyMaxPaymentAge = time.Hour, time.Hour
	})
	status, text := body(t, p.url+"/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ready\n", text)

	testfactory.Payment(t, b.pool, testfactory.PaymentOpts{
		Merchant: b.m, Status: wallet.PaymentProcessing, CreatedAt: time.Now().Add(-2 * time.Hour),
	})
	_, err := b.pool.Exec(t.Context(), `
		insert into stripe_events (id, mode, type, status, source, body, created_at, received_at, due_at)
		values ('evt_1', 'test', 'a', 'pending', 'webhook', '', now(), now() - interval '2 hours', 'infinity')`)
	require.NoError(t, err)
	requireReady(t, p, "not ready: unhandled events, payments in processing\n")

	_, err = b.pool.Exec(t.Context(), `
		with floor as (update schema_floor set oldest_program = 9998)
		insert into goose_db_version (version_id, is_applied) values (9999, true)`)
	require.NoError(t, err)
	requireReady(t, p, "not ready: schema\n")
	require.Equal(t, http.StatusOK, get(t, p.url+"/healthz"), "the process is alive")
}

// requireReady waits until /readyz answers a text.
func requireReady(t *testing.T, p *process, want string) {
	t.Helper()

	var text string
	require.Eventually(t, func() bool {
		_, text = body(t, p.url+"/readyz")
		return text == want
	}, redWithin, 50*time.Millisecond, "%s", &text)
}

// The log must not contain secrets, even if operations fail.
func TestLogShowsNoSecrets(t *testing.T) {
	t.Parallel()

	b, log := setup(t), &syncBuffer{}
	p := b.start(t, func(o *worker.Options) {
		o.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Settings.FundWait = 2 * time.Second
	})
	_, endpointSecret := testfactory.Endpoint(t, b.pool, testfactory.EndpointOpts{
		OrganizationID: b.m.Organization.ID, URL: "http://127.0.0.1:9/?token=hush",
	})
	status, _ := b.fund(t, p, http.Header{"X-Request-Id": {"req-of-mine"}})
	require.Equal(t, http.StatusOK, status)
	status, _ = b.post(t, p, "/api/v1/wallet_transactions",
		fmt.Appendf(nil, `{"wallet_transaction":{"wallet_id":%q,"paid_credits":"7","granted_credits":"5"}}`, b.m.Wallet.ID),
		http.Header{"X-Request-Id": {"req-of-grant"}})
	require.Equal(t, http.StatusOK, status)
	for _, f := range []stripesim.Fault{
		{Kind: stripesim.FaultReset, When: stripesim.After},
		{Kind: stripesim.FaultBody, Body: stripesim.BodyTruncated},
		{Kind: stripesim.FaultStatus, Status: http.StatusInternalServerError, When: stripesim.After},
		{Kind: stripesim.FaultStatus, Status: http.StatusUnauthorized},
	} {
		f.Dice, f.Match = stripesim.Dice{Count: 1}, stripesim.Match{Method: http.MethodPost, Path: "/v1/payment_intents"}
		b.sim.Fault(f)
		b.fund(t, p, nil)
	}
	require.Equal(t, http.StatusUnauthorized, get(t, p.url+"/v1/wallet?api_key="+b.m.APIKey))
	require.Equal(t, http.StatusBadRequest, post(t, p.url+"/webhooks/stripe", `{}`))
	b.sim.DrainAll()
	require.Eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte("delivery failed")) }, 10*time.Second, 10*time.Millisecond)
	p.end(t)

	text := log.String()
	require.Contains(t, text, `"msg":"request","method":"POST","route":"/v1/wallet/fund","status":200`)
	require.Contains(t, text, `"request_id":"req-of-mine"`)
	require.Regexp(t, `"request_id":"req-of-mine","payment_id":"[0-9a-f-]{36}"`, text)
	require.Regexp(t, `"msg":"payment moved","payment_id":"[0-9a-f-]{36}","request_id":"req-of-mine","wallet_id":"[0-9a-f-]{36}","status":"succeeded"`, text)
	require.Regexp(t, `"msg":"credits moved","wallet_transaction_id":"[0-9a-f-]{36}","request_id":"req-of-grant","wallet_id":"[0-9a-f-]{36}","transfer":"granted","amount":500`, text)
	for _, hush := range []string{b.m.APIKey, endpointSecret, secret, "sk_test_", "whsec_", "_secret_", "aks_test_", "hush"} {
		require.NotContains(t, text, hush)
	}
}

func post(t *testing.T, url, content string) int {
	t.Helper()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader([]byte(content)))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
