package wallet_test

import (
	"math"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/wallet"
)

// near draws a number that is close to one of the ends.
func near(rt *rapid.T, name string, ends ...int64) int64 {
	end := rapid.SampledFrom(ends).Draw(rt, name+" end")
	by := rapid.Int64Range(-50_00, 50_00).Draw(rt, name+" by")
	switch {
	case by > 0 && end > math.MaxInt64-by, by < 0 && end < math.MinInt64-by:
		return end
	default:
		return end + by
	}
}

// TestSettleNearTheLimits checks that a success either credits exactly its amount, or
// credits nothing and says so, wherever the balances stand.
func TestSettleNearTheLimits(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		states := make([]wallet.SettleState, rapid.IntRange(1, 4).Draw(rt, "payments"))
		list := make([]wallet.Settlement, len(states))
		w := newSettleState().Wallet
		w.Balance = near(rt, "balance", 0, math.MinInt64, wallet.MaxBalance, math.MaxInt64)
		columnEnd := decimal.New(1, 25)
		w.CreditsBalance = rapid.SampledFrom([]decimal.Decimal{
			decimal.Zero, columnEnd.Sub(decimal.NewFromInt(60)), columnEnd.Sub(decimal.New(1, -wallet.CreditDecimals)),
		}).Draw(rt, "credits")
		for i := range states {
			s := newSettleState()
			s.Payment.WalletID, s.Wallet = w.ID, w
			s.Payment.Amount = max(1, near(rt, "amount", 25_00, wallet.MaxPaymentAmount, math.MaxInt64))
			s.Purchase.Amount = s.Payment.Amount
			o := succeeded(s.Payment, "pi_1")
			o.AmountReceived = max(1, near(rt, "received", s.Payment.Amount))
			states[i], list[i] = s, newSettlement(s.Payment, o)
		}

		balance, credits := w.Balance, w.CreditsBalance
		for i, c := range wallet.SettleGroup(states, list) {
			full := false
			for _, d := range c.Discrepancies {
				full = full || d.Kind == wallet.DiscrepancyWalletFull
			}
			if c.Credit == nil {
				require.True(rt, full, "money that is not credited is a discrepancy")
				require.Nil(rt, c.Move)
				require.Equal(rt, states[i].Payment, c.Payment, "the payment is open still")
				require.Nil(rt, c.Wallet)
				require.Nil(rt, c.Purchase)
				continue
			}
			require.False(rt, full)
			require.Equal(rt, min(states[i].Payment.Amount, list[i].Outcome.AmountReceived), c.Credit.Amount)
			require.Greater(rt, c.Wallet.Balance, balance, "the balance does not wrap")
			require.Equal(rt, c.Credit.Amount, c.Wallet.Balance-balance)
			require.True(rt, c.Wallet.CreditsBalance.Equal(credits.Add(c.Credit.Credits)))
			require.True(rt, c.Wallet.CreditsBalance.LessThan(columnEnd))
			balance, credits = c.Wallet.Balance, c.Wallet.CreditsBalance
		}
	})
}

// TestAcceptedMoneyFits checks that what is accepted while there is room is credited,
// even if grants fill the wallet and a million payments are settled first.
func TestAcceptedMoneyFits(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		pending := rapid.Int64Range(0, 1_000_000).Draw(rt, "pending")
		s := newSettleState()
		s.Wallet.Balance = wallet.MaxBalance + pending*wallet.MaxPaymentAmount
		s.Payment.Amount = rapid.Int64Range(1, wallet.MaxPaymentAmount).Draw(rt, "amount")
		s.Purchase.Amount = s.Payment.Amount
		s.Wallet.CreditsBalance = wallet.CreditsFor(s.Wallet.Balance, decimal.New(1, -wallet.CreditDecimals), "JPY")
		s.Purchase.CreditAmount = wallet.CreditsFor(s.Payment.Amount, decimal.New(1, -wallet.CreditDecimals), "JPY")

		c := wallet.Settle(s, newSettlement(s.Payment, succeeded(s.Payment, "pi_1")))

		require.NotNil(rt, c.Credit)
	})
}

func TestHolds(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		balance := near(rt, "balance", 0, math.MinInt64, math.MaxInt64)
		amount := near(rt, "amount", 0, math.MinInt64, math.MaxInt64)
		sum := decimal.NewFromInt(balance).Add(decimal.NewFromInt(amount))

		require.Equal(rt, sum.BigInt().IsInt64(), wallet.Holds(balance, amount, decimal.Zero))
	})
	require.True(t, wallet.Holds(0, 0, dec("9999999999999999999999999.99999")))
	require.False(t, wallet.Holds(0, 0, dec("10000000000000000000000000")))
	require.False(t, wallet.Holds(0, 0, dec("-10000000000000000000000000")))
}
