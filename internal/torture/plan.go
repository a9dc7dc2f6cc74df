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

// A Plan is everything that will happen in a storm, and when. It follows from the
// options alone, so the same seed plays the same storm; what comes of it depends
// on which process was quicker.
type Plan struct {
	Seed     uint64
	Duration time.Duration
	Payments []Payment
	Actions  []Action
}

// Payment is what one client will do, or several that share a key.
type Payment struct {
	At       time.Duration
	Merchant int
	Card     string
	Amount   int64
	// Lago makes it a purchase in the dialect of that name: pending now, settled
	// later, and looked at only in the end.
	Lago bool
	// Key is the client's Idempotency-Key. Without one, a repeated request is
	// another payment, as the client must know.
	Key string
	// Twins is how many requests go out at the same time.
	Twins int
	// Repeats tells a client without a key to repeat its request all the same.
	Repeats bool
	// HangUp is when the client's first connection breaks off; zero is never.
	HangUp time.Duration
	// Async asks for an answer at once.
	Async bool
	// Challenge is what the cardholder does when challenged, and After when.
	Challenge string
	After     time.Duration
}

// What a cardholder does with a challenge.
const (
	challengePass    = "pass"
	challengeFail    = "fail"
	challengeAbandon = "abandon"
)

// ActionKind says what is done to the machinery.
type ActionKind string

// What is done to the machinery.
const (
	ActionDispute   ActionKind = "dispute"   // by a cardholder, and what becomes of it
	ActionFreeze    ActionKind = "freeze"    // SIGSTOP, until others have taken its jobs for lost
	ActionForge     ActionKind = "forge"     // an event that Stripe never sent, rightly signed
	ActionKill      ActionKind = "kill"      // SIGKILL
	ActionOutage    ActionKind = "outage"    // every request to Stripe fails
	ActionRefund    ActionKind = "refund"    // by somebody at Stripe's dashboard
	ActionReplay    ActionKind = "replay"    // events come once more
	ActionRestart   ActionKind = "restart"   // the database server
	ActionSilence   ActionKind = "silence"   // no webhook comes
	ActionTerm      ActionKind = "term"      // SIGTERM
	ActionTerminate ActionKind = "terminate" // database connections
)

// Action is one thing done to the machinery.
type Action struct {
	At   time.Duration
	Kind ActionKind
	// For is how long it lasts: how long a process stays down, Stripe stays away.
	For time.Duration
	// Process is which one.
	Process int
	// Count is how many connections, events or copies.
	Count int
	// Hard makes a restart of the server a kill.
	Hard bool
	// Pick chooses among what there is when the time has come.
	Pick uint64
}

// cards are what payments are made with, and how often. The dispute of a charge
// and the loss of an answer are matters of their own.
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

// unluckyAmount marks payments that are charged and whose answer is lost for
// good: Stripe stores the failure under their key, and no webhook tells of them.
const unluckyAmount = 13_13

// actionsEvery is how often each kind comes, on average.
var actionsEvery = []struct {
	kind  ActionKind
	every time.Duration
}{
	{ActionDispute, 4 * time.Second},
	{ActionForge, 3 * time.Second},
	{ActionFreeze, 25 * time.Second},
	{ActionKill, 4 * time.Second},
	{ActionOutage, 20 * time.Second},
	{ActionRefund, 1500 * time.Millisecond},
	{ActionReplay, 2 * time.Second},
	{ActionSilence, 15 * time.Second},
	{ActionTerm, 7 * time.Second},
	{ActionTerminate, 2 * time.Second},
}

// restartEvery is how often the database server is restarted; once at least.
const restartEvery = 3 * time.Minute

// NewPlan makes the plan of a storm.
func NewPlan(o Options) Plan {
	p := Plan{Seed: o.Seed, Duration: o.Duration}
	p.planPayments(o, rand.New(rand.NewPCG(o.Seed, 1))) //nolint:gosec // dice that can be thrown again
	p.planActions(o, rand.New(rand.NewPCG(o.Seed, 2)))  //nolint:gosec // dice that can be thrown again
	slices.SortStableFunc(p.Payments, func(a, b Payment) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(p.Actions, func(a, b Action) int { return cmp.Compare(a.At, b.At) })
	return p
}

// Digest is a fingerprint of the plan: two storms with the same one were planned
// alike.
func (p Plan) Digest() string {
	text, err := json.Marshal(p)
	if err != nil {
		return err.Error() // there is nothing in a plan that cannot be written
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func (p *Plan) planPayments(o Options, r *rand.Rand) {
	total := int(o.Duration.Seconds() * float64(o.Rate))
	for n := 0; n < total; {
		at := upTo(r, o.Duration)
		merchant := r.IntN(merchants)
		// Now and then, several go into one wallet in the same moment.
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
	if r.IntN(4) == 0 { // right at the deadline
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
		p.Amount, p.Card = unluckyAmount, "pm_card_visa"
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
		// One at least, so that a short storm knows every kind as well.
		for range max(int(o.Duration/a.every), 1) {
			p.Actions = append(p.Actions, newAction(a.kind, o, r))
		}
	}
	for i := range max(int(o.Duration/restartEvery), 1) {
		a := newAction(ActionRestart, o, r)
		a.Hard = i%2 == 0
		p.Actions = append(p.Actions, a)
	}
}

func newAction(kind ActionKind, o Options, r *rand.Rand) Action {
	// Not in the first moments: there should be something to strike at.
	a := Action{At: o.Duration/10 + upTo(r, o.Duration*9/10), Kind: kind, Pick: r.Uint64()}
	switch kind {
	case ActionDispute, ActionRefund:
		a.For = upTo(r, 4*time.Second)
	case ActionFreeze:
		a.Process, a.For = r.IntN(o.Processes), rescueAfter+upTo(r, 2*time.Second)
	case ActionKill, ActionTerm:
		a.Process, a.For = r.IntN(o.Processes), upTo(r, 1500*time.Millisecond)
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

// upTo is a random part of a time.
func upTo(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(d))).Round(time.Millisecond)
}
