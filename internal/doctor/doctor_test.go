package doctor_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/doctor"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func TestMain(m *testing.M) { testdb.Main(m) }

const address = "https://pay.example.com/webhooks/stripe"

// patient is an installation that a test breaks and examines.
type patient struct {
	doctor.Options
	pool *pgxpool.Pool
	sim  *simtest.Sim
	t    *testing.T
}

// newPatient has everything except workers, a webhook endpoint, events, and a durable
// server: test servers do not wait for the disk.
func newPatient(t *testing.T) *patient {
	t.Helper()

	p := &patient{pool: testdb.New(t), sim: simtest.New(t), t: t}
	settings, err := config.Load(func(name string) string {
		return map[string]string{
			"DATABASE_URL":                p.pool.Config().ConnString(),
			"PUBLIC_URL":                  "https://pay.example.com",
			"STRIPE_API_URL":              p.sim.URL,
			"STRIPE_TEST_SECRET_KEY":      simtest.Key,
			"STRIPE_TEST_WEBHOOK_SECRETS": "whsec_1",
		}[name]
	})
	require.NoError(t, err)
	p.Options = doctor.Options{Now: time.Now, Settings: settings}
	return p
}

func (p *patient) client() *stripeapi.Client {
	p.t.Helper()

	c, err := stripeapi.New(stripeapi.Config{Mode: wallet.ModeTest, SecretKey: simtest.Key, URL: p.sim.URL})
	require.NoError(p.t, err)
	return c
}

func (p *patient) exec(sql string, args ...any) {
	p.t.Helper()

	_, err := p.pool.Exec(p.t.Context(), sql, args...)
	require.NoError(p.t, err)
}

// event stores an event that came a minute ago.
func (p *patient) event(id, source string) {
	p.t.Helper()

	p.exec(`
		insert into stripe_events (id, mode, type, status, source, body, created_at, received_at, due_at, handled_at)
		values ($1, 'test', 'a', 'handled', $2, '', now(), now() - interval '1 minute', now(), now())`, id, source)
}

// reconciled stores a reconciliation of some time ago.
func (p *patient) reconciled(ago time.Duration, drift, repaired int64) {
	p.t.Helper()

	p.exec(`
		insert into reconciliations (id, mode, source, since, until, payments, refunds, disputes, charged_not_credited,
			credited_not_charged, amount_differs, open_too_long, refund_differs, dispute_differs, repaired, findings, started_at, finished_at)
		values (gen_random_uuid(), 'test', 'job', $1::timestamptz - interval '1 day', $1, 1, 0, 0, $2, 0, 0, 0, 0, 0, $3, '[]', $1, $1)`, time.Now().Add(-ago), drift, repaired)
}

func (p *patient) examine() []doctor.Finding {
	p.t.Helper()

	return doctor.Examine(p.t.Context(), p.Options)
}

// of returns the last finding of a check.
func of(list []doctor.Finding, check string) doctor.Finding {
	var found doctor.Finding
	for _, f := range list {
		if f.Check == check {
			found = f
		}
	}
	return found
}

func TestHealthy(t *testing.T) {
	t.Parallel()

	p := newPatient(t)
	_, err := p.client().CreateWebhookEndpoint(t.Context(), address, jobs.EventTypes())
	require.NoError(t, err)
	p.event("evt_1", "webhook")
	p.exec(`
		insert into river_job (state, kind, queue, args, max_attempts, attempt, attempted_at, finalized_at, attempted_by, created_at, scheduled_at)
		values ('completed', 'enqueue_checks', 'periodic', '{}', 1, 1, now(), now(), array['here'], now(), now())`)
	p.reconciled(0, 0, 0)

	list := p.examine()

	for _, f := range list {
		if f.Check == "database" {
			require.Contains(t, []string{"fsync is off", "full_page_writes is off", "synchronous_commit is off"}, f.Detail, "test servers are not durable")
			continue
		}
		require.Equal(t, doctor.OK, f.Status, "%+v", f)
	}
	for _, check := range []string{
		"settings", "schema", "clock of the database", "stripe key", "clock of Stripe", "webhook secret", "webhook endpoint",
		"webhook arrivals", "workers", "jobs", "reconciliation",
	} {
		require.Equal(t, doctor.OK, of(list, check).Status, check)
	}
	require.True(t, doctor.Healthy([]doctor.Finding{{Status: doctor.OK}, {Status: doctor.Note}}))
	require.False(t, doctor.Healthy([]doctor.Finding{{Status: doctor.OK}, {Status: doctor.Mend}}))
}

