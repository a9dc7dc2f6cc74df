package stripesim

import "time"

const (
	checkoutLife    = 24 * time.Hour
	checkoutMinLife = 30 * time.Minute
	checkoutPath    = "/c/pay/"
)

// The statuses of a Checkout Session.
const (
	CheckoutComplete = "complete"
	CheckoutExpired  = "expired"
	CheckoutOpen     = "open"
)

const checkoutCreateParams = commonParams + `
after_expiration hash
allow_promotion_codes bool
automatic_tax hash
billing_address_collection str
cancel_url str
client_reference_id str
consent_collection hash
currency str
customer str
customer_creation enum:always|if_required
customer_email str
customer_update hash
custom_fields list
custom_text hash
discounts list
expires_at int
invoice_creation hash
line_items hash
locale str
metadata hash
mode! enum:payment
payment_intent_data.application_fee_amount int
payment_intent_data.capture_method enum:automatic|automatic_async|manual
payment_intent_data.description str
payment_intent_data.metadata hash
payment_intent_data.on_behalf_of str
payment_intent_data.receipt_email str
payment_intent_data.setup_future_usage enum:off_session|on_session
payment_intent_data.shipping hash
payment_intent_data.statement_descriptor str
payment_intent_data.statement_descriptor_suffix str
payment_intent_data.transfer_data hash
payment_intent_data.transfer_group str
payment_method_collection str
payment_method_configuration str
payment_method_options hash
payment_method_types list
phone_number_collection hash
redirect_on_completion str
return_url str
shipping_address_collection hash
shipping_options list
submit_type enum:auto|book|donate|pay
success_url str
tax_id_collection hash
ui_mode enum:hosted
`

// lineItemParams are the parameters of one entry of line_items.
var lineItemParams = newParamTable(`
adjustable_quantity hash
dynamic_tax_rates list
price str
price_data.currency! str
price_data.product str
price_data.product_data.description str
price_data.product_data.images list
price_data.product_data.metadata hash
price_data.product_data.name! str
price_data.product_data.tax_code str
price_data.tax_behavior str
price_data.unit_amount int
quantity int
tax_rates list
`)

func (s *CheckoutSession) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", s.ID)
	w.str("object", "checkout.session")
	w.null("after_expiration", "allow_promotion_codes")
	w.int("amount_subtotal", s.AmountTotal)
	w.int("amount_total", s.AmountTotal)
	w.raw("automatic_tax", `{"enabled":false,"liability":null,"status":null}`)
	w.null("billing_address_collection")
	w.opt("cancel_url", s.CancelURL)
	w.opt("client_reference_id", s.ClientReferenceID)
	w.null("client_secret", "consent", "consent_collection")
	w.int("created", s.Created)
	w.str("currency", s.Currency)
	w.null("currency_conversion")
	w.raw("custom_fields", "[]")
	w.raw("custom_text", `{"after_submit":null,"shipping_address":null,"submit":null,"terms_of_service_acceptance":null}`)
	w.ref("customer", s.Customer)
	w.str("customer_creation", s.CustomerCreation)
	w.customerDetails(s)
	w.opt("customer_email", s.CustomerEmail)
	w.int("expires_at", s.ExpiresAt)
	w.null("invoice")
	w.raw("invoice_creation", `{"enabled":false,"invoice_data":{"account_tax_ids":null,"custom_fields":null,`+
		`"description":null,"footer":null,"issuer":null,"metadata":{},"rendering_options":null}}`)
	if _, ok := x.wants("line_items"); ok {
		w.object("line_items", s.lineItems())
	}
	w.bool("livemode", s.Livemode)
	w.null("locale")
	w.metadata(s.Metadata)
	w.str("mode", "payment")
	w.ref("payment_intent", s.PaymentIntent)
	w.null("payment_link")
	w.str("payment_method_collection", "if_required")
	w.null("payment_method_configuration_details")
	w.raw("payment_method_options", "{}")
	w.raw("payment_method_types", `["card"]`)
	w.str("payment_status", s.PaymentStatus)
	w.raw("phone_number_collection", `{"enabled":false}`)
	w.null("recovered_from", "redirect_on_completion", "return_url", "setup_intent", "shipping_address_collection",
		"shipping_cost", "shipping_details")
	w.raw("shipping_options", "[]")
	w.str("status", s.Status)
	w.opt("submit_type", s.SubmitType)
	w.null("subscription")
	w.opt("success_url", s.SuccessURL)
	w.null("tax_id_collection")
	w.raw("total_details", `{"amount_discount":0,"amount_shipping":0,"amount_tax":0}`)
	w.str("ui_mode", "hosted")
	if s.Status == CheckoutOpen {
		w.str("url", s.URL)
	} else {
		w.null("url")
	}
	w.end()
	return w.b
}

