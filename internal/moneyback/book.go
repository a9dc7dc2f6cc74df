package moneyback

import (
	"slices"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// lot is a wallet.Lot while decisions take from it.
type lot struct {
	wallet.Lot
	before int64
	isNew  bool // it is the line of a booking of the same decision
}

// book brings what each refund and dispute has debited to what it is to debit, and
// collects everything that has changed. The error is ErrWalletFull.
func (d *decision) book() (Changes, error) {
	slices.SortStableFunc(d.entries, compareEntries)
	wanted := make([]int64, len(d.entries))
	for i, e := range d.entries {
		wanted[i] = e.wanted()
	}
	for i, share := range wallet.ShareDebits(d.purchase.Credited, wanted) {
		e := d.entries[i]
		difference := share - *e.debited()
		*e.debited() = share
		if difference != 0 {
			e.changed = true
			if err := d.transfer(e, difference); err != nil {
				return Changes{}, err
			}
		}
		d.collect(e)
	}
	for _, l := range d.lots {
		if !l.isNew && l.Remaining != l.before {
			d.changes.Lots = append(d.changes.Lots, wallet.LotChange{ID: l.ID, Before: l.before, After: l.Remaining})
		}
	}
	d.purchase.Remaining = d.lots[0].Remaining
	d.changes.Payment, d.changes.Wallet, d.changes.Purchase = d.payment, d.wallet, d.purchase
	d.changes.Announcements = announcements(d.changes)
	return d.changes, nil
}

// collect puts a refund or dispute among the changes if there is something to
// write of it.
func (d *decision) collect(e *entry) {
	c := &d.changes
	switch {
	case !e.isNew && !e.changed:
	case e.refund != nil:
		e.refund.UpdatedAt = d.now
		if e.isNew {
			c.NewRefunds = append(c.NewRefunds, *e.refund)
		} else {
			c.Refunds = append(c.Refunds, *e.refund)
		}
	default:
		e.dispute.UpdatedAt = d.now
		if e.isNew {
			c.NewDisputes = append(c.NewDisputes, *e.dispute)
		} else {
			c.Disputes = append(c.Disputes, *e.dispute)
		}
	}
}

// transfer moves the difference out of the wallet, or back into it when it is
// below zero.
func (d *decision) transfer(e *entry, difference int64) error {
	credits := d.creditsFor(difference)
	if !wallet.Holds(d.wallet.Balance, -difference, d.wallet.CreditsBalance.Sub(credits)) ||
		!wallet.Holds(0, 0, d.wallet.ConsumedCredits.Add(credits)) {
		return ErrWalletFull
	}
	b := Booking{Amount: max(difference, -difference)}
	if e.refund != nil {
		b.Kind, b.ID, b.StripeID = KindRefund, e.refund.ID, e.refund.StripeRefundID
		if difference < 0 {
			b.Kind = KindRefundReversal
		}
		d.payment.Refunded += difference
	} else {
		b.Kind, b.ID, b.StripeID = KindDispute, e.dispute.ID, e.dispute.StripeDisputeID
		if difference < 0 {
			b.Kind = KindDisputeReversal
		}
		d.payment.Disputed += difference
	}
	d.wallet.Balance -= difference
	d.wallet.CreditsBalance = d.wallet.CreditsBalance.Sub(credits)
	b.BalanceAfter = d.wallet.Balance
	b.Line = Line{ID: d.newID(), Name: b.Kind.lineName(), Credits: credits.Abs()}
	if b.Kind.Reverses() {
		b.Line.Type, b.Line.Kind = wallet.TransactionInbound, wallet.TransactionPurchased
		d.refill(&b)
	} else {
		b.Line.Type, b.Line.Kind = wallet.TransactionOutbound, wallet.TransactionVoided
		if b.Line.Credits.IsPositive() {
			d.wallet.ConsumedCredits = d.wallet.ConsumedCredits.Add(b.Line.Credits)
			d.wallet.LastConsumedCreditAt = &d.now
		}
		d.consume(b)
	}
	d.changes.Bookings = append(d.changes.Bookings, b)
	return nil
}

// creditsFor is how many credits the difference stands for, at the rate of the
// purchase. It is worked out from the sums, so that parts which are rounded add up
// to the whole. The sums are those before the difference is booked.
func (d *decision) creditsFor(difference int64) decimal.Decimal {
	before := d.payment.Refunded + d.payment.Disputed
	of := func(part int64) decimal.Decimal {
		return wallet.CreditsOf(part, d.purchase.Credited, d.purchase.Credits)
	}
	return of(before + difference).Sub(of(before))
}

// refill makes the line of a reversal a lot of its own. A balance below zero
// swallows the money first.
func (d *decision) refill(b *Booking) {
	if !d.wallet.Traceable {
		return
	}
	l := &lot{isNew: true, Lot: wallet.Lot{
		ID: b.Line.ID, Priority: d.purchase.Priority, Kind: b.Line.Kind, CreatedAt: d.now,
		Remaining: wallet.RemainingOf(b.Amount, d.wallet.Balance),
	}}
	b.Line.Remaining = &l.Remaining // later bookings of the decision may take from it
	others := d.lots[1:]
	at, _ := slices.BinarySearchFunc(others, l, func(a, b *lot) int { return wallet.CompareLots(a.Lot, b.Lot) })
	d.lots = slices.Insert(d.lots, 1+at, l)
}

// consume takes the money of a booking out of the lots in which it lies. The money
// that the payment brought goes first. What it lacks is taken from the others, and
// what they lack is missing: the balance is below zero by as much.
func (d *decision) consume(b Booking) {
	if !d.wallet.Traceable {
		return
	}
	left := b.Amount
	for _, l := range d.lots {
		taken := min(left, l.Remaining)
		if taken == 0 {
			continue
		}
		left -= taken
		l.Remaining -= taken
		d.changes.Consumptions = append(d.changes.Consumptions, wallet.LotDebit{
			ID: d.newID(), InboundID: l.ID, OutboundID: b.Line.ID, Amount: taken,
		})
	}
}

// announcements are the deliveries about bookings: each booking, its line,
// and the new balance.
func announcements(c Changes) []wallet.Announcement {
	if !c.Moved() {
		return nil
	}
	p := c.Payment
	about := wallet.Announcement{OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: &p.WalletID, At: c.Now}
	var list []wallet.Announcement
	for _, b := range c.Bookings {
		a := about
		a.Type, a.ObjectID, a.PaymentID, a.Amount, a.Traceparent = b.Kind.deliveryType(), p.ID, &p.ID, &b.Amount, p.Traceparent
		list = append(list, a)
	}
	for _, b := range c.Bookings {
		a := about
		a.Type, a.ObjectID, a.TransactionID = wallet.DeliveryTransactionCreated, b.Line.ID, &b.Line.ID
		list = append(list, a)
	}
	about.Type, about.ObjectID = wallet.DeliveryWalletBalanceUpdated, p.WalletID
	return append(list, about)
}
