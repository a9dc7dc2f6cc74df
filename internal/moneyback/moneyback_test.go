package moneyback_test

import (
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestMain raises the number of histories that a property is checked with, unless
// the command line names one: they are fast.
func TestMain(m *testing.M) {
	flag.Parse()
	named := false
	flag.Visit(func(f *flag.Flag) { named = named || f.Name == "rapid.checks" })
	if !named {
		if err := flag.Set("rapid.checks", "2000"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// drawWorld draws a wallet with one to three payments.
func drawWorld(t *rapid.T) *world {
	w := newWorld(t, rapid.IntRange(0, 3).Draw(t, "traceable") > 0)
	for range rapid.IntRange(1, 3).Draw(t, "payments") {
		drawPayment(t, w)
	}
	return w
}

func drawPayment(t *rapid.T, w *world) {
	w.pay(
		rapid.Int64Range(1, 1000).Draw(t, "amount"),
		decimal.New(rapid.Int64Range(0, 100_000_000).Draw(t, "credits"), -wallet.CreditDecimals),
		rapid.SampledFrom([]int{1, 50}).Draw(t, "priority"),
	)
}

// step does one thing to a world: at Stripe, in an answer of Stripe's, in a request
// of a merchant's, or in the wallet.
func (w *world) step(t *rapid.T) {
	w.now = w.now.Add(time.Second)
	p := rapid.SampledFrom(w.payments).Draw(t, "payment")
	switch rapid.IntRange(0, 9).Draw(t, "step") {
	case 0:
		drawPayment(t, w)
	case 1:
		if w.wallet.Balance > 0 {
			w.spend(rapid.Int64Range(1, w.wallet.Balance).Draw(t, "spend"))
		}
	case 2, 3:
		w.request(t, p)
	case 4, 5, 6:
		w.moveStripe(t, p)
	default:
		w.checkAnnouncements(w.apply(p, someOf(t, p)))
	}
}

// request asks for a refund. It checks that the refund is made exactly when it may
// be, and lets Stripe make it or refuse it.
func (w *world) request(t *rapid.T, p *payment) {
	r := moneyback.RefundRequest{
		ID: w.ids.next(), Amount: rapid.Int64Range(0, p.credited+1).Draw(t, "request"), Force: rapid.Bool().Draw(t, "force"),
		Reason: "requested_by_customer",
	}
	s := w.state(p)
	made, c, err := moneyback.Request(s, r, w.now, w.ids.next)
	if code := refusal(s, r); code != "" {
		require.True(w.t, wallet.HasCode(err, code), "%v instead of %s", err, code)
		require.Empty(w.t, c)
		return
	}
	require.NoError(w.t, err)
	require.Equal(w.t, []wallet.Refund{made}, c.NewRefunds)
	require.Equal(w.t, wallet.RefundPending, made.Status)
	require.Equal(w.t, made.Amount, made.Debited, "it is debited at once")
	require.Len(w.t, c.Bookings, 1, "and nothing else is")
	require.Equal(w.t, c.BalanceBefore-made.Amount, c.Wallet.Balance)
	require.Equal(w.t, c.VersionBefore, c.Payment.Version, "an answer that is under way stays as new as it was")
	w.checkAnnouncements(c)
	if !r.Force {
		require.GreaterOrEqual(w.t, c.Wallet.Balance, int64(0))
	}
	w.write(p, c)
	if rapid.Bool().Draw(t, "refused by stripe") {
		w.refuse(p, made)
		return
	}
	p.atStripe.Refunds = append(p.atStripe.Refunds, wallet.RefundState{
		ID: w.stripeID("re"), RefundID: made.ID, Amount: made.Amount, Currency: p.Currency, Status: wallet.RefundPending, CreatedAt: w.now,
	})
}

// refusal is the code with which a request has to be refused, empty when it has to
// succeed.
func refusal(s moneyback.State, r moneyback.RefundRequest) wallet.Code {
	left := s.Purchase.Credited
	for _, x := range s.Refunds {
		left -= x.Wanted()
	}
	for _, x := range s.Disputes {
		left -= x.Wanted()
	}
	amount := r.Amount
	if amount == 0 {
		amount = left
	}
	switch {
	case left <= 0:
		return wallet.CodePaymentRefunded
	case amount > left:
		return wallet.CodeRefundTooLarge
	case !r.Force && amount > max(0, s.Wallet.Balance):
		return wallet.CodeRefundSpent
	default:
		return ""
	}
}

// refuse lets Stripe refuse to make a refund, and say so twice.
func (w *world) refuse(p *payment, r wallet.Refund) {
	before := w.wallet.Balance
	c, err := moneyback.Refuse(w.state(p), r.ID, "charge_disputed", w.now, w.ids.next)
	require.NoError(w.t, err)
	w.checkAnnouncements(c)
	w.write(p, c)
	require.Equal(w.t, before+r.Debited, w.wallet.Balance)
	stored := p.refunds[p.findRefund(r.ID)]
	require.Equal(w.t, wallet.RefundFailed, stored.Status)
	require.Equal(w.t, "charge_disputed", stored.FailureReason)
	require.Zero(w.t, stored.Debited)

	again, err := moneyback.Refuse(w.state(p), r.ID, "other", w.now, w.ids.next)
	require.NoError(w.t, err)
	require.False(w.t, again.Moved())
	require.Empty(w.t, again.Refunds)
}

// checkAnnouncements holds what merchants are told to what was booked.
func (w *world) checkAnnouncements(c moneyback.Changes) {
	if len(c.Bookings) == 0 {
		require.Empty(w.t, c.Announcements)
		return
	}
	types := map[moneyback.Kind]wallet.DeliveryType{
		moneyback.KindDispute: wallet.DeliveryPaymentDisputed, moneyback.KindDisputeReversal: wallet.DeliveryPaymentDisputeReversed,
		moneyback.KindRefund: wallet.DeliveryPaymentRefunded, moneyback.KindRefundReversal: wallet.DeliveryPaymentRefundReversed,
	}
	n := len(c.Bookings)
	require.Len(w.t, c.Announcements, 2*n+1)
	for i, b := range c.Bookings {
		payment, line := c.Announcements[i], c.Announcements[n+i]
		require.Equal(w.t, types[b.Kind], payment.Type)
		require.Equal(w.t, c.Payment.ID, *payment.PaymentID)
		require.Equal(w.t, b.Amount, *payment.Amount)
		require.Equal(w.t, wallet.DeliveryTransactionCreated, line.Type)
		require.Equal(w.t, b.Line.ID, *line.TransactionID)
	}
	balance := c.Announcements[2*n]
	require.Equal(w.t, wallet.DeliveryWalletBalanceUpdated, balance.Type)
	require.Equal(w.t, w.wallet.ID, balance.ObjectID)
}

// TestHistories plays random histories. The world checks after every change that
// no money appears or disappears, that no more is debited than was credited, that
// what is left of the lots is the balance, and that an answer books nothing the
// second time. In the end the balance is what Stripe says.
func TestHistories(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			w.step(t)
		}
		for _, p := range w.payments {
			w.apply(p, p.atStripe)
		}
		require.Equal(t, w.balanceAtStripe(), w.wallet.Balance)
	})
}

// TestOrderOfAnswers applies the same answers, each about one refund or dispute, in
// two orders. The sums are the same in the end, and so is what each debits.
func TestOrderOfAnswers(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(1, 1000).Draw(t, "amount")
		credits := decimal.New(rapid.Int64Range(0, 100_000_000).Draw(t, "credits"), -wallet.CreditDecimals)
		spent := rapid.Int64Range(0, amount).Draw(t, "spent")
		one := newWorld(t, true)
		one.pay(amount, credits, 50)
		for range rapid.IntRange(1, 12).Draw(t, "moves") {
			one.moveStripe(t, one.payments[0])
		}
		var answers []moneyback.Answer
		for i, r := range one.payments[0].atStripe.Refunds {
			// Of refunds that were made at the same time the one that is heard of first
			// goes first, so their own debits may differ.
			r.CreatedAt = start.Add(time.Duration(i) * time.Minute)
			answers = append(answers, moneyback.Answer{Refunds: []wallet.RefundState{r}})
		}
		for i, d := range one.payments[0].atStripe.Disputes {
			d.CreatedAt = start.Add(time.Duration(i) * time.Minute)
			answers = append(answers, moneyback.Answer{Disputes: []wallet.DisputeState{d}})
		}
		other := newWorld(t, true)
		other.pay(amount, credits, 50)
		one.spend(spent)
		other.spend(spent)

		for _, a := range answers {
			one.apply(one.payments[0], a)
		}
		for _, a := range rapid.Permutation(answers).Draw(t, "order") {
			other.apply(other.payments[0], a)
		}

		require.Equal(t, one.wallet.Balance, other.wallet.Balance)
		require.True(t, one.wallet.CreditsBalance.Equal(other.wallet.CreditsBalance))
		require.Equal(t, one.left(), other.left())
		require.Equal(t, one.payments[0].Refunded, other.payments[0].Refunded)
		require.Equal(t, one.payments[0].Disputed, other.payments[0].Disputed)
		require.Equal(t, debits(one.payments[0]), debits(other.payments[0]))
	})
}

