package faults_test

import (
	"context"
	"encoding/json"
	"flag"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

// The waits of the service, shortened for the test. The order is that of production: a
// connection is given up before its caller loses patience, and an abandoned transaction
// outlives both.
const (
	silence   = slower * 500 * time.Millisecond
	lockWait  = slower * 100 * time.Millisecond
	patience  = slower * 1500 * time.Millisecond
	abandoned = slower * 2 * time.Second
	// most is how long a caller waits at the very most: for the limits of the requests
	// before the write, its patience, and an attempt that began just before its end.
	most = patience + slower*5*time.Second
	// resolution is how long the test waits for what must happen.
	resolution = time.Minute
)

// stands is how many databases are used at once. Most cases wait most of their time.
const stands = 12

// all has a run go through every case. Without it each write goes through each fault
// once, every other time with an Idempotency-Key.
var all = flag.Bool("all", false, "run every case, and not half of them")

// stand is a database, with a proxy between it and the service. Its cases come one
// after another.
type stand struct {
	direct  *pgxpool.Pool // not through the proxy
	proxy   *pgproxy.Proxy
	proxied *pgxpool.Pool
}

func newStand(t *testing.T) *stand {
	t.Helper()

	url := testdb.URL(t)
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.AfterConnect, config.MaxConns = postgres.RegisterTypes, 2
	s := &stand{}
	s.direct, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.direct.Close)
	s.proxy, url, err = pgproxy.StartURL(t.Context(), url)
	require.NoError(t, err)
	s.proxied, err = postgres.OpenPool(t.Context(), postgres.PoolOptions{
		URL: url, PlanByIndex: true, MaxConns: 4, Name: "service", Silence: silence, LockWait: lockWait, Abandoned: abandoned,
	})
	require.NoError(t, err)
	t.Cleanup(s.proxied.Close)
	t.Cleanup(func() { require.NoError(t, s.proxy.Close()) }) // first: the pool waits for its connections to end
	return s
}

// begin drops the connections that the fault of an earlier case has killed.
func (s *stand) begin(t *testing.T) {
	t.Helper()

	for _, conn := range s.proxied.AcquireAllIdle(t.Context()) {
		_ = conn.Ping(t.Context()) // a dead one is closed by it
		conn.Release()
	}
}

// process starts the service for a merchant.
func (s *stand) process(t *testing.T, m merchant, change ...func(*apitest.Bundle)) *apitest.Bundle {
	t.Helper()

	return apitest.SetupFor(t, s.proxied, m.Merchant, append(change, func(b *apitest.Bundle) { b.Server.Patience = patience })...)
}

// resolve waits until the process knows what became of its writes.
func resolve(ctx context.Context, b *apitest.Bundle) {
	ctx, cancel := context.WithTimeout(ctx, resolution)
	defer cancel()
	b.Server.Close(ctx)
	b.Engine.Close(ctx)
}

// requireBooksBalance audits the database.
func (s *stand) requireBooksBalance(t *testing.T) {
	t.Helper()

	report, err := postgres.Audit(t.Context(), s.direct)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}

// requireOver waits until the request that the fault struck has no more effect.
func requireOver(t *testing.T, i *pgproxy.Injection) {
	t.Helper()

	select {
	case <-i.Done():
	case <-time.After(resolution):
		require.Fail(t, "the request that was struck is not over")
	}
}

// runAll runs cases on stands, many at once. They wait more than they compute, so they
// are not bound to the number of processors as t.Parallel is.
func runAll(t *testing.T, cases map[string]func(*testing.T, *stand)) {
	t.Helper()

	names := make(chan string, len(cases)) // so that it is filled even if no stand can be made
	var all sync.WaitGroup
	for range min(stands, len(cases)) {
		all.Go(func() {
			t.Run("Stand", func(t *testing.T) {
				s := newStand(t)
				for name := range names {
					t.Run(name, func(t *testing.T) { cases[name](t, s) })
				}
				s.requireBooksBalance(t)
			})
		})
	}
	ran := 0
	for name := range cases {
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(name))
		if hash.Sum32()%oneCase == 0 {
			names <- name
			ran++
		}
	}
	close(names)
	all.Wait()
	t.Logf("%d of %d cases", ran, len(cases))
}

