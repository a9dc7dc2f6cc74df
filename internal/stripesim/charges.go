package stripesim

import "slices"

func (c *Charge) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", c.ID)
	w.str("object", "charge")
	w.int("amount", c.Amount)
	w.int("amount_captured", c.AmountCaptured)
	w.int("amount_refunded", c.AmountRefunded)
	w.null("application", "application_fee", "application_fee_amount", "authorization_code")
	w.ref("balance_transaction", c.BalanceTransaction)
	w.billing(c.billing())
	w.str("calculated_statement_descriptor", "SIMULATOR")
	w.bool("captured", c.Captured)
	w.int("created", c.Created)
	w.str("currency", c.Currency)
	w.ref("customer", c.Customer)
	w.opt("description", c.Description)
	w.null("destination")
	w.ref("dispute", c.Dispute)
	w.bool("disputed", c.Disputed)
	w.null("failure_balance_transaction")
	w.opt("failure_code", c.FailureCode)
	w.opt("failure_message", c.FailureMessage)
	if c.FraudReport != "" {
		w.raw("fraud_details", `{"stripe_report":"`+c.FraudReport+`"}`)
	} else {
		w.raw("fraud_details", "{}")
	}
	w.null("invoice", "level3")
	w.bool("livemode", c.Livemode)
	w.metadata(c.Metadata)
	w.opt("on_behalf_of", c.OnBehalfOf)
	w.null("order")
	w.outcome(c)
	w.bool("paid", c.Status == "succeeded")
	w.ref("payment_intent", c.PaymentIntent)
	w.opt("payment_method", c.methodID())
	w.methodDetails(c)
	w.raw("radar_options", "{}")
	w.opt("receipt_email", c.ReceiptEmail)
	w.null("receipt_number")
	if c.Status == "succeeded" {
		w.str("receipt_url", "https://pay.stripe.com/receipts/payment/"+c.ID)
	} else {
		w.null("receipt_url")
	}
	w.bool("refunded", c.refunded())
	w.refunds(c)
	w.null("review")
	w.optRaw("shipping", c.Shipping)
	w.null("source", "source_transfer")
	w.opt("statement_descriptor", c.StatementDescriptor)
	w.opt("statement_descriptor_suffix", c.StatementDescriptorSuffix)
	w.str("status", c.Status)
	w.null("transfer", "transfer_data")
	w.opt("transfer_group", c.TransferGroup)
	w.end()
	return w.b
}

func (c *Charge) billing() *Billing {
	if c.PaymentMethod == nil {
		return &Billing{}
	}
	return &c.PaymentMethod.BillingDetails
}

func (c *Charge) methodID() string {
	if c.PaymentMethod == nil {
		return ""
	}
	return c.PaymentMethod.ID
}

func (c *Charge) refunded() bool { return c.AmountRefunded > 0 && c.AmountRefunded >= c.Amount }

// refunds writes the list of refunds. This API version includes it only when it is
// expanded.
func (w *enc) refunds(c *Charge) {
	sub, ok := w.x.wants("refunds")
	if !ok {
		return
	}
	l := &list{url: "/v1/charges/" + c.ID + "/refunds"}
	w.x.acct.read(func() {
		cells := w.x.acct.refunds.index[c.ID]
		for _, cell := range slices.Backward(cells) {
			l.items = append(l.items, cell.cur.Load())
		}
	})
	w.key("refunds")
	w.b = l.appendJSON(w.b, sub)
}

func (w *enc) outcome(c *Charge) {
	var card *card
	if c.PaymentMethod != nil {
		card = c.PaymentMethod.spec()
	}
	if card == nil || c.Status == "pending" {
		w.null("outcome")
		return
	}
	score := map[string]int64{"normal": 20, "elevated": 65, "highest": 80}[card.risk]
	w.b = append(w.b, `,"outcome":`...)
	o := enc{b: w.b}
	switch {
	case c.Status == "succeeded":
		o.begin("network_status", "approved_by_network")
		o.null("reason")
	case card.charge == fraudulent:
		o.begin("network_status", "not_sent_to_network")
		o.str("reason", "highest_risk_level")
	default:
		reason := c.FailureDeclineCode
		defaultString(&reason, c.FailureCode)
		o.begin("network_status", "declined_by_network")
		o.str("reason", reason)
	}
	o.str("risk_level", card.risk)
	o.int("risk_score", score)
	switch {
	case c.Status == "succeeded":
		o.str("seller_message", "Payment complete.")
		o.str("type", "authorized")
	case card.charge == fraudulent:
		o.str("seller_message", "Stripe blocked this payment as too risky.")
		o.str("type", "blocked")
	default:
		o.str("seller_message", "The bank did not return any further details with this decline.")
		o.str("type", "issuer_declined")
	}
	o.end()
	w.b = o.b
}

