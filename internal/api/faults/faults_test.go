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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

// limits are the waits of the service, shortened for the test. The order is that of
// production: a connection is given up before its caller loses patience, and an
// abandoned transaction outlives both.
type limits struct {
	silence, lockWait, patience, abandoned time.Duration
	// most is how long a caller waits at the very most: for the limits of the requests
	// before the write, its patience, and an attempt that began just before its end.
	most time.Duration
}

// limitsOf returns limits for a machine so many times slower than an idle one.
func limitsOf(slower time.Duration) limits {
	return limits{
		silence:   slower * 500 * time.Millisecond,
		lockWait:  slower * 100 * time.Millisecond,
		patience:  slower * 1500 * time.Millisecond,
		abandoned: slower * 2 * time.Second,
		most:      slower * 6500 * time.Millisecond,
	}
}

// resolution is how long the test waits for what must happen.
const resolution = time.Minute

// stands is how many databases are used at once. Most cases wait most of their time.
const stands = 12

// all has a run go through every case. Without it each write goes through each fault
// once, every other time with an Idempotency-Key.
var all = flag.Bool("all", false, "run every case, and not half of them")

// stand is a database, with a proxy between it and the service. Its cases come one
// after another.
type stand struct {
	limits

	direct  *pgxpool.Pool // not through the proxy
	proxy   *pgproxy.Proxy
	url     string // through the proxy
	proxied *pgxpool.Pool
}

func newStand(t *testing.T) *stand {
	t.Helper()

	url := testdb.URL(t)
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.AfterConnect, config.MaxConns = postgres.RegisterTypes, 2
	s := &stand{limits: limitsOf(slower)}
	s.direct, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.direct.Close)
	s.proxy, url, err = pgproxy.StartURL(t.Context(), url)
	require.NoError(t, err)
	s.url = url
	s.connect(t)
	t.Cleanup(func() { s.proxied.Close() })
	t.Cleanup(func() { require.NoError(t, s.proxy.Close()) }) // first: the pool waits for its connections to end
	return s
}

// connect opens the service's pool with the stand's limits. While databases are created,
// a login may take longer than these.
func (s *stand) connect(t *testing.T) {
	t.Helper()

	for end := time.Now().Add(resolution); ; {
		pool, err := postgres.OpenPool(context.WithoutCancel(t.Context()), postgres.PoolOptions{
			URL: s.url, PlanByIndex: true, MaxConns: 4, Name: "service", Silence: s.silence, LockWait: s.lockWait, Abandoned: s.abandoned,
		})
		if err == nil {
			s.proxied = pool
			return
		}
		require.True(t, time.Now().Before(end), err)
	}
}

