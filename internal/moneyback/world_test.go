package moneyback_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/wallet"
)

var start = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

// ids is a source of ids: 1, 2, 3 and so on.
type ids struct{ last uint64 }

func (s *ids) next() wallet.ID {
	s.last++
	var id wallet.ID
	binary.BigEndian.PutUint64(id[8:], s.last)
	return id
}

// world holds one wallet and its payments in memory, as package postgres stores
// them, and what Stripe has of the payments.
type world struct {
	t        require.TestingT
	ids      ids
	now      time.Time
	made     int // ids of Stripe's
	wallet   moneyback.Wallet
	lots     []*storedLot
	payments []*payment

	spent        int64 // by voids
	spentCredits decimal.Decimal
}

type storedLot struct {
	wallet.Lot
	amount int64
}

type payment struct {
	moneyback.Payment
	lotID    wallet.ID
	credited int64
	credits  decimal.Decimal
	refunds  []wallet.Refund
	disputes []wallet.Dispute

	atStripe moneyback.Answer // without a version
}

func newWorld(t require.TestingT, traceable bool) *world {
	w := &world{t: t, now: start}
	w.wallet = moneyback.Wallet{ID: w.ids.next(), Traceable: traceable}
	return w
}

// pay settles a purchase of amount minor units for credits.
func (w *world) pay(amount int64, credits decimal.Decimal, priority int) *payment {
	p := &payment{credited: amount, credits: credits, lotID: w.ids.next()}
	p.Payment = moneyback.Payment{
		ID: w.ids.next(), OrganizationID: w.ids.next(), Mode: wallet.ModeTest, WalletID: w.wallet.ID, Currency: wallet.USD,
		Status: wallet.PaymentSucceeded,
	}
	w.wallet.Balance += amount
	w.wallet.CreditsBalance = w.wallet.CreditsBalance.Add(credits)
	w.addLot(wallet.Lot{
		ID: p.lotID, Priority: priority, Kind: wallet.TransactionPurchased, CreatedAt: w.now, Remaining: max(0, min(amount, w.wallet.Balance)),
	}, amount)
	w.payments = append(w.payments, p)
	return p
}

func (w *world) addLot(l wallet.Lot, amount int64) {
	if !w.wallet.Traceable {
		l.Remaining = 0
	}
	w.lots = append(w.lots, &storedLot{Lot: l, amount: amount})
	slices.SortFunc(w.lots, func(a, b *storedLot) int { return wallet.CompareLots(a.Lot, b.Lot) })
}

// spend takes money out of the wallet as a void does.
func (w *world) spend(amount int64) {
	credits := decimal.New(amount, -2)
	w.spent += amount
	w.spentCredits = w.spentCredits.Add(credits)
	w.wallet.Balance -= amount
	w.wallet.CreditsBalance = w.wallet.CreditsBalance.Sub(credits)
	w.wallet.ConsumedCredits = w.wallet.ConsumedCredits.Add(credits)
	for _, l := range w.lots {
		taken := min(amount, l.Remaining)
		l.Remaining -= taken
		amount -= taken
	}
}

// state is what package postgres reads of a payment.
func (w *world) state(p *payment) moneyback.State {
	s := moneyback.State{
		Payment: p.Payment, Wallet: w.wallet, Refunds: slices.Clone(p.refunds), Disputes: slices.Clone(p.disputes),
	}
	for _, l := range w.lots {
		switch {
		case l.ID == p.lotID:
			s.Purchase = moneyback.Purchase{Lot: l.Lot, Credited: p.credited, Credits: p.credits}
		case l.Remaining > 0:
			s.Lots = append(s.Lots, l.Lot)
		}
	}
	return s
}

// cutLots leaves out the lots that a state need not have.
func cutLots(s moneyback.State) moneyback.State {
	left := s.Purchase.Remaining
	for i, l := range s.Lots {
		if left >= s.Purchase.Credited {
			s.Lots = s.Lots[:i]
			break
		}
		left += l.Remaining
	}
	return s
}

// apply applies an answer to a payment as it stands, and then once more.
func (w *world) apply(p *payment, a moneyback.Answer) moneyback.Changes {
	a.Version = p.Version
	c, err := moneyback.Apply(w.state(p), a, w.now, w.ids.next)
	require.NoError(w.t, err)
	w.write(p, c)
	require.Equal(w.t, a.Version+1, p.Version)

	a.Version = p.Version
	again, err := moneyback.Apply(w.state(p), a, w.now, w.ids.next)
	require.NoError(w.t, err)
	require.Empty(w.t, again.Bookings, "the same answer books nothing the second time")
	require.Empty(w.t, again.Announcements)
	require.Empty(w.t, slices.Concat(again.NewRefunds, again.Refunds))
	require.Empty(w.t, slices.Concat(again.NewDisputes, again.Disputes))
	w.write(p, again)
	return c
}

