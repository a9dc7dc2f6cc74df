package wallet_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

var settledAt = time.Date(2026, time.March, 14, 9, 0, 0, 0, time.UTC)

// newSettleState is an open payment of 25.00 for 25 credits, of an empty wallet.
func newSettleState() wallet.SettleState {
	walletID, cardID := wallet.NewID(), wallet.NewID()
	purchase := wallet.PurchaseState{
		ID: wallet.NewID(), Status: wallet.TransactionPending, Amount: 25_00, CreditAmount: decimal.NewFromInt(25),
	}
	return wallet.SettleState{
		Payment: wallet.Payment{
			ID: wallet.NewID(), OrganizationID: wallet.NewID(), Mode: wallet.ModeTest, WalletID: walletID,
			WalletTransactionID: purchase.ID, PaymentMethodID: &cardID, Amount: 25_00, Currency: wallet.USD,
			Status: wallet.PaymentCreated, NextCheckAt: new(settledAt.Add(time.Minute)),
		},
		Purchase: purchase,
		Wallet:   wallet.BalanceState{ID: walletID, Traceable: true},
		Card:     &wallet.CardState{ID: cardID, Fingerprint: "fp_1"},
	}
}

func newSettlement(p wallet.Payment, o wallet.Outcome) wallet.Settlement {
	return wallet.Settlement{
		PaymentID: p.ID, Outcome: o, Cause: wallet.Cause{Kind: wallet.CauseJob, ID: "1"},
		ActionDeadline: settledAt.Add(time.Hour), CloseIntentAt: settledAt.Add(time.Minute), Now: settledAt,
		SpareTransactionID: wallet.NewID(),
	}
}

func succeeded(p wallet.Payment, intentID string) wallet.Outcome {
	return wallet.Outcome{
		Kind: wallet.OutcomeSucceeded, IntentID: intentID, ChargeID: "ch_1", AmountReceived: p.Amount, Currency: p.Currency,
		RequestID: "req_1",
	}
}

// after is the state once changes are stored.
func after(s wallet.SettleState, c wallet.SettleChanges) wallet.SettleState {
	s.Payment = c.Payment
	if c.Purchase != nil {
		s.Purchase = *c.Purchase
	}
	if c.Spare != nil {
		s.Purchase = *c.Spare
	}
	if c.Wallet != nil {
		s.Wallet = *c.Wallet
	}
	if c.Invoice != nil {
		s.Invoice = c.Invoice
	}
	if c.Card != nil {
		s.Card = c.Card
	}
	return s
}

