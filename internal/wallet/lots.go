package wallet

import (
	"bytes"
	"cmp"
	"time"
)

// Lot is an inbound wallet transaction, with what is left of it.
type Lot struct {
	ID        ID
	Priority  int
	Kind      TransactionKind
	CreatedAt time.Time
	Remaining int64 // minor units
}

// LotChange is a new remainder of a stored lot, in minor units.
type LotChange struct {
	ID     ID
	Before int64
	After  int64
}

// LotDebit is what an outbound wallet transaction takes out of a lot.
type LotDebit struct {
	ID         ID
	InboundID  ID // the lot
	OutboundID ID
	Amount     int64 // minor units, above 0
}

// CompareLots orders lots as a debit takes from them: by priority, granted before
// purchased, the oldest first.
func CompareLots(a, b Lot) int {
	return cmp.Or(
		cmp.Compare(a.Priority, b.Priority),
		cmp.Compare(a.Kind, b.Kind), // granted sorts before purchased
		a.CreatedAt.Compare(b.CreatedAt),
		bytes.Compare(a.ID[:], b.ID[:]),
	)
}

// RemainingOf returns what is left of an amount that has just brought a wallet's
// balance to balance, both in minor units. A balance that was below zero uses up
// its part at once.
func RemainingOf(amount, balance int64) int64 {
	return max(0, min(amount, balance))
}
