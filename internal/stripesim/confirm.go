package stripesim

import (
	"net/url"
	"time"
)

const (
	// maxConfirmations is how often an intent can be confirmed. Stripe has such a
	// limit but does not publish it.
	maxConfirmations = 50

	authorizationLife = 7 * 24 * time.Hour
	processingTime    = 5 * time.Second
)

// confirmation holds the options of a confirm request.
type confirmation struct {
	errorOnAction bool
	offSession    bool
	processing    time.Duration // set by a fault: an approved payment stays in processing
	returnURL     string
	sdk           bool
}

// confirmation reads the confirm parameters. The other parameters must already have
// been applied to pi.
func (c *call) confirmation(pi *Intent) (*confirmation, *apiError) {
	f := &c.form
	conf := &confirmation{
		errorOnAction: f.bool("error_on_requires_action"),
		processing:    c.processing,
		returnURL:     f.str("return_url"),
		sdk:           f.bool("use_stripe_sdk"),
	}
	switch v := f.str("off_session"); v {
	case "", "false":
	case "true", "one_off", "recurring":
		conf.offSession = true
	default:
		return nil, refused("", "off_session", "Invalid off_session: must be one of true, false, one_off, recurring")
	}
	if conf.returnURL != "" {
		if u, err := url.Parse(conf.returnURL); err != nil || u.Scheme == "" {
			return nil, refused("url_invalid", "return_url", "Not a valid URL")
		}
	} else if pi.AllowRedirects == "always" {
		return nil, needsReturnURL()
	}
	return conf, nil
}

func needsReturnURL() *apiError {
	return refused("", "return_url", "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. "+
		"Because some of these payment methods might redirect your customer off of your page, you must provide a "+
		"`return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` "+
		"to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.")
}

// confirmIntent answers POST /v1/payment_intents/{id}/confirm.
func (c *call) confirmIntent() (renderer, *apiError) {
	return c.changeIntent(func(t *tx, pi *Intent) (*Intent, *apiError) {
		if err := pi.confirmable(); err != nil {
			return nil, err
		}
		before := pi.PaymentMethod
		if err := c.applyIntent(pi); err != nil {
			return nil, err
		}
		conf, err := c.confirmation(pi)
		if err != nil {
			return nil, err
		}
		pm, err := c.methodParam(t, pi)
		if err != nil {
			return nil, err
		}
		if err := pi.accepts(pm); err != nil {
			return nil, err
		}
		if pi.Customer != "" {
			if _, err := t.customer(pi.Customer); err != nil {
				return nil, err
			}
		}
		if pm == nil {
			return nil, unconfirmable(t.intents.get(pi.ID))
		}
		if err := pm.reusable("payment_method"); err != nil {
			return nil, err
		}
		if pm.ID != before {
			pi.Authenticated = false
			t.putMethod(pm)
		}
		return t.confirm(pi, pm, conf)
	})
}

func (p *Intent) confirmable() *apiError {
	switch p.Status {
	case StatusSucceeded:
		return unexpectedState(p, "You cannot confirm this PaymentIntent because it has already succeeded after being "+
			"previously confirmed.")
	case StatusCanceled, StatusProcessing, StatusRequiresCapture:
		return unexpectedState(p, "You cannot confirm this PaymentIntent because it has a status of "+p.Status+
			". Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, "+
			"requires_action, requires_payment_method.")
	}
	return nil
}

// confirm makes one attempt to pay. It takes over pi, which must be a copy.
func (t *tx) confirm(pi *Intent, pm *PaymentMethod, conf *confirmation) (*Intent, *apiError) {
	pi.Attempt++
	pi.LastPaymentError, pi.NextAction, pi.PaymentMethod = nil, nil, pm.ID
	if pi.Attempt > maxConfirmations {
		t.cancel(pi, "automatic")
		return nil, unexpectedState(pi, "This PaymentIntent was canceled because it was confirmed too many times.")
	}
	spec := pm.spec()
	if spec.needsChallenge(conf.offSession, pm.SetUp) && !pi.Authenticated {
		switch {
		case conf.offSession && spec.offSession != nil:
			return nil, t.fail(pi, pm, spec.offSession)
		case conf.offSession:
			return nil, t.fail(pi, pm, needsAuth)
		case conf.errorOnAction:
			return nil, t.failWithoutCharge(pi, pm, actionNotHandled)
		}
		return t.requireAction(pi, conf), nil
	}
	decline := spec.charge
	if conf.offSession && spec.offSession != nil {
		decline = spec.offSession
	}
	if pi.Authenticated {
		decline = spec.challenged
	}
	if decline != nil {
		return nil, t.fail(pi, pm, decline)
	}
	return t.approve(pi, pm, conf.processing), nil
}