func TestFindsWhatIsWrong(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		hurt   func(p *patient)
		check  string
		status doctor.Status
		detail string
		mend   string
	}{
		"BadSetting": {
			func(p *patient) { p.Settings.FundWait = 0 },
			"settings", doctor.Mend, "FUND_WAIT", "fundrail serve --help",
		},
		"DatabaseAway": {
			func(p *patient) {
				p.Settings.DatabaseURL = "postgres://fundrail:hush@127.0.0.1:1/fundrail"
			},
			"database", doctor.Mend, "not reachable", "DATABASE_URL",
		},
		"DatabaseNotMigrated": {
			func(p *patient) { p.exec(`drop table goose_db_version`) },
			"schema", doctor.Mend, "version 0", "fundrail migrate up",
		},
		"ClockWrong": {
			func(p *patient) {
				p.Now = func() time.Time { return time.Now().Add(-time.Hour) }
			},
			"clock of the database", doctor.Mend, "away from this machine's", "NTP",
		},
		"StripesClockWrong": {
			func(p *patient) { p.Now = func() time.Time { return time.Now().Add(time.Hour) } },
			"clock of Stripe", doctor.Mend, "away from this machine's", "NTP",
		},
		"KeyRefused": {
			func(p *patient) {
				p.sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Status: http.StatusUnauthorized})
			},
			"stripe key", doctor.Mend, "status 401", "STRIPE_TEST_SECRET_KEY",
		},
		"KeyMayNotReadRefunds": {
			func(p *patient) {
				p.sim.Fault(stripesim.Fault{
					Kind: stripesim.FaultStatus, Match: stripesim.Match{Path: "/v1/refunds"}, Status: http.StatusForbidden,
				})
			},
			"stripe key", doctor.Mend, "status 403", "to read Refunds",
		},
		"StripeAway": {
			func(p *patient) { p.Settings.StripeAPIURL = "http://127.0.0.1:1" },
			"stripe key", doctor.Mend, "stripe: list_events", "reaches http://127.0.0.1:1",
		},
		"NoWebhookSecret": {
			func(p *patient) { p.Settings.StripeTestWebhookSecrets = nil },
			"webhook secret", doctor.Mend, "every event is refused", "signing secret",
		},
		"NoEndpoint": {
			func(*patient) {},
			"webhook endpoint", doctor.Mend, "no endpoint at Stripe sends events to " + address, "--create-webhook",
		},
		"EndpointSendsToOther": {
			func(p *patient) {
				_, err := p.client().CreateWebhookEndpoint(p.t.Context(), "https://old.example.com/webhooks/stripe", jobs.EventTypes())
				require.NoError(p.t, err)
			},
			"webhook endpoint", doctor.Mend, "no endpoint at Stripe sends events to " + address, "--create-webhook",
		},
		"EndpointSendsTooLittle": {
			func(p *patient) {
				_, err := p.client().CreateWebhookEndpoint(p.t.Context(), address, jobs.EventTypes()[1:])
				require.NoError(p.t, err)
			},
			"webhook endpoint", doctor.Mend, "does not send " + jobs.EventTypes()[0], "Add these events",
		},
		"EndpointDisabled": {
			func(p *patient) {
				w, err := p.client().CreateWebhookEndpoint(p.t.Context(), address, jobs.EventTypes())
				require.NoError(p.t, err)
				post(p.t, p.sim.URL+"/v1/webhook_endpoints/"+w.ID+"?disabled=true")
			},
			"webhook endpoint", doctor.Mend, "is disabled", "Enable it",
		},
		"EndpointOfAnotherVersion": {
			func(p *patient) {
				post(p.t, p.sim.URL+"/v1/webhook_endpoints?api_version=2020-08-27&enabled_events[]=*&url="+address)
			},
			"webhook endpoint", doctor.Note, "API version 2020-08-27", "Nothing depends on it",
		},
		"WebhooksDoNotArrive": {
			func(p *patient) { p.event("evt_1", "sweep") },
			"webhook arrivals", doctor.Mend, "all of the newest 1 events", "STRIPE_TEST_WEBHOOK_SECRETS",
		},
		"SomeWebhooksDoNotArrive": {
			func(p *patient) {
				p.event("evt_1", "sweep")
				p.event("evt_2", "webhook")
			},
			"webhook arrivals", doctor.Note, "1 of the newest 2", "attempts fail",
		},
		"NoWorkers": {
			func(*patient) {},
			"workers", doctor.Mend, "no job was taken", "Start fundrail",
		},
		"JobsWait": {
			func(p *patient) {
				p.exec(`
					insert into river_job (state, kind, queue, args, max_attempts, scheduled_at)
					values ('available', 'charge_payments', 'charge', '{}', 1, now() - interval '5 minutes')`)
			},
			"jobs", doctor.Mend, "queue charge has waited for 5m", "JobsWait",
		},
		"EventsWait": {
			func(p *patient) {
				p.exec(`
					insert into stripe_events (id, mode, type, status, source, body, created_at, received_at, due_at)
					values ('evt_1', 'test', 'a', 'pending', 'webhook', '', now(), now() - interval '20 minutes', now())`)
			},
			"events", doctor.Mend, "20m", "MoneyEventUnhandled",
		},
		"DriftIsLeft": {
			func(p *patient) {
				p.reconciled(0, 3, 1)
			},
			"reconciliation", doctor.Mend, "2 differences were left", "fundrail reconcile",
		},
		"NotReconciledForDays": {
			func(p *patient) {
				p.reconciled(48*time.Hour, 0, 0)
			},
			"reconciliation", doctor.Mend, "48h0m0s ago", "Stripe key",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := newPatient(t)
			tc.hurt(p)

			list := p.examine()

			f := of(list, tc.check)
			require.Equal(t, tc.status, f.Status, "%+v", list)
			require.Contains(t, f.Detail, tc.detail)
			require.Contains(t, f.Mend, tc.mend)
			for _, f := range list {
				require.NotContains(t, f.Detail+f.Mend, "hush")
				require.NotContains(t, f.Detail+f.Mend, simtest.Key)
			}
		})
	}
}

func TestCreateWebhook(t *testing.T) {
	t.Parallel()

	p := newPatient(t)
	p.CreateWebhook = true

	first := of(p.examine(), "webhook endpoint")

	require.Equal(t, doctor.Mend, first.Status, "its secret is not in the settings yet")
	require.Regexp(t, `^whsec_`, first.WebhookSecret)
	require.Contains(t, first.Mend, "STRIPE_TEST_WEBHOOK_SECRETS")
	list, err := p.client().ListWebhookEndpoints(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, address, list[0].URL)
	require.Equal(t, stripeapi.APIVersion, list[0].APIVersion)
	require.ElementsMatch(t, jobs.EventTypes(), list[0].Events)

	second := of(p.examine(), "webhook endpoint")
	require.Equal(t, doctor.OK, second.Status)
	require.Empty(t, second.WebhookSecret)
	list, err = p.client().ListWebhookEndpoints(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1, "one is enough")
}

// post changes an object at the simulator with its API.
func post(t *testing.T, url string) {
	t.Helper()

	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, url, http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+simtest.Key)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}