func TestSettle(t *testing.T) {
	t.Parallel()

	t.Run("SuccessCreditsTheWalletAndSettlesThePurchase", func(t *testing.T) {
		t.Parallel()

		s := newSettleState()
		in := newSettlement(s.Payment, succeeded(s.Payment, "pi_1"))

		c := wallet.Settle(s, in)

		require.Equal(t, &wallet.Move{
			PaymentID: s.Payment.ID, From: wallet.PaymentCreated, To: wallet.PaymentSucceeded, Cause: in.Cause,
			StripeRequestID: "req_1", MovedAt: settledAt,
		}, c.Move)
		require.Equal(t, &wallet.Credit{
			PaymentID: s.Payment.ID, TransactionID: s.Purchase.ID, Amount: 25_00, Credits: decimal.NewFromInt(25), BalanceAfter: 25_00,
		}, c.Credit)
		require.Equal(t, wallet.TransactionSettled, c.Purchase.Status)
		require.EqualValues(t, 25_00, *c.Purchase.RemainingAmount)
		require.EqualValues(t, 25_00, c.Wallet.Balance)
		require.EqualValues(t, 25_00, *c.Payment.BalanceAfter)
		require.Equal(t, "pi_1", c.Payment.StripePaymentIntentID)
		require.Nil(t, c.Payment.NextCheckAt)
		require.Nil(t, c.Spare)
		require.Empty(t, c.Discrepancies)
	})

	t.Run("CreditsTheSmallerAmount", func(t *testing.T) {
		t.Parallel()

		for received, credited := range map[int64]int64{20_00: 20_00, 30_00: 25_00} {
			s := newSettleState()
			o := succeeded(s.Payment, "pi_1")
			o.AmountReceived = received

			c := wallet.Settle(s, newSettlement(s.Payment, o))

			require.Equal(t, credited, c.Credit.Amount)
			require.True(t, decimal.New(credited, -2).Equal(c.Credit.Credits))
			require.Equal(t, received, c.Payment.AmountReceived)
			require.Len(t, c.Discrepancies, 1)
			require.Equal(t, wallet.DiscrepancyAmount, c.Discrepancies[0].Kind)
		}
	})

	t.Run("MoneyIntoAWalletBelowZeroFillsTheHoleFirst", func(t *testing.T) {
		t.Parallel()

		s := newSettleState()
		s.Wallet.Balance = -10_00

		c := wallet.Settle(s, newSettlement(s.Payment, succeeded(s.Payment, "pi_1")))

		require.EqualValues(t, 15_00, c.Wallet.Balance)
		require.EqualValues(t, 15_00, *c.Purchase.RemainingAmount)
	})

	t.Run("MoneyOfAnotherCurrencyOrIntentIsADiscrepancy", func(t *testing.T) {
		t.Parallel()

		s := newSettleState()
		s.Payment.StripePaymentIntentID, s.Payment.Status = "pi_1", wallet.PaymentProcessing
		other := succeeded(s.Payment, "pi_1")
		other.Currency = wallet.Currency("EUR")
		for kind, o := range map[wallet.DiscrepancyKind]wallet.Outcome{
			wallet.DiscrepancyCurrency: other, wallet.DiscrepancySecondIntent: succeeded(s.Payment, "pi_2"),
		} {
			c := wallet.Settle(s, newSettlement(s.Payment, o))

			require.Nil(t, c.Move)
			require.Nil(t, c.Credit)
			require.Equal(t, s.Payment, c.Payment)
			require.Len(t, c.Discrepancies, 1)
			require.Equal(t, kind, c.Discrepancies[0].Kind)
		}
	})

	t.Run("APurchasePaidTwiceIsCreditedInFullBothTimes", func(t *testing.T) {
		t.Parallel()

		s := newSettleState()
		s.Payment.Status = wallet.PaymentFailed
		s.Wallet.Balance = 20_00 // the first payment brought less than was asked for
		s.Purchase.Status, s.Purchase.Amount, s.Purchase.CreditAmount = wallet.TransactionSettled, 20_00, decimal.NewFromInt(20)
		in := newSettlement(s.Payment, succeeded(s.Payment, "pi_1"))

		c := wallet.Settle(s, in)

		require.Nil(t, c.Purchase)
		require.Equal(t, in.SpareTransactionID, c.Spare.ID)
		require.Equal(t, in.SpareTransactionID, c.Payment.WalletTransactionID)
		require.EqualValues(t, 25_00, c.Credit.Amount)
		require.True(t, decimal.NewFromInt(25).Equal(c.Credit.Credits), "%s credits", c.Credit.Credits)
		require.EqualValues(t, 45_00, c.Wallet.Balance)
		require.Equal(t, wallet.DiscrepancyPaidTwice, c.Discrepancies[0].Kind)
	})

	t.Run("ADeclineEndsThePurchaseAndMarksTheCard", func(t *testing.T) {
		t.Parallel()

		s := newSettleState()
		s.Invoice = &wallet.InvoiceState{ID: wallet.NewID(), Status: wallet.InvoiceOpen, PaymentStatus: wallet.InvoicePaymentPending}
		failure := wallet.Failure{Code: "card_declined", DeclineCode: "stop_payment_order", Message: "No.", Class: wallet.DeclineDoNotRetry}

		c := wallet.Settle(s, newSettlement(s.Payment, wallet.Outcome{Kind: wallet.OutcomeDeclined, IntentID: "pi_1", Failure: failure}))

		require.Equal(t, wallet.PaymentFailed, c.Payment.Status)
		require.Equal(t, settledAt.Add(time.Minute), *c.Payment.CloseDueAt)
		require.Equal(t, wallet.TransactionFailed, c.Purchase.Status)
		require.Equal(t, settledAt, *c.Purchase.FailedAt)
		require.Equal(t, wallet.InvoicePaymentFailed, c.Invoice.PaymentStatus)
		require.Equal(t, wallet.InvoiceOpen, c.Invoice.Status)
		require.Equal(t, wallet.CardError{Code: "stop_payment_order", Message: "No.", At: settledAt}, c.Card.Error)
		require.Equal(t, &wallet.CardDecline{
			Class: wallet.DeclineDoNotRetry, Code: "card_declined", PaymentID: s.Payment.ID, DeclinedAt: settledAt,
		}, c.Card.Barred)

		c = wallet.Settle(after(s, c), newSettlement(s.Payment, succeeded(s.Payment, "pi_1")))

		require.Equal(t, wallet.TransactionSettled, c.Purchase.Status)
		require.Equal(t, settledAt, *c.Purchase.FailedAt, "that it had failed stays known")
		require.Equal(t, wallet.InvoiceFinalized, c.Invoice.Status)
		require.EqualValues(t, 25_00, c.Invoice.PaidAmount)
		require.Equal(t, settledAt, c.Invoice.IssuedAt)
		require.Nil(t, c.Card.Barred)
		require.Zero(t, c.Card.Error)
	})

	t.Run("AnUnknownOutcomeLearnsItsIntent", func(t *testing.T) {
		t.Parallel()

		s := newSettleState()
		s.Payment.Status = wallet.PaymentProcessing

		c := wallet.Settle(s, newSettlement(s.Payment, wallet.Outcome{Kind: wallet.OutcomeUnknown, IntentID: "pi_1"}))

		require.True(t, c.Identified)
		require.Nil(t, c.Move)
		require.Equal(t, "pi_1", c.Payment.StripePaymentIntentID)
	})

	t.Run("AChallengeHasItsDeadline", func(t *testing.T) {
		t.Parallel()

		s := newSettleState()

		c := wallet.Settle(s, newSettlement(s.Payment, wallet.Outcome{
			Kind: wallet.OutcomeRequiresAction, IntentID: "pi_1", RedirectURL: "https://hooks.stripe.com/x",
		}))

		require.Equal(t, settledAt.Add(time.Hour), *c.Payment.ActionDeadlineAt)
		require.Equal(t, "https://hooks.stripe.com/x", c.Payment.RedirectURL)
		require.NotNil(t, c.Payment.NextCheckAt)
		require.Nil(t, c.Purchase)
		require.Nil(t, c.Card)
	})
}

