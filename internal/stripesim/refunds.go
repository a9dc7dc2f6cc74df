package stripesim

const refundCreateParams = commonParams + `
amount int
charge str
currency str
customer str
instructions_email str
metadata hash
origin str
payment_intent str
reason enum:duplicate|fraudulent|requested_by_customer
refund_application_fee bool
reverse_transfer bool
`

func (r *Refund) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", r.ID)
	w.str("object", "refund")
	w.int("amount", r.Amount)
	w.ref("balance_transaction", r.BalanceTransaction)
	w.ref("charge", r.Charge)
	w.int("created", r.Created)
	w.str("currency", r.Currency)
	w.null("description")
	w.raw("destination_details", `{"card":{"reference_status":"pending","reference_type":"acquirer_reference_number",`+
		`"type":"refund"},"type":"card"}`)
	w.ref("failure_balance_transaction", r.FailureBalanceTransaction)
	w.opt("failure_reason", r.FailureReason)
	w.opt("instructions_email", r.InstructionsEmail)
	w.metadata(r.Metadata)
	w.null("next_action")
	w.ref("payment_intent", r.PaymentIntent)
	w.opt("reason", r.Reason)
	w.null("receipt_number", "source_transfer_reversal")
	w.str("status", r.Status)
	w.null("transfer_reversal")
	w.end()
	return w.b
}

