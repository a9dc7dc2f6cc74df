package stripesim

import "bytes"

const customerParams = commonParams + `
address hash
balance int
description str
email str
invoice_prefix str
invoice_settings.custom_fields hash
invoice_settings.default_payment_method str
invoice_settings.footer str
invoice_settings.rendering_options hash
metadata hash
name str
next_invoice_sequence int
phone str
preferred_locales list
shipping hash
tax hash
tax_exempt enum:none|exempt|reverse
`

const customerCreateParams = customerParams + `
payment_method str
tax_id_data hash
test_clock str
`

// metadataParam reads the metadata parameter. It returns nil if that is missing.
func metadataParam(f *form) ([]Pair, *apiError) {
	const name = "metadata"
	n := f.at(name)
	if n == nil {
		return nil, nil
	}
	if len(n.kids) > 50 {
		return nil, refused("", name, "You may specify at most 50 metadata keys.")
	}
	pairs := make([]Pair, 0, len(n.kids))
	for _, k := range n.kids {
		switch {
		case !k.leaf:
			return nil, refused("", name, "Invalid metadata: values must be strings.")
		case len([]rune(k.name)) > 40:
			return nil, refused("", name, "Metadata keys must be at most 40 characters long.")
		case len([]rune(k.val)) > 500:
			return nil, refused("", name, "Metadata values must be at most 500 characters long.")
		}
		pairs = append(pairs, Pair{Key: k.name, Value: k.val})
	}
	return pairs, nil
}

// merged returns old with the metadata parameter applied. The parameter "metadata="
// removes all.
func merged(f *form, old Metadata) (Metadata, *apiError) {
	pairs, err := metadataParam(f)
	if err != nil {
		return nil, err
	}
	if n := f.at("metadata"); n != nil && n.leaf && n.val == "" {
		return nil, nil
	}
	return old.merge(pairs), nil
}

// addressFields are always present, null if they are empty.
var addressFields = []string{"city", "country", "line1", "line2", "postal_code", "state"}

// address encodes an address parameter as JSON. It returns nil if that is missing.
func address(f *form) RawJSON {
	if f == nil || len(f.kids) == 0 {
		return nil
	}
	fields := map[string]*string{}
	for _, name := range addressFields {
		fields[name] = nil
		if v := f.str(name); v != "" {
			fields[name] = &v
		}
	}
	b, _ := encode(fields) // strings can always be encoded
	return bytes.TrimSpace(b)
}

// shipping encodes a shipping parameter as JSON. It returns nil if that is missing.
func shipping(f *form) RawJSON {
	if f == nil || len(f.kids) == 0 {
		return nil
	}
	w := enc{}
	w.begin("name", f.str("name"))
	w.optRaw("address", address(f.at("address")))
	for _, name := range []string{"carrier", "phone", "tracking_number"} {
		w.opt(name, f.str(name))
	}
	w.end()
	return w.b
}

func (c *Customer) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", c.ID)
	w.str("object", "customer")
	if c.Deleted {
		w.bool("deleted", true)
		w.end()
		return w.b
	}
	w.optRaw("address", c.Address)
	w.int("balance", c.Balance)
	w.null("cash_balance")
	w.int("created", c.Created)
	w.null("currency", "default_source")
	w.bool("delinquent", false)
	w.opt("description", c.Description)
	w.null("discount")
	w.opt("email", c.Email)
	w.raw("invoice_credit_balance", "{}")
	w.str("invoice_prefix", c.InvoicePrefix)
	w.b = append(w.b, `,"invoice_settings":{"custom_fields":null`...)
	sub := w
	sub.x, _ = x.wants("invoice_settings")
	sub.ref("default_payment_method", c.DefaultPaymentMethod)
	sub.null("footer", "rendering_options")
	w.b = sub.b
	w.end()
	w.bool("livemode", c.Livemode)
	w.metadata(c.Metadata)
	w.opt("name", c.Name)
	w.int("next_invoice_sequence", c.NextInvoiceSequence)
	w.opt("phone", c.Phone)
	w.strs("preferred_locales", c.PreferredLocales)
	w.optRaw("shipping", c.Shipping)
	w.emptyList("sources", "/v1/customers/"+c.ID+"/sources")
	w.emptyList("subscriptions", "/v1/customers/"+c.ID+"/subscriptions")
	w.null("tax")
	w.str("tax_exempt", c.TaxExempt)
	w.emptyList("tax_ids", "/v1/customers/"+c.ID+"/tax_ids")
	w.null("test_clock")
	w.end()
	return w.b
}

// emptyList writes an empty list. Stripe includes these lists of a customer only
// when they are expanded.
func (w *enc) emptyList(key, url string) {
	if _, ok := w.x.wants(key); !ok {
		return
	}
	w.key(key)
	w.b = (&list{url: url}).appendJSON(w.b, nil)
}