// TestSettleAttemptAtCheckout follows attempts to pay for a purchase that failed before.
func TestSettleAttemptAtCheckout(t *testing.T) {
	t.Parallel()

	attempt := func() wallet.SettleState {
		s := newSettleState()
		s.Payment.PaymentMethodID, s.Card = nil, nil
		s.Purchase.Status, s.Purchase.FailedAt = wallet.TransactionFailed, new(settledAt)
		s.Invoice = &wallet.InvoiceState{ID: wallet.NewID(), Status: wallet.InvoiceOpen, PaymentStatus: wallet.InvoicePaymentFailed}
		return s
	}
	page := wallet.Outcome{
		Kind: wallet.OutcomeRequiresAction, RedirectURL: "https://checkout.stripe.com/c/pay/cs_1", CheckoutSessionID: "cs_1",
	}

	s := attempt()
	c := wallet.Settle(s, newSettlement(s.Payment, page))
	require.Equal(t, wallet.InvoicePaymentPending, c.Invoice.PaymentStatus, "it can be paid again")
	require.Nil(t, c.Purchase)

	withdrawn := wallet.Outcome{Kind: wallet.OutcomeWithdrawn, MayHavePage: true}
	opened := after(s, c)
	c = wallet.Settle(opened, newSettlement(s.Payment, withdrawn))
	require.Equal(t, wallet.SettleChanges{Payment: opened.Payment}, c, "a page that was told stays")

	s = attempt()
	c = wallet.Settle(s, newSettlement(s.Payment, withdrawn))
	require.Equal(t, wallet.PaymentCanceled, c.Payment.Status)
	require.Equal(t, settledAt.Add(time.Minute), *c.Payment.CloseDueAt)
	require.Nil(t, c.Purchase)
	require.Nil(t, c.Invoice)
	require.Empty(t, wallet.AnnounceSettlements([]wallet.SettleChanges{c}))
	c = wallet.Settle(after(s, c), newSettlement(s.Payment, succeeded(s.Payment, "pi_1")))
	require.EqualValues(t, 25_00, c.Credit.Amount, "money that moved is credited")

	withdrawn.MayHavePage = false
	c = wallet.Settle(s, newSettlement(s.Payment, withdrawn))
	require.Nil(t, c.Payment.CloseDueAt, "there is no page to close")
}