// keys are the values of Idempotency-Key that a write is sent with.
var keys = map[string]string{"WithKey": "order-7", "WithoutKey": ""}

func TestEveryWriteThroughEveryFault(t *testing.T) {
	t.Parallel()

	expected := newExpectations()
	cases := map[string]func(*testing.T, *stand){}
	for i, w := range writes {
		for j, k := range kinds() {
			for name, key := range keys {
				if !*all && (i+j)%2 == 0 != (key == "") {
					continue
				}
				cases[w.name+"/"+k.name+"/"+name] = func(t *testing.T, s *stand) { //nolint:thelper // it is the case
					state := expected.of(t, s, w, key)
					// A connection that an earlier case has killed may refuse the request before the
					// fault could strike. The pool has a few of them at most.
					for range 10 {
						if runCase(t, s, w, k, key, state) {
							return
						}
					}
					require.Fail(t, "the fault did not strike")
				}
			}
		}
	}
	runAll(t, cases)
}

// expectations are the states of merchants after a write that no fault struck.
type expectations struct {
	mu     sync.Mutex
	states map[string][]string
}

func newExpectations() *expectations { return &expectations{states: map[string][]string{}} }

// of returns the state of a merchant after a write with a key, or without one.
func (e *expectations) of(t *testing.T, s *stand, w write, key string) []string {
	t.Helper()

	e.mu.Lock()
	state, ok := e.states[w.name+key]
	e.mu.Unlock()
	if ok {
		return state
	}
	m := newMerchant(t, s.direct)
	before := m.state(t.Context(), t, s.direct)
	b := s.process(t, m)
	rec := send(t, b, w, m, key)
	require.Equal(t, 2, rec.Code/100, rec.Body.String())
	resolve(t.Context(), b)
	state = m.state(t.Context(), t, s.direct)
	require.NotEqual(t, before, state)
	e.mu.Lock()
	e.states[w.name+key] = state
	e.mu.Unlock()
	return state
}

func send(t *testing.T, b *apitest.Bundle, w write, m merchant, key string) *httptest.ResponseRecorder {
	t.Helper()

	method, path, body := w.request(m)
	return b.Do(t, method, path, body, "Idempotency-Key", key)
}

// sendAgain repeats a request as a client does, until it is not told to try again.
func sendAgain(t *testing.T, b *apitest.Bundle, w write, m merchant, key string) *httptest.ResponseRecorder {
	t.Helper()

	rec := send(t, b, w, m, key)
	for range 10 { // the pool may have several connections that are dead
		if rec.Code != http.StatusServiceUnavailable {
			break
		}
		rec = send(t, b, w, m, key)
	}
	require.Equal(t, 2, rec.Code/100, rec.Body.String())
	return rec
}

// runCase sends a write while a fault strikes it, and judges the answer by what the
// database holds when everything is over. It reports whether the fault struck.
func runCase(t *testing.T, s *stand, w write, k kind, key string, expected []string) bool {
	t.Helper()

	s.begin(t)
	defer s.proxy.Reset()
	m := newMerchant(t, s.direct)
	var other merchant
	if k.alone {
		other = newMerchant(t, s.direct)
	}
	b := s.process(t, m)
	before := m.state(t.Context(), t, s.direct)

	rec, injection := strike(t, s, k, b, other, func() *httptest.ResponseRecorder { return send(t, b, w, m, key) })

	if injection != nil && injection.Struck() == 0 && rec.Code == http.StatusServiceUnavailable {
		return false
	}
	refused := k.refused(w)
	if refused {
		require.Equal(t, http.StatusServiceUnavailable, rec.Code, rec.Body.String())
	} else {
		require.Equal(t, 2, rec.Code/100, rec.Body.String())
	}
	inDoubt := strings.Contains(b.Log.String(), "write in doubt")
	if k.doubtful {
		require.True(t, inDoubt, "the answer should come while the write is in doubt")
	}
	if inDoubt {
		requireOpen(t, w, rec)
	}
	settle(t, s, k, b, injection)

	ctx := t.Context()
	if refused {
		require.Equal(t, before, m.state(ctx, t, s.direct), "a refused request has no effect")
		again := s.process(t, m)
		rec = sendAgain(t, again, w, m, key)
		resolve(ctx, again)
	} else if key != "" {
		require.Equal(t, expected, m.state(ctx, t, s.direct), "the effect is there once")
		again := sendAgain(t, s.process(t, m), w, m, key)
		require.Equal(t, idsIn(t, rec.Body.String()), idsIn(t, again.Body.String()), "a repetition has the same ids")
	}
	require.Equal(t, expected, m.state(ctx, t, s.direct), "the effect is there once")
	m.requireStored(ctx, t, s.direct, idsIn(t, rec.Body.String()))
	return true
}

