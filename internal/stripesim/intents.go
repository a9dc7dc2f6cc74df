package stripesim

import (
	"net/http"
	"slices"
)

const intentSharedParams = commonParams + billingDataParams + `
application_fee_amount int
capture_method enum:automatic|automatic_async|manual
currency str
customer str
description str
metadata hash
payment_method str
payment_method_configuration str
payment_method_options hash
payment_method_types list
receipt_email str
setup_future_usage enum:off_session|on_session
shipping hash
statement_descriptor str
statement_descriptor_suffix str
transfer_data hash
transfer_group str
`

const billingDataParams = `
payment_method_data.billing_details hash
payment_method_data.card hash
payment_method_data.metadata hash
payment_method_data.radar_options hash
payment_method_data.type enum:card
`

// confirmOnlyParams are refused in a create request without confirm=true.
const confirmOnlyParams = `
error_on_requires_action bool
mandate str
mandate_data hash
off_session str
return_url str
use_stripe_sdk bool
`

const intentCreateParams = intentSharedParams + confirmOnlyParams + `
amount! int
automatic_payment_methods.allow_redirects enum:always|never
automatic_payment_methods.enabled! bool
confirm bool
confirmation_method enum:automatic|manual
confirmation_token str
currency! str
on_behalf_of str
radar_options hash
`

const intentUpdateParams = intentSharedParams + "amount int\n"

const intentConfirmParams = commonParams + billingDataParams + confirmOnlyParams + `
capture_method enum:automatic|automatic_async|manual
client_secret str
confirmation_token str
payment_method str
payment_method_options hash
payment_method_types list
radar_options hash
receipt_email str
setup_future_usage enum:off_session|on_session
shipping hash
`

const intentCancelParams = commonParams +
	"cancellation_reason enum:abandoned|duplicate|fraudulent|requested_by_customer\n"

const intentCaptureParams = commonParams + `
amount_to_capture int
application_fee_amount int
final_capture bool
metadata hash
statement_descriptor str
statement_descriptor_suffix str
transfer_data hash
`

