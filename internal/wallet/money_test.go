package wallet_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func FuzzParseFundAmount(f *testing.F) {
	for _, seed := range []string{"", "10", "10.00", "9.99", "10000", "10000.01", "25.5", "1e2", "-1", "01", "25.", ".5", "٢٥"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cents, err := wallet.ParseFundAmount(s)
		if err != nil {
			known := errors.Is(err, wallet.ErrAmountForm) || errors.Is(err, wallet.ErrAmountTooSmall) || errors.Is(err, wallet.ErrAmountTooLarge)
			require.True(t, known, err)
			require.Zero(t, cents)
			return
		}
		require.GreaterOrEqual(t, cents, wallet.MinFundAmount)
		require.LessOrEqual(t, cents, wallet.MaxFundAmount)

		// Written again it is the same money, with the zeros that were left out.
		written := wallet.FormatMinor(cents, wallet.USD)
		require.Equal(t, written, padded(s))
		again, err := wallet.ParseFundAmount(written)
		require.NoError(t, err)
		require.Equal(t, cents, again)
	})
}

func padded(s string) string {
	whole, fraction, _ := strings.Cut(s, ".")
	return whole + "." + (fraction + "00")[:2]
}
