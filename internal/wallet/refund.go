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

// RefundState is a refund as Stripe has it now.
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
	// FailureReason is Stripe's code for why the refund failed, such as
	// lost_or_stolen_card, empty if it did not.
	FailureReason string
	// RefundID and PaymentID are our ids, from the refund's metadata. They are zero for
	// a refund that was made elsewhere, for example in Stripe's dashboard.
	RefundID  ID
	PaymentID ID
	CreatedAt time.Time
}

// Debit returns how much the wallet is to be debited for the refund in all, as far as
// is known now: the amount while the money is on its way to the card or there, and 0
// once the refund failed or was canceled, because then Stripe returns the money.
func (r RefundState) Debit() int64 {
	switch r.Status {
	case RefundCanceled, RefundFailed:
		return 0
	case RefundPending, RefundRequiresAction, RefundSucceeded:
		return r.Amount
	default:
		// An unknown status does not prove that the money came back.
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

// DisputeState is a dispute as Stripe has it now.
type DisputeState struct {
	// ID, IntentID and ChargeID are Stripe's ids.
	ID       string
	IntentID string
	ChargeID string
	// Amount is what is disputed, in minor units of Currency.
	Amount   int64
	Currency Currency
	Status   DisputeStatus
	// Reason is Stripe's code for the cardholder's reason, such as fraudulent.
	Reason string
	// Withdrawn is the amount that Stripe took from our account for the dispute, and
	// Reinstated the amount that it put back, both without fees and in minor units of
	// FundsCurrency, the currency of our account at Stripe.
	Withdrawn     int64
	Reinstated    int64
	FundsCurrency Currency
	CreatedAt     time.Time
}

// Net returns the amount that is withdrawn and not reinstated, in minor units of
// FundsCurrency.
func (d DisputeState) Net() int64 { return d.Withdrawn - d.Reinstated }

// Debit returns how much the wallet is to be debited for the dispute in all, as far as
// is known now, in minor units of Currency. It follows the money that moved: an inquiry
// costs nothing, and neither does a dispute that is won, even before Stripe has put the
// money back. If no movement is known, the status decides: a dispute that is not an
// inquiry withdraws its amount. If our account is in another currency, the amounts
// that moved cannot be compared, and the dispute's own amount counts until the dispute
// is won.
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

// Closed reports whether the dispute has ended.
func (s DisputeStatus) Closed() bool {
	return s == DisputeLost || s == DisputeWon || s == DisputeWarningClosed
}

// Open reports whether the refund still waits for Stripe or for the card's bank.
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
	// Reason is why the money goes back, and FailureReason why it did not. Both are
	// Stripe's codes and may be empty.
	Reason        string
	FailureReason string
	// Debited is the amount that was taken from the wallet for it.
	Debited   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Wanted returns how much the refund is to debit if there is enough; see
// RefundState.Debit.
func (r Refund) Wanted() int64 { return RefundState{Amount: r.Amount, Status: r.Status}.Debit() }

// Answered reports whether Stripe has made the refund or refused it.
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
	// Withdrawn and Reinstated are the amounts that Stripe moved for it, in
	// FundsCurrency.
	Withdrawn     int64
	Reinstated    int64
	FundsCurrency Currency
	// Debited is the amount that was taken from the wallet for it.
	Debited   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Wanted returns how much the dispute is to debit if there is enough; see
// DisputeState.Debit.
func (d Dispute) Wanted() int64 {
	return DisputeState{
		Amount: d.Amount, Currency: d.Currency, Status: d.Status,
		Withdrawn: d.Withdrawn, Reinstated: d.Reinstated, FundsCurrency: d.FundsCurrency,
	}.Debit()
}

// ShareDebits returns how much each of several refunds and disputes of one payment
// debits the wallet, in their order: the amount that it wants, until the amount that
// was credited is used up. The same money cannot go back twice.
func ShareDebits(credited int64, wanted []int64) []int64 {
	shares := make([]int64, len(wanted))
	for i, w := range wanted {
		shares[i] = max(0, min(w, credited))
		credited -= shares[i]
	}
	return shares
}

// CreditsOf returns how many of a purchase's credits belong to a part of its amount,
// rounded to CreditDecimals. All credits belong to the whole amount.
func CreditsOf(part, amount int64, credits decimal.Decimal) decimal.Decimal {
	if part == amount {
		return credits
	}
	return credits.Mul(decimal.NewFromInt(part)).DivRound(decimal.NewFromInt(amount), CreditDecimals)
}
