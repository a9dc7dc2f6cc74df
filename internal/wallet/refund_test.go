package wallet_test

import (
	"testing"

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
		"NotYetWithdrawn":    {wallet.DisputeState{Status: wallet.DisputeNeedsResponse}, 0},
		"Withdrawn":          {wallet.DisputeState{Status: wallet.DisputeNeedsResponse, Withdrawn: 75_00}, 75_00},
		"UnderReview":        {wallet.DisputeState{Status: wallet.DisputeUnderReview, Withdrawn: 75_00}, 75_00},
		"Lost":               {wallet.DisputeState{Status: wallet.DisputeLost, Withdrawn: 75_00}, 75_00},
		"WonNotReinstated":   {wallet.DisputeState{Status: wallet.DisputeWon, Withdrawn: 75_00}, 75_00},
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
