package wallet

import (
	"time"

	"github.com/shopspring/decimal"
)

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
// known now, in minor units of Currency. It follows the money that moved, so an
// inquiry costs nothing, and neither does a dispute that is won, even before Stripe
// has put the money back. Where nothing is known to have moved the status stands
// for it: a dispute that is no inquiry withdraws its amount. Where our account is
// in another currency the amounts that moved can't be compared, and the dispute's
// own amount stands for them until it is won.
func (d DisputeState) Debit() int64 {
	switch {
	case d.Withdrawn == 0:
		switch d.Status {
		case DisputeLost, DisputeNeedsResponse, DisputeUnderReview:
			return d.Amount
		default:
			return 0
		}
	case d.Net() <= 0:
		return 0
	case d.Status == DisputeWon && (d.Reinstated == 0 || d.FundsCurrency != d.Currency):
		return 0
	case d.FundsCurrency == d.Currency:
		return min(d.Net(), d.Amount)
	default:
		return d.Amount
	}
}

// Closed tells whether the dispute has come to its end.
func (s DisputeStatus) Closed() bool {
	return s == DisputeLost || s == DisputeWon || s == DisputeWarningClosed
}

// Open tells whether the refund still waits for Stripe or for the card's bank.
func (s RefundStatus) Open() bool {
	return s == RefundPending || s == RefundRequiresAction
}

// Refund is money of a payment on its way back to the card.
type Refund struct {
	ID             ID
	OrganizationID ID
	Mode           Mode
	WalletID       ID
	PaymentID      ID
	// StripeRefundID is empty until Stripe has the refund.
	StripeRefundID string
	// Amount is in minor units of Currency.
	Amount   int64
	Currency Currency
	Status   RefundStatus
	// Reason is why the money goes back, FailureReason why it did not, both in
	// Stripe's words and empty when there is none.
	Reason        string
	FailureReason string
	// Debited is what has been taken from the wallet for it.
	Debited   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Wanted is what the refund is to debit when there is enough; see
// RefundState.Debit.
func (r Refund) Wanted() int64 { return RefundState{Amount: r.Amount, Status: r.Status}.Debit() }

// Answered tells whether Stripe has said something of the refund, be it that it
// refuses it.
func (r Refund) Answered() bool {
	return r.StripeRefundID != "" || !r.Status.Open()
}

// Dispute is money of a payment that the cardholder's bank takes back.
type Dispute struct {
	ID              ID
	OrganizationID  ID
	Mode            Mode
	WalletID        ID
	PaymentID       ID
	StripeDisputeID string
	// Amount is what is disputed, in minor units of Currency.
	Amount   int64
	Currency Currency
	Status   DisputeStatus
	Reason   string
	// Withdrawn and Reinstated are what Stripe moved for it, in FundsCurrency.
	Withdrawn     int64
	Reinstated    int64
	FundsCurrency Currency
	// Debited is what has been taken from the wallet for it.
	Debited   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Wanted is what the dispute is to debit when there is enough; see
// DisputeState.Debit.
func (d Dispute) Wanted() int64 {
	return DisputeState{
		Amount: d.Amount, Currency: d.Currency, Status: d.Status,
		Withdrawn: d.Withdrawn, Reinstated: d.Reinstated, FundsCurrency: d.FundsCurrency,
	}.Debit()
}

// ShareDebits says how much each of several refunds and disputes of one payment
// debits the wallet, in their order: what it asks for, until what was credited is
// used up. The same money cannot go back twice.
func ShareDebits(credited int64, wanted []int64) []int64 {
	shares := make([]int64, len(wanted))
	for i, w := range wanted {
		shares[i] = max(0, min(w, credited))
		credited -= shares[i]
	}
	return shares
}

// CreditsOf is how many of a purchase's credits a part of its amount stands for,
// rounded to CreditDecimals. The whole amount stands for all of them.
func CreditsOf(part, amount int64, credits decimal.Decimal) decimal.Decimal {
	if part == amount {
		return credits
	}
	return credits.Mul(decimal.NewFromInt(part)).DivRound(decimal.NewFromInt(amount), CreditDecimals)
}