// TestSettleMoves walks the whole table of states.
func TestSettleMoves(t *testing.T) {
	t.Parallel()

	kinds := map[wallet.PaymentStatus]wallet.OutcomeKind{
		wallet.PaymentCanceled: wallet.OutcomeCanceled, wallet.PaymentFailed: wallet.OutcomeDeclined,
		wallet.PaymentProcessing: wallet.OutcomeProcessing, wallet.PaymentRequiresAction: wallet.OutcomeRequiresAction,
		wallet.PaymentSucceeded: wallet.OutcomeSucceeded,
	}
	for _, from := range wallet.PaymentStatuses {
		for to, kind := range kinds {
			s := newSettleState()
			s.Payment.Status, s.Payment.StripePaymentIntentID = from, "pi_1"
			o := succeeded(s.Payment, "pi_1")
			o.Kind = kind

			c := wallet.Settle(s, newSettlement(s.Payment, o))

			require.Equal(t, wallet.CanMove(from, to), c.Move != nil, "%s to %s", from, to)
			require.Equal(t, c.Move != nil && to == wallet.PaymentSucceeded, c.Credit != nil, "%s to %s", from, to)
		}
	}
	for _, kind := range []wallet.OutcomeKind{wallet.OutcomeMissing, wallet.OutcomeUnavailable} {
		s := newSettleState()
		c := wallet.Settle(s, newSettlement(s.Payment, wallet.Outcome{Kind: kind}))
		require.Equal(t, wallet.SettleChanges{Payment: s.Payment}, c)
	}
}

// books are a few payments with all that they share, and what became of them.
type books struct {
	order     []wallet.ID // payments
	payments  map[wallet.ID]wallet.Payment
	purchases map[wallet.ID]wallet.PurchaseState
	wallets   map[wallet.ID]wallet.BalanceState
	invoices  map[wallet.ID]wallet.InvoiceState // by purchase
	cards     map[wallet.ID]wallet.CardState
	barred    map[string]*wallet.CardDecline // by fingerprint
	credited  map[wallet.ID]int64            // by payment
	moves     int
}

