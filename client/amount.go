package client

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is an amount of money in the wallet's currency, as a decimal string such
// as "25.00". It is exact, unlike a floating-point number. An empty Amount means no
// amount. The server's amounts have as many decimals as the currency.
type Amount string

// Cents returns an amount in a currency with two decimals, such as the US dollar.
// Cents(2500) is "25.00".
func Cents(n int64) Amount { return Minor(n, 2) }

// Minor returns an amount of n minor units of a currency with the given number of
// decimals. Minor(500, 0) is "500".
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

// Minor returns the amount in minor units, according to the number of its decimals:
// 2500 for "25.00" and 500 for "500".
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
