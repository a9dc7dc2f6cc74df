package topup_test

import (
	"math"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestHistories checks over random histories that no money appears or vanishes, that
// the lots hold the balance, and that a void takes what there is and no more.
func TestHistories(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if rapid.IntRange(0, 5).Draw(rt, "refund") == 0 {
				w.sendBack(rapid.Int64Range(1, 3_000).Draw(rt, "back"))
			}
			w.now = w.now.AddDate(0, 0, rapid.IntRange(0, 1).Draw(rt, "days"))
			r := w.drawRequest(rt)
			p, err := w.prepare(r)
			if err != nil {
				_ = requireFinding(rt, err)
				continue
			}
			require.Equal(rt, r.Wanted(), len(p.TransactionIDs()) > 0)
			if p.MovesCredits() {
				if _, err := w.move(p); err != nil {
					continue // and the purchase is rolled back as well
				}
			}
			w.requireLots()
			if p.Purchase != nil {
				w.settle(p)
			}
			w.requireLots()
		}
	})
}

// TestFindingsAreTheSameAgain checks that a request is refused for the same reasons
// when it is checked again, with the findings of the first check or without.
func TestFindingsAreTheSameAgain(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		w.wallet.CreditsBalance = decimal.New(rapid.Int64Range(0, 100).Draw(rt, "credits"), 0)
		if rapid.Bool().Draw(rt, "ended") {
			w.wallet.Status = wallet.WalletTerminated
		}
		smallest, largest := int64(100), int64(500)
		w.wallet.PaidTopUpMinAmount, w.wallet.PaidTopUpMaxAmount = &smallest, &largest
		r := w.drawRequest(rt)
		r.PaymentMethod.Type = rapid.SampledFrom([]string{"", "manual", "provider", "cash"}).Draw(rt, "method")
		if rapid.Bool().Draw(rt, "unknown target") {
			r.VoidedTransactionID = new(w.ids.next())
		}
		stored := w.read(r)
		if rapid.Bool().Draw(rt, "unknown wallet") {
			stored.Wallet = nil
		}
		earlier := &wallet.ValidationError{}
		if rapid.Bool().Draw(rt, "found earlier") {
			earlier.Add(wallet.FieldPriority, wallet.ProblemInvalid)
		}
		known := earlier.Clone()

		_, err := topup.Prepare(r, stored, earlier)
		_, again := topup.Prepare(r, stored, earlier)

		require.Equal(rt, err, again)
		require.Equal(rt, known, earlier, "the caller's findings stay as they are")
		if err == nil {
			require.Empty(rt, earlier.Findings)
			return
		}
		v := requireFinding(rt, err)
		require.Subset(rt, v.Findings, known.Findings)
		if !v.Has(wallet.FieldPaidCredits) {
			_, more := topup.Prepare(r, stored, v)
			require.Equal(rt, v, requireFinding(rt, more))
		}
	})
}