// createIntent answers POST /v1/payment_intents.
func (c *call) createIntent() (renderer, *apiError) {
	pi, confirm, err := c.newIntent()
	if err != nil {
		return nil, err
	}
	var out *Intent
	err = c.update(func(t *tx) *apiError {
		next := *pi
		pm, err := c.methodParam(t, &next)
		if err != nil {
			return err
		}
		next.Created = t.sec
		if next.Customer != "" {
			if _, err := t.customer(next.Customer); err != nil {
				return err
			}
		}
		if err := next.accepts(pm); err != nil {
			return err
		}
		if pm != nil {
			next.PaymentMethod, next.Status = pm.ID, StatusRequiresConfirmation
			t.putMethod(pm)
		}
		if confirm == nil || pm == nil {
			out = t.putIntent(&next)
			t.emit("payment_intent.created", next.ID, out)
			if confirm != nil {
				return unconfirmable(out)
			}
			return nil
		}
		attempt := next // the event shows the intent before the attempt
		t.emit("payment_intent.created", next.ID, t.putIntent(&next))
		out, err = t.confirm(&attempt, pm, confirm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// newIntent reads the parameters of a create request. The confirmation is nil
// without confirm=true.
func (c *call) newIntent() (*Intent, *confirmation, *apiError) {
	f := &c.form
	currency, err := checkCurrency(f.str("currency"))
	if err != nil {
		return nil, nil, err
	}
	if err := checkAmount(f.int("amount"), currency); err != nil {
		return nil, nil, err
	}
	id := c.s.ids.new("pi_3")
	pi := &Intent{
		ID:                 id,
		Amount:             f.int("amount"),
		CaptureMethod:      f.str("capture_method"),
		ClientSecret:       c.s.ids.secret(id+"_secret_", 25),
		ConfirmationMethod: f.str("confirmation_method"),
		Currency:           currency,
		Customer:           f.str("customer"),
		Livemode:           c.acct.live,
		OnBehalfOf:         f.str("on_behalf_of"),
		Status:             StatusRequiresPaymentMethod,
	}
	defaultString(&pi.CaptureMethod, "automatic")
	defaultString(&pi.ConfirmationMethod, "automatic")
	if pi.AllowRedirects, pi.PaymentMethodTypes, err = methodTypes(f); err != nil {
		return nil, nil, err
	}
	if f.bool("automatic_payment_methods", "enabled") && f.has("confirmation_method") {
		return nil, nil, refused("", "confirmation_method",
			"You may only specify one of these parameters: automatic_payment_methods, confirmation_method.")
	}
	if err := c.applyIntent(pi); err != nil {
		return nil, nil, err
	}
	if !f.bool("confirm") {
		return pi, nil, confirmOnly(f)
	}
	conf, err := c.confirmation(pi)
	return pi, conf, err
}

// methodTypes reads the types of payment methods that an intent accepts.
func methodTypes(f *form) (redirects string, types []string, err *apiError) {
	types = f.list("payment_method_types")
	automatic := f.bool("automatic_payment_methods", "enabled")
	switch {
	case types != nil && automatic:
		return "", nil, refused("", "payment_method_types",
			"You may only specify one of these parameters: automatic_payment_methods, payment_method_types.")
	case types != nil:
		if i := slices.IndexFunc(types, func(s string) bool { return s != "card" && s != "link" }); i >= 0 {
			return "", nil, refused("", "payment_method_types",
				"The payment method type \""+types[i]+"\" is invalid. This simulator takes card and link.")
		}
		return "", types, nil
	}
	redirects = f.str("automatic_payment_methods", "allow_redirects")
	defaultString(&redirects, "always")
	if f.has("automatic_payment_methods") && !automatic {
		return "", cardOnly, nil
	}
	return redirects, cardAndLink, nil
}

var (
	cardAndLink = []string{"card", "link"}
	cardOnly    = []string{"card"}
)

func confirmOnly(f *form) *apiError {
	for _, name := range []string{
		"error_on_requires_action", "mandate", "mandate_data", "off_session", "return_url", "use_stripe_sdk",
	} {
		if f.has(name) {
			return refused("", name, "You can only pass `"+name+"` when `confirm` is set to true.")
		}
	}
	return nil
}

// applyIntent applies the parameters that create, update and confirm have in
// common.
func (c *call) applyIntent(pi *Intent) *apiError {
	f := &c.form
	var err *apiError
	if pi.Metadata, err = merged(f, pi.Metadata); err != nil {
		return err
	}
	set := func(name string, field *string) {
		if n := f.at(name); n != nil {
			*field = n.val
		}
	}
	set("description", &pi.Description)
	set("receipt_email", &pi.ReceiptEmail)
	set("setup_future_usage", &pi.SetupFutureUsage)
	set("statement_descriptor", &pi.StatementDescriptor)
	set("statement_descriptor_suffix", &pi.StatementDescriptorSuffix)
	set("transfer_group", &pi.TransferGroup)
	if v := f.str("capture_method"); v != "" {
		pi.CaptureMethod = v
	}
	if f.has("application_fee_amount") {
		pi.ApplicationFeeAmount = f.int("application_fee_amount")
	}
	if f.has("shipping") {
		pi.Shipping = shipping(f.at("shipping"))
	}
	return nil
}

// methodParam returns the payment method of payment_method or payment_method_data,
// or else the intent's own. It returns nil if there is none.
func (c *call) methodParam(t *tx, pi *Intent) (*PaymentMethod, *apiError) {
	if data := c.form.at("payment_method_data"); data != nil {
		spec, err := cardParam(data)
		if err != nil {
			return nil, err
		}
		pm := t.newMethod(spec)
		pm.BillingDetails.read(data.at("billing_details"))
		return pm, nil
	}
	if id := c.form.str("payment_method"); id != "" {
		pm, err := t.method(id, "payment_method")
		if err != nil {
			return nil, err
		}
		return pm, pm.reusable("payment_method")
	}
	if pi.PaymentMethod != "" {
		return t.method(pi.PaymentMethod, "payment_method")
	}
	return nil, nil
}

// accepts returns an error if the payment method belongs to another customer.
func (p *Intent) accepts(pm *PaymentMethod) *apiError {
	switch {
	case pm == nil || pm.Customer == "" || pm.Customer == p.Customer:
		return nil
	case p.Customer == "":
		return invalid("", "payment_method", "The provided PaymentMethod ("+pm.ID+") belongs to a Customer. Please include "+
			"the Customer in the `customer` parameter on the PaymentIntent.")
	}
	return noSuchOfCustomer(pm.ID)
}

func noSuchOfCustomer(id string) *apiError {
	return invalid("resource_missing", "payment_method", "The customer does not have a payment method with the ID "+id+
		". The payment method must be attached to the customer.")
}

func (a *account) intent(id string) (*Intent, *apiError) {
	pi := a.intents.get(id)
	if pi == nil {
		return nil, notFound("payment_intent", id, "intent")
	}
	return pi, nil
}

func (c *call) getIntent() (renderer, *apiError) {
	var pi *Intent
	c.acct.read(func() { pi = c.acct.intents.get(c.path) })
	if pi == nil {
		return nil, notFound("payment_intent", c.path, "intent")
	}
	if secret := c.form.str("client_secret"); secret != "" && secret != pi.ClientSecret {
		return nil, invalid("payment_intent_invalid_parameter", "client_secret",
			"The client_secret provided does not match the client_secret associated with the PaymentIntent.")
	}
	return pi, nil
}

// changeIntent applies change to a copy of the intent in the path.
func (c *call) changeIntent(change func(*tx, *Intent) (*Intent, *apiError)) (renderer, *apiError) {
	var out *Intent
	err := c.update(func(t *tx) *apiError {
		pi, err := t.intent(c.path)
		if err != nil {
			return err
		}
		next := *pi
		out, err = change(t, &next)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// open reports whether the intent can still be changed and confirmed.
func (p *Intent) open() bool {
	return p.Status == StatusRequiresPaymentMethod || p.Status == StatusRequiresConfirmation ||
		p.Status == StatusRequiresAction
}

// updateIntent answers POST /v1/payment_intents/{id}. Of an intent that is not
// open, only descriptive fields can be changed.
func (c *call) updateIntent() (renderer, *apiError) {
	return c.changeIntent(func(t *tx, pi *Intent) (*Intent, *apiError) {
		f := &c.form
		if !pi.open() {
			for _, name := range []string{
				"amount", "application_fee_amount", "capture_method", "currency", "customer", "payment_method",
				"payment_method_data", "payment_method_types", "setup_future_usage",
			} {
				if f.has(name) {
					return nil, unexpectedState(pi, "This PaymentIntent's "+name+" could not be updated because it has a status "+
						"of "+pi.Status+". You may only update the "+name+" of a PaymentIntent with one of the following statuses: "+
						"requires_payment_method, requires_confirmation, requires_action.")
				}
			}
		}
		if err := c.applyIntent(pi); err != nil {
			return nil, err
		}
		if !pi.open() {
			return t.putIntent(pi), nil
		}
		if err := c.reprice(t, pi); err != nil {
			return nil, err
		}
		pi.LastPaymentError = nil
		return t.putIntent(pi), nil
	})
}

// reprice applies the part of an update that decides which amount is charged to
// which card and customer.
func (c *call) reprice(t *tx, pi *Intent) *apiError {
	f := &c.form
	amount, currency := pi.Amount, pi.Currency
	if f.has("amount") {
		amount = f.int("amount")
	}
	if f.has("currency") {
		var err *apiError
		if currency, err = checkCurrency(f.str("currency")); err != nil {
			return err
		}
	}
	if err := checkAmount(amount, currency); err != nil {
		return err
	}
	if id := f.str("customer"); id != "" && id != pi.Customer {
		if pi.Customer != "" {
			return invalid("", "customer", "You cannot change the customer of a PaymentIntent once it is set.")
		}
		if _, err := t.customer(id); err != nil {
			return err
		}
		pi.Customer = id
	}
	if f.has("payment_method_types") {
		var err *apiError
		if pi.AllowRedirects, pi.PaymentMethodTypes, err = methodTypes(f); err != nil {
			return err
		}
	}
	// A pending challenge was for the previous amount, so it becomes invalid.
	stale := amount != pi.Amount || currency != pi.Currency
	pi.Amount, pi.Currency = amount, currency
	switch {
	case f.has("payment_method_data") || f.str("payment_method") != "":
		pm, err := c.methodParam(t, pi)
		if err != nil {
			return err
		}
		if err := pi.accepts(pm); err != nil {
			return err
		}
		t.putMethod(pm)
		pi.PaymentMethod, stale = pm.ID, true
	case f.has("payment_method"): // an empty value removes the payment method
		pi.PaymentMethod, pi.Status, pi.NextAction = "", StatusRequiresPaymentMethod, nil
	}
	if stale && pi.PaymentMethod != "" {
		pi.Status, pi.NextAction, pi.Authenticated = StatusRequiresConfirmation, nil, false
	}
	return nil
}

// cancelIntent answers POST /v1/payment_intents/{id}/cancel.
func (c *call) cancelIntent() (renderer, *apiError) {
	return c.changeIntent(func(t *tx, pi *Intent) (*Intent, *apiError) {
		switch {
		case pi.Status == StatusSucceeded, pi.Status == StatusCanceled, pi.Status == StatusProcessing:
			return nil, unexpectedState(pi, "You cannot cancel this PaymentIntent because it has a status of "+pi.Status+
				". Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, "+
				"requires_capture, requires_reauthorization, requires_confirmation, requires_action, processing.")
		case pi.CheckoutSession != "" && pi.Status != StatusRequiresCapture:
			return nil, invalid("", "", "You cannot cancel this PaymentIntent because it is owned by a Checkout Session. "+
				"Expire the session instead.")
		}
		return t.cancel(pi, c.form.str("cancellation_reason")), nil
	})
}

// cancel cancels an intent and releases an authorized amount.
func (t *tx) cancel(pi *Intent, reason string) *Intent {
	if pi.Status == StatusRequiresCapture {
		t.voidCharge(pi.LatestCharge, reason == "automatic")
	}
	pi.Status, pi.NextAction, pi.AmountCapturable = StatusCanceled, nil, 0
	pi.CanceledAt, pi.CancellationReason = t.sec, reason
	t.emit("payment_intent.canceled", pi.ID, t.putIntent(pi))
	return pi
}

// captureIntent answers POST /v1/payment_intents/{id}/capture.
func (c *call) captureIntent() (renderer, *apiError) {
	return c.changeIntent(func(t *tx, pi *Intent) (*Intent, *apiError) {
		if pi.Status != StatusRequiresCapture {
			return nil, unexpectedState(pi, "This PaymentIntent could not be captured because it has a status of "+pi.Status+
				". Only a PaymentIntent with one of the following statuses may be captured: requires_capture.")
		}
		amount := pi.AmountCapturable
		if c.form.has("amount_to_capture") {
			amount = c.form.int("amount_to_capture")
		}
		switch {
		case amount < 1:
			return nil, refused("parameter_invalid_integer", "amount_to_capture", "This value must be greater than or equal to 1.")
		case amount > pi.AmountCapturable:
			return nil, invalid("amount_too_large", "amount_to_capture",
				"The amount to capture must be at most "+money(pi.AmountCapturable, pi.Currency)+".")
		}
		if err := c.applyIntent(pi); err != nil {
			return nil, err
		}
		t.captureCharge(pi.LatestCharge, amount)
		pi.Status, pi.AmountCapturable, pi.AmountReceived = StatusSucceeded, 0, amount
		t.emit("payment_intent.succeeded", pi.ID, t.putIntent(pi))
		return pi, nil
	})
}

const intentListParams = listParams + "customer str\n"

func (c *call) listIntents() (renderer, *apiError) {
	customer := c.form.str("customer")
	return listOf(c, &c.acct.intents, "payment_intent", customer,
		func(pi *Intent) bool { return customer == "" || pi.Customer == customer },
		func(pi *Intent) int64 { return pi.Created })
}

// unconfirmable returns the error of a confirm request without a payment method.
func unconfirmable(pi *Intent) *apiError {
	err := unexpectedState(pi, "You cannot confirm this PaymentIntent because it's missing a payment method. You can either "+
		"update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "+
		"payment method or ConfirmationToken.")
	err.status = http.StatusBadRequest
	return err
}
