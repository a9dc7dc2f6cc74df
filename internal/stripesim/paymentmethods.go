package stripesim

import (
	"net/http"
	"strconv"
	"strings"
)

const billingParams = `
billing_details.address hash
billing_details.email str
billing_details.name str
billing_details.phone str
`

const methodCreateParams = commonParams + billingParams + `
card.cvc str
card.exp_month int
card.exp_year int
card.networks hash
card.number str
card.token str
customer str
metadata hash
payment_method str
type! enum:card
`

const methodUpdateParams = commonParams + billingParams + `
card.exp_month int
card.exp_year int
card.networks hash
metadata hash
`

func (p *PaymentMethod) spec() *card { return cardsByID[p.Card] }

func (p *PaymentMethod) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", p.ID)
	w.str("object", "payment_method")
	w.billing(&p.BillingDetails)
	w.b = append(w.b, `,"card":`...)
	w.b = p.appendCard(w.b)
	w.int("created", p.Created)
	w.ref("customer", p.Customer)
	w.bool("livemode", p.Livemode)
	w.metadata(p.Metadata)
	w.raw("radar_options", "{}")
	w.str("type", "card")
	w.end()
	return w.b
}

func (w *enc) billing(d *Billing) {
	w.b = append(w.b, `,"billing_details":{"address":`...)
	if d.Address == nil {
		w.b = append(w.b, `{"city":null,"country":null,"line1":null,"line2":null,"postal_code":null,"state":null}`...)
	} else {
		w.b = append(w.b, d.Address...)
	}
	w.opt("email", d.Email)
	w.opt("name", d.Name)
	w.opt("phone", d.Phone)
	w.end()
}

func (p *PaymentMethod) appendCard(b []byte) []byte {
	c := p.spec()
	w := enc{b: b}
	w.begin("brand", c.brand)
	cvc := "pass"
	if c.attach == badCVC {
		cvc = "fail"
	}
	w.raw("checks", `{"address_line1_check":null,"address_postal_code_check":null,"cvc_check":"`+cvc+`"}`)
	w.str("country", c.country)
	w.str("display_brand", c.brand)
	w.int("exp_month", p.ExpMonth)
	w.int("exp_year", p.ExpYear)
	w.str("fingerprint", c.fingerprint)
	w.str("funding", c.funding)
	w.null("generated_from")
	w.str("last4", c.last4)
	w.raw("networks", `{"available":["`+c.brand+`"],"preferred":null}`)
	w.raw("three_d_secure_usage", `{"supported":`+strconv.FormatBool(c.secure3D != "not_supported")+`}`)
	w.null("wallet")
	w.end()
	return w.b
}

// newMethod returns a new payment method of a card. It does not store it.
func (t *tx) newMethod(c *card) *PaymentMethod {
	return &PaymentMethod{
		ID:       t.s.ids.new("pm_1"),
		Card:     c.id,
		Created:  t.sec,
		ExpMonth: 12,
		ExpYear:  int64(t.s.clock.now().Year() + 3),
		Livemode: t.live,
	}
}

// method returns the payment method that a parameter names. For a magic id it
// returns a new payment method, which the caller has to store.
func (t *tx) method(id, param string) (*PaymentMethod, *apiError) {
	if pm := t.methods.get(id); pm != nil {
		return pm, nil
	}
	if strings.HasPrefix(id, "pm_card_") {
		if c := findCard(id); c != nil {
			return t.newMethod(c), nil
		}
	}
	return nil, noSuch("PaymentMethod", id, param)
}

// reusable returns an error if the payment method has been consumed.
func (p *PaymentMethod) reusable(param string) *apiError {
	if !p.Used {
		return nil
	}
	return invalid("", param, "The provided PaymentMethod was previously used with a PaymentIntent without Customer "+
		"attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It "+
		"may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.")
}

func (d *decline) err() *apiError {
	return &apiError{
		status: http.StatusPaymentRequired, typ: typeCard, code: d.code, declineCode: d.declineCode, message: d.message,
	}
}

// attach attaches a payment method to a customer, unless its card is declined.
func (t *tx) attach(id string, cus *Customer, param string) *apiError {
	pm, err := t.method(id, param)
	if err != nil {
		return err
	}
	_, err = t.attachMethod(pm, cus, param)
	return err
}

func (t *tx) attachMethod(pm *PaymentMethod, cus *Customer, param string) (*PaymentMethod, *apiError) {
	if err := pm.reusable(param); err != nil {
		return nil, err
	}
	switch {
	case pm.Customer == cus.ID:
		return pm, nil
	case pm.Customer != "":
		return nil, invalid("", param, "The payment method you provided has already been attached to a customer.")
	case pm.spec().attach != nil:
		return nil, pm.spec().attach.err()
	}
	return t.forceAttach(pm, cus.ID), nil
}

// forceAttach attaches a payment method even if its card would be declined.
func (t *tx) forceAttach(pm *PaymentMethod, customer string) *PaymentMethod {
	next := *pm
	next.Customer, next.Attached = customer, true
	t.emit("payment_method.attached", next.ID, t.putMethod(&next))
	return &next
}

// detach detaches a payment method from its customer. It cannot be used again.
func (t *tx) detach(pm *PaymentMethod) *PaymentMethod {
	next := *pm
	next.Customer, next.Used = "", true
	t.putMethod(&next)
	t.emitPrevious("payment_method.detached", next.ID, &next,
		previousAttributes("customer", string(appendString(nil, pm.Customer))))
	return &next
}

