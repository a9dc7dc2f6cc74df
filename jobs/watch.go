package jobs

import (
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Watcher counts what an engine does, for metrics. Its methods must be safe for
// concurrent use and must not block.
type Watcher interface {
	// Delivered counts an attempt to deliver to a merchant's endpoint. The outcome is
	// delivered, failed or given_up.
	Delivered(k wallet.SignatureKind, outcome string, took time.Duration)
	// EventTakenIn counts a new event of Stripe's. The source is webhook or sweep. lag
	// is the event's age by Stripe's clock.
	EventTakenIn(mode wallet.Mode, source string, lag time.Duration)
	// PaymentMoved counts a payment's move to a new state.
	PaymentMoved(p wallet.Payment)
}

// unwatched is a Watcher that counts nothing.
type unwatched struct{}

// Delivered implements Watcher.
func (unwatched) Delivered(wallet.SignatureKind, string, time.Duration) {}

// EventTakenIn implements Watcher.
func (unwatched) EventTakenIn(wallet.Mode, string, time.Duration) {}

// PaymentMoved implements Watcher.
func (unwatched) PaymentMoved(wallet.Payment) {}
