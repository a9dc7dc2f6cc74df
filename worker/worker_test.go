package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/migrations"
	"github.com/fundrail/fundrail/worker"
)

const secret = "whsec_worker_test"

// testBundle is a database, a simulated Stripe and a merchant. Tests start and stop
// service processes on it.
type testBundle struct {
	m    testfactory.Merchant
	pool *pgxpool.Pool
	sim  *simtest.Sim
}

func setup(tb testing.TB) *testBundle {
	tb.Helper()

	b := &testBundle{pool: testdb.New(tb), sim: simtest.New(tb)}
	b.m = testfactory.NewMerchant(tb, b.pool, testfactory.MerchantOpts{})
	_, err := b.sim.CreateCustomer(stripesim.NewCustomer{ID: b.m.Customer.StripeCustomerID})
	require.NoError(tb, err)
	_, err = b.sim.CreatePaymentMethod(stripesim.SavedCard{
		Card: "pm_card_visa", Customer: b.m.Customer.StripeCustomerID, ID: b.m.PaymentMethod.StripePaymentMethodID,
	})
	require.NoError(tb, err)
	return b
}

// process is a running service.
type process struct {
	url  string
	stop context.CancelFunc
	done chan error
}

// start runs the service until stop or the end of the test. To start a successor,
// pass a listener on the address of the previous process.
func (b *testBundle) start(tb testing.TB, change func(*worker.Options)) *process {
	tb.Helper()

	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	o := worker.Options{
		Listener: listener,
		Log:      slog.New(slog.DiscardHandler),
		Settings: config.Settings{
			Database: config.Database{DatabaseURL: config.Secret(b.pool.Config().ConnString())},
			HTTP:     config.HTTP{ListenAddr: listener.Addr().String()},
			Limits: config.Limits{
				ActionDeadline: 24 * time.Hour, FundWait: 20 * time.Second, RateLimitPerMinute: 1000, Workers: 10,
			},
			Stripe: config.Stripe{
				StripeAPIURL: b.sim.URL, StripeTestSecretKey: simtest.Key, StripeTestWebhookSecrets: []config.Secret{secret},
			},
		},
	}
	if change != nil {
		change(&o)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	p := &process{stop: stop, done: make(chan error, 1)}
	ready := make(chan net.Addr, 1)
	o.Ready = func(addr net.Addr) { ready <- addr }
	go func() { p.done <- worker.Run(ctx, o) }()
	select {
	case addr := <-ready:
		if addr != nil {
			p.url = "http://" + addr.String()
			b.sim.SetWebhook(p.url+"/webhooks/stripe", secret)
		}
	case err := <-p.done:
		require.NoError(tb, err, "the service should start")
	}
	tb.Cleanup(func() {
		stop()
		require.NoError(tb, <-p.done)
	})
	return p
}

// end stops the process and waits until it has stopped.
func (p *process) end(t *testing.T) {
	t.Helper()

	p.stop()
	err := <-p.done
	require.NoError(t, err)
	p.done <- nil
}

// fund sends a fund request of 25.00 and returns the status and the answer.
func (b *testBundle) fund(tb testing.TB, p *process, header http.Header) (int, map[string]any) {
	tb.Helper()

	body, err := json.Marshal(map[string]string{
		"amount": "25.00", "payment_method_id": wallet.Spell(wallet.PrefixPaymentMethod, b.m.Mode, b.m.PaymentMethod.ID),
	})
	require.NoError(tb, err)
	return b.post(tb, p, "/v1/wallet/fund", body, header)
}

func (b *testBundle) post(tb testing.TB, p *process, path string, body []byte, header http.Header) (int, map[string]any) {
	tb.Helper()

	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, p.url+path, bytes.NewReader(body))
	require.NoError(tb, err)
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Authorization", "Bearer "+b.m.APIKey)
	resp, err := described(tb).Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	var answer map[string]any
	require.NoError(tb, json.Unmarshal(raw, &answer), "%s", raw)
	return resp.StatusCode, answer
}

// described returns a client that checks every answer against the API's
// description.
func described(tb testing.TB) *http.Client {
	tb.Helper()
	return &http.Client{Transport: openapitest.Transport(tb, http.DefaultTransport)}
}

func (b *testBundle) balance(t *testing.T) int64 {
	t.Helper()

	w, err := postgres.GetWallet(t.Context(), b.pool, b.m.Wallet.ID)
	require.NoError(t, err)
	return w.Balance
}

func get(t *testing.T, url string) int {
	t.Helper()
	return getBy(t, described(t), url)
}