// write stores changes as package postgres does, with the same guards, and checks
// that the wallet is sound afterwards.
func (w *world) write(p *payment, c moneyback.Changes) {
	require.Equal(w.t, p.Version, c.VersionBefore)
	require.Equal(w.t, w.wallet.Balance, c.BalanceBefore)
	w.writeReturns(p, c)

	balance := w.wallet.Balance
	for _, b := range c.Bookings {
		require.Positive(w.t, b.Amount)
		if b.Kind.Reverses() {
			require.Equal(w.t, wallet.TransactionInbound, b.Line.Type)
			require.Equal(w.t, w.wallet.Traceable, b.Line.Remaining != nil)
			balance += b.Amount
			l := wallet.Lot{ID: b.Line.ID, Priority: c.Purchase.Priority, Kind: b.Line.Kind, CreatedAt: c.Now}
			if b.Line.Remaining != nil {
				l.Remaining = *b.Line.Remaining
			}
			w.addLot(l, b.Amount)
		} else {
			require.Equal(w.t, wallet.TransactionOutbound, b.Line.Type)
			require.Nil(w.t, b.Line.Remaining)
			balance -= b.Amount
		}
		require.Equal(w.t, balance, b.BalanceAfter)
		require.False(w.t, b.Line.Credits.IsNegative())
		require.NotEqual(w.t, b.RefundID() == nil, b.DisputeID() == nil, "it is of a refund or of a dispute")
	}
	require.Equal(w.t, balance, c.Wallet.Balance, "the bookings are all that moves the balance")
	w.writeLots(c)
	p.Payment, w.wallet = c.Payment, c.Wallet
	w.check()
}

func (w *world) writeReturns(p *payment, c moneyback.Changes) {
	for _, r := range c.NewRefunds {
		require.Negative(w.t, p.findRefund(r.ID))
		p.refunds = append(p.refunds, r)
	}
	for _, r := range c.Refunds {
		require.GreaterOrEqual(w.t, p.findRefund(r.ID), 0)
		p.refunds[p.findRefund(r.ID)] = r
	}
	for _, d := range c.NewDisputes {
		require.Negative(w.t, p.findDispute(d.ID))
		p.disputes = append(p.disputes, d)
	}
	for _, d := range c.Disputes {
		require.GreaterOrEqual(w.t, p.findDispute(d.ID), 0)
		p.disputes[p.findDispute(d.ID)] = d
	}
}

func (p *payment) findRefund(id wallet.ID) int {
	return slices.IndexFunc(p.refunds, func(r wallet.Refund) bool { return r.ID == id })
}

func (p *payment) findDispute(id wallet.ID) int {
	return slices.IndexFunc(p.disputes, func(d wallet.Dispute) bool { return d.ID == id })
}

func (w *world) writeLots(c moneyback.Changes) {
	for _, change := range c.Lots {
		i := slices.IndexFunc(w.lots, func(l *storedLot) bool { return l.ID == change.ID })
		require.GreaterOrEqual(w.t, i, 0)
		require.Equal(w.t, change.Before, w.lots[i].Remaining)
		require.Less(w.t, change.After, change.Before, "a decision takes from lots that are stored, and gives nothing back to them")
		w.lots[i].Remaining = change.After
	}
	outbound := map[wallet.ID]int64{}
	pairs := map[[2]wallet.ID]bool{}
	for _, x := range c.Consumptions {
		require.Positive(w.t, x.Amount)
		require.False(w.t, pairs[[2]wallet.ID{x.InboundID, x.OutboundID}], "one row for two lines")
		pairs[[2]wallet.ID{x.InboundID, x.OutboundID}] = true
		outbound[x.OutboundID] += x.Amount
	}
	for _, b := range c.Bookings {
		taken := outbound[b.Line.ID]
		delete(outbound, b.Line.ID)
		switch {
		case b.Kind.Reverses() || !w.wallet.Traceable:
			require.Zero(w.t, taken)
		default:
			missing := max(0, min(b.Amount, -b.BalanceAfter))
			require.Equal(w.t, b.Amount-missing, taken, "what is not below zero is taken from lots")
		}
	}
	require.Empty(w.t, outbound, "consumptions of lines that do not exist")
}

// check holds the wallet to what is true of it at all times.
func (w *world) check() {
	balance, credits := -w.spent, w.spentCredits.Neg()
	for _, p := range w.payments {
		var refunded, disputed int64
		for _, r := range p.refunds {
			require.True(w.t, 0 <= r.Debited && r.Debited <= r.Wanted(), "refund debits %d and wants %d", r.Debited, r.Wanted())
			refunded += r.Debited
		}
		for _, d := range p.disputes {
			require.True(w.t, 0 <= d.Debited && d.Debited <= d.Wanted(), "dispute debits %d and wants %d", d.Debited, d.Wanted())
			disputed += d.Debited
		}
		require.Equal(w.t, refunded, p.Refunded)
		require.Equal(w.t, disputed, p.Disputed)
		require.LessOrEqual(w.t, refunded+disputed, p.credited, "more is debited than was credited")
		balance += p.credited - refunded - disputed
		credits = credits.Add(p.credits).Sub(wallet.CreditsOf(refunded+disputed, p.credited, p.credits))
	}
	require.Equal(w.t, balance, w.wallet.Balance)
	require.True(w.t, credits.Equal(w.wallet.CreditsBalance), "%s credits, not %s", credits, w.wallet.CreditsBalance)
	if w.wallet.Traceable {
		require.Equal(w.t, max(0, balance), w.left(), "what is left of the lots is the balance")
	}
}

