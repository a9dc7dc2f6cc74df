package stripesim

const setupSharedParams = commonParams + billingDataParams + `
attach_to_self bool
customer str
description str
flow_directions list
metadata hash
payment_method str
payment_method_configuration str
payment_method_options hash
payment_method_types list
`

const setupConfirmOnlyParams = `
mandate_data hash
return_url str
use_stripe_sdk bool
`

const setupCreateParams = setupSharedParams + setupConfirmOnlyParams + `
automatic_payment_methods.allow_redirects enum:always|never
automatic_payment_methods.enabled! bool
confirm bool
confirmation_token str
on_behalf_of str
single_use hash
usage enum:off_session|on_session
`

const setupUpdateParams = setupSharedParams

const setupConfirmParams = commonParams + billingDataParams + setupConfirmOnlyParams + `
client_secret str
confirmation_token str
payment_method str
payment_method_options hash
`

const setupCancelParams = commonParams + "cancellation_reason enum:abandoned|duplicate|requested_by_customer\n"

func (p *SetupIntent) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", p.ID)
	w.str("object", "setup_intent")
	w.null("application")
	w.null("attach_to_self")
	w.automatic(p.AllowRedirects)
	w.opt("cancellation_reason", p.CancellationReason)
	w.str("client_secret", p.ClientSecret)
	w.int("created", p.Created)
	w.ref("customer", p.Customer)
	w.opt("description", p.Description)
	w.null("flow_directions")
	w.paymentError("last_setup_error", p.LastSetupError)
	w.opt("latest_attempt", p.LatestAttempt)
	w.bool("livemode", p.Livemode)
	w.null("mandate")
	w.metadata(p.Metadata)
	w.nextAction(p.NextAction)
	w.null("on_behalf_of")
	w.ref("payment_method", p.PaymentMethod)
	w.null("payment_method_configuration_details")
	w.raw("payment_method_options", `{"card":{"mandate_options":null,"network":null,"request_three_d_secure":"automatic"}}`)
	w.strs("payment_method_types", p.PaymentMethodTypes)
	w.null("single_use_mandate")
	w.str("status", p.Status)
	w.str("usage", p.Usage)
	w.end()
	return w.b
}

func unexpectedSetupState(si *SetupIntent, message string) *apiError {
	err := invalid("setup_intent_unexpected_state", "", message)
	err.setupIntent = si
	return err
}

