package stripesim

import (
	"slices"
	"strings"
	"time"
)

const (
	disputeDeadline = 20 * 24 * time.Hour
	inquiryDeadline = 120 * 24 * time.Hour
	reviewTime      = time.Second
)

// The statuses of a Dispute.
const (
	DisputeLost                 = "lost"
	DisputeNeedsResponse        = "needs_response"
	DisputeUnderReview          = "under_review"
	DisputeWarningClosed        = "warning_closed"
	DisputeWarningNeedsResponse = "warning_needs_response"
	DisputeWarningUnderReview   = "warning_under_review"
	DisputeWon                  = "won"
)

var evidenceFields = strings.Fields(`access_activity_log billing_address cancellation_policy
	cancellation_policy_disclosure cancellation_rebuttal customer_communication customer_email_address customer_name
	customer_purchase_ip customer_signature duplicate_charge_documentation duplicate_charge_explanation
	duplicate_charge_id product_description receipt refund_policy refund_policy_disclosure refund_refusal_explanation
	service_date service_documentation shipping_address shipping_carrier shipping_date shipping_documentation
	shipping_tracking_number uncategorized_file uncategorized_text`)

var disputeUpdateParams = commonParams + "metadata hash\nsubmit bool\n" +
	"evidence." + strings.Join(evidenceFields, " str\nevidence.") + " str\n"

// inquiry reports whether the dispute is an inquiry, which has moved no money.
func (d *Dispute) inquiry() bool { return strings.HasPrefix(d.Status, "warning_") }

func (d *Dispute) refundable() bool { return d.inquiry() || d.Status == DisputeWon }

func (d *Dispute) open() bool {
	return d.Status != DisputeWon && d.Status != DisputeLost && d.Status != DisputeWarningClosed
}

func (d *Dispute) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", d.ID)
	w.str("object", "dispute")
	w.int("amount", d.Amount)
	w.null("balance_transaction")
	w.b = append(w.b, `,"balance_transactions":[`...)
	for i := range d.Transactions {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = d.Transactions[i].appendJSON(w.b, nil)
	}
	w.b = append(w.b, ']')
	w.ref("charge", d.Charge)
	w.int("created", d.Created)
	w.str("currency", d.Currency)
	w.b = append(w.b, `,"evidence":`...)
	w.b = d.appendEvidence(w.b)
	w.b = append(w.b, `,"evidence_details":`...)
	e := enc{b: w.b}
	e.b = append(e.b, `{"due_by":`+itoa(d.DueBy)...)
	e.bool("has_evidence", len(d.Evidence) > 0)
	e.bool("past_due", false)
	e.int("submission_count", d.Submissions)
	e.end()
	w.b = e.b
	w.bool("is_charge_refundable", d.inquiry())
	w.bool("livemode", d.Livemode)
	w.metadata(d.Metadata)
	w.str("network_reason_code", networkReason(d.Reason))
	w.ref("payment_intent", d.PaymentIntent)
	w.raw("payment_method_details", `{"card":{"brand":"`+d.Brand+`","network_reason_code":"`+networkReason(d.Reason)+
		`"},"type":"card"}`)
	w.str("reason", d.Reason)
	w.str("status", d.Status)
	w.end()
	return w.b
}

func (d *Dispute) appendEvidence(b []byte) []byte {
	w := enc{b: b}
	for i, name := range evidenceFields {
		val := d.Evidence.Get(name)
		if i == 0 {
			w.b = append(append(w.b, `{"`+name+`":`...), appendOptional(nil, val)...)
			continue
		}
		w.opt(name, val)
	}
	w.end()
	return w.b
}

func networkReason(reason string) string {
	if reason == "product_not_received" {
		return "13.1"
	}
	return "10.4"
}