func TestPrepare(t *testing.T) {
	t.Parallel()

	require.Equal(t, wallet.SourceManual, topup.Request{}.SourceOrManual())
	require.Equal(t, wallet.DefaultPriority, topup.Request{}.PriorityOrDefault())

	t.Run("NothingWanted", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)

		p, err := w.prepare(w.request())

		require.NoError(t, err)
		require.Empty(t, p.TransactionIDs())
		require.False(t, p.MovesCredits())
	})

	t.Run("PurchaseIsDescribed", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		w.wallet.Name, w.wallet.PurchaseOrderNumber, w.wallet.InvoiceRequiresSuccessfulPayment = "Main", "PO-1", true
		w.wallet.Sections = wallet.AppliedSections{List: []wallet.AppliedSection{{Code: "wallet"}}}
		r := w.request()
		r.Paid = dec("10.505")

		p, err := w.prepare(r)

		require.NoError(t, err)
		require.Equal(t, []wallet.ID{r.IDs.Purchase}, p.TransactionIDs())
		require.EqualValues(t, 10_51, p.Purchase.Amount)
		require.Equal(t, "10.51", p.Purchase.Credits.String(), "those of the rounded amount")
		require.Equal(t, "Prepaid credits - Main", p.Purchase.Description)
		require.Equal(t, "PO-1", p.Purchase.PurchaseOrderNumber)
		require.True(t, p.Purchase.RequiresPayment)
		require.Equal(t, "wallet", p.Purchase.InvoiceSections[0].Code)

		r.Name, r.PurchaseOrderNumber, r.InvoiceRequiresSuccessfulPayment = "Spring", "PO-2", new(false)
		r.Sections.Skip = true
		p, err = w.prepare(r)

		require.NoError(t, err)
		require.Equal(t, "Spring", p.Purchase.Description)
		require.Equal(t, "PO-2", p.Purchase.PurchaseOrderNumber)
		require.False(t, p.Purchase.RequiresPayment)
		require.Empty(t, p.Purchase.InvoiceSections)

		w.wallet.Name, r.Name = "", ""
		p, err = w.prepare(r)
		require.NoError(t, err)
		require.Equal(t, "Prepaid credits", p.Purchase.Description)
	})

	t.Run("CardIsTheFirstOfTheChain", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		own, ofWallet, ofCustomer := w.ids.next(), w.ids.next(), w.ids.next()
		r := w.request()
		r.Paid = dec("1")
		cardOf := func() *wallet.ID {
			p, err := w.prepare(r)
			require.NoError(t, err)
			return p.Purchase.Card
		}

		require.Nil(t, cardOf())
		w.stored.DefaultCard = &ofCustomer
		require.Equal(t, &ofCustomer, cardOf())
		w.wallet.PaymentMethod = wallet.MethodChoice{Type: wallet.MethodProvider, ID: &ofWallet}
		require.Equal(t, &ofWallet, cardOf())
		r.PaymentMethod = wallet.MethodRequest{Type: "provider", ID: new(own.String())}
		w.stored.NamedCard = &own
		require.Equal(t, &own, cardOf())
		r.PaymentMethod = wallet.MethodRequest{Type: "manual"}
		require.Nil(t, cardOf())
	})

	t.Run("LeavesRoomForWhatIsCharged", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		for name, tc := range map[string]struct {
			balance int64
			credits decimal.Decimal
			paid    string
			refused bool
		}{
			"Last":           {balance: wallet.MaxBalance - 1_00, paid: "1"},
			"BalanceFull":    {balance: wallet.MaxBalance - 99, paid: "1", refused: true},
			"CreditsFull":    {credits: dec("1e24"), paid: "1", refused: true},
			"Largest":        {paid: wallet.FormatMinor(wallet.MaxPaymentAmount, wallet.USD)},
			"TooLarge":       {paid: wallet.FormatMinor(wallet.MaxPaymentAmount+1, wallet.USD), refused: true},
			"FullAndBeyond":  {balance: math.MaxInt64, paid: "1", refused: true},
			"FarBelowZero":   {balance: math.MinInt64, paid: "1"},
			"CreditsInHole":  {credits: dec("-1e24"), paid: "1"},
			"CreditsAreLast": {credits: dec("1e24").Sub(dec("1")), paid: "1"},
		} {
			w.wallet.Balance, w.wallet.CreditsBalance = tc.balance, tc.credits
			r := w.request()
			r.Paid = dec(tc.paid)
			_, err := w.prepare(r)
			if !tc.refused {
				require.NoError(t, err, name)
				continue
			}
			require.Equal(t, []wallet.Finding{{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemAmountInvalid}}, requireFinding(t, err).Findings, name)
		}
	})

	t.Run("LimitsComeLast", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		smallest, largest := int64(1_00), int64(2_00)
		w.wallet.PaidTopUpMinAmount, w.wallet.PaidTopUpMaxAmount = &smallest, &largest
		for paid, want := range map[string]wallet.Problem{
			"0.99": wallet.ProblemBelowMinimum, "1": "", "2": "", "2.01": wallet.ProblemAboveMaximum,
		} {
			r := w.request()
			r.Paid = dec(paid)
			_, err := w.prepare(r)
			if want == "" {
				require.NoError(t, err, paid)
				continue
			}
			require.Equal(t, []wallet.Finding{{Field: wallet.FieldPaidCredits, Problem: want}}, requireFinding(t, err).Findings)

			r.Granted = dec("0.001")
			_, err = w.prepare(r)
			require.Equal(t, []wallet.Finding{
				{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemRoundsToZero},
			}, requireFinding(t, err).Findings)

			r.Granted, r.IgnorePaidTopUpLimits = decimal.Zero, true
			_, err = w.prepare(r)
			require.NoError(t, err)
		}
	})
}

