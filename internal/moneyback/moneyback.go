// Package moneyback decides what happens to a wallet when money of a payment
// goes back to its card, by a refund or by a dispute, and when it comes back
// again, because the refund failed or the dispute was won.
//
// Apply takes what Stripe says, Request a refund that a merchant asks for, and
// Refuse that Stripe will not make one. Each works out the Changes from a State,
// which is the payment with everything that belongs to it. They are pure
// functions: the time and the source of new ids are arguments, and the state that
// they are given stays as it is.
//
// Package postgres locks and reads the state and writes the changes. Package jobs
// asks Stripe.
package moneyback

import (
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// ErrOvertaken reports an answer of Stripe's that is not applied, because another
// one was applied while it was under way and may be the newer of the two. Stripe
// has to be asked again.
var ErrOvertaken = errors.New("another answer was applied meanwhile")

// ErrNotCredited reports a payment whose money is not in the wallet, and so
// cannot leave it.
var ErrNotCredited = errors.New("the payment is not credited")

// ErrWalletFull reports that the wallet cannot hold the money that comes back, or the sum
// of its consumed credits. Nothing is booked until there is room.
var ErrWalletFull = errors.New("the wallet cannot hold the sum")

// State is a payment with everything that a decision about it depends on. The
// caller holds the locks of the payment and its wallet.
type State struct {
	Payment  Payment
	Wallet   Wallet
	Purchase Purchase
	// Lots are the other inbound transactions of the wallet of which something is
	// left, in the order of wallet.CompareLots. The list may be cut off where the purchase
	// and the lots so far have as much left as was credited for the payment: no
	// decision takes more. It is empty for a wallet that is not traceable.
	Lots []wallet.Lot
	// Refunds and Disputes are all those of the payment, in any order.
	Refunds  []wallet.Refund
	Disputes []wallet.Dispute
}

// Payment is the payment whose money goes back. Amounts are in minor units of
// Currency.
type Payment struct {
	ID             wallet.ID
	OrganizationID wallet.ID
	Mode           wallet.Mode
	WalletID       wallet.ID
	Currency       wallet.Currency
	Status         wallet.PaymentStatus
	// Version counts the answers of Stripe's that were applied to the payment.
	Version int64
	// Refunded and Disputed are what the refunds and the disputes have debited.
	Refunded int64
	Disputed int64
	// Traceparent names the trace of the request that made the payment, empty for
	// none.
	Traceparent string
}

// Wallet is the wallet that was credited. Its balance may be below zero.
type Wallet struct {
	ID              wallet.ID
	Balance         int64 // minor units
	CreditsBalance  decimal.Decimal
	ConsumedCredits decimal.Decimal
	// LastConsumedCreditAt is when ConsumedCredits grew last, nil if it never did.
	LastConsumedCreditAt *time.Time
	// Traceable reports whether what is left of each inbound transaction is known.
	Traceable bool
}

// Purchase is the wallet transaction that the payment settled.
type Purchase struct {
	wallet.Lot
	// Credited is what the wallet was credited for the payment, in minor units, and
	// Credits how many credits that bought.
	Credited int64
	Credits  decimal.Decimal
}

// Answer is what Stripe says now of refunds and disputes of one payment. Those
// that it does not name stay as they are.
type Answer struct {
	// Version is the payment's Version before Stripe was asked.
	Version  int64
	Refunds  []wallet.RefundState
	Disputes []wallet.DisputeState
}

// RefundRequest is a refund that a merchant asks for.
type RefundRequest struct {
	// ID is the id that the refund gets.
	ID wallet.ID
	// Amount is in minor units; 0 is all that is left of the payment.
	Amount int64
	// Reason is Stripe's word for why the money goes back, empty when there is none.
	Reason string
	// Force lets the wallet fall below zero: money that was spent goes back as well.
	Force bool
}

// Kind is the kind of a transfer that a booking makes.
type Kind string

// The kinds of transfers. A reversal moves money back into the wallet.
const (
	KindDispute         Kind = "dispute"
	KindDisputeReversal Kind = "dispute_reversal"
	KindRefund          Kind = "refund"
	KindRefundReversal  Kind = "refund_reversal"
)

// Reverses reports whether the money moves into the wallet, and not out of it.
func (k Kind) Reverses() bool { return k == KindDisputeReversal || k == KindRefundReversal }

// Account is the kind of the organization's account on the other side of the
// wallet's.
func (k Kind) Account() string {
	if k == KindDispute || k == KindDisputeReversal {
		return "disputes"
	}
	return "refunds"
}

// deliveryType is the type of the delivery about the payment.
func (k Kind) deliveryType() wallet.DeliveryType {
	switch k {
	case KindDispute:
		return wallet.DeliveryPaymentDisputed
	case KindDisputeReversal:
		return wallet.DeliveryPaymentDisputeReversed
	case KindRefundReversal:
		return wallet.DeliveryPaymentRefundReversed
	default:
		return wallet.DeliveryPaymentRefunded
	}
}

// lineName is what the line on the wallet's statement says.
func (k Kind) lineName() string {
	switch k {
	case KindDispute:
		return "Dispute"
	case KindDisputeReversal:
		return "Dispute reversed"
	case KindRefundReversal:
		return "Refund reversed"
	default:
		return "Refund"
	}
}

// Booking is a change of what a refund or dispute has debited: a transfer between
// the wallet's account and the organization's, and a line on the wallet's
// statement.
type Booking struct {
	Kind Kind
	// ID is the id of the refund or dispute, and StripeID Stripe's, empty while
	// Stripe does not have it.
	ID       wallet.ID
	StripeID string
	Amount   int64 // minor units, above 0
	// BalanceAfter is the wallet's balance after it.
	BalanceAfter int64
	Line         Line
}

// RefundID is the id of the refund, nil for a dispute.
func (b Booking) RefundID() *wallet.ID {
	if b.Kind == KindRefund || b.Kind == KindRefundReversal {
		return &b.ID
	}
	return nil
}

// DisputeID is the id of the dispute, nil for a refund.
func (b Booking) DisputeID() *wallet.ID {
	if b.RefundID() != nil {
		return nil
	}
	return &b.ID
}

// Line is the settled wallet transaction of a booking. Its amount is the
// booking's, and its priority the purchase's.
type Line struct {
	ID      wallet.ID
	Name    string
	Type    wallet.TransactionType
	Kind    wallet.TransactionKind
	Credits decimal.Decimal
	// Remaining is what is left of an inbound one in a traceable wallet, else nil.
	Remaining *int64
}

// Changes are what a decision changes. They are written in the order of the
// fields, the announcements last.
type Changes struct {
	Now time.Time

	NewRefunds  []wallet.Refund
	Refunds     []wallet.Refund // stored ones that have changed
	NewDisputes []wallet.Dispute
	Disputes    []wallet.Dispute // stored ones that have changed

	// Bookings stand in the order in which they change the balance. The
	// consumptions may refer to their lines.
	Bookings     []Booking
	Lots         []wallet.LotChange
	Consumptions []wallet.LotDebit

	// Payment, Wallet and Purchase are as they stand after the changes.
	Payment  Payment
	Wallet   Wallet
	Purchase Purchase
	// VersionBefore and BalanceBefore are the payment's version and the wallet's
	// balance that the decision was made from.
	VersionBefore int64
	BalanceBefore int64

	Announcements []wallet.Announcement
}

// Moved reports whether any money moves.
func (c Changes) Moved() bool { return len(c.Bookings) > 0 }
