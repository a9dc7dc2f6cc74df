package wallet_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestWalletValidate(t *testing.T) {
	t.Parallel()

	amount := func(n int64) *int64 { return &n }
	for name, tc := range map[string]struct {
		change func(*wallet.Wallet)
		want   []wallet.Finding
	}{
		"Fine":         {change: func(*wallet.Wallet) {}},
		"NoRate":       {change: func(w *wallet.Wallet) { w.RateAmount = decimal.Zero }, want: []wallet.Finding{{Field: wallet.FieldRateAmount, Problem: wallet.ProblemOutOfRange}}},
		"NegativeRate": {change: func(w *wallet.Wallet) { w.RateAmount = dec("-1") }, want: []wallet.Finding{{Field: wallet.FieldRateAmount, Problem: wallet.ProblemOutOfRange}}},
		"Currency":     {change: func(w *wallet.Wallet) { w.Currency = "XXX" }, want: []wallet.Finding{{Field: wallet.FieldCurrency, Problem: wallet.ProblemInvalid}}},
		"LowerCase":    {change: func(w *wallet.Wallet) { w.Currency = "usd" }, want: []wallet.Finding{{Field: wallet.FieldCurrency, Problem: wallet.ProblemInvalid}}},
		"Dinar":        {change: func(w *wallet.Wallet) { w.Currency = "KWD" }},
		"PriorityZero": {change: func(w *wallet.Wallet) { w.Priority = 0 }, want: []wallet.Finding{{Field: wallet.FieldPriority, Problem: wallet.ProblemInvalid}}},
		"PriorityHigh": {change: func(w *wallet.Wallet) { w.Priority = 51 }, want: []wallet.Finding{{Field: wallet.FieldPriority, Problem: wallet.ProblemInvalid}}},
		"EqualLimits":  {change: func(w *wallet.Wallet) { w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount = amount(5), amount(5) }},
		"Limits": {
			change: func(w *wallet.Wallet) { w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount = amount(6), amount(5) },
			want:   []wallet.Finding{{Field: wallet.FieldPaidTopUpMaxAmount, Problem: wallet.ProblemMaximumBelowMinimum}},
		},
		"ZeroLimits": {
			change: func(w *wallet.Wallet) { w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount = amount(0), amount(-1) },
			want: []wallet.Finding{
				{Field: wallet.FieldPaidTopUpMinAmount, Problem: wallet.ProblemOutOfRange},
				{Field: wallet.FieldPaidTopUpMaxAmount, Problem: wallet.ProblemOutOfRange},
				{Field: wallet.FieldPaidTopUpMaxAmount, Problem: wallet.ProblemMaximumBelowMinimum},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := wallet.Wallet{RateAmount: dec("1"), Currency: "EUR", Priority: 50}
			tc.change(&w)

			require.Equal(t, tc.want, w.Validate().Findings)
		})
	}
}

func TestWalletAt(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	w := wallet.Wallet{Status: wallet.WalletActive, ExpirationAt: &now}

	require.Equal(t, wallet.WalletActive, w.At(now.Add(-time.Nanosecond)).Status)
	require.Equal(t, wallet.WalletTerminated, w.At(now).Status)
	require.Equal(t, &now, w.At(now.Add(time.Hour)).TerminatedAt)
	require.Equal(t, wallet.WalletActive, wallet.Wallet{Status: wallet.WalletActive}.At(now).Status)
}

func TestCodeFor(t *testing.T) {
	t.Parallel()

	for name, want := range map[string]string{
		"": "default", "Prepaid": "prepaid", "  My  Wallet! ": "my_wallet", "***": "default", "Q3/2026 — EU": "q3_2026_eu",
	} {
		require.Equal(t, want, wallet.CodeFor(name), name)
	}
}

func TestSectionsResolve(t *testing.T) {
	t.Parallel()

	of := func(code string) wallet.AppliedSections {
		return wallet.AppliedSections{List: []wallet.AppliedSection{{Code: code}}}
	}
	skip := wallet.AppliedSections{Skip: true}

	require.Equal(t, of("a").List, of("a").Resolve(of("b")))
	require.Equal(t, of("b").List, wallet.AppliedSections{}.Resolve(of("b")))
	require.Empty(t, skip.Resolve(of("b")))
	require.Equal(t, of("a").List, of("a").Resolve(skip))
	require.Empty(t, wallet.AppliedSections{}.Resolve(skip))
	require.Empty(t, wallet.AppliedSections{}.Resolve(wallet.AppliedSections{}))
}

func TestValidationError(t *testing.T) {
	t.Parallel()

	v := &wallet.ValidationError{}
	require.NoError(t, v.OrNil())

	v.Add(wallet.FieldPaidCredits, wallet.ProblemAmountInvalid)
	v.Add(wallet.FieldPaidCredits, wallet.ProblemRoundsToZero)
	v.Add(wallet.FieldPaidCredits, wallet.ProblemAmountInvalid)
	copied := v.Clone()
	copied.Add(wallet.FieldWallet, wallet.ProblemNotFound)

	require.EqualError(t, v.OrNil(), "invalid: paid credits: not a possible amount; paid credits: rounds to zero")
	require.True(t, v.Has(wallet.FieldPaidCredits))
	require.False(t, v.Has(wallet.FieldWallet), "a copy is apart")
	v.AddAll(copied)
	require.Equal(t, copied.Findings, v.Findings)
}

func TestRemainingOf(t *testing.T) {
	t.Parallel()

	require.EqualValues(t, 5, wallet.RemainingOf(5, 12))
	require.EqualValues(t, 5, wallet.RemainingOf(5, 5))
	require.EqualValues(t, 2, wallet.RemainingOf(5, 2), "a balance below zero is filled first")
	require.EqualValues(t, 0, wallet.RemainingOf(5, -1))
}
