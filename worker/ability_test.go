package worker_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/worker"
)

// redWithin and greenWithin are the promises of docs/operations.md.
const (
	redWithin   = 10 * time.Second
	greenWithin = 10 * time.Second
)

// While the database cannot do what payments need, the process says so, and names why.
func TestReadyIsAbility(t *testing.T) {
	t.Parallel()

	refuse := func(code, message string) func(*pgproxy.Proxy) {
		return func(p *pgproxy.Proxy) {
			p.Inject(pgproxy.Fault{
				When: pgproxy.BeforeWrite, Do: pgproxy.AnswerError, SQL: "insert into heartbeats", Times: pgproxy.Always,
				Error: pgproxy.Error{Severity: "ERROR", Code: code, Message: message},
			})
		}
	}
	for name, tt := range map[string]struct {
		fault func(*pgproxy.Proxy)
		says  string
	}{
		"Silent":   {(*pgproxy.Proxy).FreezeAll, "database: no answer"},
		"ReadOnly": {refuse("25006", "cannot execute INSERT in a read-only transaction"), "database: read-only"},
		"DiskFull": {refuse("53100", "could not write to file: No space left on device"), "database: disk full"},
		"CommitHangs": {func(p *pgproxy.Proxy) {
			p.Inject(pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest, SQL: "insert into heartbeats", Times: pgproxy.Always})
		}, "database: no answer"},
		"Unreachable": {func(p *pgproxy.Proxy) {
			p.RefuseNew(true)
			p.CloseAll()
		}, "database: not reachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			proxy, url, err := pgproxy.StartURL(t.Context(), b.pool.Config().ConnString())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, proxy.Close()) })
			p := b.start(t, func(o *worker.Options) { o.Settings.DatabaseURL = config.Secret(url) })
			status, text := body(t, p.url+"/readyz")
			require.Equal(t, http.StatusOK, status, text)

			tt.fault(proxy)
			require.Eventually(t, func() bool {
				status, text = body(t, p.url+"/readyz")
				return status == http.StatusServiceUnavailable
			}, redWithin, 50*time.Millisecond)
			require.Equal(t, "not ready: "+tt.says, strings.TrimSpace(text))
			require.Equal(t, http.StatusOK, get(t, p.url+"/healthz"), "the process is alive")

			proxy.Reset()
			proxy.Thaw()
			proxy.RefuseNew(false)
			require.Eventually(t, func() bool {
				status, text = body(t, p.url+"/readyz")
				return status == http.StatusOK
			}, greenWithin, 50*time.Millisecond, "%s", text)
		})
	}
}

// What a role, a database or an address sets for other programs does not matter.
func TestReadyWithDefaultsOfTheRole(t *testing.T) {
	t.Parallel()

	b := setup(t)
	for _, setting := range []string{
		"default_transaction_isolation = 'serializable'", "default_transaction_read_only = on", "lock_timeout = 1",
	} {
		_, err := b.pool.Exec(t.Context(), `
			do $$ begin execute format('alter database %I set `+strings.ReplaceAll(setting, "'", "''")+`', current_database()); end $$`)
		require.NoError(t, err)
	}
	p := b.start(t, nil)

	status, text := body(t, p.url+"/readyz")

	require.Equal(t, http.StatusOK, status, text)
	status, answer := b.fund(t, p, nil)
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, "completed", answer["status"])
}
