package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

// How long a service may take to answer on a busy machine, and how often to check.
const (
	startWithin = 60 * time.Second
	lookEvery   = 20 * time.Millisecond
)

// syncWriter collects the output of a process.
type syncWriter struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *syncWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// running is a command that runs in this process until the test ends.
func running(t *testing.T, env map[string]string, args ...string) *syncWriter {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	output := &syncWriter{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, &app{
			Getenv: func(name string) string { return env[name] },
			Now:    time.Now,
			Stderr: output,
			Stdout: output,
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.Equal(t, exitOK, <-code, output)
	})
	return output
}

// freeAddr returns an address that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// answers reports whether an HTTP server answers at the address.
func answers(url string) bool {
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

// TestServeAndWorkerApart sets up a merchant with the commands only, and runs the API
// and the workers in two services, as on two machines.
func TestServeAndWorkerApart(t *testing.T) {
	t.Parallel()

	addr, simAddr, pool := freeAddr(t), freeAddr(t), testdb.New(t)
	env := map[string]string{
		"DATABASE_URL":                pool.Config().ConnString(),
		"LISTEN_ADDR":                 addr,
		"STRIPE_API_URL":              "http://" + simAddr,
		"STRIPE_TEST_SECRET_KEY":      "sk_test_apart",
		"STRIPE_TEST_WEBHOOK_SECRETS": "whsec_apart",
	}
	running(t, env, "stripesim", "--listen="+simAddr, "--webhook-url=http://"+addr+"/webhooks/stripe")
	running(t, env, "serve", "--without-worker")
	running(t, env, "worker")
	require.Eventually(t, func() bool { return answers("http://" + addr + "/healthz") }, startWithin, lookEvery)

	require.Eventually(t, func() bool { return answers("http://" + simAddr + "/_sim/clock") }, startWithin, lookEvery)

	id := func(name string, args ...string) string {
		return object(t, fundrail(t, env, append(args, "--json")...))[name].(string)
	}
	org := id("organization_id", "org", "create", "--name=Acme", "--email=pay@acme.test")
	ours := id("customer_id", "customer", "create", "--organization="+org, "--external-id=ada", "--email=ada@example.com")
	id("wallet_id", "wallet", "create", "--customer="+ours)
	customer, err := postgres.GetCustomer(t.Context(), pool, uuid.MustParse(ours))
	require.NoError(t, err)
	var card struct{ ID string }
	simCall(t, "http://"+simAddr+"/v1/payment_methods/pm_card_visa/attach", "customer="+customer.StripeCustomerID, &card)
	key := id("api_key", "key", "create", "--organization="+org)

	theirs := id("customer_id", "customer", "create", "--organization="+org, "--external-id=bob", "--stripe-id=cus_bob")
	r := fundrail(t, env, "payment-method", "add", "--customer="+theirs, "--stripe-id="+card.ID)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "--stripe-id: Stripe has "+card.ID+` attached to customer "`+customer.StripeCustomerID)

	method := id("payment_method_id", "payment-method", "add", "--customer="+ours, "--stripe-id="+card.ID, "--default")
	require.Regexp(t, `^pm_test_`, method)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/wallet/fund",
		strings.NewReader(`{"payment_method_id":"`+method+`","amount":"25.00"}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(body))
	require.Contains(t, string(body), `"balance":"25.00"`)
	require.Contains(t, fundrail(t, env, "audit").stdout, "everything adds up")
}

// simCall posts a form to the simulator.
func simCall(t *testing.T, url, form string, answer any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewBufferString(form))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer sk_test_apart")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, json.NewDecoder(res.Body).Decode(answer))
}

func TestServiceRefusesUnknownSchema(t *testing.T) {
	t.Parallel()

	env := map[string]string{
		"DATABASE_URL":           testdb.URL(t, testdb.Empty()),
		"LISTEN_ADDR":            "127.0.0.1:0",
		"STRIPE_TEST_SECRET_KEY": "sk_test_schema",
	}
	for _, command := range []string{"serve", "worker"} {
		r := fundrail(t, env, command)

		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stderr, "run: fundrail migrate up")
	}
}

func TestServiceNamesWhatIsMissing(t *testing.T) {
	t.Parallel()

	r := fundrail(t, map[string]string{"FUND_WAIT": "soon"}, "serve")

	require.Equal(t, exitUsage, r.code)
	for _, name := range []string{"DATABASE_URL", "FUND_WAIT", "STRIPE_TEST_SECRET_KEY"} {
		require.Contains(t, r.stderr, name)
	}
}

// TestServeWritesNoFiles runs the service without the permission to write to files. It
// must work on a read-only disk.
func TestServeWritesNoFiles(t *testing.T) {
	t.Parallel()

	addr, pool := freeAddr(t), testdb.New(t)
	p := startProcess(t, "/bin/sh", pool.Config().ConnString(), "-c", `ulimit -f 0 && exec "$0" "$@"`, buildBinary(t),
		"serve", "--listen="+addr, "--stripe-test-secret-key=sk_test_diskless", "--stripe-api-url=http://127.0.0.1:1")
	require.Eventually(t, func() bool { return answers("http://" + addr + "/readyz") }, startWithin, lookEvery)

	require.True(t, answers("http://"+addr+"/admin/login"))

	p.stop(t, syscall.SIGTERM)
	left, err := os.ReadDir(p.cmd.Dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
