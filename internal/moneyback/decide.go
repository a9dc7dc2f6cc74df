package moneyback

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Apply takes over what Stripe says of refunds and disputes. It works out how much
// each debits the wallet in all, and books the differences to what each has debited
// so far. All refunds and disputes of the payment are looked at together, because
// the same money cannot go back twice.
//
// Applied again, an answer books nothing. Answers about different refunds and
// disputes may come in any order: the sums are the same in the end.
//
// The error is ErrNotCredited while the payment has not succeeded, ErrOvertaken when
// another answer was applied since a.Version, and ErrWalletFull when the wallet cannot
// hold what comes back.
func Apply(s State, a Answer, now time.Time, newID func() wallet.ID) (Changes, error) {
	switch {
	case s.Payment.Status != wallet.PaymentSucceeded:
		return Changes{}, ErrNotCredited
	case s.Payment.Version != a.Version:
		return Changes{}, ErrOvertaken
	}
	d := begin(s, now, newID)
	for _, r := range a.Refunds {
		d.takeRefund(r)
	}
	for _, x := range a.Disputes {
		d.takeDispute(x)
	}
	d.payment.Version++
	return d.book()
}

// Request takes a refund that is still to be made at Stripe, and debits the wallet
// for it at once, so that the money is not spent meanwhile. It returns the refund
// as the changes store it. What speaks against the refund is a *wallet.Error, or
// ErrWalletFull.
func Request(s State, r RefundRequest, now time.Time, newID func() wallet.ID) (wallet.Refund, Changes, error) {
	amount, err := refundable(s, r)
	if err != nil {
		return wallet.Refund{}, Changes{}, err
	}
	d := begin(s, now, newID)
	p := s.Payment
	e := &entry{isNew: true, refund: &wallet.Refund{
		ID: r.ID, OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID,
		Amount: amount, Currency: p.Currency, Status: wallet.RefundPending, Reason: r.Reason, CreatedAt: now,
	}}
	d.entries = append(d.entries, e)
	c, err := d.book()
	if err != nil {
		return wallet.Refund{}, Changes{}, err
	}
	return *e.refund, c, nil
}

// refundable is how much is refunded when a refund is asked for.
func refundable(s State, r RefundRequest) (int64, error) {
	if s.Payment.Status != wallet.PaymentSucceeded {
		return 0, &wallet.Error{Code: wallet.CodePaymentNotRefundable, Message: "Only a completed payment can be refunded."}
	}
	left := s.Purchase.Credited
	for _, x := range s.Refunds {
		left -= x.Wanted()
	}
	for _, x := range s.Disputes {
		left -= x.Wanted()
	}
	amount := r.Amount
	switch {
	case left <= 0:
		return 0, &wallet.Error{Code: wallet.CodePaymentRefunded, Message: "Nothing is left of this payment to refund."}
	case amount == 0:
		amount = left
	case amount > left:
		return 0, &wallet.Error{
			Code: wallet.CodeRefundTooLarge, Message: "The amount is more than is left of this payment: " + wallet.FormatMinor(left, s.Payment.Currency) + ".",
		}
	}
	if unspent := max(0, s.Wallet.Balance); amount > unspent && !r.Force {
		return 0, &wallet.Error{
			Code: wallet.CodeRefundSpent, Message: "The amount is more than is unspent in the wallet: " + wallet.FormatMinor(unspent, s.Payment.Currency) + ".",
		}
	}
	return amount, nil
}

// Refuse gives up a refund that Stripe refuses to make, for a reason in Stripe's
// words, and puts its money back. A refund that Stripe has made meanwhile, or
// refused before, stays as it is. The error is ErrNotCredited while the payment has
// not succeeded, and ErrWalletFull when the wallet cannot hold what comes back.
func Refuse(s State, refundID wallet.ID, reason string, now time.Time, newID func() wallet.ID) (Changes, error) {
	if s.Payment.Status != wallet.PaymentSucceeded {
		return Changes{}, ErrNotCredited
	}
	d := begin(s, now, newID)
	for _, e := range d.entries {
		if e.refund != nil && e.refund.ID == refundID && !e.refund.Answered() {
			e.refund.Status, e.refund.FailureReason = wallet.RefundFailed, reason
			e.changed = true
		}
	}
	return d.book()
}

// decision is a state while it is worked out what becomes of it.
type decision struct {
	payment  Payment
	wallet   Wallet
	purchase Purchase
	entries  []*entry
	// lots begin with the purchase's own. The others follow in their order.
	lots []*lot

	now     time.Time
	newID   func() wallet.ID
	changes Changes
}

// entry is one refund or one dispute.
type entry struct {
	refund  *wallet.Refund // one of the two is nil
	dispute *wallet.Dispute
	isNew   bool // it is not stored yet
	changed bool // it is stored and differs from its row
}

