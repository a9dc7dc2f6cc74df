package wallet

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// Currency is an ISO 4217 code in upper case.
type Currency string

// USD is the currency of the Lava dialect.
const USD Currency = "USD"

// Decimals returns the number of decimals of an amount in the currency, as Stripe
// counts them: 2 for most, 0 for the yen and its like, 3 for the dinars.
func (c Currency) Decimals() int {
	switch c {
	case "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "JOD", "KWD", "OMR", "TND":
		return 3
	default:
		return 2
	}
}

// FormatMinor writes an amount in minor units as a decimal string with exactly
// the currency's number of decimals, as in "75.00" or "-0.05".
func FormatMinor(amount int64, c Currency) string {
	decimals := c.Decimals()
	sign, digits := "", strconv.FormatInt(amount, 10)
	if amount < 0 {
		sign, digits = "-", digits[1:]
	}
	if decimals == 0 {
		return sign + digits
	}
	if pad := decimals + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	point := len(digits) - decimals
	return sign + digits[:point] + "." + digits[point:]
}

// The bounds of a fund request in the Lava dialect, inclusive, in cents.
const (
	MinFundAmount int64 = 10_00
	MaxFundAmount int64 = 10_000_00
)

// The errors of the amount of a fund request.
var (
	ErrAmountForm     = errors.New("amount must be a decimal string with at most 2 decimal places")
	ErrAmountTooLarge = errors.New("amount must be at most " + FormatMinor(MaxFundAmount, USD))
	ErrAmountTooSmall = errors.New("amount must be at least " + FormatMinor(MinFundAmount, USD))
)

var fundAmount = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]{1,2})?$`)

// ErrAmountNotPositive reports an amount of zero.
var ErrAmountNotPositive = errors.New("amount must be above zero")

// ParseAmount reads an amount above zero into minor units: digits without sign,
// exponent, separators or leading zeros, and at most as many decimals as the
// currency has. The error is one of ErrAmountForm, ErrAmountNotPositive and
// ErrAmountTooLarge, which here reports more than 15 digits.
func ParseAmount(s string, c Currency) (int64, error) {
	const maxLen, maxDigits = 64, 15
	whole, fraction, _ := strings.Cut(s, ".")
	if len(s) > maxLen || !plainAmount.MatchString(s) || len(fraction) > c.Decimals() {
		return 0, ErrAmountForm
	}
	digits := whole + fraction + strings.Repeat("0", c.Decimals()-len(fraction))
	if len(digits) > maxDigits {
		return 0, ErrAmountTooLarge
	}
	minor, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, ErrAmountForm
	}
	if minor == 0 {
		return 0, ErrAmountNotPositive
	}
	return minor, nil
}

var plainAmount = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// ParseFundAmount reads the amount of a fund request into cents: digits without
// sign, exponent, separators or leading zeros, and at most two decimals. So "25",
// "25.0" and "25.00" are the same money. The error is one of ErrAmountForm,
// ErrAmountTooSmall and ErrAmountTooLarge.
func ParseFundAmount(s string) (int64, error) {
	const maxLen = 64 // far beyond the bounds, and short enough to match
	if len(s) > maxLen || !fundAmount.MatchString(s) {
		return 0, ErrAmountForm
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if len(whole) > len("10000") {
		return 0, ErrAmountTooLarge
	}
	cents, err := strconv.ParseInt(whole+(fraction + "00")[:2], 10, 64)
	if err != nil {
		return 0, ErrAmountForm
	}
	switch {
	case cents < MinFundAmount:
		return 0, ErrAmountTooSmall
	case cents > MaxFundAmount:
		return 0, ErrAmountTooLarge
	}
	return cents, nil
}
