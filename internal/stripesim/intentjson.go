package stripesim

func (p *Intent) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: b, x: x}
	w.begin("id", p.ID)
	w.str("object", "payment_intent")
	w.int("amount", p.Amount)
	w.int("amount_capturable", p.AmountCapturable)
	w.raw("amount_details", `{"tip":{}}`)
	w.int("amount_received", p.AmountReceived)
	w.null("application")
	w.optInt("application_fee_amount", p.ApplicationFeeAmount)
	w.automatic(p.AllowRedirects)
	w.optInt("canceled_at", p.CanceledAt)
	w.opt("cancellation_reason", p.CancellationReason)
	w.str("capture_method", p.CaptureMethod)
	w.str("client_secret", p.ClientSecret)
	w.str("confirmation_method", p.ConfirmationMethod)
	w.int("created", p.Created)
	w.str("currency", p.Currency)
	w.ref("customer", p.Customer)
	w.opt("description", p.Description)
	w.null("invoice")
	w.paymentError("last_payment_error", p.LastPaymentError)
	w.ref("latest_charge", p.LatestCharge)
	w.bool("livemode", p.Livemode)
	w.metadata(p.Metadata)
	w.nextAction(p.NextAction)
	w.opt("on_behalf_of", p.OnBehalfOf)
	w.ref("payment_method", p.PaymentMethod)
	w.null("payment_method_configuration_details")
	w.raw("payment_method_options", cardOptions)
	w.strs("payment_method_types", p.PaymentMethodTypes)
	w.null("processing")
	w.opt("receipt_email", p.ReceiptEmail)
	w.null("review")
	w.opt("setup_future_usage", p.SetupFutureUsage)
	w.optRaw("shipping", p.Shipping)
	w.null("source")
	w.opt("statement_descriptor", p.StatementDescriptor)
	w.opt("statement_descriptor_suffix", p.StatementDescriptorSuffix)
	w.str("status", p.Status)
	w.null("transfer_data")
	w.opt("transfer_group", p.TransferGroup)
	w.end()
	return w.b
}

const cardOptions = `{"card":{"installments":null,"mandate_options":null,"network":null,"request_three_d_secure":"automatic"}}`

func (w *enc) automatic(allowRedirects string) {
	if allowRedirects == "" {
		w.null("automatic_payment_methods")
		return
	}
	w.raw("automatic_payment_methods", `{"allow_redirects":"`+allowRedirects+`","enabled":true}`)
}

func (w *enc) paymentError(key string, e *PaymentError) {
	if e == nil {
		w.null(key)
		return
	}
	w.key(key)
	sub := enc{b: w.b}
	sub.begin("type", e.Type)
	if e.Charge != "" {
		sub.str("charge", e.Charge)
	}
	sub.str("code", e.Code)
	if e.DeclineCode != "" {
		sub.str("decline_code", e.DeclineCode)
	}
	sub.str("doc_url", docURL(e.Code))
	sub.str("message", e.Message)
	if e.PaymentMethod != nil {
		sub.object("payment_method", e.PaymentMethod)
	}
	sub.end()
	w.b = sub.b
}

func (w *enc) nextAction(a *NextAction) {
	switch {
	case a == nil:
		w.null("next_action")
	case a.URL == "":
		w.raw("next_action", `{"type":"use_stripe_sdk","use_stripe_sdk":{"type":"three_d_secure_redirect","source":"`+
			a.Source+`"}}`)
	default:
		w.b = append(w.b, `,"next_action":{"redirect_to_url":{"return_url":`...)
		w.b = appendString(w.b, a.ReturnURL)
		w.str("url", a.URL)
		w.b = append(w.b, `},"type":"redirect_to_url"}`...)
	}
}