// newBooks makes up to three wallets of one organization, purchases with one or two
// payments each, and cards that share fingerprints.
func newBooks(r *rand.Rand) *books {
	b := &books{
		payments: make(map[wallet.ID]wallet.Payment), purchases: make(map[wallet.ID]wallet.PurchaseState),
		wallets: make(map[wallet.ID]wallet.BalanceState), invoices: make(map[wallet.ID]wallet.InvoiceState),
		cards: make(map[wallet.ID]wallet.CardState), barred: make(map[string]*wallet.CardDecline),
		credited: make(map[wallet.ID]int64),
	}
	newID := func() wallet.ID {
		var id wallet.ID
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		return id
	}
	organizationID := newID()
	var wallets, cards []wallet.ID
	for range 1 + r.IntN(3) {
		w := wallet.BalanceState{ID: newID(), Balance: r.Int64N(200_00) - 100_00, Traceable: r.IntN(2) == 0}
		b.wallets[w.ID] = w
		wallets = append(wallets, w.ID)
	}
	for i := range 3 {
		c := wallet.CardState{ID: newID(), Fingerprint: []string{"", "fp_1", "fp_1"}[i]}
		b.cards[c.ID] = c
		cards = append(cards, c.ID)
	}
	for range 1 + r.IntN(4) {
		amount := 1 + r.Int64N(100_00)
		t := wallet.PurchaseState{ID: newID(), Status: wallet.TransactionPending, Amount: amount, CreditAmount: decimal.New(amount, -2)}
		b.purchases[t.ID] = t
		if r.IntN(2) == 0 {
			b.invoices[t.ID] = wallet.InvoiceState{ID: newID(), Status: wallet.InvoiceOpen, PaymentStatus: wallet.InvoicePaymentPending}
		}
		walletID := wallets[r.IntN(len(wallets))]
		for range 1 + r.IntN(2) {
			p := wallet.Payment{
				ID: newID(), OrganizationID: organizationID, Mode: wallet.ModeTest, WalletID: walletID, WalletTransactionID: t.ID,
				PaymentMethodID: &cards[r.IntN(len(cards))], Amount: amount, Currency: wallet.USD, Status: wallet.PaymentCreated,
			}
			b.payments[p.ID] = p
			b.order = append(b.order, p.ID)
		}
	}
	return b
}

func (b *books) clone() *books {
	c := *b
	c.payments, c.purchases, c.wallets = maps.Clone(b.payments), maps.Clone(b.purchases), maps.Clone(b.wallets)
	c.invoices, c.cards, c.barred, c.credited = maps.Clone(b.invoices), maps.Clone(b.cards), maps.Clone(b.barred), maps.Clone(b.credited)
	return &c
}

func (b *books) state(id wallet.ID) wallet.SettleState {
	p := b.payments[id]
	s := wallet.SettleState{Payment: p, Purchase: b.purchases[p.WalletTransactionID], Wallet: b.wallets[p.WalletID]}
	if i, ok := b.invoices[p.WalletTransactionID]; ok {
		s.Invoice = &i
	}
	card := b.cards[*p.PaymentMethodID]
	card.Barred = b.barred[card.Fingerprint]
	s.Card = &card
	return s
}

func (b *books) states(list []wallet.Settlement) []wallet.SettleState {
	states := make([]wallet.SettleState, len(list))
	for i, in := range list {
		states[i] = b.state(in.PaymentID)
	}
	return states
}