// methodDetails writes payment_method_details, the card as it was when it was
// charged.
func (w *enc) methodDetails(c *Charge) {
	if c.PaymentMethod == nil {
		w.null("payment_method_details")
		return
	}
	pm, spec := c.PaymentMethod, c.PaymentMethod.spec()
	w.b = append(w.b, `,"payment_method_details":{"card":`...)
	d := enc{b: w.b}
	d.begin("brand", spec.brand)
	if c.Status == "failed" {
		d.null("amount_authorized")
	} else {
		d.int("amount_authorized", c.Amount)
	}
	if c.Manual && !c.Captured {
		d.int("capture_before", c.Created+int64(authorizationLife.Seconds()))
	}
	d.raw("checks", `{"address_line1_check":null,"address_postal_code_check":null,"cvc_check":null}`)
	d.str("country", spec.country)
	d.int("exp_month", pm.ExpMonth)
	d.int("exp_year", pm.ExpYear)
	d.raw("extended_authorization", `{"status":"disabled"}`)
	d.str("fingerprint", spec.fingerprint)
	d.str("funding", spec.funding)
	d.raw("incremental_authorization", `{"status":"unavailable"}`)
	d.null("installments")
	d.str("last4", spec.last4)
	d.null("mandate")
	d.raw("multicapture", `{"status":"unavailable"}`)
	d.str("network", spec.network())
	d.raw("network_token", `{"used":false}`)
	d.raw("overcapture", `{"maximum_amount_capturable":`+itoa(c.Amount)+`,"status":"unavailable"}`)
	if c.Challenged {
		d.raw("three_d_secure", `{"authentication_flow":"challenge","electronic_commerce_indicator":"05",`+
			`"exemption_indicator":null,"result":"authenticated","result_reason":null,"transaction_id":null,"version":"2.2.0"}`)
	} else {
		d.null("three_d_secure")
	}
	d.null("wallet")
	d.end()
	w.b = d.b
	w.b = append(w.b, `,"type":"card"}`...)
}

// newCharge returns a charge of an intent. The caller must set its status.
func (t *tx) newCharge(pi *Intent, pm *PaymentMethod) *Charge {
	return &Charge{
		ID:                        t.s.ids.new("ch_3"),
		Amount:                    pi.Amount,
		Challenged:                pi.Authenticated,
		Created:                   t.sec,
		Currency:                  pi.Currency,
		Customer:                  pi.Customer,
		Description:               pi.Description,
		Livemode:                  t.live,
		Metadata:                  pi.Metadata,
		OnBehalfOf:                pi.OnBehalfOf,
		PaymentIntent:             pi.ID,
		PaymentMethod:             pm,
		ReceiptEmail:              pi.ReceiptEmail,
		Shipping:                  pi.Shipping,
		StatementDescriptor:       pi.StatementDescriptor,
		StatementDescriptorSuffix: pi.StatementDescriptorSuffix,
		TransferGroup:             pi.TransferGroup,
	}
}

// book captures a charge and adds its money to the balance.
func (t *tx) book(ch *Charge, amount int64) {
	ch.Captured, ch.AmountCaptured = true, amount
	ch.BalanceTransaction = t.move(&BalanceTransaction{
		Amount: amount, Currency: ch.Currency, Description: ch.Description,
		Fee: amount*29/1000 + 30, FeeType: "stripe_fee", Source: ch.ID, Type: "charge",
	})
}

func (t *tx) captureCharge(id string, amount int64) {
	ch := *t.charges.get(id)
	t.book(&ch, amount)
	ch.AmountRefunded = ch.Amount - amount // the part that is not captured is released
	t.emit("charge.captured", ch.ID, t.putCharge(&ch))
	t.scheduleConsequences(&ch)
}

// voidCharge releases an authorized amount.
func (t *tx) voidCharge(id string, lapsed bool) {
	ch := *t.charges.get(id)
	ch.AmountRefunded = ch.Amount
	typ := "charge.refunded"
	if lapsed {
		typ = "charge.expired"
	}
	t.emit(typ, ch.ID, t.putCharge(&ch))
}

// scheduleConsequences schedules the dispute or fraud warning that the card of a captured
// charge causes.
func (t *tx) scheduleConsequences(ch *Charge) {
	card := ch.PaymentMethod.spec()
	if card.dispute != "" || card.fraudReport {
		t.after(t.s.cfg.DisputeDelay, timerDispute, ch.ID, "")
	}
}

func (c *call) getCharge() (renderer, *apiError) {
	var ch *Charge
	c.acct.read(func() { ch = c.acct.charges.get(c.path) })
	if ch == nil {
		return nil, notFound("charge", c.path, "id")
	}
	return ch, nil
}

const chargeUpdateParams = commonParams + `
customer str
description str
fraud_details hash
metadata hash
receipt_email str
shipping hash
transfer_group str
`

func (c *call) updateCharge() (renderer, *apiError) {
	var ch Charge
	err := c.update(func(t *tx) *apiError {
		old := t.charges.get(c.path)
		if old == nil {
			return notFound("charge", c.path, "id")
		}
		ch = *old
		var err *apiError
		if ch.Metadata, err = merged(&c.form, ch.Metadata); err != nil {
			return err
		}
		for name, field := range map[string]*string{
			"description": &ch.Description, "receipt_email": &ch.ReceiptEmail, "transfer_group": &ch.TransferGroup,
		} {
			if c.form.has(name) {
				*field = c.form.str(name)
			}
		}
		t.emit("charge.updated", ch.ID, t.putCharge(&ch))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ch, nil
}

const chargeListParams = listParams + `
customer str
payment_intent str
transfer_group str
`

func (c *call) listCharges() (renderer, *apiError) {
	f := &c.form
	customer, intent, group := f.str("customer"), f.str("payment_intent"), f.str("transfer_group")
	owner := intent
	defaultString(&owner, customer)
	defaultString(&owner, group)
	return listOf(c, &c.acct.charges, "charge", owner,
		func(ch *Charge) bool {
			return (customer == "" || ch.Customer == customer) && (intent == "" || ch.PaymentIntent == intent) &&
				(group == "" || ch.TransferGroup == group)
		},
		func(ch *Charge) int64 { return ch.Created })
}