// left is what is left of all lots.
func (w *world) left() int64 {
	var left int64
	for _, l := range w.lots {
		require.True(w.t, 0 <= l.Remaining && l.Remaining <= l.amount, "%d left of %d", l.Remaining, l.amount)
		left += l.Remaining
	}
	return left
}

// stripeID makes an id of Stripe's.
func (w *world) stripeID(prefix string) string {
	w.made++
	return fmt.Sprintf("%s_%d", prefix, w.made)
}

// moveStripe does one thing to the refunds and disputes that Stripe has of a
// payment.
func (w *world) moveStripe(t *rapid.T, p *payment) {
	switch s := &p.atStripe; rapid.IntRange(0, 3).Draw(t, "at stripe") {
	case 0:
		s.Refunds = append(s.Refunds, wallet.RefundState{
			ID: w.stripeID("re"), Amount: rapid.Int64Range(1, p.credited+1).Draw(t, "refund"), Currency: p.Currency,
			Status: drawRefundStatus(t), CreatedAt: drawTime(t),
		})
	case 1:
		if len(s.Refunds) > 0 {
			r := &s.Refunds[rapid.IntRange(0, len(s.Refunds)-1).Draw(t, "which refund")]
			r.Status = drawRefundStatus(t)
		}
	case 2:
		s.Disputes = append(s.Disputes, wallet.DisputeState{
			ID: w.stripeID("dp"), Amount: rapid.Int64Range(0, p.credited+1).Draw(t, "dispute"), Currency: p.Currency,
			FundsCurrency: p.Currency, Status: drawDisputeStatus(t), CreatedAt: drawTime(t),
		})
	default:
		if len(s.Disputes) > 0 {
			d := &s.Disputes[rapid.IntRange(0, len(s.Disputes)-1).Draw(t, "which dispute")]
			d.Status = drawDisputeStatus(t)
			d.Withdrawn = rapid.Int64Range(0, d.Amount).Draw(t, "withdrawn")
			d.Reinstated = rapid.SampledFrom([]int64{0, d.Withdrawn / 2, d.Withdrawn}).Draw(t, "reinstated")
			d.FundsCurrency = rapid.SampledFrom([]wallet.Currency{p.Currency, "EUR"}).Draw(t, "funds currency")
		}
	}
}

// drawTime draws one of few times, so that equal ones are frequent.
func drawTime(t *rapid.T) time.Time {
	if i := rapid.IntRange(0, 3).Draw(t, "created"); i > 0 {
		return start.Add(time.Duration(i) * time.Second)
	}
	return time.Time{}
}

func drawRefundStatus(t *rapid.T) wallet.RefundStatus {
	return rapid.SampledFrom([]wallet.RefundStatus{
		wallet.RefundPending, wallet.RefundRequiresAction, wallet.RefundSucceeded, wallet.RefundFailed, wallet.RefundCanceled, "new_word", "",
	}).Draw(t, "refund status")
}

func drawDisputeStatus(t *rapid.T) wallet.DisputeStatus {
	return rapid.SampledFrom([]wallet.DisputeStatus{
		wallet.DisputeWarningNeedsResponse, wallet.DisputeWarningUnderReview, wallet.DisputeWarningClosed,
		wallet.DisputeNeedsResponse, wallet.DisputeUnderReview, wallet.DisputeLost, wallet.DisputeWon, "new_word", "",
	}).Draw(t, "dispute status")
}

// someOf is an answer about some of what Stripe has of a payment now.
func someOf(t *rapid.T, p *payment) moneyback.Answer {
	var a moneyback.Answer
	for _, r := range p.atStripe.Refunds {
		if rapid.Bool().Draw(t, "about") {
			a.Refunds = append(a.Refunds, r)
		}
	}
	for _, d := range p.atStripe.Disputes {
		if rapid.Bool().Draw(t, "about") {
			a.Disputes = append(a.Disputes, d)
		}
	}
	return a
}

// balanceAtStripe is the balance that follows from what Stripe has.
func (w *world) balanceAtStripe() int64 {
	balance := -w.spent
	for _, p := range w.payments {
		var debit int64
		for _, r := range p.atStripe.Refunds {
			debit += r.Debit()
		}
		for _, d := range p.atStripe.Disputes {
			debit += d.Debit()
		}
		balance += p.credited - min(debit, p.credited)
	}
	return balance
}