// customer returns the customer of the parameter customer. a.mu must be held.
func (a *account) customer(id string) (*Customer, *apiError) {
	cus := a.customers.get(id)
	if cus == nil || cus.Deleted {
		return nil, noSuch("customer", id, "customer")
	}
	return cus, nil
}

func (c *call) createCustomer() (renderer, *apiError) {
	cus := &Customer{
		ID:                  c.s.ids.secret("cus_", 14),
		InvoicePrefix:       c.s.ids.secret("", 8),
		Livemode:            c.acct.live,
		NextInvoiceSequence: 1,
		TaxExempt:           "none",
	}
	if err := c.applyCustomer(cus); err != nil {
		return nil, err
	}
	err := c.update(func(t *tx) *apiError {
		cus.Created = t.sec
		if pm := c.form.str("payment_method"); pm != "" {
			if err := t.attach(pm, cus, "payment_method"); err != nil {
				return err
			}
		}
		t.emit("customer.created", cus.ID, t.putCustomer(cus))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return cus, nil
}

func (c *call) applyCustomer(cus *Customer) *apiError {
	f := &c.form
	var err *apiError
	if cus.Metadata, err = merged(f, cus.Metadata); err != nil {
		return err
	}
	for name, field := range map[string]*string{
		"description": &cus.Description, "email": &cus.Email, "name": &cus.Name, "phone": &cus.Phone,
		"invoice_prefix": &cus.InvoicePrefix,
	} {
		if f.has(name) {
			*field = f.str(name)
		}
	}
	if f.has("tax_exempt") {
		cus.TaxExempt = f.str("tax_exempt")
		defaultString(&cus.TaxExempt, "none")
	}
	if f.has("address") {
		cus.Address = address(f.at("address"))
	}
	if f.has("shipping") {
		cus.Shipping = shipping(f.at("shipping"))
	}
	if f.has("balance") {
		cus.Balance = f.int("balance")
	}
	if f.has("next_invoice_sequence") {
		cus.NextInvoiceSequence = f.int("next_invoice_sequence")
	}
	if f.has("preferred_locales") {
		cus.PreferredLocales = f.list("preferred_locales")
	}
	if f.has("invoice_settings", "default_payment_method") {
		cus.DefaultPaymentMethod = f.str("invoice_settings", "default_payment_method")
	}
	return nil
}

func (c *call) getCustomer() (renderer, *apiError) {
	var cus *Customer
	c.acct.read(func() { cus = c.acct.customers.get(c.path) })
	if cus == nil {
		return nil, notFound("customer", c.path, "id")
	}
	return cus, nil
}

func (c *call) updateCustomer() (renderer, *apiError) {
	var cus Customer
	err := c.update(func(t *tx) *apiError {
		old := t.customers.get(c.path)
		if old == nil || old.Deleted {
			return notFound("customer", c.path, "id")
		}
		cus = *old
		if err := c.applyCustomer(&cus); err != nil {
			return err
		}
		if id := cus.DefaultPaymentMethod; id != "" && id != old.DefaultPaymentMethod {
			if pm := t.methods.get(id); pm == nil || pm.Customer != cus.ID {
				return noSuch("payment method", id, "invoice_settings[default_payment_method]")
			}
		}
		t.emitPrevious("customer.updated", cus.ID, t.putCustomer(&cus), changedCustomer(old, &cus))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &cus, nil
}

func changedCustomer(old, cus *Customer) string {
	var pairs []string
	add := func(name, before, after string) {
		if before != after {
			pairs = append(pairs, name, string(appendOptional(nil, before)))
		}
	}
	add("description", old.Description, cus.Description)
	add("email", old.Email, cus.Email)
	add("name", old.Name, cus.Name)
	add("phone", old.Phone, cus.Phone)
	before, after := old.Metadata.appendJSON(nil), cus.Metadata.appendJSON(nil)
	if string(before) != string(after) {
		pairs = append(pairs, "metadata", string(before))
	}
	return previousAttributes(pairs...)
}

func (c *call) deleteCustomer() (renderer, *apiError) {
	var gone Customer
	err := c.update(func(t *tx) *apiError {
		old := t.customers.get(c.path)
		if old == nil || old.Deleted {
			return notFound("customer", c.path, "id")
		}
		for _, ce := range t.methods.index[old.ID] {
			if pm := ce.cur.Load(); pm.Customer == old.ID {
				t.detach(pm)
			}
		}
		t.emit("customer.deleted", old.ID, old) // the event shows the customer before the deletion
		gone = *old
		gone.Deleted = true
		t.putCustomer(&gone)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &gone, nil
}

const customerListParams = listParams + "email str\n"

func (c *call) listCustomers() (renderer, *apiError) {
	email := c.form.str("email")
	return listOf(c, &c.acct.customers, "customer", email,
		func(cus *Customer) bool { return !cus.Deleted && (email == "" || cus.Email == email) },
		func(cus *Customer) int64 { return cus.Created })
}
