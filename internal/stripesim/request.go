package stripesim

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const maxBodyBytes = 1 << 20

// call is one API request.
type call struct {
	acct *account
	ep   *endpoint
	form form
	id   string // the request's id
	key  string // the idempotency key, for POST only
	path string // the id in the path
	r    *http.Request
	s    *Server
	w    http.ResponseWriter

	early      sync.WaitGroup // deliveries to be made before the answer
	processing time.Duration  // set by a fault: how long an approved payment stays in processing
}

// answer is the answer to a request. It keeps a snapshot and not its bytes, which
// saves memory. A replay renders the same bytes again.
type answer struct {
	body   renderer
	raw    []byte // used if body is nil
	status int
	html   bool
	retry  string // the value of Stripe-Should-Retry, or "" for the default
	x      *expander
}

// rendered is an answer body that is stored as bytes.
type rendered []byte

func (r rendered) appendJSON(b []byte, _ *expander) []byte { return append(b, r...) }

func errorAnswer(e *apiError) answer { return answer{body: e, status: e.status} }

// render appends the body's bytes to buf.
func (a *answer) render(buf []byte) []byte {
	if a.body == nil {
		return append(buf, a.raw...)
	}
	return a.body.appendJSON(buf, a.x)
}

// freeze renders an answer with expanded objects, which may change later.
func (a *answer) freeze() {
	if a.x != nil {
		a.body, a.x = rendered(a.render(nil)), nil
	}
}

// endpoint is one operation of the API.
type endpoint struct {
	count   atomic.Int64
	locks   bool // requests for the object in the path run one at a time
	method  string
	params  *paramTable
	pattern string
	run     func(*call) (renderer, *apiError)
}

var bufPool = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// serveAPI answers a request. The order of authentication, faults, idempotency,
// validation, locking and execution is Stripe's.
func (s *Server) serveAPI(ep *endpoint, w http.ResponseWriter, r *http.Request) {
	ep.count.Add(1)
	c := &call{ep: ep, id: s.ids.requestID(), path: r.PathValue("id"), r: r, s: s, w: w}
	if err := c.prepare(); err != nil {
		err.requestID = c.id
		c.write(errorAnswer(err), nil)
		return
	}
	plan := s.planFaults(c)
	if plan.refuse != nil {
		c.sleep(plan.latencyBefore)
		c.write(plan.refuse.answer(c.id), nil)
		return
	}
	if plan.prune && c.key != "" {
		c.acct.keys.prune(c.key)
	}
	if c.key == "" {
		ans, _ := c.execute(plan, nil)
		c.deliver(plan, ans, nil)
		return
	}
	rec, replay, err := c.acct.keys.begin(c.key, c)
	switch {
	case err != nil:
		err.requestID = c.id
		c.write(errorAnswer(err), nil)
	case replay != nil:
		c.sleep(plan.latencyBefore)
		c.deliver(plan.forReplay(), replay.answer, replay)
	default:
		ans, ran := c.execute(plan, rec)
		if !ran {
			rec = nil
		}
		c.deliver(plan, ans, rec)
	}
}

// from returns the request as the origin of a change.
func (c *call) from() origin { return origin{key: c.key, reqID: c.id, wait: &c.early} }

// update changes the account as part of the request.
func (c *call) update(fn func(*tx) *apiError) *apiError {
	_, err := c.acct.update(c.from(), fn)
	return err
}