func (w *enc) customerDetails(s *CheckoutSession) {
	if s.CustomerEmail == "" && s.Status != CheckoutComplete {
		w.null("customer_details")
		return
	}
	w.b = append(w.b, `,"customer_details":{"address":null`...)
	w.opt("email", s.CustomerEmail)
	w.null("name", "phone")
	w.str("tax_exempt", "none")
	w.null("tax_ids")
	w.end()
}

func (s *CheckoutSession) lineItems() *list {
	l := &list{url: "/v1/checkout/sessions/" + s.ID + "/line_items"}
	for i := range s.LineItems {
		l.items = append(l.items, &pricedItem{LineItem: &s.LineItems[i], currency: s.Currency, live: s.Livemode})
	}
	return l
}

// pricedItem is a line item with the fields of its session that its JSON needs.
type pricedItem struct {
	*LineItem
	currency string
	live     bool
}

func (i *pricedItem) total() int64 { return i.UnitAmount * i.Quantity }

func (i *pricedItem) appendJSON(b []byte, _ *expander) []byte {
	w := enc{b: b}
	w.begin("id", i.ID)
	w.str("object", "item")
	w.int("amount_discount", 0)
	w.int("amount_subtotal", i.total())
	w.int("amount_tax", 0)
	w.int("amount_total", i.total())
	w.str("currency", i.currency)
	w.str("description", i.Name)
	w.b = append(w.b, `,"price":`...)
	p := enc{b: w.b}
	p.begin("id", i.Price)
	p.str("object", "price")
	p.bool("active", false)
	p.str("billing_scheme", "per_unit")
	p.str("currency", i.currency)
	p.bool("livemode", i.live)
	p.raw("metadata", "{}")
	p.str("product", i.Product)
	p.str("type", "one_time")
	p.int("unit_amount", i.UnitAmount)
	p.str("unit_amount_decimal", itoa(i.UnitAmount))
	p.end()
	w.b = p.b
	w.int("quantity", i.Quantity)
	w.end()
	return w.b
}

