package lago

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/wallet"
)

// rule is a recurring transaction rule of a wallet, as it is shown and stored. Rules
// are not executed.
type rule struct {
	LagoID               wallet.ID             `json:"lago_id"`
	PaidCredits          string                `json:"paid_credits"`
	GrantedCredits       string                `json:"granted_credits"`
	GrantsTargetTopUp    bool                  `json:"grants_target_top_up"`
	Interval             *string               `json:"interval"`
	Method               string                `json:"method"`
	StartedAt            *string               `json:"started_at"`
	ExpirationAt         *string               `json:"expiration_at"`
	Status               string                `json:"status"`
	TargetOngoingBalance *string               `json:"target_ongoing_balance"`
	ThresholdCredits     *string               `json:"threshold_credits"`
	Trigger              string                `json:"trigger"`
	CreatedAt            string                `json:"created_at"`
	RequiresPayment      bool                  `json:"invoice_requires_successful_payment"`
	TransactionMetadata  []wallet.MetadataPair `json:"transaction_metadata"`
	TransactionName      *string               `json:"transaction_name"`
	PurchaseOrderNumber  *string               `json:"purchase_order_number"`
	IgnoreLimits         bool                  `json:"ignore_paid_top_up_limits"`
	Sections             []sectionJSON         `json:"applied_invoice_custom_sections"`
	PaymentMethod        lagojson.Method       `json:"payment_method"`
}

// readRules reads the rules that are stored with a wallet.
func readRules(w wallet.Wallet) ([]rule, error) {
	rules := []rule{}
	if w.RecurringTransactionRules == nil {
		return rules, nil
	}
	if err := json.Unmarshal(w.RecurringTransactionRules, &rules); err != nil {
		return nil, fmt.Errorf("rules of wallet %s: %w", w.ID, err)
	}
	return rules, nil
}

// runs reports whether the rule has not expired.
func (r rule) runs(now time.Time) bool {
	if r.ExpirationAt == nil {
		return true
	}
	at, ok := parseTime(*r.ExpirationAt)
	return !ok || now.Before(at)
}

// decodeRules reads the rules of a request, which replace those before. A rule with
// the id of one of those changes it. The second result is empty if there is no mistake.
func decodeRules(body object, before []rule, w wallet.Wallet, opening topUpRequest, now time.Time) (rules []rule, problem wallet.Problem) {
	list := body.list("recurring_transaction_rules")
	if len(list) > 1 {
		return nil, problemRuleCount
	}
	rules = []rule{}
	for _, raw := range list {
		fields := object{"rule": raw}.object("rule")
		r := newRule(opening, w, now)
		id, _ := fields.str("lago_id")
		if i := slices.IndexFunc(before, func(r rule) bool { return r.LagoID.String() == id }); i >= 0 {
			r = before[i]
		}
		if fields == nil || !r.read(fields, now) {
			return nil, problemRule
		}
		rules = append(rules, r)
	}
	return rules, ""
}

// newRule returns a rule with the defaults. Its credits are those of the wallet's
// opening top-up.
func newRule(opening topUpRequest, w wallet.Wallet, now time.Time) rule {
	return rule{
		LagoID:              wallet.NewID(),
		PaidCredits:         wallet.FormatDecimal(opening.Paid),
		GrantedCredits:      wallet.FormatDecimal(opening.Granted),
		Method:              "fixed",
		Status:              "active",
		CreatedAt:           api.Timestamp(now),
		RequiresPayment:     w.InvoiceRequiresSuccessfulPayment,
		TransactionMetadata: []wallet.MetadataPair{},
		Sections:            []sectionJSON{},
		PaymentMethod:       lagojson.Method{PaymentMethodType: wallet.MethodProvider},
	}
}

// read sets what the client sent, and reports whether the rule is valid then.
func (r *rule) read(f object, now time.Time) bool {
	ok := r.readCredits(f) && r.readTimes(f, now)
	setText(&r.Method, f, "method")
	setText(&r.Trigger, f, "trigger")
	setOptional(&r.Interval, f, "interval")
	setOptional(&r.TransactionName, f, "transaction_name")
	setOptional(&r.PurchaseOrderNumber, f, "purchase_order_number")
	setBool(&r.GrantsTargetTopUp, f, "grants_target_top_up")
	setBool(&r.RequiresPayment, f, "invoice_requires_successful_payment")
	setBool(&r.IgnoreLimits, f, "ignore_paid_top_up_limits")
	if f.given("transaction_metadata") {
		pairs, problem := decodePairs(f["transaction_metadata"], maxOpeningMetadata)
		r.TransactionMetadata = append([]wallet.MetadataPair{}, pairs...)
		ok = ok && problem == ""
	}
	if method := f.object("payment_method"); method != nil {
		kind, _ := method.str("payment_method_type")
		id, _ := method.str("payment_method_id")
		r.PaymentMethod = lagojson.Method{PaymentMethodType: wallet.MethodChoice{Type: wallet.PaymentMethodType(kind)}.OrProvider()}
		if parsed := parseUUID(id); parsed != (wallet.ID{}) {
			r.PaymentMethod.PaymentMethodID = &parsed
		}
		ok = ok && slices.Contains([]string{"", "manual", "provider"}, kind)
	}
	return ok && r.valid()
}

// readCredits reads the four amounts of credits.
func (r *rule) readCredits(f object) bool {
	valid := true
	read := func(name string, to func(string)) {
		if !f.given(name) {
			return
		}
		d, ok := f.amount(name)
		valid = valid && ok
		to(wallet.FormatDecimal(d))
	}
	read("paid_credits", func(s string) { r.PaidCredits = s })
	read("granted_credits", func(s string) { r.GrantedCredits = s })
	read("threshold_credits", func(s string) { r.ThresholdCredits = &s })
	read("target_ongoing_balance", func(s string) { r.TargetOngoingBalance = &s })
	return valid
}

func (r *rule) readTimes(f object, now time.Time) bool {
	for name, to := range map[string]**string{"started_at": &r.StartedAt, "expiration_at": &r.ExpirationAt} {
		text, ok := f.str(name)
		if !ok {
			continue
		}
		at, ok := parseTime(text)
		if !ok || (name == "expiration_at" && !at.After(now)) {
			return false
		}
		*to = new(api.Timestamp(at))
	}
	return true
}

// valid reports whether the rule has the fields that its trigger and method need.
func (r *rule) valid() bool {
	switch r.Trigger {
	case "interval":
		if r.Interval == nil || !slices.Contains([]string{"weekly", "monthly", "quarterly", "semiannual", "yearly"}, *r.Interval) {
			return false
		}
	case "threshold":
		if r.ThresholdCredits == nil {
			return false
		}
	default:
		return false
	}
	switch r.Method {
	case "fixed":
		return true
	case "target":
		return r.TargetOngoingBalance != nil && r.reachesThreshold()
	default:
		return false
	}
}

// reachesThreshold reports whether the target is at least the threshold.
func (r *rule) reachesThreshold() bool {
	if r.Trigger != "threshold" {
		return true
	}
	target, err := wallet.ParseCredits(*r.TargetOngoingBalance)
	threshold, err2 := wallet.ParseCredits(*r.ThresholdCredits)
	return err == nil && err2 == nil && target.GreaterThanOrEqual(threshold)
}
