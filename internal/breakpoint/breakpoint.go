// Package breakpoint lets tests break Fundrail on purpose. A switch disables one
// safeguard, and a crash point kills the process at one step. `fundrail torture`
// runs against each switch, because a test that cannot fail proves nothing.
//
// In a production service the package has no effect: every hook costs one atomic
// load of a nil pointer. Only package worker calls Enable. Package config accepts the
// settings for it only if all addresses are on the loopback interface and no live key
// is set. The database must also carry the marker that those settings name.
package breakpoint

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
)

// Switch names a safeguard that can be disabled.
type Switch string

// The safeguards.
const (
	// BlindDeadline abandons a challenge at its deadline without asking Stripe.
	BlindDeadline Switch = "blind-deadline"
	// CancelOnAbsence assumes that an intent which Stripe does not list does not
	// exist.
	CancelOnAbsence Switch = "cancel-on-absence"
	// DeliveryOrder delivers events although earlier events of the same object
	// could not be delivered.
	DeliveryOrder Switch = "delivery-order"
	// DeliveryRetry attempts each delivery only once.
	DeliveryRetry Switch = "delivery-retry"
	// DoubtAsRefusal answers a write whose result is unknown as if it had been refused.
	DoubtAsRefusal Switch = "doubt-as-refusal"
	// EventAsMoney settles by the content of an event instead of Stripe's current
	// state.
	EventAsMoney Switch = "event-as-money"
	// IdempotencyKey ignores the idempotency keys of clients.
	IdempotencyKey Switch = "idempotency-key"
	// JobOutsideTx inserts a payment's job after the payment's commit.
	JobOutsideTx Switch = "job-outside-tx"
	// LostAnswer treats a lost answer of Stripe as a refusal.
	LostAnswer Switch = "lost-answer"
	// NewKeyOnRetry repeats a charge under a new key.
	NewKeyOnRetry Switch = "new-key-on-retry"
	// OpenIntent leaves the intents of failed payments open.
	OpenIntent Switch = "open-intent"
	// SettleGuard settles payments in any state.
	SettleGuard Switch = "settle-guard"
	// StaleKey repeats a charge under its key although Stripe may have forgotten
	// the key.
	StaleKey Switch = "stale-key"
	// WalletLock settles payments without locking the wallets first.
	WalletLock Switch = "wallet-lock"
	// WebhookDedupe handles every delivery of an event, even repeated ones.
	WebhookDedupe Switch = "webhook-dedupe"
)

// Switches lists every switch.
var Switches = []Switch{
	BlindDeadline, CancelOnAbsence, DeliveryOrder, DeliveryRetry, DoubtAsRefusal, EventAsMoney, IdempotencyKey, JobOutsideTx, LostAnswer,
	NewKeyOnRetry, OpenIntent, SettleGuard, StaleKey, WalletLock, WebhookDedupe,
}

// Point names a step after which the process can be killed.
type Point string

// The steps after which a process can be killed, in the order of a payment's life.
const (
	// AcceptCommitted: payments are committed, and their clients have no answer
	// yet.
	AcceptCommitted Point = "accept-committed"
	// ChargeRead: the charge job has read its payment.
	ChargeRead Point = "charge-read"
	// ChargeAnswered: Stripe has answered, and the answer is not stored.
	ChargeAnswered Point = "charge-answered"
	// OutcomeStored: an outcome is stored, and its job is not completed.
	OutcomeStored Point = "outcome-stored"
	// IntentClosed: a failed payment's intent is canceled at Stripe.
	IntentClosed Point = "intent-closed"
	// IntakeCommitted: events are committed, and Stripe has no answer yet.
	IntakeCommitted Point = "intake-committed"
	// EventRead: an event's job has read its event.
	EventRead Point = "event-read"
	// EventAnswered: Stripe has returned the current state of the event's object.
	EventAnswered Point = "event-answered"
	// EventFinished: an event is marked as handled, and its job is not completed.
	EventFinished Point = "event-finished"
	// ChecksWritten: checks are claimed and their jobs are written, but not
	// committed.
	ChecksWritten Point = "checks-written"
	// CheckRead: a check has read its payment.
	CheckRead Point = "check-read"
)

// Points lists every point.
var Points = []Point{
	AcceptCommitted, ChargeRead, ChargeAnswered, OutcomeStored, IntentClosed,
	IntakeCommitted, EventRead, EventAnswered, EventFinished, ChecksWritten, CheckRead,
}

// plan is what Enable has set. Without Enable there is none.
type plan struct {
	broken Switch
	crash  Point
}

var current atomic.Pointer[plan]

// Enable breaks this process until it ends. Either argument may be empty. Unknown
// names are an error.
func Enable(broken Switch, crash Point) error {
	if broken != "" && !slices.Contains(Switches, broken) {
		return fmt.Errorf("unknown switch %q", broken)
	}
	if crash != "" && !slices.Contains(Points, crash) {
		return fmt.Errorf("unknown crash point %q", crash)
	}
	current.Store(&plan{broken: broken, crash: crash})
	return nil
}

// Broken reports whether a safeguard is disabled.
func Broken(s Switch) bool {
	p := current.Load()
	return p != nil && p.broken == s
}

// Reach kills the process if this is its crash point. It uses SIGKILL, so that
// nothing is flushed, closed or logged.
func Reach(point Point) {
	p := current.Load()
	if p == nil || p.crash != point {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // an error would leave the process blocked in the select below
	select {}
}