// createCheckout answers POST /v1/checkout/sessions.
func (c *call) createCheckout() (renderer, *apiError) {
	s, err := c.newCheckout()
	if err != nil {
		return nil, err
	}
	err = c.update(func(t *tx) *apiError {
		if s.Customer != "" {
			if _, err := t.customer(s.Customer); err != nil {
				return err
			}
		}
		s.Created, s.ExpiresAt = t.sec, t.sec+int64(checkoutLife.Seconds())
		if at := c.form.int("expires_at"); at != 0 {
			if at < t.sec+int64(checkoutMinLife.Seconds()) || at > s.ExpiresAt {
				return refused("", "expires_at", "The `expires_at` timestamp must be between 30 minutes and 24 hours from "+
					"Checkout Session creation.")
			}
			s.ExpiresAt = at
		}
		t.putCheckout(s)
		t.after(time.Duration(s.ExpiresAt-t.sec)*time.Second, timerCheckoutExpiry, s.ID, "")
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *call) newCheckout() (*CheckoutSession, *apiError) {
	f := &c.form
	id := c.s.ids.secret("cs_"+c.acct.mode()+"_a1", 56)
	s := &CheckoutSession{
		ID:                id,
		CancelURL:         f.str("cancel_url"),
		ClientReferenceID: f.str("client_reference_id"),
		Customer:          f.str("customer"),
		CustomerCreation:  f.str("customer_creation"),
		CustomerEmail:     f.str("customer_email"),
		Livemode:          c.acct.live,
		PaymentStatus:     "unpaid",
		Status:            CheckoutOpen,
		SubmitType:        f.str("submit_type"),
		SuccessURL:        f.str("success_url"),
		URL:               c.s.BaseURL() + checkoutPath + id,
	}
	defaultString(&s.CustomerCreation, "if_required")
	if s.SuccessURL == "" {
		return nil, missingParameter("success_url")
	}
	var err *apiError
	if s.Metadata, err = merged(f, nil); err != nil {
		return nil, err
	}
	if data := f.at("payment_intent_data"); data != nil {
		if s.Intent, err = readIntentData(data); err != nil {
			return nil, err
		}
	}
	if err := s.readLines(c, f.at("line_items")); err != nil {
		return nil, err
	}
	return s, checkAmount(s.AmountTotal, s.Currency)
}

func readIntentData(f *form) (IntentData, *apiError) {
	meta, err := merged(f, nil)
	return IntentData{
		CaptureMethod:       f.str("capture_method"),
		Description:         f.str("description"),
		Metadata:            meta,
		ReceiptEmail:        f.str("receipt_email"),
		SetupFutureUsage:    f.str("setup_future_usage"),
		StatementDescriptor: f.str("statement_descriptor"),
		StatementSuffix:     f.str("statement_descriptor_suffix"),
		TransferGroup:       f.str("transfer_group"),
	}, err
}

func (s *CheckoutSession) readLines(c *call, f *form) *apiError {
	if f == nil || len(f.kids) == 0 {
		return missingParameter("line_items")
	}
	for i := range f.kids {
		n := &f.kids[i]
		path := "line_items." + n.name
		if err := lineItemParams.checkHash(n, path+"."); err != nil {
			return err
		}
		if price := n.str("price"); price != "" {
			return noSuch("price", price, bracketed(path+".price"))
		}
		if !n.has("price_data") {
			return missingParameter(path + ".price_data")
		}
		cur, err := checkCurrency(n.str("price_data", "currency"))
		if err != nil {
			err.param = bracketed(path + ".price_data.currency")
			return err
		}
		if s.Currency != "" && s.Currency != cur {
			return refused("", "line_items", "All line items must have the same currency.")
		}
		s.Currency = cur
		item := LineItem{
			ID: c.s.ids.new("li_1"), Name: n.str("price_data", "product_data", "name"), Price: c.s.ids.new("price_1"),
			Product: c.s.ids.secret("prod_", 14), Quantity: 1, UnitAmount: n.int("price_data", "unit_amount"),
		}
		if n.has("quantity") {
			item.Quantity = n.int("quantity")
		}
		if item.Quantity < 1 || item.Quantity > 999_999 || item.UnitAmount < 0 || item.UnitAmount > maxAmount {
			return refused("parameter_invalid_integer", bracketed(path+".quantity"), "Invalid quantity or unit_amount.")
		}
		s.LineItems = append(s.LineItems, item)
		s.AmountTotal += item.UnitAmount * item.Quantity
	}
	return nil
}

func (c *call) getCheckout() (renderer, *apiError) {
	s, err := c.findCheckout()
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *call) findCheckout() (*CheckoutSession, *apiError) {
	var s *CheckoutSession
	c.acct.read(func() { s = c.acct.checkouts.get(c.path) })
	if s == nil {
		return nil, notFound("checkout.session", c.path, "session")
	}
	return s, nil
}

func (c *call) listLineItems() (renderer, *apiError) {
	s, err := c.findCheckout()
	if err != nil {
		return nil, err
	}
	return s.lineItems(), nil
}

const checkoutListParams = listParams + `
customer str
customer_details.email str
payment_intent str
payment_link str
status enum:complete|expired|open
subscription str
`

func (c *call) listCheckouts() (renderer, *apiError) {
	f := &c.form
	customer, intent, status := f.str("customer"), f.str("payment_intent"), f.str("status")
	email := f.str("customer_details", "email")
	owner := customer
	defaultString(&owner, intent)
	return listOf(c, &c.acct.checkouts, "checkout.session", owner,
		func(s *CheckoutSession) bool {
			return (customer == "" || s.Customer == customer) && (intent == "" || s.PaymentIntent == intent) &&
				(status == "" || s.Status == status) && (email == "" || s.CustomerEmail == email)
		},
		func(s *CheckoutSession) int64 { return s.Created })
}

func (c *call) expireCheckout() (renderer, *apiError) {
	var out *CheckoutSession
	err := c.update(func(t *tx) *apiError {
		s := t.checkouts.get(c.path)
		switch {
		case s == nil:
			return notFound("checkout.session", c.path, "session")
		case s.Status != CheckoutOpen:
			return invalid("", "", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has "+
				"a status of `"+s.Status+"`.")
		}
		out = t.expireCheckout(s.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// expireCheckout expires an open session and cancels its intent.
func (t *tx) expireCheckout(id string) *CheckoutSession {
	old := t.checkouts.get(id)
	if old == nil || old.Status != CheckoutOpen {
		return old
	}
	s := *old
	s.Status = CheckoutExpired
	if pi := t.intents.get(s.PaymentIntent); pi != nil && pi.open() {
		next := *pi
		t.cancel(&next, "automatic")
	}
	t.emit("checkout.session.expired", s.ID, t.putCheckout(&s))
	return &s
}
