package jobs

import (
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Watcher is told of what happens, for metrics. Its methods must be safe for
// concurrent use and must not block.
type Watcher interface {
	// Delivered is told of each attempt to deliver to a merchant: delivered, failed
	// or given_up.
	Delivered(k wallet.SignatureKind, outcome string, took time.Duration)
	// EventTakenIn is told of each event of Stripe's that is new, how old it was by
	// Stripe's clock, and whether a webhook or a sweep brought it.
	EventTakenIn(mode wallet.Mode, source string, lag time.Duration)
	// PaymentMoved is told of each payment that came to a state.
	PaymentMoved(p wallet.Payment)
}

// unwatched is the Watcher of an engine that has none.
type unwatched struct{}

// Delivered implements Watcher.
func (unwatched) Delivered(wallet.SignatureKind, string, time.Duration) {}

// EventTakenIn implements Watcher.
func (unwatched) EventTakenIn(wallet.Mode, string, time.Duration) {}

// PaymentMoved implements Watcher.
func (unwatched) PaymentMoved(wallet.Payment) {}