// disputeCharge opens a chargeback or an inquiry.
func (t *tx) disputeCharge(old *Charge, reason string, amount int64, inquiry bool) *Dispute {
	ch := *old
	d := &Dispute{
		ID:            t.s.ids.new("dp_1"),
		Amount:        amount,
		Brand:         ch.PaymentMethod.spec().brand,
		Charge:        ch.ID,
		Created:       t.sec,
		Currency:      ch.Currency,
		DueBy:         t.sec + int64(disputeDeadline.Seconds()),
		Livemode:      t.live,
		PaymentIntent: ch.PaymentIntent,
		Reason:        reason,
		Status:        DisputeNeedsResponse,
	}
	deadline := disputeDeadline
	if inquiry {
		d.Status, deadline = DisputeWarningNeedsResponse, inquiryDeadline
	} else {
		t.withdraw(d)
	}
	ch.Disputed, ch.Dispute = true, d.ID
	t.putCharge(&ch)
	t.emit("charge.dispute.created", d.ID, t.putDispute(d))
	if !inquiry {
		t.emit("charge.dispute.funds_withdrawn", d.ID, d)
	}
	t.after(deadline, timerDisputeDeadline, d.ID, d.Status)
	return d
}

// withdraw takes the disputed amount and a fee from the balance.
func (t *tx) withdraw(d *Dispute) {
	t.moveDispute(d, &BalanceTransaction{
		Amount: -d.Amount, Currency: d.Currency, Description: "Chargeback withdrawal for " + d.Charge,
		Fee: disputeFee, FeeType: "dispute_fee", Source: d.ID, Type: "adjustment",
	})
}

// reinstate returns the amount and the fee to the balance.
func (t *tx) reinstate(d *Dispute) {
	t.moveDispute(d, &BalanceTransaction{
		Amount: d.Amount, Currency: d.Currency, Description: "Chargeback reversal for " + d.Charge,
		Fee: -disputeFee, FeeType: "dispute_fee", Source: d.ID, Type: "adjustment",
	})
}

func (t *tx) moveDispute(d *Dispute, b *BalanceTransaction) {
	t.move(b)
	d.Transactions = append(slices.Clone(d.Transactions), *b)
}

// closeDispute closes an open dispute as won or lost, and an inquiry as
// warning_closed.
func (t *tx) closeDispute(old *Dispute, won bool) *Dispute {
	d := *old
	switch {
	case !d.open():
		return old
	case d.inquiry():
		d.Status = DisputeWarningClosed
	case won:
		d.Status = DisputeWon
		t.reinstate(&d)
	default:
		d.Status = DisputeLost
	}
	t.putDispute(&d)
	previous := previousAttributes("status", string(appendString(nil, old.Status)))
	t.emitPrevious("charge.dispute.closed", d.ID, &d, previous)
	if d.Status == DisputeWon {
		t.emit("charge.dispute.funds_reinstated", d.ID, &d)
	}
	return &d
}

// dueDispute closes a dispute whose deadline has passed without evidence, or whose
// review has ended.
func (t *tx) dueDispute(tm *timer) {
	d := t.disputes.get(tm.ID)
	if d == nil {
		return
	}
	if tm.Kind == timerDisputeReview {
		t.closeDispute(d, tm.Arg == DisputeWon)
		return
	}
	due := d.Status == DisputeNeedsResponse || d.Status == DisputeWarningNeedsResponse ||
		d.Status == DisputeWarningUnderReview
	if due && tm.Arg == d.Status {
		t.closeDispute(d, false)
	}
}

// afterCharge opens the dispute or the fraud warning that a charge's card causes.
func (t *tx) afterCharge(id string) {
	ch := t.charges.get(id)
	if ch == nil || ch.Disputed {
		return
	}
	card := ch.PaymentMethod.spec()
	if card.fraudReport && len(t.warnings.index[ch.ID]) == 0 {
		t.addWarning(ch)
	}
	if card.dispute != "" {
		t.disputeCharge(ch, card.dispute, ch.Amount-ch.AmountRefunded, card.inquiry)
	}
}

func (c *call) findDispute(t *tx) (*Dispute, *apiError) {
	d := t.disputes.get(c.path)
	if d == nil {
		return nil, notFound("dispute", c.path, "id")
	}
	return d, nil
}

func (c *call) getDispute() (renderer, *apiError) {
	c.acct.mu.Lock()
	defer c.acct.mu.Unlock()
	d := c.acct.disputes.get(c.path)
	if d == nil {
		return nil, notFound("dispute", c.path, "id")
	}
	return d, nil
}