func (e *entry) debited() *int64 {
	if e.refund != nil {
		return &e.refund.Debited
	}
	return &e.dispute.Debited
}

// wanted is what the entry is to debit in all when there is enough.
func (e *entry) wanted() int64 {
	if e.refund != nil {
		return e.refund.Wanted()
	}
	return e.dispute.Wanted()
}

func begin(s State, now time.Time, newID func() wallet.ID) *decision {
	d := &decision{payment: s.Payment, wallet: s.Wallet, purchase: s.Purchase, now: now, newID: newID}
	d.changes = Changes{Now: now, VersionBefore: s.Payment.Version, BalanceBefore: s.Wallet.Balance}
	for _, r := range s.Refunds {
		d.entries = append(d.entries, &entry{refund: &r})
	}
	for _, x := range s.Disputes {
		d.entries = append(d.entries, &entry{dispute: &x})
	}
	for _, l := range append([]wallet.Lot{s.Purchase.Lot}, s.Lots...) {
		d.lots = append(d.lots, &lot{Lot: l, before: l.Remaining})
	}
	return d
}

// takeRefund takes over what Stripe says of a refund. One that was asked for here
// is known by the id that Stripe keeps for us, until it has Stripe's.
func (d *decision) takeRefund(s wallet.RefundState) {
	e := d.findRefund(func(r *wallet.Refund) bool { return r.StripeRefundID == s.ID })
	if e == nil {
		e = d.findRefund(func(r *wallet.Refund) bool {
			return r.StripeRefundID == "" && r.ID == s.RefundID && r.Amount == s.Amount
		})
	}
	if e == nil {
		p := d.payment
		e = &entry{isNew: true, refund: &wallet.Refund{
			ID: d.newID(), OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID,
			Amount: s.Amount, Currency: p.Currency, CreatedAt: d.createdAt(s.CreatedAt),
		}}
		d.entries = append(d.entries, e)
	}
	before := *e.refund
	e.refund.StripeRefundID, e.refund.Status, e.refund.FailureReason = s.ID, orUnknown(s.Status), s.FailureReason
	e.changed = e.changed || *e.refund != before
}

func (d *decision) findRefund(matches func(*wallet.Refund) bool) *entry {
	i := slices.IndexFunc(d.entries, func(e *entry) bool { return e.refund != nil && matches(e.refund) })
	if i < 0 {
		return nil
	}
	return d.entries[i]
}

// takeDispute takes over what Stripe says of a dispute.
func (d *decision) takeDispute(s wallet.DisputeState) {
	i := slices.IndexFunc(d.entries, func(e *entry) bool { return e.dispute != nil && e.dispute.StripeDisputeID == s.ID })
	if i < 0 {
		p := d.payment
		i = len(d.entries)
		d.entries = append(d.entries, &entry{isNew: true, dispute: &wallet.Dispute{
			ID: d.newID(), OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID,
			StripeDisputeID: s.ID, Currency: p.Currency, CreatedAt: d.createdAt(s.CreatedAt),
		}})
	}
	e := d.entries[i]
	before := *e.dispute
	e.dispute.Amount, e.dispute.Status, e.dispute.Reason = s.Amount, orUnknown(s.Status), s.Reason
	e.dispute.Withdrawn, e.dispute.Reinstated, e.dispute.FundsCurrency = s.Withdrawn, s.Reinstated, s.FundsCurrency
	e.changed = e.changed || *e.dispute != before
}

// createdAt is when Stripe says that something was made, or now if it does not
// say.
func (d *decision) createdAt(at time.Time) time.Time {
	if at.IsZero() {
		return d.now
	}
	return at
}

// orUnknown stands in for a status that Stripe left empty.
func orUnknown[S ~string](s S) S {
	if s == "" {
		return "unknown"
	}
	return s
}

// compareEntries puts refunds before disputes, each in the order in which they
// were made, so that the shares do not depend on the order of the answers.
func compareEntries(a, b *entry) int {
	switch {
	case a.refund != nil && b.refund != nil:
		return compareAll(a.refund.CreatedAt.Compare(b.refund.CreatedAt), compareIDs(a.refund.ID, b.refund.ID))
	case a.refund != nil:
		return -1
	case b.refund != nil:
		return 1
	default:
		return compareAll(
			a.dispute.CreatedAt.Compare(b.dispute.CreatedAt),
			strings.Compare(a.dispute.StripeDisputeID, b.dispute.StripeDisputeID),
		)
	}
}

// compareAll is the first comparison that finds a difference.
func compareAll(comparisons ...int) int {
	for _, c := range comparisons {
		if c != 0 {
			return c
		}
	}
	return 0
}

func compareIDs(a, b wallet.ID) int { return bytes.Compare(a[:], b[:]) }