// cardParam returns the card of a request's token or number.
func cardParam(f *form) (*card, *apiError) {
	if tok := f.str("card", "token"); tok != "" {
		if c := findCard(tok); c != nil && strings.HasPrefix(tok, "tok_") {
			return c, nil
		}
		return nil, noSuch("token", tok, "card[token]")
	}
	number := f.str("card", "number")
	if number == "" {
		return nil, missingParameter("card")
	}
	if c := cardsByNumber[strings.ReplaceAll(number, " ", "")]; c != nil {
		return c, nil
	}
	if luhn(strings.ReplaceAll(number, " ", "")) {
		return nil, refused("", "card[number]", "This simulator knows Stripe's test cards only.")
	}
	err := wrongNumber.err()
	err.param = "number"
	return nil, err
}

func (c *call) createMethod() (renderer, *apiError) {
	spec, err := cardParam(&c.form)
	if err != nil {
		return nil, err
	}
	var pm *PaymentMethod
	err = c.update(func(t *tx) *apiError {
		pm = t.newMethod(spec)
		if v := c.form.int("card", "exp_month"); v != 0 {
			pm.ExpMonth = v
		}
		if v := c.form.int("card", "exp_year"); v != 0 {
			pm.ExpYear = v
		}
		if err := c.applyMethod(pm); err != nil {
			return err
		}
		t.putMethod(pm)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pm, nil
}

func (c *call) applyMethod(pm *PaymentMethod) *apiError {
	f := &c.form
	var err *apiError
	if pm.Metadata, err = merged(f, pm.Metadata); err != nil {
		return err
	}
	pm.BillingDetails.read(f.at("billing_details"))
	return nil
}

func (d *Billing) read(f *form) {
	if f == nil {
		return
	}
	for name, field := range map[string]*string{"email": &d.Email, "name": &d.Name, "phone": &d.Phone} {
		if f.has(name) {
			*field = f.str(name)
		}
	}
	if f.has("address") {
		d.Address = address(f.at("address"))
	}
}

func (c *call) getMethod() (renderer, *apiError) {
	var pm *PaymentMethod
	c.acct.read(func() { pm = c.acct.methods.get(c.path) })
	if pm == nil {
		return nil, notFound("PaymentMethod", c.path, "payment_method")
	}
	return pm, nil
}

// changeMethod applies change to the payment method in the path.
func (c *call) changeMethod(change func(*tx, *PaymentMethod) (*PaymentMethod, *apiError)) (renderer, *apiError) {
	var next *PaymentMethod
	err := c.update(func(t *tx) *apiError {
		pm, err := t.method(c.path, "payment_method")
		if err != nil {
			err.status = http.StatusNotFound
			return err
		}
		next, err = change(t, pm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return next, nil
}

func (c *call) updateMethod() (renderer, *apiError) {
	return c.changeMethod(func(t *tx, pm *PaymentMethod) (*PaymentMethod, *apiError) {
		if pm.Customer == "" {
			return nil, invalid("", "", "You must save this PaymentMethod to a customer before you can update it.")
		}
		next := *pm
		if err := c.applyMethod(&next); err != nil {
			return nil, err
		}
		if v := c.form.int("card", "exp_month"); v != 0 {
			next.ExpMonth = v
		}
		if v := c.form.int("card", "exp_year"); v != 0 {
			next.ExpYear = v
		}
		t.emit("payment_method.updated", next.ID, t.putMethod(&next))
		return &next, nil
	})
}

func (c *call) attachToCustomer() (renderer, *apiError) {
	return c.changeMethod(func(t *tx, pm *PaymentMethod) (*PaymentMethod, *apiError) {
		cus, err := t.customer(c.form.str("customer"))
		if err != nil {
			return nil, err
		}
		return t.attachMethod(pm, cus, "payment_method")
	})
}

func (c *call) detachMethod() (renderer, *apiError) {
	return c.changeMethod(func(t *tx, pm *PaymentMethod) (*PaymentMethod, *apiError) {
		if pm.Customer == "" {
			return nil, invalid("", "payment_method",
				"The payment method you provided is not attached to a customer so detachment is impossible.")
		}
		return t.detach(pm), nil
	})
}

const methodListParams = listParams + `
customer str
type str
`

func (c *call) listMethods() (renderer, *apiError) {
	customer := c.form.str("customer")
	if customer == "" {
		return nil, missingParameter("customer")
	}
	return c.methodsOf(customer)
}

func (c *call) listCustomerMethods() (renderer, *apiError) { return c.methodsOf(c.path) }

func (c *call) methodsOf(customer string) (renderer, *apiError) {
	var err *apiError
	c.acct.read(func() { _, err = c.acct.customer(customer) })
	if err != nil {
		return nil, err
	}
	typ := c.form.str("type")
	return listOf(c, &c.acct.methods, "PaymentMethod", customer,
		func(pm *PaymentMethod) bool { return pm.Customer == customer && (typ == "" || typ == "card") },
		func(pm *PaymentMethod) int64 { return pm.Created })
}

func (c *call) getCustomerMethod() (renderer, *apiError) {
	id := c.r.PathValue("method")
	var pm *PaymentMethod
	c.acct.read(func() { pm = c.acct.methods.get(id) })
	if pm == nil || pm.Customer != c.path {
		return nil, notFound("PaymentMethod", id, "payment_method")
	}
	return pm, nil
}