// slowly runs a case with limits that are long enough for a machine that is four times
// slower.
func (s *stand) slowly(t *testing.T, run func()) {
	t.Helper()

	usual, pool := s.limits, s.proxied
	s.limits = limitsOf(4 * slower)
	s.connect(t)
	defer func() {
		s.proxied.Close()
		s.limits, s.proxied = usual, pool
	}()
	run()
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

	return apitest.SetupFor(t, s.proxied, m.Merchant, append(change, func(b *apitest.Bundle) { b.Server.Patience = s.patience })...)
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

// It is not parallel to the other test, because both together are more than a small
// machine can do within the limits.
func TestEveryWriteThroughEveryFault(t *testing.T) { //nolint:paralleltest // see above
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
					s.try(t, func() verdict { return runCase(t, s, w, k, key, state) })
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
	sendAgain(t, s, w, m, key)
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

// sendAgain sends a request to a new process, as a client does until it is not told to
// try again, and waits until nothing of it is under way. On a slow machine an answer may
// come while the write is in doubt. A repetition under a key then gets the ids that are
// stored.
func sendAgain(t *testing.T, s *stand, w write, m merchant, key string) *httptest.ResponseRecorder {
	t.Helper()

	for end := time.Now().Add(resolution); ; {
		b := s.process(t, m)
		rec := send(t, b, w, m, key)
		// The pool may have several connections that are dead, and a busy machine may take
		// longer than the limits for some time.
		for rec.Code == http.StatusServiceUnavailable && time.Now().Before(end) {
			rec = send(t, b, w, m, key)
		}
		require.Equal(t, 2, rec.Code/100, rec.Body.String())
		inDoubt := isInDoubt(b)
		resolve(t.Context(), b)
		if key == "" || !inDoubt {
			return rec
		}
		require.True(t, time.Now().Before(end), "a repetition is in doubt again and again")
	}
}

// isInDoubt reports whether a process has answered while a write was in doubt.
func isInDoubt(b *apitest.Bundle) bool { return strings.Contains(b.Log.String(), "write in doubt") }

// verdict is what one run of a case says. A run that breaks the rule fails the test.
type verdict int

const (
	held verdict = iota
	// missed: the request was refused before the fault could strike it. A connection that
	// an earlier case has killed may do that. The pool has a few of them at most.
	missed
	// late: a request was refused that can be served. The rule was kept, but a wait was
	// longer than the limits. They are short, so a busy machine can cause that as well.
	late
)

// try runs a case until its fault strikes. If it does not, or if a request is late, the
// case is judged with longer limits.
func (s *stand) try(t *testing.T, run func() verdict) {
	t.Helper()

	v := missed
	for tries := 0; v == missed && tries < 5; tries++ {
		v = run()
	}
	if v == held {
		return
	}
	s.slowly(t, func() {
		v = missed
		for tries := 0; v == missed && tries < 5; tries++ {
			v = run()
		}
	})
	require.NotEqual(t, missed, v, "the fault did not strike")
	require.NotEqual(t, late, v, "a request was refused that can be served")
}

// runCase sends a write while a fault strikes it, and judges the answer by what the
// database holds when everything is over.
func runCase(t *testing.T, s *stand, w write, k kind, key string, expected []string) verdict {
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

	struck := strike(t, s, k, b, other, func() *httptest.ResponseRecorder { return send(t, b, w, m, key) })

	rec, refused := struck.rec, k.refused(w)
	if rec.Code == http.StatusServiceUnavailable {
		if struck.injection != nil && struck.injection.Struck() == 0 {
			return missed
		}
		if !refused {
			settle(t, s, k, b, struck.injection)
			require.Equal(t, before, m.state(t.Context(), t, s.direct), "a refused request has no effect")
			return late
		}
	}
	if refused {
		require.Equal(t, http.StatusServiceUnavailable, rec.Code, rec.Body.String())
	} else {
		require.Equal(t, 2, rec.Code/100, rec.Body.String())
	}
	inDoubt := isInDoubt(b)
	if k.doubtful {
		require.True(t, inDoubt, "the answer should come while the write is in doubt")
	}
	if inDoubt {
		requireOpen(t, w, rec)
	}
	settle(t, s, k, b, struck.injection)

	ctx := t.Context()
	if refused {
		require.Equal(t, before, m.state(ctx, t, s.direct), "a refused request has no effect")
		rec = sendAgain(t, s, w, m, key)
	} else if key != "" {
		require.Equal(t, expected, m.state(ctx, t, s.direct), "the effect is there once")
		again := sendAgain(t, s, w, m, key)
		require.Equal(t, idsIn(t, rec.Body.String()), idsIn(t, again.Body.String()), "a repetition has the same ids")
	}
	require.Equal(t, expected, m.state(ctx, t, s.direct), "the effect is there once")
	m.requireStored(ctx, t, s.direct, idsIn(t, rec.Body.String()))
	return struck.verdict()
}

// struck is a request that a fault struck.
type struck struct {
	rec       *httptest.ResponseRecorder // nil for a group
	injection *pgproxy.Injection         // nil for a fault that was there before
	// late reports that the answer came later than a caller waits, or that another
	// merchant's request was not served in that time.
	late bool
}

func (s struck) verdict() verdict {
	if s.late {
		return late
	}
	return held
}

// strike sends a request while a fault strikes it. Meanwhile another merchant's request
// must be answered as usual if the fault is on one connection alone.
func strike(t *testing.T, s *stand, k kind, b *apitest.Bundle, other merchant, request func() *httptest.ResponseRecorder) struck {
	t.Helper()

	var r struck
	if k.early != nil {
		k.early(s.proxy)
		start := time.Now()
		r.rec = request()
		r.late = time.Since(start) > s.most
		return r
	}
	r.injection = s.proxy.Inject(k.Fault)
	var meanwhile sync.WaitGroup
	answered, served := make(chan struct{}), true
	meanwhile.Go(func() {
		select {
		case <-r.injection.Fired():
		case <-answered:
			return
		}
		if k.struck != nil {
			k.struck(s.proxy)
		}
		if k.alone {
			served = isServed(t, b, other, s.most)
		}
	})
	start := time.Now()
	r.rec = request()
	r.late = time.Since(start) > s.most
	close(answered)
	meanwhile.Wait()
	r.late = r.late || !served
	return r
}

// isServed sends another merchant's request, and reports whether it is served in the
// time that a caller waits at most. It may have to wait for a write that the fault
// holds, and on a machine under load be told to try again.
func isServed(t *testing.T, b *apitest.Bundle, other merchant, most time.Duration) bool {
	t.Helper()

	method, path, body := fund.request(other)
	for start := time.Now(); time.Since(start) < most; {
		rec := b.Do(t, method, path, body, "Authorization", "Bearer "+other.APIKey)
		if rec.Code == http.StatusAccepted {
			return true
		}
		if !assert.Equal(t, http.StatusServiceUnavailable, rec.Code, rec.Body.String()) {
			return true // the test has failed already
		}
	}
	return false
}

// settle ends a fault and waits until nothing is under way.
func settle(t *testing.T, s *stand, k kind, b *apitest.Bundle, injection *pgproxy.Injection) {
	t.Helper()

	if !k.late {
		s.proxy.Reset()
	}
	resolve(t.Context(), b)
	s.proxy.Reset()
	if injection != nil && injection.Struck() > 0 {
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