// prepare authenticates the caller and reads the parameters.
func (c *call) prepare() *apiError {
	live, err := authenticate(c.r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	c.acct = c.s.account(live)
	if v := c.r.Header.Get("Stripe-Version"); v != "" && v != APIVersion {
		return refused("", "", "Invalid Stripe API version: "+v+". This simulator speaks "+APIVersion+" only.")
	}
	if !c.s.limiter.allow(live, c.s.cfg.Now()) {
		return rateLimited()
	}
	if err := c.readForm(); err != nil {
		return err
	}
	if c.r.Method == http.MethodPost {
		c.key = strings.TrimSpace(c.r.Header.Get("Idempotency-Key"))
		if len(c.key) > maxKeyLength {
			return refused("", "", "Idempotency keys must be at most 255 characters long.")
		}
	}
	return nil
}

func (c *call) readForm() *apiError {
	if err := c.form.parse(c.r.URL.RawQuery); err != nil {
		return refused("", "", err.Error())
	}
	if c.r.Method != http.MethodPost && c.r.Method != http.MethodDelete {
		return nil
	}
	if ct := c.r.Header.Get("Content-Type"); ct != "" && !strings.HasPrefix(ct, "application/x-www-form-urlencoded") {
		return refused("", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded). "+
			"If you have questions, we can help at https://support.stripe.com/.")
	}
	buf, _ := bufPool.Get().(*[]byte)
	defer bufPool.Put(buf)
	body, err := readAll((*buf)[:0], http.MaxBytesReader(c.w, c.r.Body, maxBodyBytes))
	*buf = body[:0]
	if err != nil {
		return refused("", "", "The request body could not be read.")
	}
	if err := c.form.parse(string(body)); err != nil {
		return refused("", "", err.Error())
	}
	return nil
}

// readAll is io.ReadAll that appends to b.
func readAll(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// execute validates the request, runs the endpoint and stores the answer under the
// key. It reports whether the endpoint was executed.
func (c *call) execute(plan faultPlan, rec *keyRecord) (answer, bool) {
	if err := c.ep.params.check(&c.form); err != nil {
		return c.notRun(err, rec)
	}
	if c.ep.locks && !strings.HasPrefix(c.path, "pm_card_") { // a magic id names no stored object
		if !c.acct.locks.acquire(c.path, c.s.cfg.LockWait, c.s.done) {
			return c.notRun(lockTimeout(), rec)
		}
		defer c.acct.locks.release(c.path)
	}
	c.sleep(time.Duration(c.s.latency.Load()) + plan.latencyBefore)
	if plan.resetBefore {
		c.abandon(rec)
		return answer{}, false
	}
	if f := plan.failBefore; f != nil {
		ans := f.answer(c.id)
		if f.Stored {
			c.finish(rec, ans)
			return ans, true
		}
		c.abandon(rec)
		return ans, false
	}
	ans, err := c.run(plan)
	if err != nil {
		return c.notRun(err, rec)
	}
	if f := plan.failAfter; f != nil && f.Stored {
		ans = f.answer(c.id)
	}
	c.finish(rec, ans)
	return ans, true
}

// run calls the endpoint. It returns an error only if the answer must not be
// stored.
func (c *call) run(plan faultPlan) (answer, *apiError) {
	c.processing = plan.processing
	obj, err := c.ep.run(c)
	switch {
	case err != nil && err.unstored:
		return answer{}, err
	case err != nil:
		err.requestID = c.id
		return errorAnswer(err), nil
	}
	ans := answer{body: obj, status: http.StatusOK, x: newExpander(c.acct, c.form.list("expand"))}
	if c.key != "" {
		ans.freeze()
	}
	return ans, nil
}

func (c *call) notRun(err *apiError, rec *keyRecord) (answer, bool) {
	c.abandon(rec)
	err.requestID = c.id
	return errorAnswer(err), false
}

func (c *call) finish(rec *keyRecord, ans answer) {
	if rec != nil {
		c.acct.keys.finish(rec, ans)
		c.s.journal.key(c.acct, c.key, rec)
	}
}

func (c *call) abandon(rec *keyRecord) {
	if rec != nil {
		c.acct.keys.abandon(c.key, rec)
	}
}

// sleep waits for d. Like Stripe, it keeps waiting when the client has gone. It
// returns early only if the simulator is closed.
func (c *call) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.s.done:
	}
}