// requireAction sends the customer to the 3DS page, or to Stripe.js if there is no
// return URL.
func (t *tx) requireAction(pi *Intent, conf *confirmation) *Intent {
	pi.Status = StatusRequiresAction
	pi.NextAction = &NextAction{Source: t.s.ids.new("src_1")}
	if conf.returnURL != "" && !conf.sdk {
		pi.ReturnURL, pi.NextAction.ReturnURL = conf.returnURL, conf.returnURL
		pi.NextAction.URL = t.challengeURL("payment_intent", pi.ID, pi.ClientSecret, pi.NextAction.Source)
	}
	t.emit("payment_intent.requires_action", pi.ID, t.putIntent(pi))
	return pi
}

// fail records a decline: it creates a failed charge and reopens the intent. It
// consumes the payment method unless a customer owns it.
func (t *tx) fail(pi *Intent, pm *PaymentMethod, d *decline) *apiError {
	ch := t.newCharge(pi, pm)
	ch.Status, ch.FailureCode, ch.FailureDeclineCode, ch.FailureMessage = "failed", d.code, d.declineCode, d.message
	t.emit("charge.failed", ch.ID, t.putCharge(ch))
	pi.LatestCharge = ch.ID
	t.consume(pm)
	return t.failWithoutCharge(pi, pm, d)
}

func (t *tx) failWithoutCharge(pi *Intent, pm *PaymentMethod, d *decline) *apiError {
	pi.Status, pi.PaymentMethod, pi.NextAction, pi.Authenticated = StatusRequiresPaymentMethod, "", nil, false
	pi.LastPaymentError = &PaymentError{
		Code: d.code, DeclineCode: d.declineCode, Message: d.message, PaymentMethod: pm, Type: typeCard,
	}
	err := d.err()
	if ch := t.charges.get(pi.LatestCharge); ch != nil && ch.Status == "failed" && d != actionNotHandled {
		pi.LastPaymentError.Charge, err.charge = ch.ID, ch.ID
	}
	t.emit("payment_intent.payment_failed", pi.ID, t.putIntent(pi))
	err.intent, err.paymentMethod = pi, pm
	return err
}

// consume marks as used a payment method that no customer owns.
func (t *tx) consume(pm *PaymentMethod) {
	if pm.Customer == "" && !pm.Used {
		next := *pm
		next.Used = true
		t.putMethod(&next)
	}
}

// approve records a payment that the issuer approved.
func (t *tx) approve(pi *Intent, pm *PaymentMethod, processing time.Duration) *Intent {
	pm = t.saveForLater(pi, pm)
	ch := t.newCharge(pi, pm)
	pi.LatestCharge, pi.PaymentMethod, pi.NextAction = ch.ID, pm.ID, nil
	settles := pm.spec().settles
	if settles == "" && processing > 0 {
		settles = "succeeded"
	}
	if settles != "" {
		defaultDuration(&processing, processingTime)
		ch.Status, pi.Status = "pending", StatusProcessing
		t.emit("charge.pending", ch.ID, t.putCharge(ch))
		t.emit("payment_intent.processing", pi.ID, t.putIntent(pi))
		t.after(processing, timerProcessing, pi.ID, settles)
		t.checkoutPaid(pi)
		return pi
	}
	t.complete(pi, ch)
	t.checkoutPaid(pi)
	return pi
}

