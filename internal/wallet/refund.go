package wallet

import "time"

// RefundStatus is where a refund stands at Stripe.
type RefundStatus string

// The states of a refund. A refund that succeeded can still fail later.
const (
	RefundCanceled       RefundStatus = "canceled"
	RefundFailed         RefundStatus = "failed"
	RefundPending        RefundStatus = "pending"
	RefundRequiresAction RefundStatus = "requires_action"
	RefundSucceeded      RefundStatus = "succeeded"
)

// RefundState is what Stripe says of a refund now.
type RefundState struct {
	// ID, IntentID and ChargeID are Stripe's ids. A charge that was made without
	// a PaymentIntent has no IntentID.
	ID       string
	IntentID string
	ChargeID string
	// Amount is in minor units of Currency.
	Amount   int64
	Currency Currency
	Status   RefundStatus
	// FailureReason is Stripe's word for why the refund failed, such as
	// lost_or_stolen_card, empty when it did not.
	FailureReason string
	// RefundID and PaymentID are ours, from the refund's metadata. They are zero
	// for a refund that was made elsewhere, as in Stripe's dashboard.
	RefundID  ID
	PaymentID ID
	CreatedAt time.Time
}

// Debit is what the wallet is to be debited for the refund in all, as far as is
// known now: the amount while the money is going back or is back, and 0 once the
// refund failed or was canceled, because then Stripe returns it to us.
func (r RefundState) Debit() int64 {
	switch r.Status {
	case RefundCanceled, RefundFailed:
		return 0
	case RefundPending, RefundRequiresAction, RefundSucceeded:
		return r.Amount
	default:
		// A word we don't know is no sign that the money came back.
		return r.Amount
	}
}

// DisputeStatus is where a dispute stands at Stripe. Those that start with
// warning are inquiries: no money has moved.
type DisputeStatus string

// The states of a dispute.
const (
	DisputeLost                 DisputeStatus = "lost"
	DisputeNeedsResponse        DisputeStatus = "needs_response"
	DisputeUnderReview          DisputeStatus = "under_review"
	DisputeWarningClosed        DisputeStatus = "warning_closed"
	DisputeWarningNeedsResponse DisputeStatus = "warning_needs_response"
	DisputeWarningUnderReview   DisputeStatus = "warning_under_review"
	DisputeWon                  DisputeStatus = "won"
)

// DisputeState is what Stripe says of a dispute now.
type DisputeState struct {
	// ID, IntentID and ChargeID are Stripe's ids.
	ID       string
	IntentID string
	ChargeID string
	// Amount is what is disputed, in minor units of Currency.
	Amount   int64
	Currency Currency
	Status   DisputeStatus
	// Reason is Stripe's word for what the cardholder says, such as fraudulent.
	Reason string
	// Withdrawn is what Stripe took from our account for the dispute, and
	// Reinstated what it put back, both without fees and in minor units of
	// FundsCurrency, the currency of our account at Stripe.
	Withdrawn     int64
	Reinstated    int64
	FundsCurrency Currency
	CreatedAt     time.Time
}

// Net is what is withdrawn and not reinstated, in minor units of FundsCurrency.
func (d DisputeState) Net() int64 { return d.Withdrawn - d.Reinstated }

// Debit is what the wallet is to be debited for the dispute in all, as far as is
// known now, in minor units of Currency. It follows the money that moved and not
// the status, so an inquiry costs nothing. Where our account is in another
// currency the amounts that moved can't be compared, and the dispute's own amount
// stands for them until it is won.
func (d DisputeState) Debit() int64 {
	switch {
	case d.Net() <= 0:
		return 0
	case d.FundsCurrency == d.Currency:
		return min(d.Net(), d.Amount)
	case d.Status == DisputeWon:
		return 0
	default:
		return d.Amount
	}
}