// write sends an answer. rec is the key's record if the endpoint was executed or
// the answer is a replay, and nil otherwise.
func (c *call) write(ans answer, rec *keyRecord) {
	buf, _ := bufPool.Get().(*[]byte)
	defer bufPool.Put(buf)
	body := ans.render((*buf)[:0])
	*buf = body[:0]
	c.writeBytes(ans, rec, body, len(body))
}

func (c *call) writeBytes(ans answer, rec *keyRecord, body []byte, length int) {
	h := c.w.Header()
	h["Request-Id"] = []string{c.id}
	h["Stripe-Version"] = versionHeader
	h["Content-Type"] = jsonHeader
	if ans.html {
		h["Content-Type"] = htmlHeader
	}
	h["Content-Length"] = []string{strconv.Itoa(length)}
	if c.key != "" {
		h["Idempotency-Key"] = []string{c.key}
		original := c.id
		if rec != nil {
			original = rec.request
		}
		h["Original-Request"] = []string{original}
		if original != c.id {
			h["Idempotent-Replayed"] = trueHeader
		}
	}
	switch {
	case ans.retry != "":
		h["Stripe-Should-Retry"] = []string{ans.retry}
	case c.r.Method == http.MethodPost && ans.status < http.StatusInternalServerError &&
		ans.status != http.StatusConflict && ans.status != http.StatusTooManyRequests:
		h["Stripe-Should-Retry"] = falseHeader
	}
	c.w.WriteHeader(ans.status)
	_, _ = c.w.Write(body) //nolint:gosec // the body is JSON; an error means that the client has gone
}

// Constant header values. They are shared, because net/http only reads them.
var (
	falseHeader   = []string{"false"}
	htmlHeader    = []string{"text/html; charset=utf-8"}
	jsonHeader    = []string{"application/json"}
	trueHeader    = []string{"true"}
	versionHeader = []string{APIVersion}
)

// authenticate returns the mode of a secret or restricted key. The key is a bearer
// token or the user name of basic authentication.
func authenticate(header string) (live bool, err *apiError) {
	scheme, rest, _ := strings.Cut(header, " ")
	key := strings.TrimSpace(rest)
	if strings.EqualFold(scheme, "Basic") {
		decoded, decodeErr := base64.StdEncoding.DecodeString(key)
		if decodeErr != nil {
			return false, unauthorized("Invalid basic authentication.")
		}
		key, _, _ = strings.Cut(string(decoded), ":")
	} else if !strings.EqualFold(scheme, "Bearer") {
		key = ""
	}
	switch {
	case key == "":
		return false, unauthorized("You did not provide an API key. You need to provide your API key in the " +
			"Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
	case hasKeyPrefix(key, "sk_test_"), hasKeyPrefix(key, "rk_test_"):
		return false, nil
	case hasKeyPrefix(key, "sk_live_"), hasKeyPrefix(key, "rk_live_"):
		return true, nil
	case strings.HasPrefix(key, "pk_"):
		e := unauthorized("This API call cannot be made with a publishable API key. Please use a secret API key.")
		e.status, e.code = http.StatusForbidden, "secret_key_required"
		return false, e
	}
	return false, unauthorized("Invalid API Key provided: " + masked(key))
}

func hasKeyPrefix(key, prefix string) bool {
	return strings.HasPrefix(key, prefix) && len(key) > len(prefix) && !strings.ContainsAny(key, " \t,")
}

// masked hides the middle of a key, as Stripe does.
func masked(key string) string {
	if len(key) <= 12 {
		return strings.Repeat("*", len(key))
	}
	return key[:8] + strings.Repeat("*", len(key)-12) + key[len(key)-4:]
}

// limiter counts requests per second and mode.
type limiter struct {
	mu        sync.Mutex
	perSecond atomic.Int64
	second    [2]int64
	used      [2]int64
}

func (l *limiter) allow(live bool, now time.Time) bool {
	limit := l.perSecond.Load()
	if limit <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := 0
	if live {
		i = 1
	}
	if sec := now.Unix(); sec != l.second[i] {
		l.second[i], l.used[i] = sec, 0
	}
	l.used[i]++
	return l.used[i] <= limit
}
