package torture

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A Plan lists everything that happens in a storm, and when. It depends on the
// options only, so the same seed makes the same plan. Results can still differ,
// because they depend on the timing of the processes.
type Plan struct {
	Seed     uint64
	Duration time.Duration
	Payments []Payment
	Actions  []Action
}

// Payment is what one client does, or several clients that share a key.
type Payment struct {
	At       time.Duration
	Merchant int
	Card     string
	Amount   int64
	// Lago makes it a purchase in the dialect of that name: it is pending at first,
	// settled later, and read only in the end.
	Lago bool
	// Key is the client's Idempotency-Key. Without one, a repeated request is
	// another payment.
	Key string
	// Twins is the number of simultaneous requests.
	Twins int
	// Repeats makes a client without a key repeat its request.
	Repeats bool
	// HangUp is when the client closes its first connection. Zero means never.
	HangUp time.Duration
	// Async asks for an immediate answer.
	Async bool
	// Challenge is how the cardholder answers a challenge, and After when.
	Challenge string
	After     time.Duration
}

// The answers to a challenge.
const (
	challengePass    = "pass"
	challengeFail    = "fail"
	challengeAbandon = "abandon"
)

// ActionKind is a kind of Action.
type ActionKind string

// The kinds of actions.
const (
	ActionDispute   ActionKind = "dispute"   // by a cardholder, with its result
	ActionFreeze    ActionKind = "freeze"    // SIGSTOP, until other processes consider its jobs lost
	ActionForge     ActionKind = "forge"     // an event that Stripe did not send, with a valid signature
	ActionKill      ActionKind = "kill"      // SIGKILL
	ActionLine      ActionKind = "line"      // a fault between a process and the database server
	ActionOutage    ActionKind = "outage"    // every request to Stripe fails
	ActionRefund    ActionKind = "refund"    // by an operator in Stripe's dashboard
	ActionReplay    ActionKind = "replay"    // deliveries of earlier events
	ActionRestart   ActionKind = "restart"   // the database server
	ActionSilence   ActionKind = "silence"   // no webhook is delivered
	ActionTerm      ActionKind = "term"      // SIGTERM
	ActionTerminate ActionKind = "terminate" // of database connections
)

// Action is one disturbance of the system.
type Action struct {
	At   time.Duration
	Kind ActionKind
	// For is its duration, such as how long a process stays down.
	For time.Duration
	// Process is the index of the process.
	Process int
	// Count is the number of connections or events.
	Count int
	// Hard kills the database server instead of stopping it.
	Hard bool
	// Pick selects a target among those that exist when the action starts.
	Pick uint64
}

// cards are the cards of the payments, with their relative frequency. Disputes and
// lost answers do not depend on the card.
var cards = []struct {
	id     string
	weight int
}{
	{"pm_card_visa", 44},
	{"pm_card_mastercard", 10},
	{cardChallenged, 26},
	{"pm_card_threeDSecureRequiredChargeDeclined", 5},
	{"pm_card_chargeDeclined", 5},
	{"pm_card_chargeDeclinedInsufficientFunds", 5},
	{"pm_card_chargeDeclinedExpiredCard", 3},
	{"pm_card_chargeDeclinedProcessingError", 2},
}

const cardChallenged = "pm_card_authenticationRequired"

// lostAnswerAmount marks payments that are charged without an answer: Stripe stores
// a failure under their key, and no webhook about them is delivered.
const lostAnswerAmount = 13_13

// actionsEvery is the mean interval between actions of each kind.
var actionsEvery = []struct {
	kind  ActionKind
	every time.Duration
}{
	{ActionDispute, 4 * time.Second},
	{ActionForge, 3 * time.Second},
	{ActionFreeze, 25 * time.Second},
	{ActionKill, 4 * time.Second},
	{ActionLine, time.Second},
	{ActionOutage, 20 * time.Second},
	{ActionRefund, 1500 * time.Millisecond},
	{ActionReplay, 2 * time.Second},
	{ActionSilence, 15 * time.Second},
	{ActionTerm, 7 * time.Second},
	{ActionTerminate, 2 * time.Second},
}

// restartEvery is the interval between restarts of the database server. Every storm
// has at least one.
const restartEvery = 3 * time.Minute

// longestLineFault is longer than the services' patience with a silent connection, and
// than a write in doubt keeps its client waiting.
const longestLineFault = 11 * time.Second