// strike sends a request while a fault strikes it. Meanwhile another merchant's request
// must be answered as usual if the fault is on one connection alone.
func strike(t *testing.T, s *stand, k kind, b *apitest.Bundle, other merchant, request func() *httptest.ResponseRecorder) (*httptest.ResponseRecorder, *pgproxy.Injection) {
	t.Helper()

	if k.early != nil {
		k.early(s.proxy)
		start := time.Now()
		rec := request()
		require.Less(t, time.Since(start), most)
		return rec, nil
	}
	injection := s.proxy.Inject(k.Fault)
	var meanwhile sync.WaitGroup
	answered := make(chan struct{})
	meanwhile.Go(func() {
		select {
		case <-injection.Fired():
		case <-answered:
			return
		}
		if k.struck != nil {
			k.struck(s.proxy)
		}
		if k.alone {
			requireServed(t, b, other)
		}
	})
	start := time.Now()
	rec := request()
	took := time.Since(start)
	close(answered)
	meanwhile.Wait()
	require.Less(t, took, most)
	return rec, injection
}

// requireServed sends another merchant's request. It may have to wait for a write that
// the fault holds, and on a machine under load be told to try again; but then it is
// served, in the time that a caller waits at most.
func requireServed(t *testing.T, b *apitest.Bundle, other merchant) {
	t.Helper()

	method, path, body := fund.request(other)
	start := time.Now()
	for {
		rec := b.Do(t, method, path, body, "Authorization", "Bearer "+other.APIKey)
		if rec.Code == http.StatusAccepted {
			return
		}
		if rec.Code != http.StatusServiceUnavailable || time.Since(start) > most {
			t.Errorf("another merchant's request was answered with %d after %s: %s", rec.Code, time.Since(start), rec.Body)
			return
		}
	}
}

// settle ends a fault and waits until nothing is under way.
func settle(t *testing.T, s *stand, k kind, b *apitest.Bundle, injection *pgproxy.Injection) {
	t.Helper()

	if !k.late {
		s.proxy.Reset()
	}
	resolve(t.Context(), b)
	s.proxy.Reset()
	if injection != nil {
		requireOver(t, injection)
	}
}

// requireOpen expects an answer to say that the write is not finished.
func requireOpen(t *testing.T, w write, rec *httptest.ResponseRecorder) {
	t.Helper()

	if w.open == "" {
		return
	}
	var answer struct {
		Status       string `json:"status"`
		Transactions []struct {
			Status string `json:"status"`
		} `json:"wallet_transactions"`
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &answer))
	states := []string{answer.Status}
	if answer.Transactions != nil {
		states = nil
		for _, row := range answer.Transactions {
			states = append(states, row.Status)
		}
	}
	require.NotEmpty(t, states)
	for _, state := range states {
		require.Equal(t, w.open, state)
	}
	if strings.HasPrefix(rec.Header().Get("Location"), "https://") || w.open == "processing" {
		require.Equal(t, http.StatusAccepted, rec.Code)
	}
}
