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

func TestParseAmount(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		text     string
		currency wallet.Currency
		want     int64
		err      error
	}{
		{"10", "USD", 10_00, nil},
		{"10.5", "USD", 10_50, nil},
		{"0.01", "USD", 1, nil},
		{"1200", "JPY", 1200, nil},
		{"1.005", "KWD", 1005, nil},
		{"9999999999999.99", "USD", 999999999999999, nil},
		{"12.0", "JPY", 0, wallet.ErrAmountForm},
		{"10.001", "USD", 0, wallet.ErrAmountForm},
		{"", "USD", 0, wallet.ErrAmountForm},
		{"01", "USD", 0, wallet.ErrAmountForm},
		{"-1", "USD", 0, wallet.ErrAmountForm},
		{"1.", "USD", 0, wallet.ErrAmountForm},
		{"1e3", "USD", 0, wallet.ErrAmountForm},
		{"0.00", "USD", 0, wallet.ErrAmountNotPositive},
		{"99999999999999", "USD", 0, wallet.ErrAmountTooLarge},
	} {
		got, err := wallet.ParseAmount(tc.text, tc.currency)

		require.ErrorIs(t, err, tc.err, tc.text)
		require.Equal(t, tc.want, got, tc.text)
	}
}