// store writes changes down, and complains of those that break a rule.
func (b *books) store(list []wallet.Settlement, changes []wallet.SettleChanges) error {
	for i, c := range changes {
		id := list[i].PaymentID
		before := b.payments[id]
		b.payments[id] = c.Payment
		if c.Move != nil {
			b.moves++
			if !wallet.CanMove(before.Status, c.Payment.Status) || c.Move.From != before.Status || c.Move.To != c.Payment.Status {
				return fmt.Errorf("moved from %s to %s", before.Status, c.Payment.Status)
			}
		} else if before.Status != c.Payment.Status || c.Credit != nil || c.Purchase != nil || c.Spare != nil || c.Wallet != nil {
			return fmt.Errorf("changed without a move")
		}
		if c.Purchase != nil {
			if b.purchases[c.Purchase.ID].Status == wallet.TransactionSettled {
				return fmt.Errorf("a settled purchase changed")
			}
			b.purchases[c.Purchase.ID] = *c.Purchase
		}
		if c.Spare != nil {
			b.purchases[c.Spare.ID] = *c.Spare
		}
		if c.Invoice != nil {
			b.invoices[before.WalletTransactionID] = *c.Invoice
		}
		if c.Wallet != nil {
			b.wallets[c.Wallet.ID] = *c.Wallet
		}
		if c.Card != nil {
			b.cards[c.Card.ID] = *c.Card
			if c.Card.Fingerprint != "" {
				b.barred[c.Card.Fingerprint] = c.Card.Barred
			}
		}
		if c.Credit != nil {
			if b.credited[id] != 0 {
				return fmt.Errorf("credited twice")
			}
			if c.Credit.Amount <= 0 || c.Credit.Amount > list[i].Outcome.AmountReceived || c.Credit.Amount > before.Amount {
				return fmt.Errorf("credited %d of %d for %d", c.Credit.Amount, list[i].Outcome.AmountReceived, before.Amount)
			}
			if t := b.purchases[c.Credit.TransactionID]; t.Status != wallet.TransactionSettled || t.Amount != c.Credit.Amount {
				return fmt.Errorf("the credit and its wallet transaction differ")
			}
			b.credited[id] = c.Credit.Amount
		}
	}
	return nil
}

// settle decides on one settlement and stores what it changes.
func (b *books) settle(in wallet.Settlement) error {
	return b.store([]wallet.Settlement{in}, []wallet.SettleChanges{wallet.Settle(b.state(in.PaymentID), in)})
}

// summary says how the books stand, for comparing.
func (b *books) summary() string {
	var s strings.Builder
	for _, id := range b.order {
		p := b.payments[id]
		t, w, c := b.purchases[p.WalletTransactionID], b.wallets[p.WalletID], b.cards[*p.PaymentMethodID]
		fmt.Fprintf(&s, "%s %s %s %d %d %s %d %s %s %v %s\n", p.Status, p.StripePaymentIntentID, p.WalletTransactionID, b.credited[id],
			t.Amount, t.CreditAmount, w.Balance, w.CreditsBalance, t.Status, c.Error, b.invoices[p.WalletTransactionID].PaymentStatus)
	}
	fmt.Fprint(&s, b.moves)
	return s.String()
}

// randomOutcome is anything that Stripe can say of a payment. The amount that a
// payment's intent received is always the same.
func randomOutcome(r *rand.Rand, p wallet.Payment) wallet.Outcome {
	kinds := []wallet.OutcomeKind{
		wallet.OutcomeCanceled, wallet.OutcomeDeclined, wallet.OutcomeMissing, wallet.OutcomeProcessing, wallet.OutcomeRejected,
		wallet.OutcomeRequiresAction, wallet.OutcomeSucceeded, wallet.OutcomeSucceeded, wallet.OutcomeUnavailable, wallet.OutcomeUnknown,
		wallet.OutcomeWithdrawn,
	}
	o := wallet.Outcome{Kind: kinds[r.IntN(len(kinds))], IntentID: "pi_" + p.ID.String(), Currency: p.Currency}
	switch o.Kind {
	case wallet.OutcomeSucceeded:
		o.AmountReceived = max(1, p.Amount+int64(p.ID[0])%3-1)
		if r.IntN(10) == 0 {
			o.IntentID += "_second"
		}
	case wallet.OutcomeDeclined, wallet.OutcomeRejected, wallet.OutcomeCanceled:
		o.Failure = wallet.Failure{Code: "card_declined", Class: []wallet.DeclineClass{"", wallet.DeclineHard, wallet.DeclineSoft}[r.IntN(3)]}
	case wallet.OutcomeUnknown, wallet.OutcomeWithdrawn:
		o.IntentID = ""
	default:
		o.RedirectURL = "https://hooks.stripe.com/x"
	}
	return o
}

