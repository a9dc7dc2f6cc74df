package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/worker"
)

// reply is the answer to a request, or why there was none.
type reply struct {
	status int
	body   map[string]any
	err    error
}

// send sends a POST and returns a channel for its reply. A connection that is closed
// without an answer is an error there.
func (b *testBundle) send(t *testing.T, p *process, path, body string) <-chan reply {
	t.Helper()

	client := &http.Client{Transport: openapitest.Transport(t, http.DefaultTransport)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+b.m.APIKey)
	req.Header.Set("Content-Type", "application/json")
	replies := make(chan reply, 1)
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			replies <- reply{err: err}
			return
		}
		defer resp.Body.Close()
		r := reply{status: resp.StatusCode}
		var raw []byte
		if raw, r.err = io.ReadAll(resp.Body); r.err == nil {
			r.err = json.Unmarshal(raw, &r.body)
		}
		replies <- r
	}()
	return replies
}

// stoppedWrite is a write that is under way when the process stops. They go different
// ways: a group, a transaction of the engine, and one of the API.
type stoppedWrite struct {
	name, path, body string
	ids              func(body map[string]any) any // nil when the answer has none
}

func (b *testBundle) stoppedWrites() []stoppedWrite {
	return []stoppedWrite{
		{
			name: "fund", path: "/v1/wallet/fund",
			body: fmt.Sprintf(`{"amount":"25.00","payment_method_id":%q}`,
				wallet.Spell(wallet.PrefixPaymentMethod, b.m.Mode, b.m.PaymentMethod.ID)),
			ids: func(body map[string]any) any { return body["payment_id"] },
		},
		{
			name: "wallet transaction", path: "/api/v1/wallet_transactions",
			body: fmt.Sprintf(`{"wallet_transaction":{"wallet_id":%q,"granted_credits":"10"}}`, b.m.Wallet.ID),
			ids: func(body map[string]any) any {
				rows, _ := body["wallet_transactions"].([]any)
				if len(rows) == 0 {
					return nil
				}
				return rows[0].(map[string]any)["lago_id"]
			},
		},
		{
			name: "customer", path: "/api/v1/customers",
			body: fmt.Sprintf(`{"customer":{"external_id":%q,"name":"Ada"}}`, b.m.Customer.ExternalID),
			ids: func(body map[string]any) any {
				customer, _ := body["customer"].(map[string]any)
				return customer["lago_id"]
			},
		},
	}
}

// TestStopAnswersWritesInDoubt stops the process while the commits of three writes are
// held on their way to the database. Nothing is known of them then, so each caller has to
// get the ids: a connection that is closed would look as if nothing had happened.
func TestStopAnswersWritesInDoubt(t *testing.T) {
	t.Parallel()

	b := setup(t)
	proxy, url, err := pgproxy.StartURL(t.Context(), b.pool.Config().ConnString())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	p := b.start(t, func(o *worker.Options) { o.Settings.DatabaseURL = config.Secret(url) })
	held := proxy.Inject(pgproxy.Fault{
		When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest, SQL: "idempotency_keys", Times: pgproxy.Always,
	})
	writes := b.stoppedWrites()
	replies := make([]<-chan reply, len(writes))
	for i, w := range writes {
		replies[i] = b.send(t, p, w.path, w.body)
		require.NoError(t, held.Wait(t.Context(), i+1))
	}

	p.end(t)

	for i, w := range writes {
		r := <-replies[i]
		if !assertAnswered(t, w, r) {
			continue
		}
		if r.status != http.StatusOK && r.status != http.StatusAccepted {
			t.Errorf("%s in doubt: %d %v", w.name, r.status, r.body)
		} else if w.ids(r.body) == nil {
			t.Errorf("%s in doubt: no id in %v", w.name, r.body)
		}
	}
}

// TestStopAnswersWritesThatWaitForALock stops the process while the same writes wait for
// rows that another transaction holds. Nothing was written, and nothing may be afterwards.
func TestStopAnswersWritesThatWaitForALock(t *testing.T) {
	t.Parallel()

	b := setup(t)
	p := b.start(t, nil)
	tx, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for _, held := range []string{`select from wallets for update`, `select from customers for update`} {
		_, err = tx.Exec(t.Context(), held)
		require.NoError(t, err)
	}
	writes := b.stoppedWrites()
	replies := make([]<-chan reply, len(writes))
	for i, w := range writes {
		replies[i] = b.send(t, p, w.path, w.body)
	}
	require.Eventually(t, func() bool {
		var waiting int
		err := b.pool.QueryRow(t.Context(), `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting >= len(writes)
	}, 10*time.Second, 10*time.Millisecond)

	p.end(t)

	for i, w := range writes {
		if r := <-replies[i]; assertAnswered(t, w, r) && r.status != http.StatusServiceUnavailable {
			t.Errorf("%s behind a lock: %d %v", w.name, r.status, r.body)
		}
	}
	require.NoError(t, tx.Rollback(t.Context()))
	var payments, transactions int
	require.NoError(t, b.pool.QueryRow(t.Context(), `select (select count(*) from payments), (select count(*) from wallet_transactions)`).
		Scan(&payments, &transactions))
	require.Zero(t, payments)
	require.Zero(t, transactions)
}

func assertAnswered(t *testing.T, w stoppedWrite, r reply) bool {
	t.Helper()

	if r.err != nil {
		t.Errorf("%s: no answer: %v", w.name, r.err)
	}
	return r.err == nil
}