func getBy(t *testing.T, client *http.Client, url string) int {
	t.Helper()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestRun(t *testing.T) {
	t.Parallel()

	t.Run("FundsAWallet", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := b.start(t, nil)

		status, answer := b.fund(t, p, nil)

		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "completed", answer["status"])
		require.Equal(t, "25.00", answer["balance"])
		require.Equal(t, http.StatusOK, get(t, p.url+"/healthz"))
		require.Equal(t, http.StatusOK, get(t, p.url+"/readyz"))
		p.end(t)
	})

	t.Run("ProcessAnswersForJobsOfAnother", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		front := b.start(t, func(o *worker.Options) { o.WithoutWorkers = true })
		back := b.start(t, func(o *worker.Options) { o.WithoutHTTP, o.Listener = true, nil })

		status, answer := b.fund(t, front, nil)

		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "completed", answer["status"])
		front.end(t)
		back.end(t)
	})

	t.Run("RefusesAnUnknownSchema", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, err := b.pool.Exec(t.Context(), `
			with floor as (update schema_floor set oldest_program = 9998)
			insert into goose_db_version (version_id, is_applied) values (9999, true)`)
		require.NoError(t, err)

		err = worker.Run(t.Context(), worker.Options{
			Log:            slog.New(slog.DiscardHandler),
			Settings:       config.Settings{Database: config.Database{DatabaseURL: config.Secret(b.pool.Config().ConnString())}},
			WithoutHTTP:    true,
			WithoutWorkers: true,
		})

		require.ErrorIs(t, err, migrations.ErrUnknownSchema)
		require.ErrorContains(t, err, "9999")
	})

	// During an update, the newer version migrates the schema while the older one
	// is running.
	t.Run("ContinuesWithANewerSchema", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := b.start(t, nil)
		_, err := b.pool.Exec(t.Context(), `
			alter table payments add column of_the_future text;
			insert into goose_db_version (version_id, is_applied) values (9999, true)`)
		require.NoError(t, err)

		require.Equal(t, http.StatusOK, get(t, p.url+"/readyz"))
		status, answer := b.fund(t, p, nil)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "completed", answer["status"])
		p.end(t)
		p = b.start(t, nil)
		status, _ = b.fund(t, p, nil)
		require.Equal(t, http.StatusOK, status)
	})

	t.Run("StopDuringAChargeIsFinishedByTheNextProcess", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		fault := b.sim.Fault(stripesim.Fault{
			Delay: stripesim.Duration(time.Minute), Kind: stripesim.FaultHang,
			Match: stripesim.Match{Method: http.MethodPost, Path: "/v1/payment_intents"}, When: stripesim.After,
		})
		b.sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		first := b.start(t, nil)
		type result struct {
			status int
			answer map[string]any
		}
		answered := make(chan result, 1)
		go func() {
			status, answer := b.fund(t, first, nil) //nolint:testifylint // a failed assertion would end this goroutine, and the test would wait forever
			answered <- result{status, answer}
		}()
		require.Eventually(t, func() bool { return b.sim.Applied(fault) > 0 }, 10*time.Second, time.Millisecond)

		began := time.Now()
		first.end(t)

		require.Less(t, time.Since(began), 10*time.Second, "supervisors kill after that")
		r := <-answered
		require.Equal(t, http.StatusAccepted, r.status)
		require.Equal(t, "processing", r.answer["status"])
		require.Zero(t, b.balance(t))
		b.sim.ClearFaults()
		// The second process has another address and therefore another public URL.
		// The request to Stripe must still be the same, or Stripe would refuse the
		// key.
		b.start(t, nil)
		require.Eventually(t, func() bool { return b.balance(t) == 2500 }, 20*time.Second, 10*time.Millisecond)
		require.Len(t, b.sim.Intents(false), 1, "charged once")
	})

	t.Run("TakesBackTheJobsOfItsPredecessor", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := b.start(t, func(o *worker.Options) { o.WithoutWorkers = true })
		status, _ := b.fund(t, p, http.Header{"Prefer": {"respond-async"}})
		require.Equal(t, http.StatusAccepted, status)
		p.end(t)
		// The predecessor was killed while it charged.
		_, err := b.pool.Exec(t.Context(), `
			update river_job set state = 'running', attempt = 1, attempted_at = now(), attempted_by = array[$1]
			where kind = 'charge_payments'`, hostname(t)+"@"+strings.TrimPrefix(p.url, "http://"))
		require.NoError(t, err)

		b.start(t, func(o *worker.Options) {
			require.NoError(t, o.Listener.Close())
			o.Listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
			require.NoError(t, err)
		})

		require.Eventually(t, func() bool { return b.balance(t) == 2500 }, 10*time.Second, 10*time.Millisecond)
	})
}