func (c *call) createSetup() (renderer, *apiError) {
	f := &c.form
	id := c.s.ids.new("seti_1")
	si := SetupIntent{
		ID:           id,
		ClientSecret: c.s.ids.secret(id+"_secret_", 25),
		Customer:     f.str("customer"),
		Livemode:     c.acct.live,
		Status:       StatusRequiresPaymentMethod,
		Usage:        f.str("usage"),
	}
	defaultString(&si.Usage, "off_session")
	var err *apiError
	if si.AllowRedirects, si.PaymentMethodTypes, err = methodTypes(f); err != nil {
		return nil, err
	}
	if si.Metadata, err = merged(f, nil); err != nil {
		return nil, err
	}
	si.Description = f.str("description")
	var conf *confirmation
	if f.bool("confirm") {
		conf, err = c.confirmation(&Intent{AllowRedirects: si.AllowRedirects})
	} else {
		err = confirmOnly(f)
	}
	if err != nil {
		return nil, err
	}
	var out *SetupIntent
	err = c.update(func(t *tx) *apiError {
		si.Created = t.sec
		pm, err := c.setupMethod(t, &si)
		if err != nil {
			return err
		}
		if pm != nil {
			t.putMethod(pm)
			si.PaymentMethod, si.Status = pm.ID, StatusRequiresConfirmation
		}
		first := si
		out = t.putSetup(&first)
		t.emit("setup_intent.created", si.ID, out)
		if conf == nil {
			return nil
		}
		out, err = t.confirmSetup(&si, pm, conf)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// setupMethod returns the payment method and checks that it belongs to the
// customer.
func (c *call) setupMethod(t *tx, si *SetupIntent) (*PaymentMethod, *apiError) {
	if si.Customer != "" {
		if _, err := t.customer(si.Customer); err != nil {
			return nil, err
		}
	}
	as := Intent{Customer: si.Customer, PaymentMethod: si.PaymentMethod}
	pm, err := c.methodParam(t, &as)
	if err != nil {
		return nil, err
	}
	return pm, as.accepts(pm)
}

// confirmSetup makes one attempt to set up a payment method. It takes over si,
// which must be a copy.
func (t *tx) confirmSetup(si *SetupIntent, pm *PaymentMethod, conf *confirmation) (*SetupIntent, *apiError) {
	if pm == nil {
		return nil, unexpectedSetupState(t.setups.get(si.ID), "You cannot confirm this SetupIntent because it's missing a "+
			"payment method. Update the SetupIntent with a payment method and then confirm it again.")
	}
	si.Attempt++
	si.LatestAttempt = t.s.ids.new("setatt_1")
	si.LastSetupError, si.NextAction, si.PaymentMethod = nil, nil, pm.ID
	spec := pm.spec()
	switch {
	case spec.attach != nil:
		return nil, t.failSetup(si, pm, spec.attach)
	case spec.auth != authNever:
		si.Status = StatusRequiresAction
		si.NextAction = &NextAction{Source: t.s.ids.new("src_1")}
		if conf.returnURL != "" && !conf.sdk {
			si.ReturnURL, si.NextAction.ReturnURL = conf.returnURL, conf.returnURL
			si.NextAction.URL = t.challengeURL("setup_intent", si.ID, si.ClientSecret, si.NextAction.Source)
		}
		t.emit("setup_intent.requires_action", si.ID, t.putSetup(si))
		return si, nil
	}
	return t.succeedSetup(si, pm), nil
}

func (t *tx) succeedSetup(si *SetupIntent, pm *PaymentMethod) *SetupIntent {
	if si.Customer != "" && pm.Customer == "" {
		pm = t.forceAttach(pm, si.Customer)
	}
	next := *pm
	next.SetUp = si.Usage == "off_session"
	t.putMethod(&next)
	si.Status, si.NextAction = StatusSucceeded, nil
	t.emit("setup_intent.succeeded", si.ID, t.putSetup(si))
	return si
}

func (t *tx) failSetup(si *SetupIntent, pm *PaymentMethod, d *decline) *apiError {
	si.Status, si.PaymentMethod, si.NextAction = StatusRequiresPaymentMethod, "", nil
	si.LastSetupError = &PaymentError{
		Code: d.code, DeclineCode: d.declineCode, Message: d.message, PaymentMethod: pm, Type: typeCard,
	}
	t.consume(pm)
	t.emit("setup_intent.setup_failed", si.ID, t.putSetup(si))
	err := d.err()
	err.setupIntent, err.paymentMethod = si, pm
	return err
}

// answerSetupChallenge is answerChallenge for a SetupIntent.
func (t *tx) answerSetupChallenge(id, source string, passed bool) bool {
	old := t.setups.get(id)
	if old == nil || old.Status != StatusRequiresAction || source != "" && old.NextAction.Source != source {
		return false
	}
	si := *old
	pm := t.methods.get(si.PaymentMethod)
	if passed {
		t.succeedSetup(&si, pm)
		return true
	}
	si.Status, si.PaymentMethod, si.NextAction = StatusRequiresPaymentMethod, "", nil
	si.LastSetupError = &PaymentError{
		Code: "setup_intent_authentication_failure", PaymentMethod: pm, Type: typeInvalid,
		Message: "The latest attempt to set up the payment method has failed because authentication failed.",
	}
	t.emit("setup_intent.setup_failed", si.ID, t.putSetup(&si))
	return true
}

// changeSetup applies change to a copy of the SetupIntent in the path.
func (c *call) changeSetup(change func(*tx, *SetupIntent) (*SetupIntent, *apiError)) (renderer, *apiError) {
	var out *SetupIntent
	err := c.update(func(t *tx) *apiError {
		old := t.setups.get(c.path)
		if old == nil {
			return notFound("setupintent", c.path, "intent")
		}
		next := *old
		var err *apiError
		out, err = change(t, &next)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (p *SetupIntent) open() bool { return p.Status != StatusSucceeded && p.Status != StatusCanceled }

func (c *call) confirmSetup() (renderer, *apiError) {
	return c.changeSetup(func(t *tx, si *SetupIntent) (*SetupIntent, *apiError) {
		if !si.open() {
			return nil, unexpectedSetupState(si, "You cannot confirm this SetupIntent because it has a status of "+si.Status+".")
		}
		conf, err := c.confirmation(&Intent{AllowRedirects: si.AllowRedirects})
		if err != nil {
			return nil, err
		}
		pm, err := c.setupMethod(t, si)
		if err != nil {
			return nil, err
		}
		if pm != nil {
			if err := pm.reusable("payment_method"); err != nil {
				return nil, err
			}
			t.putMethod(pm)
		}
		return t.confirmSetup(si, pm, conf)
	})
}

func (c *call) updateSetup() (renderer, *apiError) {
	return c.changeSetup(func(t *tx, si *SetupIntent) (*SetupIntent, *apiError) {
		f := &c.form
		if !si.open() && (f.has("customer") || f.has("payment_method")) {
			return nil, unexpectedSetupState(si, "This SetupIntent can no longer be changed because it has a status of "+si.Status+".")
		}
		var err *apiError
		if si.Metadata, err = merged(f, si.Metadata); err != nil {
			return nil, err
		}
		if f.has("description") {
			si.Description = f.str("description")
		}
		if id := f.str("customer"); id != "" {
			si.Customer = id
		}
		if f.has("payment_method") || f.has("payment_method_data") || f.has("customer") {
			pm, err := c.setupMethod(t, si)
			if err != nil {
				return nil, err
			}
			if pm != nil {
				t.putMethod(pm)
				si.PaymentMethod, si.Status, si.NextAction = pm.ID, StatusRequiresConfirmation, nil
			}
		}
		return t.putSetup(si), nil
	})
}

func (c *call) cancelSetup() (renderer, *apiError) {
	return c.changeSetup(func(t *tx, si *SetupIntent) (*SetupIntent, *apiError) {
		if !si.open() {
			return nil, unexpectedSetupState(si, "You cannot cancel this SetupIntent because it has a status of "+si.Status+".")
		}
		si.Status, si.NextAction = StatusCanceled, nil
		si.CancellationReason = c.form.str("cancellation_reason")
		t.emit("setup_intent.canceled", si.ID, t.putSetup(si))
		return si, nil
	})
}

func (c *call) getSetup() (renderer, *apiError) {
	var si *SetupIntent
	c.acct.read(func() { si = c.acct.setups.get(c.path) })
	if si == nil {
		return nil, notFound("setupintent", c.path, "intent")
	}
	return si, nil
}

const setupListParams = listParams + `
attach_to_self bool
customer str
payment_method str
`

func (c *call) listSetups() (renderer, *apiError) {
	customer, pm := c.form.str("customer"), c.form.str("payment_method")
	return listOf(c, &c.acct.setups, "setupintent", customer,
		func(si *SetupIntent) bool {
			return (customer == "" || si.Customer == customer) && (pm == "" || si.PaymentMethod == pm)
		},
		func(si *SetupIntent) int64 { return si.Created })
}