// createRefund answers POST /v1/refunds.
func (c *call) createRefund() (renderer, *apiError) {
	f := &c.form
	meta, err := merged(f, nil)
	if err != nil {
		return nil, err
	}
	r := &Refund{
		InstructionsEmail: f.str("instructions_email"),
		Metadata:          meta,
		Reason:            f.str("reason"),
	}
	err = c.update(func(t *tx) *apiError {
		ch, err := t.refundable(f.str("payment_intent"), f.str("charge"))
		if err != nil {
			return err
		}
		left := ch.Amount - ch.AmountRefunded
		r.Amount = left
		if f.has("amount") {
			r.Amount = f.int("amount")
		}
		if err := t.checkRefund(ch, r.Amount, left); err != nil {
			return err
		}
		t.refund(ch, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// refundable returns the charge that a refund request names.
func (t *tx) refundable(intent, charge string) (*Charge, *apiError) {
	switch {
	case intent == "" && charge == "":
		return nil, refused("parameter_missing", "", "One of the following params should be provided for this request: "+
			"payment_intent or charge.")
	case charge != "":
		ch := t.charges.get(charge)
		if ch == nil {
			return nil, notFound("charge", charge, "id")
		}
		if intent != "" && ch.PaymentIntent != intent {
			return nil, invalid("", "payment_intent", "The charge does not belong to the PaymentIntent.")
		}
		return ch, nil
	}
	pi := t.intents.get(intent)
	if pi == nil {
		return nil, notFound("payment_intent", intent, "intent")
	}
	ch := t.charges.get(pi.LatestCharge)
	if ch == nil || ch.Status != "succeeded" || !ch.Captured {
		return nil, invalid("", "payment_intent", "This PaymentIntent ("+intent+") does not have a successful charge to refund.")
	}
	return ch, nil
}

func (t *tx) checkRefund(ch *Charge, amount, left int64) *apiError {
	switch {
	case ch.Status != "succeeded":
		return invalid("", "charge", "Charge "+ch.ID+" is not successful, so it cannot be refunded.")
	case !ch.Captured:
		return invalid("", "charge", "Charge "+ch.ID+" has not been captured, so it cannot be refunded.")
	case left <= 0:
		return invalid("charge_already_refunded", "", "Charge "+ch.ID+" has already been refunded.")
	case amount < 1:
		return refused("parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	case amount > left:
		return invalid("", "amount", "Refund amount ("+money(amount, ch.Currency)+") is greater than unrefunded amount on "+
			"charge ("+money(left, ch.Currency)+")")
	}
	if d := t.disputes.get(ch.Dispute); d != nil && !d.refundable() {
		return invalid("charge_disputed", "", "Charge "+ch.ID+" has been charged back; cannot issue a refund.")
	}
	return nil
}

// refund creates a refund. The charge's card determines how it ends.
func (t *tx) refund(old *Charge, r *Refund) {
	ch := *old
	r.ID, r.Charge, r.PaymentIntent = t.s.ids.new("re_3"), ch.ID, ch.PaymentIntent
	r.Created, r.Currency, r.Status = t.sec, ch.Currency, "succeeded"
	behaviour := ch.PaymentMethod.spec().refund
	if behaviour == "pending" {
		r.Status = "pending"
	}
	r.BalanceTransaction = t.move(&BalanceTransaction{
		Amount: -r.Amount, Currency: r.Currency, Description: "REFUND FOR CHARGE", Source: r.ID, Type: "refund",
	})
	before := ch.AmountRefunded
	ch.AmountRefunded += r.Amount
	t.putRefund(r)
	t.putCharge(&ch)
	t.emitPrevious("charge.refunded", ch.ID, &ch, previousAttributes("amount_refunded", itoa(before)))
	if t.s.cfg.RefundEvents {
		t.emit("refund.created", r.ID, r)
	}
	switch behaviour {
	case "pending":
		t.after(t.s.cfg.RefundDelay, timerRefund, r.ID, "succeeded")
	case "failed":
		t.after(t.s.cfg.RefundDelay, timerRefund, r.ID, "failed")
	}
}

// endRefund changes the status of a refund, unless it has failed or was canceled.
func (t *tx) endRefund(id, status string) {
	old := t.refunds.get(id)
	if old == nil || old.Status == "failed" || old.Status == "canceled" || old.Status == status {
		return
	}
	r := *old
	r.Status = status
	if status == "failed" || status == "canceled" {
		t.revertRefund(&r)
	}
	t.putRefund(&r)
	t.refundUpdated(&r, old.Status)
}

// revertRefund adds the money of a failed or canceled refund to the charge again.
func (t *tx) revertRefund(r *Refund) {
	if r.Status == "failed" {
		r.FailureReason = "expired_or_canceled_card"
	}
	typ := "refund_failure"
	r.FailureBalanceTransaction = t.move(&BalanceTransaction{
		Amount: r.Amount, Currency: r.Currency, Description: "REFUND FAILURE", Source: r.ID, Type: typ,
	})
	ch := *t.charges.get(r.Charge)
	ch.AmountRefunded -= r.Amount
	t.putCharge(&ch)
}

func (t *tx) refundUpdated(r *Refund, before string) {
	previous := previousAttributes("status", string(appendString(nil, before)))
	t.emitPrevious("charge.refund.updated", r.ID, r, previous)
	if !t.s.cfg.RefundEvents {
		return
	}
	t.emitPrevious("refund.updated", r.ID, r, previous)
	if r.Status == "failed" {
		t.emit("refund.failed", r.ID, r)
	}
}

func (a *account) refundByID(id string) (*Refund, *apiError) {
	r := a.refunds.get(id)
	if r == nil {
		return nil, notFound("refund", id, "id")
	}
	return r, nil
}

func (c *call) getRefund() (renderer, *apiError) {
	c.acct.mu.Lock()
	defer c.acct.mu.Unlock()
	r, err := c.acct.refundByID(c.path)
	if err != nil {
		return nil, err
	}
	return r, nil
}

const refundUpdateParams = commonParams + "metadata hash\n"

func (c *call) updateRefund() (renderer, *apiError) {
	var r Refund
	err := c.update(func(t *tx) *apiError {
		old, err := t.refundByID(c.path)
		if err != nil {
			return err
		}
		r = *old
		if r.Metadata, err = merged(&c.form, r.Metadata); err != nil {
			return err
		}
		t.putRefund(&r)
		t.emitPrevious("charge.refund.updated", r.ID, &r,
			previousAttributes("metadata", string(old.Metadata.appendJSON(nil))))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func (c *call) cancelRefund() (renderer, *apiError) {
	var r *Refund
	err := c.update(func(t *tx) *apiError {
		old, err := t.refundByID(c.path)
		if err != nil {
			return err
		}
		if old.Status != "requires_action" && old.Status != "pending" {
			return invalid("", "", "This refund cannot be canceled because it has a status of "+old.Status+".")
		}
		t.endRefund(old.ID, "canceled")
		r = t.refunds.get(old.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

const refundListParams = listParams + `
charge str
payment_intent str
`

func (c *call) listRefunds() (renderer, *apiError) {
	charge, intent := c.form.str("charge"), c.form.str("payment_intent")
	owner := charge
	defaultString(&owner, intent)
	return listOf(c, &c.acct.refunds, "refund", owner,
		func(r *Refund) bool {
			return (charge == "" || r.Charge == charge) && (intent == "" || r.PaymentIntent == intent)
		},
		func(r *Refund) int64 { return r.Created })
}

func (c *call) listChargeRefunds() (renderer, *apiError) {
	return listOf(c, &c.acct.refunds, "refund", c.path, all[Refund], func(r *Refund) int64 { return r.Created })
}
