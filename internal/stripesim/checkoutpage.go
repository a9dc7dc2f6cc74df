package stripesim

import (
	"net/http"
	"slices"
	"strings"
)

type checkoutPage struct {
	Amount, CancelURL, Error, ID, Status string

	Cards []cardChoice
	Lines []checkoutLine
	Open  bool
}

type cardChoice struct {
	Checked   bool
	ID, Label string
}

type checkoutLine struct {
	Name     string
	Quantity int64
	Total    string
}

func (s *Server) findSession(id string) (*account, *CheckoutSession) {
	for _, a := range s.accounts() {
		if cs, ok := a.lookup(id).(*CheckoutSession); ok {
			return a, cs
		}
	}
	return nil, nil
}

// serveCheckout shows the payment page of a session. A customer who returns from a
// challenge comes through here and is redirected to the shop.
func (s *Server) serveCheckout(w http.ResponseWriter, r *http.Request) {
	a, cs := s.findSession(r.PathValue("id"))
	switch {
	case cs == nil:
		s.servePage(w, http.StatusNotFound, "gone", nil)
	case cs.Status == CheckoutComplete && r.URL.Query().Has("redirect_status"):
		http.Redirect(w, r, cs.success(), http.StatusSeeOther) //nolint:gosec // the shop chose the address
	default:
		s.showCheckout(w, http.StatusOK, a, cs, "")
	}
}

func (s *Server) showCheckout(w http.ResponseWriter, status int, a *account, cs *CheckoutSession, problem string) {
	page := checkoutPage{
		Amount: money(cs.AmountTotal, cs.Currency), CancelURL: cs.CancelURL, Error: problem, ID: cs.ID,
		Open: cs.Status == CheckoutOpen, Status: cs.Status,
	}
	if pi, ok := a.lookup(cs.PaymentIntent).(*Intent); ok && problem == "" && pi.LastPaymentError != nil {
		page.Error = pi.LastPaymentError.Message
	}
	for i := range cs.LineItems {
		it := &cs.LineItems[i]
		page.Lines = append(page.Lines, checkoutLine{it.Name, it.Quantity, money(it.UnitAmount*it.Quantity, cs.Currency)})
	}
	for i := range cardList {
		c := &cardList[i]
		page.Cards = append(page.Cards, cardChoice{
			Checked: i == 0, ID: c.id, Label: "•••• " + c.last4 + " " + strings.TrimPrefix(c.id, "pm_card_"),
		})
	}
	s.servePage(w, status, "checkout", page)
}

// success returns the address that the customer goes to after paying.
func (s *CheckoutSession) success() string {
	return strings.ReplaceAll(s.SuccessURL, "{CHECKOUT_SESSION_ID}", s.ID)
}

// payCheckout pays a session with the card chosen on its page.
func (s *Server) payCheckout(w http.ResponseWriter, r *http.Request) {
	a, cs := s.findSession(r.PathValue("id"))
	if cs == nil {
		s.servePage(w, http.StatusNotFound, "gone", nil)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	spec := findCard(r.PostFormValue("card"))
	if spec == nil {
		s.showCheckout(w, http.StatusBadRequest, a, cs, "Choose one of the cards.")
		return
	}
	var pi *Intent
	_, refusal := a.update(origin{}, func(t *tx) *apiError {
		var err *apiError
		pi, err = t.payCheckout(cs.ID, spec)
		return err
	})
	_, cs = s.findSession(cs.ID)
	switch {
	case refusal != nil:
		s.showCheckout(w, refusal.status, a, cs, refusal.message)
	case pi != nil && pi.NextAction != nil:
		http.Redirect(w, r, pi.NextAction.URL, http.StatusSeeOther)
	case cs.Status == CheckoutComplete:
		http.Redirect(w, r, cs.success(), http.StatusSeeOther) //nolint:gosec // the shop chose the address
	default:
		s.showCheckout(w, http.StatusOK, a, cs, "")
	}
}

// payCheckout confirms the session's intent with a card. It creates the intent if
// the session has none.
func (t *tx) payCheckout(id string, spec *card) (*Intent, *apiError) {
	cs := t.checkouts.get(id)
	if cs.Status != CheckoutOpen {
		return nil, nil
	}
	var pi Intent
	if old := t.intents.get(cs.PaymentIntent); old != nil {
		if err := old.confirmable(); err != nil {
			return nil, err
		}
		pi = *old
	} else {
		pi = *t.checkoutIntent(cs)
		next := *cs
		next.PaymentIntent = pi.ID
		t.putCheckout(&next)
	}
	pm := t.newMethod(spec)
	pm.BillingDetails.Email = cs.CustomerEmail
	t.putMethod(pm)
	return t.confirm(&pi, pm, &confirmation{returnURL: cs.URL})
}

func (t *tx) checkoutIntent(cs *CheckoutSession) *Intent {
	id := t.s.ids.new("pi_3")
	pi := &Intent{
		ID:                        id,
		Amount:                    cs.AmountTotal,
		CaptureMethod:             cs.Intent.CaptureMethod,
		CheckoutSession:           cs.ID,
		ClientSecret:              t.s.ids.secret(id+"_secret_", 25),
		ConfirmationMethod:        "automatic",
		Created:                   t.sec,
		Currency:                  cs.Currency,
		Customer:                  cs.Customer,
		Description:               cs.Intent.Description,
		Livemode:                  t.live,
		Metadata:                  cs.Intent.Metadata,
		PaymentMethodTypes:        cardOnly,
		ReceiptEmail:              cs.Intent.ReceiptEmail,
		SetupFutureUsage:          cs.Intent.SetupFutureUsage,
		StatementDescriptor:       cs.Intent.StatementDescriptor,
		StatementDescriptorSuffix: cs.Intent.StatementSuffix,
		Status:                    StatusRequiresPaymentMethod,
		TransferGroup:             cs.Intent.TransferGroup,
	}
	defaultString(&pi.CaptureMethod, "automatic")
	t.emit("payment_intent.created", pi.ID, t.putIntent(pi))
	return pi
}

// checkoutPaid completes the session of an intent.
func (t *tx) checkoutPaid(pi *Intent) {
	old := t.checkouts.get(pi.CheckoutSession)
	if old == nil || old.Status != CheckoutOpen {
		return
	}
	s := *old
	s.Status, s.PaymentStatus = CheckoutComplete, "paid"
	if pi.Status == StatusProcessing {
		s.PaymentStatus = "unpaid"
	}
	t.emit("checkout.session.completed", s.ID, t.putCheckout(&s))
}

// checkoutSettled records the result of a payment that was still processing when
// its session was completed.
func (t *tx) checkoutSettled(pi *Intent) {
	old := t.checkouts.get(pi.CheckoutSession)
	if old == nil || old.Status != CheckoutComplete || old.PaymentStatus == "paid" {
		return
	}
	s := *old
	typ := "checkout.session.async_payment_failed"
	if slices.Contains([]string{StatusSucceeded, StatusRequiresCapture}, pi.Status) {
		s.PaymentStatus, typ = "paid", "checkout.session.async_payment_succeeded"
	}
	t.emit(typ, s.ID, t.putCheckout(&s))
}
