package stripesim

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The kinds of Fault.
const (
	// FaultBody answers 200 with an unusable body: see Fault.Body.
	FaultBody = "body"
	// FaultHang executes the request and sends nothing for Delay, or until the
	// client gives up. Then it closes the connection without an answer.
	FaultHang = "hang"
	// FaultLatency delays the answer by Delay, before or after the effect. A delay
	// before the effect holds the locks of the idempotency key and the object.
	FaultLatency = "latency"
	// FaultProcessing keeps an approved payment in processing for Delay.
	FaultProcessing = "processing"
	// FaultPruneKey forgets the request's idempotency key before it is looked up,
	// as if its retention had ended.
	FaultPruneKey = "prune_key"
	// FaultReset resets the connection, before or after the effect.
	FaultReset = "reset"
	// FaultStatus answers with Status, before or after the effect.
	FaultStatus = "status"
)

// When a fault happens, relative to the effect of the request.
const (
	After  = "after"
	Before = "before"
)

// The bodies of a FaultBody.
const (
	BodyCut       = "cut"       // the connection is closed in the middle of the body
	BodyEmpty     = "empty"     // nothing
	BodyInvalid   = "invalid"   // not JSON
	BodyTruncated = "truncated" // JSON that ends in the middle, with a matching Content-Length
)

// Fault is a rule that changes the answers to matching API requests.
type Fault struct {
	// ID identifies the rule. Empty means a new id.
	ID string `json:"id,omitempty"`
	// Match selects the requests. The zero Match matches every request.
	Match Match `json:"match,omitzero"`
	// Dice selects some of these. The zero Dice selects all.
	Dice

	Kind string `json:"kind"`
	// When is Before (the default) or After the effect.
	When string `json:"when,omitempty"`

	// Body is required for FaultBody.
	Body string `json:"body,omitempty"`
	// Code is the error's code, for FaultStatus. Statuses 429 and 409 have default
	// codes.
	Code string `json:"code,omitempty"`
	// Delay is required for FaultLatency, FaultHang and FaultProcessing.
	Delay Duration `json:"delay,omitempty"`
	// HTML answers with an HTML page like a load balancer's, for FaultStatus.
	HTML bool `json:"html,omitempty"`
	// ShouldRetry is the value of Stripe-Should-Retry, "true" or "false", for
	// FaultStatus.
	ShouldRetry string `json:"should_retry,omitempty"`
	// Status is required for FaultStatus. As at Stripe, 401, 403, 409 and 429
	// always come before the effect and are never stored.
	Status int `json:"status,omitempty"`
	// Stored stores the faulty answer under the idempotency key, for FaultStatus.
	// Otherwise a retry executes the request (before the effect) or gets the real
	// answer (after it).
	Stored bool `json:"stored,omitempty"`
}