// debits is what each refund and dispute of a payment debits, by Stripe's ids.
func debits(p *payment) map[string]int64 {
	list := map[string]int64{}
	for _, r := range p.refunds {
		list[r.StripeRefundID] = r.Debited
	}
	for _, d := range p.disputes {
		list[d.StripeDisputeID] = d.Debited
	}
	return list
}

// TestDecisionsAreFunctions decides twice from the same state, the second time
// without the lots that the state need not have. The changes are the same, and the
// state stays as it was.
func TestDecisionsAreFunctions(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(0, 15).Draw(t, "steps") {
			w.step(t)
		}
		p := rapid.SampledFrom(w.payments).Draw(t, "payment")
		a := someOf(t, p)
		a.Version = p.Version
		request := moneyback.RefundRequest{ID: w.ids.next(), Force: true}
		refused := request.ID
		if len(p.refunds) > 0 {
			refused = p.refunds[0].ID
		}
		for name, decide := range map[string]func(moneyback.State, *ids) (moneyback.Changes, error){
			"apply": func(s moneyback.State, source *ids) (moneyback.Changes, error) {
				return moneyback.Apply(s, a, w.now, source.next)
			},
			"request": func(s moneyback.State, source *ids) (moneyback.Changes, error) {
				_, c, err := moneyback.Request(s, request, w.now, source.next)
				return c, err
			},
			"refuse": func(s moneyback.State, source *ids) (moneyback.Changes, error) {
				return moneyback.Refuse(s, refused, "charge_disputed", w.now, source.next)
			},
		} {
			given := w.state(p)
			one, err := decide(given, &ids{last: 1 << 32})
			require.Equal(t, w.state(p), given, "%s changes the state that it is given", name)
			other, otherErr := decide(cutLots(w.state(p)), &ids{last: 1 << 32})
			require.Equal(t, err, otherErr, name)
			require.Equal(t, one, other, name)
		}
	})
}

