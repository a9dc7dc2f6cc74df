package main

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/migrations"
)

// object decodes the JSON object that a command printed.
func object(t *testing.T, r result) map[string]any {
	t.Helper()
	require.Equal(t, exitOK, r.code, r.stderr)
	var o map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &o), r.stdout)
	return o
}

func TestSetUp(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	env := map[string]string{"DATABASE_URL": pool.Config().ConnString()}

	o := object(t, fundrail(t, env, "org", "create", "--name=Acme", "--email=pay@acme.test", "--json"))
	require.Len(t, o, 1)
	org := o["organization_id"].(string)

	o = object(t, fundrail(t, env, "key", "create", "--organization="+org, "--json"))
	require.Len(t, o, 2)
	keyID, key := o["key_id"].(string), o["api_key"].(string)
	require.Regexp(t, `^aks_test_[0-9A-Za-z]{32,}$`, key)

	o = object(t, fundrail(t, env, "customer", "create", "--organization="+org, "--external-id=ada", "--json"))
	require.Len(t, o, 1)
	customer := o["customer_id"].(string)

	o = object(t, fundrail(t, env, "wallet", "create", "--customer="+customer, "--json"))
	require.Len(t, o, 1)
	primary := o["wallet_id"].(string)

	t.Run("KeyStandsForPrimaryWallet", func(t *testing.T) {
		t.Parallel()

		caller, err := postgres.GetCaller(t.Context(), pool, key, testNow)

		require.NoError(t, err)
		require.Equal(t, org, caller.OrganizationID.String())
		require.Equal(t, primary, caller.WalletID.String())
		require.Equal(t, "pay@acme.test", caller.PrimaryEmail)
	})

	t.Run("SecondWalletIsNotPrimary", func(t *testing.T) {
		t.Parallel()

		o := object(t, fundrail(t, env, "wallet", "create", "--customer="+customer, "--rate=0.5", "--json"))

		w, err := postgres.GetWallet(t.Context(), pool, uuid.MustParse(o["wallet_id"].(string)))
		require.NoError(t, err)
		require.False(t, w.IsPrimary)
		require.Equal(t, "0.5", w.RateAmount.String())
	})

	t.Run("KeysAreListedWithoutTheKey", func(t *testing.T) {
		t.Parallel()

		r := fundrail(t, env, "key", "list", "--organization="+org, "--json")

		require.Contains(t, r.stdout, keyID)
		require.Contains(t, r.stdout, `"hint":"`+key[len(key)-4:]+`"`)
		require.NotContains(t, r.stdout, key)
	})

	t.Run("ExpiryEndsAKey", func(t *testing.T) {
		t.Parallel()

		o := object(t, fundrail(t, env, "key", "create", "--organization="+org, "--mode=live", "--expires-in=1h", "--json"))

		key := o["api_key"].(string)
		require.Regexp(t, `^aks_live_`, key)
		_, err := postgres.GetCaller(t.Context(), pool, key, testNow)
		require.NoError(t, err)
		_, err = postgres.GetCaller(t.Context(), pool, key, testNow.Add(time.Hour))
		require.True(t, wallet.HasCode(err, wallet.CodeNotFound))
	})

	t.Run("ScopesAreKeptAndListed", func(t *testing.T) {
		t.Parallel()

		o := object(t, fundrail(t, env, "key", "create", "--organization="+org, "--scopes=read,fund", "--json"))

		caller, err := postgres.GetCaller(t.Context(), pool, o["api_key"].(string), testNow)
		require.NoError(t, err)
		require.Equal(t, []wallet.Scope{wallet.ScopeFund, wallet.ScopeRead}, caller.Scopes)
		r := fundrail(t, env, "key", "list", "--organization="+org)
		require.Regexp(t, `(?m)^`+o["key_id"].(string)+` .* fund,read `, r.stdout)
		r = fundrail(t, env, "key", "list", "--organization="+org, "--json")
		require.Contains(t, r.stdout, `"scopes":["admin","fund","read"]`)
	})

	t.Run("RotatedKeysOverlap", func(t *testing.T) {
		t.Parallel()

		o := object(t, fundrail(t, env, "key", "create", "--organization="+org, "--scopes=fund", "--expires-in=48h", "--json"))
		old, oldID := o["api_key"].(string), o["key_id"].(string)

		o = object(t, fundrail(t, env, "key", "rotate", oldID, "--overlap=1h", "--json"))

		successor := o["api_key"].(string)
		require.NotEqual(t, old, successor)
		for key, end := range map[string]time.Duration{old: time.Hour, successor: 48 * time.Hour} {
			caller, err := postgres.GetCaller(t.Context(), pool, key, testNow.Add(end-time.Second))
			require.NoError(t, err)
			require.Equal(t, []wallet.Scope{wallet.ScopeFund}, caller.Scopes)
			_, err = postgres.GetCaller(t.Context(), pool, key, testNow.Add(end))
			require.True(t, wallet.HasCode(err, wallet.CodeNotFound))
		}
		r := fundrail(t, env, "key", "rotate", oldID)
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stderr, "No such API key, or it has ended or was replaced.")
	})

	t.Run("RevokedKeysAreGone", func(t *testing.T) {
		t.Parallel()

		o := object(t, fundrail(t, env, "key", "create", "--organization="+org, "--json"))
		key, id := o["api_key"].(string), o["key_id"].(string)

		first := object(t, fundrail(t, env, "key", "revoke", id, "--json"))
		second := object(t, fundrail(t, env, "key", "revoke", id, "--json"))

		require.Equal(t, first, second)
		_, err := postgres.GetCaller(t.Context(), pool, key, testNow)
		require.True(t, wallet.HasCode(err, wallet.CodeNotFound))
	})

	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"CustomerTwice", []string{"customer", "create", "--organization=" + org, "--external-id=ada"}, "customers_organization_id_mode_external_id_key"},
		{"UnknownCustomer", []string{"wallet", "create", "--customer=" + org}, "No such customer."},
		{"UnknownKey", []string{"key", "revoke", org}, "No such API key."},
		{"UnknownScope", []string{"key", "create", "--organization=" + org, "--scopes=read,everything"}, `no scope called "everything"`},
		{"UnknownOrganization", []string{"key", "create", "--organization=" + customer}, "No such organization."},
		{"WalletCurrency", []string{"wallet", "create", "--customer=" + customer, "--currency=usd"}, "--currency"},
		{"WalletRate", []string{"wallet", "create", "--customer=" + customer, "--rate=0"}, "--rate must be above zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			r := fundrail(t, env, tt.args...)

			require.Equal(t, exitFailed, r.code)
			require.Contains(t, r.stderr, tt.want)
			require.Empty(t, r.stdout)
		})
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()

	t.Run("BooksInOrder", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		testfactory.Payment(t, pool, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
		env := map[string]string{"DATABASE_URL": pool.Config().ConnString()}

		r := fundrail(t, env, "audit")
		require.Equal(t, exitOK, r.code, r.stderr)
		require.Equal(t, "audit: 1 wallet, 1 payment, 1 transfer: everything adds up\n", r.stdout)

		o := object(t, fundrail(t, env, "audit", "--json"))
		require.Empty(t, o["findings"])
	})

	t.Run("BooksTamperedWith", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
		_, err := pool.Exec(t.Context(), `update wallets set balance = balance + 1 where id = $1`, p.WalletID)
		require.NoError(t, err)
		env := map[string]string{"DATABASE_URL": pool.Config().ConnString()}

		r := fundrail(t, env, "audit")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stdout, "2 findings\n")
		require.Regexp(t, `balance_equals_account +`+p.WalletID.String()+` +balance 2501, account 2500`, r.stdout)

		r = fundrail(t, env, "audit", "--json")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stdout, `"check":"balance_equals_account"`)
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()

	env := map[string]string{"DATABASE_URL": testdb.URL(t, testdb.Empty())}

	for _, args := range [][]string{{"audit"}, {"org", "create", "--name=Acme"}} {
		r := fundrail(t, env, args...)
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stderr, "run: fundrail migrate up")
	}
	require.NotContains(t, fundrail(t, env, "migrate", "status").stdout, "yes")

	var (
		results [3]result
		wg      sync.WaitGroup
	)
	for i := range results {
		wg.Go(func() { results[i] = fundrail(t, env, "migrate", "up") })
	}
	wg.Wait()
	for _, r := range results {
		require.Equal(t, exitOK, r.code, r.stderr)
	}
	require.Equal(t, exitOK, fundrail(t, env, "audit").code)
	o := object(t, fundrail(t, env, "migrate", "status", "--json"))
	list := o["migrations"].([]any)
	for _, m := range list {
		require.Equal(t, true, m.(map[string]any)["applied"])
	}
	require.EqualValues(t, migrations.Latest(), list[len(list)-1].(map[string]any)["version"])

	r := fundrail(t, env, "migrate", "down")
	require.Equal(t, exitOK, r.code, r.stderr)
	require.Equal(t, exitFailed, fundrail(t, env, "audit").code)
}

