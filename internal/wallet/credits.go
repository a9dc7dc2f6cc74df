package wallet

import (
	"errors"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// CreditDecimals is the number of decimals that credits and rates are stored with.
const CreditDecimals = 5

// creditDigits is the largest number of digits that credits may have before the point.
const creditDigits = 25

// The errors of credits and rates.
var (
	// ErrAmountOverflow reports credits that are worth more minor units than an
	// amount can hold.
	ErrAmountOverflow = errors.New("amount does not fit into 64 bits")
	// ErrCreditsForm reports a string that is not a decimal number from 0 to
	// 10^25 - 1.
	ErrCreditsForm = errors.New("credits must be a decimal string between 0 and 10^25 - 1")
	// ErrRateForm reports a string that is not a rate above 0.
	ErrRateForm = errors.New("rate must be a decimal string above 0")
)

// decimalForm is the form that Ruby's BigDecimal accepts, because Lago reads credits
// with it: single underscores between digits, an exponent after e or d, and white
// space around the number.
var decimalForm = regexp.MustCompile(`^[ \t\n\v\f\r]*` +
	`([+-]?)([0-9]+(?:_[0-9]+)*)?(?:\.([0-9]+(?:_[0-9]+)*))?(?:[eEdD]([+-]?)([0-9]+(?:_[0-9]+)*))?` +
	`[ \t\n\v\f\r]*$`)

// rawDecimal is a number as it was written: 0.digits times 10^point. The first digit
// is not 0; zero has no digits.
type rawDecimal struct {
	digits   string
	point    int64
	negative bool
}

// parseDecimal reads a number without expanding it: an exponent of a billion is a
// few characters long, and the expanded number would fill the memory.
func parseDecimal(s string) (rawDecimal, bool) {
	m := decimalForm.FindStringSubmatch(s)
	if m == nil || m[2]+m[3] == "" {
		return rawDecimal{}, false
	}
	plain := strings.NewReplacer("_", "")
	whole, fraction := plain.Replace(m[2]), plain.Replace(m[3])
	exponent := saturate(plain.Replace(m[5]))
	if m[4] == "-" {
		exponent = -exponent
	}
	all := whole + fraction
	digits := strings.TrimLeft(all, "0")
	return rawDecimal{
		digits:   strings.TrimRight(digits, "0"),
		point:    int64(len(whole)-(len(all)-len(digits))) + exponent,
		negative: m[1] == "-",
	}, true
}

// saturate reads the digits of an exponent. It stops at a number that is far larger
// than the exponent of any credits.
func saturate(digits string) int64 {
	const far = 1_000_000_000_000
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > far {
		return far
	}
	return n
}

// decimal returns the number with its first keep digits.
func (r rawDecimal) decimal(keep int64) decimal.Decimal {
	if keep <= 0 || r.digits == "" {
		return decimal.Zero
	}
	digits := r.digits[:min(keep, int64(len(r.digits)))]
	coefficient, _ := new(big.Int).SetString(digits, 10)                         // it is digits only
	return decimal.NewFromBigInt(coefficient, int32(r.point-int64(len(digits)))) //nolint:gosec // both are small: keep is
}

// ParseCredits reads credits from a request in the Lago dialect. It takes what
// Lago takes, so "1e3", " 10 " and "1_000" are credits, and "", "1.", "1,5" and
// "-1" are not. Decimals after the fifth are cut off. The error is ErrCreditsForm.
func ParseCredits(s string) (decimal.Decimal, error) {
	r, ok := parseDecimal(s)
	switch {
	case !ok:
		return decimal.Zero, ErrCreditsForm
	case r.digits == "":
		return decimal.Zero, nil
	case r.negative || r.point > creditDigits:
		return decimal.Zero, ErrCreditsForm
	case r.point == creditDigits && len(r.digits) > creditDigits && strings.Trim(r.digits[:creditDigits], "9") == "":
		return decimal.Zero, ErrCreditsForm // above the greatest, by less than one
	}
	return r.decimal(r.point + CreditDecimals), nil
}

// ParseRate reads the price of one credit, in major units, rounded half up to five
// decimals. The error is ErrRateForm.
func ParseRate(s string) (decimal.Decimal, error) {
	r, ok := parseDecimal(s)
	if !ok || r.digits == "" || r.negative || r.point > creditDigits {
		return decimal.Zero, ErrRateForm
	}
	rate := r.decimal(r.point + CreditDecimals + 1).Round(CreditDecimals)
	if !rate.IsPositive() || rate.NumDigits()+int(rate.Exponent()) > creditDigits {
		return decimal.Zero, ErrRateForm
	}
	return rate, nil
}

// PriceCredits returns the value of credits at a rate, in minor units of the
// currency, rounded half up. The error is ErrAmountOverflow.
func PriceCredits(credits, rate decimal.Decimal, c Currency) (int64, error) {
	amount := credits.Mul(rate).Shift(int32(c.Decimals())).Round(0).BigInt() //nolint:gosec // 0, 2 or 3
	if !amount.IsInt64() {
		return 0, ErrAmountOverflow
	}
	return amount.Int64(), nil
}

// CreditsFor returns the credits that an amount in minor units buys, rounded half up
// to five decimals. The credits of a purchase or a grant are always those of its
// rounded amount, not those of the request.
func CreditsFor(amount int64, rate decimal.Decimal, c Currency) decimal.Decimal {
	return majorUnits(amount, c).DivRound(rate, CreditDecimals)
}

// ExactCredits returns the credits that an amount in minor units stands for, with up
// to 36 decimals. The dialect shows the remainders of transactions and their
// consumptions like this.
func ExactCredits(amount int64, rate decimal.Decimal, c Currency) decimal.Decimal {
	const decimals = 36
	return majorUnits(amount, c).DivRound(rate, decimals)
}

// FormatDecimal writes a number as the Lago dialect shows it: without exponent,
// without padding zeros, and with one decimal at least, as in "10.0" and "4.3789".
func FormatDecimal(d decimal.Decimal) string {
	s := d.String() // drops the zeros at the end
	if strings.Contains(s, ".") {
		return s
	}
	return s + ".0"
}

// FormatMajor writes an amount in minor units like FormatDecimal, in major units.
func FormatMajor(amount int64, c Currency) string {
	return FormatDecimal(majorUnits(amount, c))
}

func majorUnits(amount int64, c Currency) decimal.Decimal {
	return decimal.New(amount, -int32(c.Decimals())) //nolint:gosec // 0, 2 or 3
}