// updateDispute answers POST /v1/disputes/{id}. As in Stripe's test mode, magic
// texts in the evidence decide how the dispute ends.
func (c *call) updateDispute() (renderer, *apiError) {
	var d Dispute
	err := c.update(func(t *tx) *apiError {
		old, err := c.findDispute(t)
		if err != nil {
			return err
		}
		d = *old
		evidence := c.form.at("evidence")
		if evidence != nil && d.Status != DisputeNeedsResponse && d.Status != DisputeWarningNeedsResponse {
			return invalid("", "", "This dispute is already "+d.Status+"; its evidence can no longer be changed.")
		}
		if d.Metadata, err = merged(&c.form, d.Metadata); err != nil {
			return err
		}
		if evidence != nil {
			pairs := make([]Pair, len(evidence.kids))
			for i, k := range evidence.kids {
				pairs[i] = Pair{Key: k.name, Value: k.val}
			}
			d.Evidence = d.Evidence.merge(pairs)
		}
		submit := evidence != nil && c.form.str("submit") != "false" || c.form.bool("submit")
		if submit {
			t.submit(&d)
		}
		t.putDispute(&d)
		t.emitPrevious("charge.dispute.updated", d.ID, &d,
			previousAttributes("status", string(appendString(nil, old.Status))))
		if submit && old.inquiry() && !d.inquiry() {
			t.emit("charge.dispute.funds_withdrawn", d.ID, &d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// submit submits the evidence to the bank.
func (t *tx) submit(d *Dispute) {
	text := d.Evidence.Get("uncategorized_text")
	d.Submissions++
	switch {
	case d.inquiry() && text == "escalate_inquiry_evidence":
		d.Status = DisputeNeedsResponse
		t.withdraw(d)
		t.after(disputeDeadline, timerDisputeDeadline, d.ID, d.Status)
		return
	case d.inquiry():
		d.Status = DisputeWarningUnderReview
	default:
		d.Status = DisputeUnderReview
	}
	switch text {
	case "winning_evidence":
		t.after(reviewTime, timerDisputeReview, d.ID, DisputeWon)
	case "losing_evidence":
		t.after(reviewTime, timerDisputeReview, d.ID, DisputeLost)
	}
}

func (c *call) closeDispute() (renderer, *apiError) {
	var d *Dispute
	err := c.update(func(t *tx) *apiError {
		old, err := c.findDispute(t)
		if err != nil {
			return err
		}
		if !old.open() {
			return invalid("", "", "This dispute is already closed.")
		}
		d = t.closeDispute(old, false)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

const disputeListParams = listParams + `
charge str
payment_intent str
`

func (c *call) listDisputes() (renderer, *apiError) {
	charge, intent := c.form.str("charge"), c.form.str("payment_intent")
	owner := charge
	defaultString(&owner, intent)
	return listOf(c, &c.acct.disputes, "dispute", owner,
		func(d *Dispute) bool {
			return (charge == "" || d.Charge == charge) && (intent == "" || d.PaymentIntent == intent)
		},
		func(d *Dispute) int64 { return d.Created })
}

// FraudWarning is an issuer's early fraud warning.
type FraudWarning struct {
	ID            string `json:"id"`
	Charge        string `json:"charge"`
	Created       int64  `json:"created"`
	Livemode      bool   `json:"livemode"`
	PaymentIntent string `json:"payment_intent,omitempty"`
}

func (f *FraudWarning) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", f.ID)
	w.str("object", "radar.early_fraud_warning")
	w.bool("actionable", true)
	w.ref("charge", f.Charge)
	w.int("created", f.Created)
	w.str("fraud_type", "misc")
	w.bool("livemode", f.Livemode)
	w.ref("payment_intent", f.PaymentIntent)
	w.end()
	return w.b
}

func (t *tx) addWarning(ch *Charge) {
	f := &FraudWarning{
		ID: t.s.ids.new("issfr_1"), Charge: ch.ID, Created: t.sec, Livemode: t.live, PaymentIntent: ch.PaymentIntent,
	}
	t.putWarning(f)
	t.emit("radar.early_fraud_warning.created", f.ID, f)
}

func (c *call) listWarnings() (renderer, *apiError) {
	charge := c.form.str("charge")
	return listOf(c, &c.acct.warnings, "early fraud warning", "",
		func(f *FraudWarning) bool { return charge == "" || f.Charge == charge },
		func(f *FraudWarning) int64 { return f.Created })
}