func TestEvents(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	env := map[string]string{"DATABASE_URL": pool.Config().ConnString()}
	_, err := pool.Exec(t.Context(), `
		insert into stripe_events (id, mode, type, status, source, body, created_at, received_at, due_at, handled_at, note)
		values ('evt_old', 'test', 'payment_intent.created', 'ignored', 'webhook', '', $1, $1, $1, $1, 'no payment of ours'),
			('evt_new', 'test', 'payment_intent.succeeded', 'handled', 'webhook', '', $2, $2, $2, $2, null),
			('evt_live', 'live', 'payment_intent.succeeded', 'handled', 'webhook', '', $2, $2, $2, $2, null)`,
		testNow, testNow.Add(time.Second))
	require.NoError(t, err)
	ids := func(args ...string) (list []string) {
		o := object(t, fundrail(t, env, append([]string{"events", "list", "--json"}, args...)...))
		for _, e := range o["events"].([]any) {
			list = append(list, e.(map[string]any)["id"].(string))
		}
		return list
	}

	require.Equal(t, []string{"evt_new", "evt_old"}, ids())
	require.Equal(t, []string{"evt_new"}, ids("--limit=1"))
	require.Equal(t, []string{"evt_old"}, ids("--status=ignored"))
	require.Equal(t, []string{"evt_new"}, ids("--type=payment_intent.succeeded"))
	require.Equal(t, []string{"evt_live"}, ids("--mode=live"))
	require.Regexp(t, `evt_old +payment_intent.created +ignored +1 +2026-11-20 12:00:00 +no payment of ours`,
		fundrail(t, env, "events", "list").stdout)

	r := fundrail(t, env, "events", "replay", "evt_old", "evt_none")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "evt_none: not_found")
	require.Empty(t, ids("--status=pending"), "all or nothing")

	object(t, fundrail(t, env, "events", "replay", "evt_old", "--json"))
	require.Equal(t, []string{"evt_old"}, ids("--status=pending"))
	var jobs int
	err = pool.QueryRow(t.Context(), `
		select count(*) from river_job where kind = 'handle_event' and args ->> 'event_id' = 'evt_old'`).Scan(&jobs)
	require.NoError(t, err)
	require.Equal(t, 1, jobs)
}

