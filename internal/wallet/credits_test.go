package wallet_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/wallet"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func TestParseCredits(t *testing.T) {
	t.Parallel()

	const greatest = "9999999999999999999999999"
	t.Run("Accepted", func(t *testing.T) {
		t.Parallel()

		for in, want := range map[string]string{
			"10":                               "10",
			"10.00":                            "10",
			"1e3":                              "1000",
			"1E3":                              "1000",
			"1d3":                              "1000",
			"1e+3":                             "1000",
			"1_0e0_3":                          "10000",
			"12.5e-1":                          "1.25",
			"\t10\r\n":                         "10",
			"1_000":                            "1000",
			"1_000.000_1":                      "1000.0001",
			".5":                               "0.5",
			"+5":                               "5",
			"-0":                               "0",
			"-0.000":                           "0",
			"0e99999999999":                    "0",
			"007":                              "7",
			"0.00001":                          "0.00001",
			"0.000001":                         "0",
			"4.399999":                         "4.39999", // cut, not rounded
			"0.000019":                         "0.00001",
			"123456e-10":                       "0.00001",
			"1e-99999999999":                   "0",
			"0000.1e1":                         "1",
			"1e24":                             "1000000000000000000000000",
			greatest:                           greatest,
			greatest + ".0":                    greatest,
			"17.9699999999999988631316":        "17.96999",
			"9999999999999999999999998.999999": "9999999999999999999999998.99999",
			"1" + strings.Repeat("_0", 24):     "1000000000000000000000000",
			"1" + strings.Repeat("0", 1000) + "e-1000":                "1",
			"0." + strings.Repeat("0", 1000) + "1e1001":               "1",
			strings.Repeat("0", 1000) + "2.5":                         "2.5",
			"1." + strings.Repeat("0", 5) + strings.Repeat("9", 1000): "1",
			"\x2010\x20": "10",
		} {
			got, err := wallet.ParseCredits(in)
			require.NoError(t, err, in)
			require.Equal(t, dec(want).String(), got.String(), in)
		}
	})

	t.Run("Rejected", func(t *testing.T) {
		t.Parallel()

		for _, in := range []string{
			"", " ", "10 credits", "1,5", "0x1", "5e", "1.", "1.e3", "1__0", "_1", "1_", "1_.5", "1._5", "1e_3",
			"NaN", "Infinity", "-Infinity", "-1.00", "-0.000001", "+-1", "--1", "+", ".", "e3", ".e3", "1e3.5", "1 0",
			"10\x00", "１０", "1e25", "1e999999999999999999999999", "10000000000000000000000000",
			greatest + ".5", greatest + ".00000001", "true", "null",
		} {
			got, err := wallet.ParseCredits(in)
			require.ErrorIs(t, err, wallet.ErrCreditsForm, "%q became %s", in, got)
		}
	})
}

func TestParseRate(t *testing.T) {
	t.Parallel()

	for in, want := range map[string]string{
		"1": "1", "1.0": "1", "0.001": "0.001", "1.375": "1.375", "0.000005": "0.00001", "1.0000049": "1", "1e2": "100",
	} {
		got, err := wallet.ParseRate(in)
		require.NoError(t, err, in)
		require.True(t, dec(want).Equal(got), "%q became %s", in, got)
	}
	for _, in := range []string{
		"", "0", "-1", "0.000004", "free", "NaN", "1e25", "1e-999999999999", "9999999999999999999999999.999999",
	} {
		_, err := wallet.ParseRate(in)
		require.ErrorIs(t, err, wallet.ErrRateForm, in)
	}
}

// TestCreditsToMoney holds the examples that Lago gives for its rounding.
func TestCreditsToMoney(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		credits, rate string
		currency      wallet.Currency
		wantCredits   string // of a purchase or a grant
		wantAmount    string // in major units
	}{
		{"4.399999", "1", "EUR", "4.4", "4.4"},
		{"4.399999", "0.01", "EUR", "4.0", "0.04"},
		{"4.3789", "100", "EUR", "4.3789", "437.89"},
		{"4.39999", "1", "JPY", "4.0", "4.0"},
		{"17.9699999999999988631316", "1", "EUR", "17.97", "17.97"},
		{"10.34567", "1.375", "EUR", "10.34909", "14.23"},
		{"1034", "0.001", "EUR", "1030.0", "1.03"},
		{"0.4", "0.01", "EUR", "0.0", "0.0"}, // which a purchase refuses
		{"0.5", "0.01", "EUR", "1.0", "0.01"},
		{"1.0", "0.001", "KWD", "1.0", "0.001"},
		{"10", "3", "EUR", "10.0", "30.0"},
		{"92233720368547758.07", "1", "USD", "92233720368547758.07", "92233720368547758.07"},
	} {
		credits, err := wallet.ParseCredits(tc.credits)
		require.NoError(t, err)

		amount, err := wallet.PriceCredits(credits, dec(tc.rate), tc.currency)

		require.NoError(t, err)
		require.Equal(t, tc.wantAmount, wallet.FormatMajor(amount, tc.currency), tc)
		require.Equal(t, tc.wantCredits, wallet.FormatDecimal(wallet.CreditsFor(amount, dec(tc.rate), tc.currency)), tc)
	}

	// A void keeps its own credits, cut after the fifth decimal.
	for in, want := range map[string]struct {
		credits string
		amount  int64
	}{
		"4.28444999":  {"4.28444", 428},
		"14.28444999": {"14.28444", 1428},
	} {
		credits, err := wallet.ParseCredits(in)
		require.NoError(t, err)
		amount, err := wallet.PriceCredits(credits, dec("1"), "EUR")
		require.NoError(t, err)
		require.Equal(t, want.credits, wallet.FormatDecimal(credits))
		require.Equal(t, want.amount, amount)
	}
}