func TestAnswersThatAreNotApplied(t *testing.T) {
	t.Parallel()

	w := newWorld(t, true)
	p := w.pay(25_00, decimal.NewFromInt(25), 50)
	a := moneyback.Answer{Refunds: []wallet.RefundState{{ID: "re_1", Amount: 10_00, Status: wallet.RefundSucceeded}}}
	w.apply(p, a)

	t.Run("Overtaken", func(t *testing.T) {
		t.Parallel()

		a := a
		a.Version = p.Version - 1
		c, err := moneyback.Apply(w.state(p), a, w.now, new(ids).next)
		require.ErrorIs(t, err, moneyback.ErrOvertaken)
		require.Empty(t, c)
	})

	for _, status := range wallet.PaymentStatuses {
		if status == wallet.PaymentSucceeded {
			continue
		}
		t.Run("PaymentIs"+string(status), func(t *testing.T) {
			t.Parallel()

			s := w.state(p)
			s.Payment.Status = status
			_, err := moneyback.Apply(s, a, w.now, new(ids).next)
			require.ErrorIs(t, err, moneyback.ErrNotCredited)
			_, err = moneyback.Refuse(s, wallet.NewID(), "refused", w.now, new(ids).next)
			require.ErrorIs(t, err, moneyback.ErrNotCredited)
			_, _, err = moneyback.Request(s, moneyback.RefundRequest{ID: wallet.NewID()}, w.now, new(ids).next)
			require.True(t, wallet.HasCode(err, wallet.CodePaymentNotRefundable), "%v", err)
		})
	}
}

