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
		want   map[string][]string
	}{
		"Fine":         {change: func(*wallet.Wallet) {}},
		"NoRate":       {change: func(w *wallet.Wallet) { w.RateAmount = decimal.Zero }, want: map[string][]string{"rate_amount": {"value_is_out_of_range"}}},
		"NegativeRate": {change: func(w *wallet.Wallet) { w.RateAmount = dec("-1") }, want: map[string][]string{"rate_amount": {"value_is_out_of_range"}}},
		"Currency":     {change: func(w *wallet.Wallet) { w.Currency = "XXX" }, want: map[string][]string{"currency": {"value_is_invalid"}}},
		"LowerCase":    {change: func(w *wallet.Wallet) { w.Currency = "usd" }, want: map[string][]string{"currency": {"value_is_invalid"}}},
		"Dinar":        {change: func(w *wallet.Wallet) { w.Currency = "KWD" }},
		"PriorityZero": {change: func(w *wallet.Wallet) { w.Priority = 0 }, want: map[string][]string{"priority": {"value_is_invalid"}}},
		"PriorityHigh": {change: func(w *wallet.Wallet) { w.Priority = 51 }, want: map[string][]string{"priority": {"value_is_invalid"}}},
		"EqualLimits":  {change: func(w *wallet.Wallet) { w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount = amount(5), amount(5) }},
		"Limits": {
			change: func(w *wallet.Wallet) { w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount = amount(6), amount(5) },
			want:   map[string][]string{"paid_top_up_max_amount_cents": {"must_be_greater_than_or_equal_min"}},
		},
		"ZeroLimits": {
			change: func(w *wallet.Wallet) { w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount = amount(0), amount(-1) },
			want: map[string][]string{
				"paid_top_up_min_amount_cents": {"value_is_out_of_range"},
				"paid_top_up_max_amount_cents": {"value_is_out_of_range", "must_be_greater_than_or_equal_min"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := wallet.Wallet{RateAmount: dec("1"), Currency: "EUR", Priority: 50}
			tc.change(&w)

			require.Equal(t, tc.want, w.Validate().Details)
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

	v.Add("paid_credits", "invalid_paid_credits", "invalid_amount")
	v.Add("paid_credits", "invalid_amount")
	v.Add("name", "too_long")

	require.EqualError(t, v.OrNil(), "invalid: name: too_long; paid_credits: invalid_paid_credits, invalid_amount")
	require.True(t, v.Has("name"))
	require.False(t, v.Has("metadata"))
}
