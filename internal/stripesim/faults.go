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
	// FaultBody answers 200 with a body that cannot be read: see Fault.Body.
	FaultBody = "body"
	// FaultHang takes effect and then says nothing for Delay, or until the
	// client gives up; then the connection is closed without an answer.
	FaultHang = "hang"
	// FaultLatency answers late by Delay, before or after the effect. Before
	// it, the idempotency key and the object stay locked meanwhile.
	FaultLatency = "latency"
	// FaultProcessing leaves an approved payment in processing for Delay.
	FaultProcessing = "processing"
	// FaultPruneKey forgets the request's idempotency key before looking at it,
	// as if its retention were over.
	FaultPruneKey = "prune_key"
	// FaultReset resets the connection, before or after the effect.
	FaultReset = "reset"
	// FaultStatus answers Status, before or after the effect.
	FaultStatus = "status"
)

// When a fault happens, seen from the effect of the request.
const (
	After  = "after"
	Before = "before"
)

// What a FaultBody sends.
const (
	BodyCut       = "cut"       // the connection ends in the middle of the body
	BodyEmpty     = "empty"     // nothing
	BodyInvalid   = "invalid"   // not JSON
	BodyTruncated = "truncated" // JSON that stops in the middle
)

// Fault makes matching API requests go wrong.
type Fault struct {
	// ID names the rule; one is made when it is empty.
	ID string `json:"id,omitempty"`
	// Match says which requests are meant. The zero Match is every request.
	Match Match `json:"match,omitzero"`
	// Dice says which of those are hit. The zero Dice hits all.
	Dice

	Kind string `json:"kind"`
	// When is Before (the default) or After the effect.
	When string `json:"when,omitempty"`

	// Body is for FaultBody.
	Body string `json:"body,omitempty"`
	// Code is the error's code, for FaultStatus. 429 and 409 have theirs by default.
	Code string `json:"code,omitempty"`
	// Delay is for FaultLatency, FaultHang and FaultProcessing.
	Delay Duration `json:"delay,omitempty"`
	// HTML answers with a page as a load balancer's, for FaultStatus.
	HTML bool `json:"html,omitempty"`
	// ShouldRetry is "true" or "false" to send Stripe-Should-Retry, for FaultStatus.
	ShouldRetry string `json:"should_retry,omitempty"`
	// Status is for FaultStatus. 401, 403, 409 and 429 always come before the
	// effect and are never stored, as at Stripe.
	Status int `json:"status,omitempty"`
	// Stored keeps the faulty answer under the idempotency key, for FaultStatus.
	// Otherwise a retry executes (before the effect) or gets the true answer (after).
	Stored bool `json:"stored,omitempty"`
}

// Match selects requests or events. Empty fields match everything; the others
// must all match. Amount, Customer, Metadata and PaymentMethod are looked for
// in the parameters and in the object that the request or event is about.
type Match struct {
	Amount        int64             `json:"amount,omitempty"`
	Customer      string            `json:"customer,omitempty"`
	Event         string            `json:"event,omitempty"` // type with wildcards; webhook faults only
	IdemKey       string            `json:"idempotency_key,omitempty"`
	Live          *bool             `json:"livemode,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Method        string            `json:"method,omitempty"`
	Object        string            `json:"object,omitempty"` // id of the object, such as pi_…
	Path          string            `json:"path,omitempty"`   // as [path.Match]: "/v1/payment_intents/*/confirm"
	PaymentMethod string            `json:"payment_method,omitempty"`
}

// Dice selects some of the matches.
type Dice struct {
	// Count stops the rule after so many hits. Zero means never.
	Count int `json:"count,omitempty"`
	// Every hits each n-th match. Zero means each one.
	Every int `json:"every,omitempty"`
	// Probability hits with this chance, between 0 and 1. Zero means always.
	Probability float64 `json:"probability,omitempty"`
	// Skip lets the first matches pass.
	Skip int `json:"skip,omitempty"`
}

// Duration is a [time.Duration] that reads and writes JSON as "1.5s". A bare
// number is milliseconds.
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

// FaultStatusReport tells what a rule has done so far.
type FaultStatusReport[F any] struct {
	Rule    F     `json:"rule"`
	Matched int64 `json:"matched"` // requests or events that matched
	Applied int64 `json:"applied"` // of those, the ones that were hit
}

// rule is a fault and its counters.
type rule[F any] struct {
	applied int64
	dice    Dice
	fault   F
	id      string
	match   Match
	matched int64
	rng     *rand.Rand
}

// faultSet holds the rules of one kind. The common case, none, costs one load.
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
		rng: rand.New(rand.NewPCG(s.seed, s.next)), //nolint:gosec // dice that repeat with their seed
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

// hit returns the faults that strike the subject.
func (s *faultSet[F]) hit(subject *subject) []F {
	if !s.any.Load() {
		return nil
	}
	s.mu.Lock()
	rules := slices.Clone(s.rules)
	s.mu.Unlock()
	var out []F
	for _, r := range rules {
		if !subject.matches(&r.match) { // takes the account's lock, so not under ours
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

// roll counts a match and decides whether it is hit.
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

// subject is what a rule is matched against. Looking up the object is put off
// until a rule asks for it.
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

// facts are what a request or event is about.
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

// typeMatches compares an event type with a pattern such as "charge.*".
func typeMatches(pattern, typ string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(typ, prefix)
	}
	return pattern == typ
}
