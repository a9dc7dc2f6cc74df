package stripesim

import "time"

const disputeFee = 1500

// move records a balance transaction and returns its id.
func (t *tx) move(b *BalanceTransaction) string {
	b.ID = t.s.ids.new("txn_3")
	b.Created = t.sec
	b.AvailableOn = t.sec + int64((2 * 24 * time.Hour).Seconds())
	put(t, &t.balance, kindBalance, b.ID, b)
	return b.ID
}

func (b *BalanceTransaction) appendJSON(buf []byte, x *expander) []byte {
	w := enc{b: buf, x: x}
	w.begin("id", b.ID)
	w.str("object", "balance_transaction")
	w.int("amount", b.Amount)
	w.int("available_on", b.AvailableOn)
	w.int("created", b.Created)
	w.str("currency", b.Currency)
	w.opt("description", b.Description)
	w.null("exchange_rate")
	w.int("fee", b.Fee)
	w.key("fee_details")
	w.b = append(w.b, '[')
	if b.Fee != 0 {
		d := enc{b: w.b}
		d.begin("type", b.FeeType)
		d.int("amount", b.Fee)
		d.null("application")
		d.str("currency", b.Currency)
		d.str("description", feeNames[b.FeeType])
		d.end()
		w.b = d.b
	}
	w.b = append(w.b, ']')
	w.int("net", b.Amount-b.Fee)
	w.str("reporting_category", reportingCategory(b.Type, b.Amount))
	w.ref("source", b.Source)
	w.str("status", "available")
	w.str("type", b.Type)
	w.end()
	return w.b
}

var feeNames = map[string]string{
	"dispute_fee": "Dispute fee",
	"stripe_fee":  "Stripe processing fees",
}

func reportingCategory(typ string, amount int64) string {
	switch {
	case typ == "adjustment" && amount < 0:
		return "dispute"
	case typ == "adjustment":
		return "dispute_reversal"
	}
	return typ
}

func (c *call) getBalanceTransaction() (renderer, *apiError) {
	var b *BalanceTransaction
	c.acct.read(func() { b = c.acct.balance.get(c.path) })
	if b == nil {
		return nil, notFound("balance transaction", c.path, "id")
	}
	return b, nil
}

const balanceListParams = listParams + `
currency str
source str
type str
`

func (c *call) listBalanceTransactions() (renderer, *apiError) {
	f := &c.form
	currency, source, typ := f.str("currency"), f.str("source"), f.str("type")
	return listOf(c, &c.acct.balance, "balance transaction", "",
		func(b *BalanceTransaction) bool {
			return (currency == "" || b.Currency == currency) && (source == "" || b.Source == source) &&
				(typ == "" || b.Type == typ)
		},
		func(b *BalanceTransaction) int64 { return b.Created })
}