// NewPlan returns the plan of a storm.
func NewPlan(o Options) Plan {
	p := Plan{Seed: o.Seed, Duration: o.Duration}
	p.planPayments(o, rand.New(rand.NewPCG(o.Seed, 1))) //nolint:gosec // repeatable dice, not a secret
	p.planActions(o, rand.New(rand.NewPCG(o.Seed, 2)))  //nolint:gosec // repeatable dice, not a secret
	slices.SortStableFunc(p.Payments, func(a, b Payment) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(p.Actions, func(a, b Action) int { return cmp.Compare(a.At, b.At) })
	return p
}

// Digest returns a fingerprint of the plan. Equal plans have the same digest.
func (p Plan) Digest() string {
	text, err := json.Marshal(p)
	if err != nil {
		return err.Error() // cannot happen: every plan can be encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func (p *Plan) planPayments(o Options, r *rand.Rand) {
	total := int(o.Duration.Seconds() * float64(o.Rate))
	for n := 0; n < total; {
		at := upTo(r, o.Duration)
		merchant := r.IntN(merchants)
		// Some payments go into one wallet at the same moment.
		racers := 1
		if r.IntN(6) == 0 {
			racers = 2 + r.IntN(4)
		}
		for range min(racers, total-n) {
			p.Payments = append(p.Payments, newPayment(r, n, at, merchant))
			n++
		}
	}
}

func newPayment(r *rand.Rand, n int, at time.Duration, merchant int) Payment {
	p := Payment{
		At:       at,
		Merchant: merchant,
		Card:     pickCard(r),
		Amount:   10_00 + r.Int64N(490_00),
		Twins:    1,
		Async:    r.IntN(5) == 0,
		After:    upTo(r, 3*time.Second),
	}
	switch r.IntN(10) {
	case 0:
		p.Challenge = challengeAbandon
	case 1, 2:
		p.Challenge = challengeFail
	default:
		p.Challenge = challengePass
	}
	if r.IntN(4) == 0 { // close to the deadline
		p.After = actionDeadline - time.Second + upTo(r, 3*time.Second)
	}
	if r.IntN(4) > 0 {
		p.Key = fmt.Sprintf("storm-%d", n)
		if r.IntN(5) == 0 {
			p.Twins = 2 + r.IntN(3)
		}
	} else {
		p.Repeats = r.IntN(3) == 0
	}
	if r.IntN(5) == 0 {
		p.HangUp = upTo(r, 400*time.Millisecond)
	}
	if p.Key != "" && r.IntN(4) == 0 {
		p.Lago, p.Async = true, false
	}
	if r.IntN(16) == 0 {
		p.Amount, p.Card = lostAnswerAmount, "pm_card_visa"
	}
	return p
}

func pickCard(r *rand.Rand) string {
	total := 0
	for _, c := range cards {
		total += c.weight
	}
	n := r.IntN(total)
	for _, c := range cards {
		if n -= c.weight; n < 0 {
			return c.id
		}
	}
	return cards[0].id
}

func (p *Plan) planActions(o Options, r *rand.Rand) {
	for _, a := range actionsEvery {
		// At least one, so that even a short storm has every kind.
		for i := range max(int(o.Duration/a.every), 1) {
			next := newAction(a.kind, o, r)
			if a.kind == ActionLine {
				next.Pick = uint64(i) // each fault of the line equally often
			}
			p.Actions = append(p.Actions, next)
		}
	}
	for i := range max(int(o.Duration/restartEvery), 1) {
		a := newAction(ActionRestart, o, r)
		a.Hard = i%2 == 0
		p.Actions = append(p.Actions, a)
	}
}

func newAction(kind ActionKind, o Options, r *rand.Rand) Action {
	// Not in the first tenth, because an action needs payments to act on.
	a := Action{At: o.Duration/10 + upTo(r, o.Duration*9/10), Kind: kind, Pick: r.Uint64()}
	switch kind {
	case ActionDispute, ActionRefund:
		a.For = upTo(r, 4*time.Second)
	case ActionFreeze:
		a.Process, a.For = r.IntN(o.Processes), rescueAfter+upTo(r, 2*time.Second)
	case ActionKill, ActionTerm:
		a.Process, a.For = r.IntN(o.Processes), upTo(r, 1500*time.Millisecond)
	case ActionLine:
		// A short storm must have time for other things.
		a.Process, a.For = r.IntN(o.Processes), upTo(r, min(longestLineFault, o.Duration/6))
	case ActionOutage:
		a.For = 500*time.Millisecond + upTo(r, 3*time.Second)
	case ActionSilence:
		a.For = time.Second + upTo(r, 4*time.Second)
	case ActionReplay:
		a.Count = 1 + r.IntN(20)
	case ActionTerminate:
		a.Count = 1 + r.IntN(4)
	case ActionForge, ActionRestart:
	}
	return a
}

// upTo returns a random duration below d.
func upTo(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(d))).Round(time.Millisecond)
}