func TestWebhookCommands(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	env := map[string]string{"DATABASE_URL": pool.Config().ConnString()}
	org := testfactory.Organization(t, pool, testfactory.OrganizationOpts{}).ID.String()

	o := object(t, fundrail(t, env, "webhook", "create", "--organization="+org, "--url=https://merchant.test/", "--events=payment.succeeded", "--json"))
	require.Len(t, o, 2)
	id, secret := o["webhook_id"].(string), o["webhook_secret"].(string)
	require.Regexp(t, `^whsec_`, secret)

	r := fundrail(t, env, "webhook", "list", "--organization="+org, "--json")
	require.Contains(t, r.stdout, `"signature":"standard"`)
	require.NotContains(t, r.stdout, secret)
	require.Contains(t, fundrail(t, env, "webhook", "list", "--organization="+org).stdout, "https://merchant.test/")

	o = object(t, fundrail(t, env, "webhook", "rotate", id, "--json"))
	require.NotEqual(t, secret, o["webhook_secret"])
	require.Equal(t, "disabled", object(t, fundrail(t, env, "webhook", "disable", id, "--json"))["status"])
	require.Equal(t, "enabled", object(t, fundrail(t, env, "webhook", "enable", id, "--json"))["status"])
	require.Empty(t, object(t, fundrail(t, env, "webhook", "deliveries", id, "--json"))["deliveries"])
	require.EqualValues(t, 0, object(t, fundrail(t, env, "webhook", "redeliver", id, "--from=2026-03-14T00:00:00Z", "--json"))["deliveries"])

	for _, args := range [][]string{
		{"webhook", "create", "--organization=" + org, "--url=http://127.0.0.1/"},
		{"webhook", "create", "--organization=" + org, "--url=https://merchant.test/", "--events=no.such"},
		{"webhook", "redeliver", id},
		{"webhook", "disable", org},
	} {
		require.NotEqual(t, exitOK, fundrail(t, env, args...).code, args)
	}
}
