package wallet_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestRefundDebit(t *testing.T) {
	t.Parallel()

	for status, want := range map[wallet.RefundStatus]int64{
		wallet.RefundCanceled:       0,
		wallet.RefundFailed:         0,
		wallet.RefundPending:        10_00,
		wallet.RefundRequiresAction: 10_00,
		wallet.RefundSucceeded:      10_00,
		"status_of_the_future":      10_00,
	} {
		require.Equal(t, want, wallet.RefundState{Amount: 10_00, Status: status}.Debit(), status)
	}
}

func TestDisputeDebit(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		dispute wallet.DisputeState
		want    int64
	}{
		"Inquiry":            {wallet.DisputeState{Status: wallet.DisputeWarningNeedsResponse}, 0},
		"InquiryClosed":      {wallet.DisputeState{Status: wallet.DisputeWarningClosed}, 0},
		"InquiryReview":      {wallet.DisputeState{Status: wallet.DisputeWarningUnderReview}, 0},
		"NotYetWithdrawn":    {wallet.DisputeState{Status: wallet.DisputeNeedsResponse}, 75_00},
		"LostUntold":         {wallet.DisputeState{Status: wallet.DisputeLost}, 75_00},
		"WonUntold":          {wallet.DisputeState{Status: wallet.DisputeWon}, 0},
		"StatusOfTheFuture":  {wallet.DisputeState{Status: "prevented"}, 0},
		"Withdrawn":          {wallet.DisputeState{Status: wallet.DisputeNeedsResponse, Withdrawn: 75_00}, 75_00},
		"UnderReview":        {wallet.DisputeState{Status: wallet.DisputeUnderReview, Withdrawn: 75_00}, 75_00},
		"Lost":               {wallet.DisputeState{Status: wallet.DisputeLost, Withdrawn: 75_00}, 75_00},
		"WonNotReinstated":   {wallet.DisputeState{Status: wallet.DisputeWon, Withdrawn: 75_00}, 0},
		"Won":                {wallet.DisputeState{Status: wallet.DisputeWon, Withdrawn: 75_00, Reinstated: 75_00}, 0},
		"WonInPart":          {wallet.DisputeState{Status: wallet.DisputeWon, Withdrawn: 75_00, Reinstated: 25_00}, 50_00},
		"AlmostAll":          {wallet.DisputeState{Status: wallet.DisputeLost, Withdrawn: 50_00}, 50_00},
		"MoreThanDisputed":   {wallet.DisputeState{Status: wallet.DisputeLost, Withdrawn: 80_00}, 75_00},
		"ReinstatedTooMuch":  {wallet.DisputeState{Status: wallet.DisputeWon, Withdrawn: 75_00, Reinstated: 76_00}, 0},
		"OtherCurrency":      {wallet.DisputeState{Status: wallet.DisputeLost, Withdrawn: 68_00, FundsCurrency: "EUR"}, 75_00},
		"OtherCurrencyDrift": {wallet.DisputeState{Status: wallet.DisputeWon, Withdrawn: 68_00, Reinstated: 67_50, FundsCurrency: "EUR"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			tc.dispute.Amount, tc.dispute.Currency = 75_00, wallet.USD
			if tc.dispute.FundsCurrency == "" {
				tc.dispute.FundsCurrency = wallet.USD
			}

			require.Equal(t, tc.want, tc.dispute.Debit())
		})
	}
}

func TestShareDebits(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ wanted, want []int64 }{
		"None":            {nil, []int64{}},
		"Whole":           {[]int64{25_00}, []int64{25_00}},
		"Parts":           {[]int64{10_00, 15_00}, []int64{10_00, 15_00}},
		"TheSameMoney":    {[]int64{10_00, 25_00}, []int64{10_00, 15_00}},
		"NothingLeft":     {[]int64{25_00, 25_00, 1}, []int64{25_00, 0, 0}},
		"MoreThanCharged": {[]int64{30_00}, []int64{25_00}},
		"PutBack":         {[]int64{0, 25_00}, []int64{0, 25_00}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tc.want, wallet.ShareDebits(25_00, tc.wanted))
		})
	}
}

func TestCreditsOf(t *testing.T) {
	t.Parallel()

	credits := decimal.RequireFromString("3.33333")
	require.Equal(t, "3.33333", wallet.CreditsOf(10_00, 10_00, credits).String())
	require.Equal(t, "1.11", wallet.CreditsOf(3_33, 10_00, credits).String())
	require.Equal(t, "0", wallet.CreditsOf(0, 10_00, credits).String())
}
