package client

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is money in the wallet's currency as a decimal string, such as "25.00":
// exact, and never a floating point number. The empty one is no amount. Those that
// the server gives have as many decimals as the currency has.
type Amount string

// Cents is an amount in a currency with two decimals, such as the US dollar:
// Cents(2500) is "25.00".
func Cents(n int64) Amount { return Minor(n, 2) }

// Minor is an amount of n units of a currency's smallest coin, of which decimals
// digits stand behind the point: Minor(500, 0) is "500".
func Minor(n int64, decimals int) Amount {
	digits, sign := strconv.FormatInt(n, 10), ""
	if n < 0 {
		digits, sign = digits[1:], "-"
	}
	if decimals <= 0 {
		return Amount(sign + digits)
	}
	if missing := decimals + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - decimals
	return Amount(sign + digits[:point] + "." + digits[point:])
}

// Minor is the amount in the smallest coin of its currency, as many as the amount's
// decimals say: 2500 for "25.00", and 500 for "500".
func (a Amount) Minor() (int64, error) {
	whole, fraction, dotted := strings.Cut(string(a), ".")
	digits := strings.TrimPrefix(whole, "-") + fraction
	if dotted && fraction == "" || strings.Trim(digits, "0123456789") != "" || strings.TrimPrefix(whole, "-") == "" {
		return 0, fmt.Errorf("fundrail: %q is not an amount", string(a))
	}
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("fundrail: %q is not an amount: %w", string(a), err)
	}
	return n, nil
}