func TestPriceCreditsOverflow(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		credits, rate string
		currency      wallet.Currency
	}{
		{"92233720368547758.08", "1", "USD"},
		{"9999999999999999999999999", "1", "JPY"},
		{"9999999999999999999999999", "9999999999999999999999999", "KWD"},
	} {
		_, err := wallet.PriceCredits(dec(tc.credits), dec(tc.rate), tc.currency)
		require.ErrorIs(t, err, wallet.ErrAmountOverflow, tc)
	}
	amount, err := wallet.PriceCredits(dec("9223372036854775807"), dec("1"), "JPY")
	require.NoError(t, err)
	require.Equal(t, int64(math.MaxInt64), amount)
}

func TestExactCredits(t *testing.T) {
	t.Parallel()

	require.Equal(t, "5.0", wallet.FormatDecimal(wallet.ExactCredits(500, dec("1"), "EUR")))
	require.Equal(t, "10.349090909090909090909090909090909091", wallet.FormatDecimal(wallet.ExactCredits(1423, dec("1.375"), "EUR")))
	require.Equal(t, "0.0", wallet.FormatDecimal(wallet.ExactCredits(0, dec("3"), "EUR")))
}

func TestFormatDecimal(t *testing.T) {
	t.Parallel()

	for in, want := range map[string]string{
		"0": "0.0", "10": "10.0", "10.00": "10.0", "10.34909": "10.34909", "0.00001": "0.00001", "1e3": "1000.0",
		"9999999999999999999999999": "9999999999999999999999999.0", "-2.50": "-2.5", "-0": "0.0",
	} {
		require.Equal(t, want, wallet.FormatDecimal(dec(in)), in)
	}
}

// TestCreditsKeepTheirMoney: the credits of an amount are worth that amount again,
// as long as one minor unit is worth more than what the fifth decimal can hide.
func TestCreditsKeepTheirMoney(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		currency := rapid.SampledFrom([]wallet.Currency{"USD", "JPY", "KWD"}).Draw(rt, "currency")
		rate := decimal.New(rapid.Int64Range(1, 10_000_000).Draw(rt, "rate"), -wallet.CreditDecimals) // up to 100
		amount := rapid.Int64Range(0, math.MaxInt64/1000).Draw(rt, "amount")

		back, err := wallet.PriceCredits(wallet.CreditsFor(amount, rate, currency), rate, currency)

		require.NoError(rt, err)
		require.LessOrEqual(rt, max(amount-back, back-amount), int64(1))
		if rate.LessThanOrEqual(decimal.NewFromInt(1)) {
			require.Equal(rt, amount, back)
		}
	})
}

// FuzzParseCredits: whatever comes, credits are in range, have five decimals at
// most, and are not more than what was written.
func FuzzParseCredits(f *testing.F) {
	for _, seed := range []string{"10", "1e3", " 10 ", "1_000", ".5", "1.", "-0", "1e-6", "9999999999999999999999999", "1e99999999999999999999"} {
		f.Add(seed)
	}
	greatest := decimal.NewFromBigInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(25), nil), 0)
	f.Fuzz(func(t *testing.T, s string) {
		d, err := wallet.ParseCredits(s)
		if err != nil {
			require.ErrorIs(t, err, wallet.ErrCreditsForm)
			require.True(t, d.IsZero())
			return
		}
		require.False(t, d.IsNegative())
		require.True(t, d.LessThan(greatest))
		require.True(t, d.Equal(d.Truncate(wallet.CreditDecimals)))

		again, err := wallet.ParseCredits(wallet.FormatDecimal(d))
		require.NoError(t, err)
		require.True(t, d.Equal(again))
	})
}