// TestRequest tells the rules of a merchant's refund one by one.
func TestRequest(t *testing.T) {
	t.Parallel()

	request := func(t *testing.T, w *world, r moneyback.RefundRequest) (wallet.Refund, error) {
		t.Helper()
		w.t, r.ID = t, w.ids.next()
		made, c, err := moneyback.Request(w.state(w.payments[0]), r, w.now, w.ids.next)
		if err == nil {
			w.write(w.payments[0], c)
		}
		return made, err
	}
	requireRefused := func(t *testing.T, err error, code wallet.Code, message string) {
		t.Helper()
		require.True(t, wallet.HasCode(err, code), "%v", err)
		require.ErrorContains(t, err, message)
	}

	t.Run("NeverMoreThanThePayment", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t, true)
		w.pay(25_00, decimal.NewFromInt(25), 50)
		w.pay(100_00, decimal.NewFromInt(100), 50)
		_, err := request(t, w, moneyback.RefundRequest{Amount: 25_01})
		requireRefused(t, err, wallet.CodeRefundTooLarge, "25.00")
		_, err = request(t, w, moneyback.RefundRequest{Amount: 20_00})
		require.NoError(t, err)
		_, err = request(t, w, moneyback.RefundRequest{Amount: 5_01, Force: true})
		requireRefused(t, err, wallet.CodeRefundTooLarge, "5.00")
		rest, err := request(t, w, moneyback.RefundRequest{Reason: "duplicate"})
		require.NoError(t, err)
		require.EqualValues(t, 5_00, rest.Amount, "without an amount it is all that is left")
		require.Equal(t, "duplicate", rest.Reason)
		_, err = request(t, w, moneyback.RefundRequest{Force: true})
		requireRefused(t, err, wallet.CodePaymentRefunded, "Nothing is left")
		require.EqualValues(t, 100_00, w.wallet.Balance)
	})

	t.Run("SpentMoneyNeedsForce", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t, true)
		w.pay(25_00, decimal.NewFromInt(25), 50)
		w.spend(20_00)
		_, err := request(t, w, moneyback.RefundRequest{Amount: 5_01})
		requireRefused(t, err, wallet.CodeRefundSpent, "5.00")
		_, err = request(t, w, moneyback.RefundRequest{Amount: 25_00, Force: true})
		require.NoError(t, err)
		require.EqualValues(t, -20_00, w.wallet.Balance)
		require.Zero(t, w.left())
	})
}

// TestLots tells from which lots a debit is taken.
func TestLots(t *testing.T) {
	t.Parallel()

	refund := func(id string, amount int64, status wallet.RefundStatus) moneyback.Answer {
		return moneyback.Answer{Refunds: []wallet.RefundState{{ID: id, Amount: amount, Status: status}}}
	}
	taken := func(c moneyback.Changes) map[wallet.ID]int64 {
		lots := map[wallet.ID]int64{}
		for _, x := range c.Consumptions {
			lots[x.InboundID] += x.Amount
		}
		return lots
	}

	t.Run("OwnFirstThenTheOthersInTheirOrder", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t, true)
		urgent := w.pay(3, decimal.Zero, 1)
		p := w.pay(10, decimal.Zero, 50)
		w.now = w.now.Add(time.Second)
		newer := w.pay(10, decimal.Zero, 50)
		w.spend(8) // all of the urgent one, and 5 of the payment's own

		c := w.apply(p, refund("re_1", 10, wallet.RefundSucceeded))

		require.Zero(t, taken(c)[urgent.lotID])
		require.EqualValues(t, 5, taken(c)[p.lotID])
		require.EqualValues(t, 5, taken(c)[newer.lotID])
	})

	t.Run("LineOfTheSameDecision", func(t *testing.T) {
		t.Parallel()

		// The refund fails and the dispute takes its money in one answer. The money that
		// comes back is a lot of its own, from which the dispute takes.
		w := newWorld(t, true)
		p := w.pay(10, decimal.Zero, 50)
		w.apply(p, refund("re_1", 10, wallet.RefundSucceeded))

		a := refund("re_1", 10, wallet.RefundFailed)
		a.Disputes = []wallet.DisputeState{{ID: "dp_1", Amount: 7, Status: wallet.DisputeLost}}
		c := w.apply(p, a)

		require.Len(t, c.Bookings, 2)
		require.Equal(t, []moneyback.Kind{moneyback.KindRefundReversal, moneyback.KindDispute}, []moneyback.Kind{c.Bookings[0].Kind, c.Bookings[1].Kind})
		require.EqualValues(t, 7, taken(c)[c.Bookings[0].Line.ID])
		require.EqualValues(t, 3, *c.Bookings[0].Line.Remaining, "what is left of it is stored at once")
		require.Empty(t, c.Lots)
	})

	t.Run("Order", func(t *testing.T) {
		t.Parallel()

		older, newer := start, start.Add(time.Second)
		want := []wallet.Lot{
			{Priority: 1, Kind: wallet.TransactionPurchased, CreatedAt: newer},
			{Priority: 50, Kind: wallet.TransactionGranted, CreatedAt: newer},
			{Priority: 50, Kind: wallet.TransactionPurchased, CreatedAt: older, ID: wallet.ID{15: 1}},
			{Priority: 50, Kind: wallet.TransactionPurchased, CreatedAt: older, ID: wallet.ID{15: 2}},
			{Priority: 50, Kind: wallet.TransactionPurchased, CreatedAt: newer},
		}
		got := slices.Clone(want)
		slices.Reverse(got)
		slices.SortFunc(got, wallet.CompareLots)
		require.Equal(t, want, got)
	})
}