// complete turns an approved charge into a payment or into an authorization.
func (t *tx) complete(pi *Intent, ch *Charge) {
	ch.Status = "succeeded"
	if pi.CaptureMethod == "manual" {
		ch.Manual = true
		pi.Status, pi.AmountCapturable = StatusRequiresCapture, pi.Amount
		t.emit("charge.succeeded", ch.ID, t.putCharge(ch))
		t.emit("payment_intent.amount_capturable_updated", pi.ID, t.putIntent(pi))
		t.after(authorizationLife, timerAuthExpiry, pi.ID, ch.ID)
		return
	}
	t.book(ch, ch.Amount)
	pi.Status, pi.AmountReceived = StatusSucceeded, pi.Amount
	t.emit("charge.succeeded", ch.ID, t.putCharge(ch))
	t.emit("payment_intent.succeeded", pi.ID, t.putIntent(pi))
	t.scheduleConsequences(ch)
}

// saveForLater attaches the payment method to the customer if the intent asks for
// it, and otherwise consumes it.
func (t *tx) saveForLater(pi *Intent, pm *PaymentMethod) *PaymentMethod {
	if pi.SetupFutureUsage == "" || pi.Customer == "" {
		t.consume(pm)
		return pm
	}
	if pm.Customer == "" {
		pm = t.forceAttach(pm, pi.Customer)
	}
	if pi.SetupFutureUsage == "off_session" && !pm.SetUp {
		next := *pm
		next.SetUp = true
		pm = t.putMethod(&next)
	}
	return pm
}

// settle ends the processing of an intent.
func (t *tx) settle(id, how string) {
	old := t.intents.get(id)
	if old == nil || old.Status != StatusProcessing {
		return
	}
	pi, ch := *old, *t.charges.get(old.LatestCharge)
	if how == "succeeded" {
		t.complete(&pi, &ch)
		t.checkoutSettled(&pi)
		return
	}
	ch.Status, ch.FailureCode, ch.FailureDeclineCode = "failed", declined.code, declined.declineCode
	ch.FailureMessage = declined.message
	t.emit("charge.failed", ch.ID, t.putCharge(&ch))
	_ = t.failWithoutCharge(&pi, ch.PaymentMethod, declined) // no request waits for this error
	t.checkoutSettled(&pi)
}

// expireAuthorization cancels an intent that was not captured in time.
func (t *tx) expireAuthorization(id, charge string) {
	old := t.intents.get(id)
	if old == nil || old.Status != StatusRequiresCapture || old.LatestCharge != charge {
		return
	}
	pi := *old
	t.cancel(&pi, "automatic")
}

// answerChallenge applies the customer's answer on the 3DS page. It reports whether
// the answer changed anything: only the first answer to a challenge does.
func (t *tx) answerChallenge(id, source string, passed bool) bool {
	old := t.intents.get(id)
	if old == nil || old.Status != StatusRequiresAction || source != "" && old.NextAction.Source != source {
		return false
	}
	pi := *old
	pm := t.methods.get(pi.PaymentMethod)
	if !passed {
		pi.Status, pi.PaymentMethod, pi.NextAction = StatusRequiresPaymentMethod, "", nil
		pi.LastPaymentError = &PaymentError{
			Code: "payment_intent_authentication_failure", PaymentMethod: pm, Type: typeInvalid,
			Message: "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new " +
				"PaymentMethod to attempt to fulfill this PaymentIntent again.",
		}
		t.emit("payment_intent.payment_failed", pi.ID, t.putIntent(&pi))
		return true
	}
	pi.Authenticated, pi.NextAction = true, nil
	if pi.ConfirmationMethod == "manual" {
		pi.Status = StatusRequiresConfirmation
		t.putIntent(&pi)
		return true
	}
	if d := pm.spec().challenged; d != nil {
		_ = t.fail(&pi, pm, d) // the decline is stored in the intent, and no request waits for the error
		return true
	}
	t.approve(&pi, pm, 0)
	return true
}

// after sets a timer for an object.
func (t *tx) after(d time.Duration, kind, id, arg string) {
	tm := &timer{Arg: arg, Due: t.ns + int64(d), ID: id, Kind: kind, Live: t.live}
	t.s.clock.schedule(tm)
	t.s.journal.timer(tm)
}