// Match selects requests or events. Empty fields match everything, and all other
// fields must match. Amount, Customer, Metadata and PaymentMethod match the
// parameters and the objects of the request or event.
type Match struct {
	Amount        int64             `json:"amount,omitempty"`
	Customer      string            `json:"customer,omitempty"`
	Event         string            `json:"event,omitempty"` // an event type, which may end in *; webhook faults only
	IdemKey       string            `json:"idempotency_key,omitempty"`
	Live          *bool             `json:"livemode,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Method        string            `json:"method,omitempty"`
	Object        string            `json:"object,omitempty"` // an object's id, such as pi_…
	Path          string            `json:"path,omitempty"`   // a pattern of [path.Match], such as "/v1/payment_intents/*/confirm"
	PaymentMethod string            `json:"payment_method,omitempty"`
}

// Dice selects some of the matches.
type Dice struct {
	// Count is the maximum number of hits. Zero means no limit.
	Count int `json:"count,omitempty"`
	// Every selects each n-th match. Zero means each one.
	Every int `json:"every,omitempty"`
	// Probability is the chance of a hit, between 0 and 1. Zero means always.
	Probability float64 `json:"probability,omitempty"`
	// Skip is the number of first matches that are not hit.
	Skip int `json:"skip,omitempty"`
}

// Duration is a [time.Duration] that is encoded in JSON as "1.5s". A plain number
// means milliseconds.
type Duration time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text != "" && strings.Trim(text, "0123456789") == "" {
		text += "ms"
	}
	v, err := time.ParseDuration(text)
	*d = Duration(v)
	return err
}

// FaultStatusReport is a rule with its counters.
type FaultStatusReport[F any] struct {
	Rule    F     `json:"rule"`
	Matched int64 `json:"matched"` // matching requests or events
	Applied int64 `json:"applied"` // those of them that were hit
}

// rule is a fault with its counters.
type rule[F any] struct {
	applied int64
	dice    Dice
	fault   F
	id      string
	match   Match
	matched int64
	rng     *rand.Rand
}

// faultSet holds the rules of one kind. Without rules, a request costs one atomic
// load.
type faultSet[F any] struct {
	any   atomic.Bool
	mu    sync.Mutex
	next  uint64
	rules []*rule[F]
	seed  uint64
}

func (s *faultSet[F]) add(id string, m Match, d Dice, set func(id string) F) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	if id == "" {
		id = fmt.Sprintf("rule_%d", s.next)
	}
	s.rules = slices.DeleteFunc(s.rules, func(r *rule[F]) bool { return r.id == id })
	s.rules = append(s.rules, &rule[F]{
		dice: d, fault: set(id), id: id, match: m,
		rng: rand.New(rand.NewPCG(s.seed, s.next)), //nolint:gosec // repeatable dice, not a secret
	})
	s.any.Store(true)
	return id
}

func (s *faultSet[F]) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.rules)
	s.rules = slices.DeleteFunc(s.rules, func(r *rule[F]) bool { return r.id == id })
	s.any.Store(len(s.rules) > 0)
	return len(s.rules) < n
}

func (s *faultSet[F]) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	s.any.Store(false)
}

func (s *faultSet[F]) report() []FaultStatusReport[F] {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]FaultStatusReport[F], 0, len(s.rules))
	for _, r := range s.rules {
		out = append(out, FaultStatusReport[F]{Rule: r.fault, Matched: r.matched, Applied: r.applied})
	}
	return out
}

// hit returns the faults that apply to the subject.
func (s *faultSet[F]) hit(subject *subject) []F {
	if !s.any.Load() {
		return nil
	}
	s.mu.Lock()
	rules := slices.Clone(s.rules)
	s.mu.Unlock()
	var out []F
	for _, r := range rules {
		if !subject.matches(&r.match) { // takes the account's lock, so s.mu must not be held
			continue
		}
		s.mu.Lock()
		if r.roll() {
			out = append(out, r.fault)
		}
		s.mu.Unlock()
	}
	return out
}

// roll counts a match and reports whether it is hit.
func (r *rule[F]) roll() bool {
	r.matched++
	n := r.matched - int64(r.dice.Skip)
	switch {
	case n <= 0,
		r.dice.Count > 0 && r.applied >= int64(r.dice.Count),
		r.dice.Every > 1 && n%int64(r.dice.Every) != 0,
		r.dice.Probability > 0 && r.rng.Float64() >= r.dice.Probability:
		return false
	}
	r.applied++
	return true
}

// subject is what rules are matched against. It looks up the objects only if a rule
// needs them.
type subject struct {
	event   string
	facts   func() facts
	idemKey string
	live    bool
	method  string
	path    string

	known  bool
	lookup facts
}

// facts are the properties of a request or event that rules can match.
type facts struct {
	amount        int64
	customer      string
	ids           []string
	metadata      []Metadata
	paymentMethod []string
}

func (s *subject) matches(m *Match) bool {
	if m.Live != nil && *m.Live != s.live ||
		m.Method != "" && !strings.EqualFold(m.Method, s.method) ||
		m.Path != "" && !pathMatches(m.Path, s.path) ||
		m.IdemKey != "" && !pathMatches(m.IdemKey, s.idemKey) ||
		m.Event != "" && !typeMatches(m.Event, s.event) {
		return false
	}
	if m.Amount == 0 && m.Customer == "" && m.Object == "" && m.PaymentMethod == "" && len(m.Metadata) == 0 {
		return true
	}
	if !s.known {
		s.lookup, s.known = s.facts(), true
	}
	f := &s.lookup
	return (m.Amount == 0 || m.Amount == f.amount) &&
		(m.Customer == "" || m.Customer == f.customer) &&
		(m.Object == "" || slices.Contains(f.ids, m.Object)) &&
		(m.PaymentMethod == "" || slices.Contains(f.paymentMethod, m.PaymentMethod)) &&
		f.hasMetadata(m.Metadata)
}

func (f *facts) hasMetadata(want map[string]string) bool {
	for k, v := range want {
		found := slices.ContainsFunc(f.metadata, func(m Metadata) bool {
			got := m.Get(k)
			return got == v || v == "*" && got != ""
		})
		if !found {
			return false
		}
	}
	return true
}

func pathMatches(pattern, p string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/**"); ok {
		return p == prefix || strings.HasPrefix(p, prefix+"/")
	}
	ok, err := path.Match(pattern, p)
	return ok && err == nil
}

// typeMatches reports whether an event type matches a pattern such as "charge.*".
func typeMatches(pattern, typ string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(typ, prefix)
	}
	return pattern == typ
}
