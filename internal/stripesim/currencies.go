package stripesim

import "strings"

// minimumCharge is the minimum charge per currency, in minor units.
var minimumCharge = map[string]int64{
	"aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
	"gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
	"pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}

var (
	currencies = wordSet(`aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd
		cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl
		hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd
		mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub
		rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv
		wst xaf xcd xof xpf yer zar zmw`)
	zeroDecimal  = wordSet("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
	threeDecimal = wordSet("bhd jod kwd omr tnd")
)

const maxAmount = 99_999_999

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// checkCurrency returns the currency in lower case, or an error if Stripe does not
// support it.
func checkCurrency(s string) (string, *apiError) {
	cur := strings.ToLower(s)
	if !currencies[cur] {
		return "", refused("", "currency", "Invalid currency: "+s+". See https://stripe.com/docs/currencies "+
			"for the currencies that Stripe supports.")
	}
	return cur, nil
}

// checkAmount checks that an amount can be charged in the currency.
func checkAmount(amount int64, currency string) *apiError {
	switch {
	case amount < 1:
		return refused("parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	case amount > maxAmount:
		return refused("amount_too_large", "amount", "Amount must be no more than "+money(maxAmount, currency))
	case amount < minimumCharge[currency]:
		return refused("amount_too_small", "amount", "Amount must be at least "+money(minimumCharge[currency], currency))
	case threeDecimal[currency] && amount%10 != 0:
		return refused("", "amount", "Invalid amount: three-decimal currencies need a last digit of 0.")
	}
	return nil
}

// money formats an amount for people, such as "12.50 usd".
func money(amount int64, currency string) string {
	digits := 2
	switch {
	case zeroDecimal[currency]:
		return itoa(amount) + " " + currency
	case threeDecimal[currency]:
		digits = 3
	}
	s := itoa(amount)
	if pad := digits + 1 - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	return s[:len(s)-digits] + "." + s[len(s)-digits:] + " " + currency
}
