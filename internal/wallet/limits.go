package wallet

import (
	"math"

	"github.com/shopspring/decimal"
)

// The limits that keep the sums of a wallet far from the end of their columns. They are
// checked before money is charged, so that charged money always fits.
const (
	// MaxBalance is the most that a grant may bring a balance to, or a purchase when it is
	// accepted, in minor units. JSON numbers up to it are exact in every language. Above
	// it there is room for nine million payments of MaxPaymentAmount: those that are
	// pending together, and those that come back to the wallet after a refund failed or
	// a dispute was won.
	MaxBalance int64 = 1_000_000_000_000_000
	// MaxPaymentAmount is the most that one payment may charge, in minor units. Stripe
	// takes twelve digits at most.
	MaxPaymentAmount int64 = 999_999_999_999
)

var (
	// maxCredits is the most that a grant, a void or an accepted purchase may bring the
	// credits of a wallet to.
	maxCredits = decimal.New(1, creditDigits-1)
	// columnCredits is the first number of credits that does not fit into its column.
	columnCredits = decimal.New(1, creditDigits)
)

// HasRoom reports whether a wallet may be asked to take an amount more, which leaves it
// with credits. It is checked before a grant or a purchase is accepted.
func HasRoom(balance, amount int64, credits decimal.Decimal) bool {
	return amount <= MaxBalance-max(balance, 0) && credits.LessThanOrEqual(maxCredits)
}

// HasRoomToConsume reports whether a void may bring the consumed credits of a wallet to
// credits.
func HasRoomToConsume(credits decimal.Decimal) bool { return credits.LessThanOrEqual(maxCredits) }

// Holds reports whether the columns of a wallet can hold its balance with an amount more,
// which may be below zero, and credits. It is checked before money that has moved is
// credited or debited.
func Holds(balance, amount int64, credits decimal.Decimal) bool {
	if amount > 0 && balance > math.MaxInt64-amount || amount < 0 && balance < math.MinInt64-amount {
		return false
	}
	return credits.Abs().LessThan(columnCredits)
}