func TestMove(t *testing.T) {
	t.Parallel()

	grant := func(w *world, credits string, priority int) wallet.ID {
		r := w.request()
		r.Granted, r.Priority = dec(credits), priority
		p, err := w.prepare(r)
		require.NoError(w.t, err)
		_, err = w.move(p)
		require.NoError(w.t, err)
		return r.IDs.Grant
	}

	t.Run("OwnGrantIsALotInItsTurn", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		urgent := grant(w, "1", 1)
		grant(w, "5", 9)
		r := w.request()
		r.Granted, r.Voided, r.Priority = dec("2"), dec("4"), 5
		p, err := w.prepare(r)
		require.NoError(t, err)

		c, err := w.move(p)

		require.NoError(t, err)
		require.Len(t, c.Debits, 3)
		require.Equal(t, []wallet.ID{urgent, r.IDs.Grant}, []wallet.ID{c.Debits[0].InboundID, c.Debits[1].InboundID})
		require.Zero(t, *c.Movements[0].Remaining)
		require.Len(t, c.Lots, 2, "the grant is not stored yet, so it is not changed")
		require.Len(t, c.Announcements, 3)
		require.Equal(t, w.wallet.ID, c.Announcements[2].ObjectID, "the balance is announced last")
		w.requireLots()
	})

	t.Run("GrantFillsABalanceBelowZero", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		w.sendBack(3_00)
		r := w.request()
		r.Granted = dec("5")
		p, err := w.prepare(r)
		require.NoError(t, err)

		c, err := w.move(p)

		require.NoError(t, err)
		require.EqualValues(t, 2_00, *c.Movements[0].Remaining)
		w.requireLots()
	})

	t.Run("WalletThatChangedMeanwhile", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		target := grant(w, "5", 0)
		for name, tc := range map[string]struct {
			change func(*world, *topup.Request)
			then   func(*topup.State)
			want   wallet.Finding
		}{
			"Ended": {
				change: func(_ *world, r *topup.Request) { r.Granted = dec("1") },
				then:   func(s *topup.State) { s.Wallet.Status = wallet.WalletTerminated },
				want:   wallet.Finding{Field: wallet.FieldWallet, Problem: wallet.ProblemTerminated},
			},
			"CreditsSpent": {
				change: func(_ *world, r *topup.Request) { r.Voided = dec("5") },
				then:   func(s *topup.State) { s.Wallet.CreditsBalance = dec("4.9") },
				want:   wallet.Finding{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemInsufficientCredits},
			},
			"MoneySpent": {
				change: func(_ *world, r *topup.Request) { r.Voided = dec("5") },
				then:   func(s *topup.State) { s.Wallet.Balance = 4_99 },
				want:   wallet.Finding{Field: wallet.FieldAmount, Problem: wallet.ProblemExceedsAvailable},
			},
			"LotsSpent": {
				change: func(_ *world, r *topup.Request) { r.Voided = dec("5") },
				then:   func(s *topup.State) { s.Lots[0].Remaining = 4_99 },
				want:   wallet.Finding{Field: wallet.FieldAmount, Problem: wallet.ProblemExceedsAvailable},
			},
			"TargetSpent": {
				change: func(_ *world, r *topup.Request) { r.VoidedTransactionID = &target },
				then:   func(s *topup.State) { s.Lots = nil },
				want:   wallet.Finding{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNothingRemaining},
			},
			"TargetSpentInPart": {
				change: func(_ *world, r *topup.Request) { r.VoidedTransactionID, r.Voided = &target, dec("5") },
				then:   func(s *topup.State) { s.Lots[0].Remaining = 4_99 },
				want:   wallet.Finding{Field: wallet.FieldAmount, Problem: wallet.ProblemExceedsRemaining},
			},
			"BalanceFull": {
				change: func(_ *world, r *topup.Request) { r.Granted = dec("1") },
				then:   func(s *topup.State) { s.Wallet.Balance = wallet.MaxBalance - 99 },
				want:   wallet.Finding{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemAmountInvalid},
			},
			"CreditsFull": {
				change: func(_ *world, r *topup.Request) { r.Granted = dec("1") },
				then:   func(s *topup.State) { s.Wallet.CreditsBalance = dec("1e24") },
				want:   wallet.Finding{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemAmountInvalid},
			},
			"ConsumedFull": {
				change: func(_ *world, r *topup.Request) { r.Voided = dec("1") },
				then:   func(s *topup.State) { s.Wallet.ConsumedCredits = dec("1e24") },
				want:   wallet.Finding{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemAmountInvalid},
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()

				w := &world{t: t, ids: ids{last: 1000}, now: w.now, wallet: w.wallet, lots: w.lots, stored: w.stored}
				r := w.request()
				tc.change(w, &r)
				p, err := w.prepare(r)
				require.NoError(t, err)
				s := w.state(p)
				tc.then(&s)

				c, err := topup.Move(p, s, w.ids.next)

				require.Equal(t, []wallet.Finding{tc.want}, requireFinding(t, err).Findings)
				require.Empty(t, c)
			})
		}
	})

	t.Run("EachRowHasItsOwnSections", func(t *testing.T) {
		t.Parallel()

		w := newWorld(t)
		grant(w, "5", 0)
		w.stored.Sections = []wallet.AppliedSection{{ID: w.ids.next(), Code: "bank"}}
		r := w.request()
		r.Granted, r.Voided = dec("1"), dec("1")
		p, err := w.prepare(r)
		require.NoError(t, err)

		c, err := w.move(p)

		require.NoError(t, err)
		granted, voided := c.Movements[0].Sections.List[0], c.Movements[1].Sections.List[0]
		require.Equal(t, "bank", voided.Code)
		require.NotEqual(t, granted.ID, voided.ID)
		require.NotEqual(t, w.stored.Sections[0].ID, granted.ID)
	})
}
