// Package breakpoint lets tests break Fundrail on purpose: a switch takes one
// safeguard away, and a crash point kills the process at one step. A proof that
// cannot fail proves nothing, so `fundrail torture` is run against each switch.
//
// In a service that runs for real everything here is inert and costs one load of
// a nil pointer. Enable is called by package worker alone, and only for settings
// that package config accepts (everything on the loopback interface, no live
// key) on a database that carries the marker which those settings name.
package breakpoint

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
)

// Switch names a safeguard that can be taken away.
type Switch string

// The safeguards.
const (
	// BlindDeadline gives a challenge up at its deadline without asking Stripe.
	BlindDeadline Switch = "blind-deadline"
	// CancelOnAbsence takes an intent that Stripe does not list for one that
	// does not exist.
	CancelOnAbsence Switch = "cancel-on-absence"
	// DeliveryOrder lets events pass those of the same object that have failed to
	// reach their merchant.
	DeliveryOrder Switch = "delivery-order"
	// DeliveryRetry tries once to tell a merchant, and never again.
	DeliveryRetry Switch = "delivery-retry"
	// EventAsMoney settles what an event says instead of what Stripe says.
	EventAsMoney Switch = "event-as-money"
	// IdempotencyKey forgets the keys of clients.
	IdempotencyKey Switch = "idempotency-key"
	// JobOutsideTx inserts a payment's job after the payment's commit.
	JobOutsideTx Switch = "job-outside-tx"
	// LostAnswer takes a lost answer of Stripe's for a refusal.
	LostAnswer Switch = "lost-answer"
	// NewKeyOnRetry repeats a charge under a new key.
	NewKeyOnRetry Switch = "new-key-on-retry"
	// OpenIntent leaves the intents of failed payments open.
	OpenIntent Switch = "open-intent"
	// SettleGuard settles payments whatever their state.
	SettleGuard Switch = "settle-guard"
	// StaleKey repeats a charge under its key when Stripe may have forgotten it.
	StaleKey Switch = "stale-key"
	// WalletLock settles into wallets without locking them first.
	WalletLock Switch = "wallet-lock"
	// WebhookDedupe acts on every delivery of an event.
	WebhookDedupe Switch = "webhook-dedupe"
)

// Switches lists every switch.
var Switches = []Switch{
	BlindDeadline, CancelOnAbsence, DeliveryOrder, DeliveryRetry, EventAsMoney, IdempotencyKey, JobOutsideTx, LostAnswer, NewKeyOnRetry,
	OpenIntent, SettleGuard, StaleKey, WalletLock, WebhookDedupe,
}

// Point names a step after which the process can be made to die.
type Point string

// The steps at which a process can die, in the order in which a payment meets
// them.
const (
	// AcceptCommitted: they are committed, and nobody has been told.
	AcceptCommitted Point = "accept-committed"
	// ChargeRead: the charge job has read its payment.
	ChargeRead Point = "charge-read"
	// ChargeAnswered: Stripe has answered, and nothing of it is stored.
	ChargeAnswered Point = "charge-answered"
	// OutcomeStored: an outcome is stored, and the job is not completed.
	OutcomeStored Point = "outcome-stored"
	// IntentClosed: a failed payment's intent is canceled at Stripe.
	IntentClosed Point = "intent-closed"
	// IntakeCommitted: they are committed, and Stripe has not been told.
	IntakeCommitted Point = "intake-committed"
	// EventRead: the event's job has read its event.
	EventRead Point = "event-read"
	// EventAnswered: Stripe has said how things stand.
	EventAnswered Point = "event-answered"
	// EventFinished: the event is marked, and its job is not completed.
	EventFinished Point = "event-finished"
	// ChecksWritten: checks are claimed and their jobs written, not committed.
	ChecksWritten Point = "checks-written"
	// CheckRead: a check has read its payment.
	CheckRead Point = "check-read"
)

// Points lists every point.
var Points = []Point{
	AcceptCommitted, ChargeRead, ChargeAnswered, OutcomeStored, IntentClosed,
	IntakeCommitted, EventRead, EventAnswered, EventFinished, ChecksWritten, CheckRead,
}

// plan is what is broken in this process. It is nil unless Enable was called.
type plan struct {
	broken Switch
	crash  Point
}

var current atomic.Pointer[plan]

// Enable breaks this process for the rest of its life. Either argument may be
// empty. It refuses names that there are none of.
func Enable(broken Switch, crash Point) error {
	if broken != "" && !slices.Contains(Switches, broken) {
		return fmt.Errorf("there is no switch called %q", broken)
	}
	if crash != "" && !slices.Contains(Points, crash) {
		return fmt.Errorf("there is no crash point called %q", crash)
	}
	current.Store(&plan{broken: broken, crash: crash})
	return nil
}

// Broken tells whether a safeguard was taken away.
func Broken(s Switch) bool {
	p := current.Load()
	return p != nil && p.broken == s
}

// Reach kills the process if it is to die here, in the way of kill -9: nothing is
// flushed, closed or said.
func Reach(point Point) {
	p := current.Load()
	if p == nil || p.crash != point {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // there is nobody left to tell
	select {}
}
