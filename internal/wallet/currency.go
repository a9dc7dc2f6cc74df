package wallet

import "strings"

// currencies are those that Stripe takes payments in.
var currencies = func() map[Currency]struct{} {
	const codes = `
		AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF
		CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
		ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR
		MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
		SEK SGD SHP SLE SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG
		XOF XPF YER ZAR ZMW`
	set := make(map[Currency]struct{})
	for code := range strings.FieldsSeq(codes) {
		set[Currency(code)] = struct{}{}
	}
	return set
}()

// Known reports whether the currency is one that Stripe takes payments in.
func (c Currency) Known() bool {
	_, ok := currencies[c]
	return ok
}