// TestSettleHistories plays histories of random outcomes, some million settlements.
// A failure names the seed of its history.
func TestSettleHistories(t *testing.T) {
	t.Parallel()

	const histories = 20_000
	for seed := range uint64(histories) {
		if err := checkHistory(rand.New(rand.NewPCG(seed, 0))); err != nil {
			require.NoError(t, err, "seed %d", seed)
		}
	}
}

func checkHistory(r *rand.Rand) error {
	start := newBooks(r)
	grouped, single := start.clone(), start.clone()
	var history []wallet.Settlement
	for range 1 + r.IntN(6) {
		var group []wallet.Settlement
		for _, id := range start.order {
			if r.IntN(2) == 0 {
				in := newSettlement(start.payments[id], randomOutcome(r, start.payments[id]))
				in.SpareTransactionID = id // a payment needs one at most
				group = append(group, in)
			}
		}
		r.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
		history = append(history, group...)

		// A group changes what its members change one after another.
		if err := grouped.store(group, wallet.SettleGroup(grouped.states(group), group)); err != nil {
			return err
		}
		for _, in := range group {
			if err := single.settle(in); err != nil {
				return err
			}
			if c := wallet.Settle(single.state(in.PaymentID), in); c.Move != nil || c.Credit != nil || c.Wallet != nil || c.Card != nil {
				return fmt.Errorf("the same settlement again changed payment %s", in.PaymentID)
			}
		}
	}
	if grouped.summary() != single.summary() {
		return fmt.Errorf("groups differ from their members:\n%s\n%s", grouped.summary(), single.summary())
	}
	if err := conserved(start, single); err != nil {
		return err
	}

	// The same history again brings no more money.
	again := single.clone()
	for _, in := range history {
		if err := again.settle(in); err != nil {
			return err
		}
	}
	if fmt.Sprint(again.credited) != fmt.Sprint(single.credited) {
		return fmt.Errorf("the history again credited %v instead of %v", again.credited, single.credited)
	}

	// In another order the same money is credited: what succeeded does not depend on
	// which answer came first.
	r.Shuffle(len(history), func(i, j int) { history[i], history[j] = history[j], history[i] })
	shuffled := start.clone()
	for _, in := range history {
		if err := shuffled.settle(in); err != nil {
			return err
		}
	}
	if secondIntents(history) {
		return conserved(start, shuffled) // the first intent that a payment hears of is its own
	}
	if got, want := shuffled.credited, single.credited; fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("in another order %v was credited instead of %v", got, want)
	}
	return conserved(start, shuffled)
}

func secondIntents(history []wallet.Settlement) bool {
	for _, in := range history {
		if in.Outcome.IntentID != "" && in.Outcome.IntentID != "pi_"+in.PaymentID.String() {
			return true
		}
	}
	return false
}

// conserved reports money that appeared or vanished.
func conserved(before, now *books) error {
	for id, w := range now.wallets {
		balance := before.wallets[id].Balance
		credits := decimal.Zero
		for _, p := range now.payments {
			if p.WalletID != id {
				continue
			}
			balance += now.credited[p.ID]
			if (p.Status == wallet.PaymentSucceeded) != (now.credited[p.ID] > 0) {
				return fmt.Errorf("payment %s is %s and %d was credited", p.ID, p.Status, now.credited[p.ID])
			}
			if p.Status == wallet.PaymentSucceeded {
				credits = credits.Add(now.purchases[p.WalletTransactionID].CreditAmount)
			}
		}
		if w.Balance != balance {
			return fmt.Errorf("wallet %s holds %d instead of %d", id, w.Balance, balance)
		}
		if !w.CreditsBalance.Equal(credits) {
			return fmt.Errorf("wallet %s holds %s credits instead of %s", id, w.CreditsBalance, credits)
		}
	}
	return nil
}
