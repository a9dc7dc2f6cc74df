package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/requestid"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The errors of PaymentPage.
var (
	// ErrNoPage: Stripe returned no address.
	ErrNoPage = errors.New("stripe gave no page")
	// ErrNoProvider: no Stripe key is configured for the mode.
	ErrNoProvider = errors.New("no stripe key for the mode")
	// ErrNoProviderCustomer: the customer is not known at Stripe.
	ErrNoProviderCustomer = errors.New("customer is not known at stripe")
	// ErrPaymentUnderWay: a charge is under way, and its outcome is not known yet.
	ErrPaymentUnderWay = errors.New("a charge is under way")
	// ErrProviderUnavailable: Stripe did not answer.
	ErrProviderUnavailable = errors.New("stripe is unavailable")
	// ErrPurchaseSettled: the purchase is paid.
	ErrPurchaseSettled = errors.New("the purchase is settled")
)

// PageRefusedError is Stripe's refusal to create a page.
type PageRefusedError struct {
	// Reason consists of codes and ids. It may be shown to merchants.
	Reason string
}

// Error implements error.
func (e *PageRefusedError) Error() string { return "stripe refused the page: " + e.Reason }

const (
	// pageLife is how long a page is open. Stripe allows at most 24 hours by its own
	// clock.
	pageLife = 24*time.Hour - 5*time.Minute
	// pageWait is how long PaymentPage waits for a charge that is under way, and for a
	// page that is being stored.
	pageWait = 5 * time.Second
	// pageLimit bounds PaymentPage. It is shorter than postgres.FirstCheckAfter, so the
	// check of an attempt comes after the request that opened it.
	pageLimit = 4 * pageWait
	// storeLimit is how long a page is still being stored after its caller was answered.
	storeLimit = 10 * time.Minute
)

// PaymentPage returns a payment with a RedirectURL at which the cardholder can pay for a
// purchase: the challenge of an open charge, or a page of Stripe's checkout. Repeated
// calls return the same page until it closes. A purchase has one open payment at a time,
// so PaymentPage first waits for a charge under way and closes the intent of a failed one.
//
// An error proves that the request has had no effect: the purchase and its invoice stay as
// they are, and no cardholder can pay on a page of this request.
func (e *Engine) PaymentPage(ctx context.Context, t wallet.Transaction, stripeCustomerID string) (wallet.Payment, error) {
	stripe, err := e.stripe(t.Mode)
	switch {
	case err != nil:
		return wallet.Payment{}, ErrNoProvider
	case stripeCustomerID == "":
		return wallet.Payment{}, ErrNoProviderCustomer
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageLimit) // a caller that leaves must not leave half a page
	defer cancel()
	const tries = 5 // concurrent calls may change the same purchase
	for range tries {
		p, found, err := postgres.NewestPayment(ctx, e.Pool, t.ID)
		if err != nil {
			return p, err
		}
		switch {
		case found && p.Status == wallet.PaymentSucceeded:
			return p, ErrPurchaseSettled
		case found && p.Status.Open():
			open, done, err := e.openPage(ctx, p)
			if err != nil || done {
				return open, err
			}
		default:
			if err := e.closeFailedIntent(ctx, stripe, p); err != nil {
				return p, err
			}
			made, done, err := e.openAttempt(ctx, stripe, t)
			if err != nil || done {
				return made, err
			}
		}
	}
	return wallet.Payment{}, ErrPaymentUnderWay
}

// openPage returns an open payment with its page. The second result is false when the
// payment has moved, and the caller must read it again.
func (e *Engine) openPage(ctx context.Context, p wallet.Payment) (wallet.Payment, bool, error) {
	lapsed := e.lapsed(p)
	switch {
	case p.Status == wallet.PaymentRequiresAction && !lapsed:
		if p.RedirectURL == "" {
			return p, false, ErrNoPage
		}
		return p, true, nil
	case lapsed:
		c, err := postgres.GetCharge(ctx, e.Pool, p.ID)
		if err == nil {
			err = e.check(ctx, c, pageCause(p))
		}
		return p, false, unavailable(err)
	}
	if e.abandoned(p) {
		_, err := e.withdraw(ctx, p.ID, true, pageCause(p))
		return p, false, unavailable(err)
	}
	waited, err := e.Wait(ctx, p.ID, pageWait)
	switch {
	case err != nil:
		return p, false, err
	case waited.Status.Answered():
		return p, false, nil
	default:
		return p, false, ErrPaymentUnderWay
	}
}

// closeFailedIntent closes the intent of a failed charge, so that it cannot succeed in
// addition to the page. If the intent has succeeded, the success is settled.
func (e *Engine) closeFailedIntent(ctx context.Context, stripe Stripe, p wallet.Payment) error {
	if p.StripePaymentIntentID == "" || atCheckout(p) {
		return nil
	}
	o := stripe.Cancel(ctx, p.StripePaymentIntentID, stripeapi.CancelDuplicate)
	switch o.Kind {
	case wallet.OutcomeSucceeded:
		if err := e.conclude(ctx, p, o, pageCause(p)); err != nil {
			return unavailable(err)
		}
		return ErrPurchaseSettled
	case wallet.OutcomeUnavailable, wallet.OutcomeUnknown:
		return fmt.Errorf("%w: %s", ErrProviderUnavailable, o.Reason)
	default:
		return nil
	}
}

// openAttempt stores a payment for a page and creates the page. The second result is false
// when there is no page of this call: a concurrent call was first, or the payment has moved.
func (e *Engine) openAttempt(ctx context.Context, stripe Stripe, t wallet.Transaction) (wallet.Payment, bool, error) {
	a := postgres.Attempt{
		PaymentID: wallet.NewID(), OrganizationID: t.OrganizationID, Mode: t.Mode, TransactionID: t.ID,
		RequestID: requestid.From(ctx), Now: e.Now(),
	}
	a.ReturnURL = e.returnURL(t.Mode, a.PaymentID)
	cause := pageCause(wallet.Payment{WalletTransactionID: t.ID})
	opened := false
	err := postgres.Resolve(ctx, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
		defer cancel()
		var err error
		opened, err = postgres.OpenAttempt(ctx, e.Pool, a)
		return err
	})
	if err == nil && !opened {
		return wallet.Payment{}, false, nil
	}
	var p wallet.Payment
	if err == nil {
		p, err = postgres.GetPayment(ctx, e.Pool, a.PaymentID)
	}
	mayHavePage := false
	if err == nil {
		var session stripeapi.CheckoutSession
		if session, mayHavePage, err = e.createPage(ctx, stripe, p); err == nil {
			return e.storePage(ctx, p, session, cause)
		}
	}
	e.giveUp(ctx, a.PaymentID, mayHavePage, cause)
	return p, false, err
}

// createPage requests the page of an attempt from Stripe. The second result reports
// whether Stripe may have made a page when there is an error.
func (e *Engine) createPage(ctx context.Context, stripe Stripe, p wallet.Payment) (stripeapi.CheckoutSession, bool, error) {
	order, err := postgres.GetOrder(ctx, e.Pool, p.ID)
	if err != nil {
		return stripeapi.CheckoutSession{}, false, err
	}
	if order.Settled { // by a failed payment that succeeded in the meantime
		return stripeapi.CheckoutSession{}, false, ErrPurchaseSettled
	}
	session, err := stripe.CreateCheckoutSession(ctx, checkoutRequest(p, order))
	if refused, ok := refusal(err); ok {
		return session, false, &PageRefusedError{Reason: refused.Reason()}
	}
	if err != nil {
		failed, ok := errors.AsType[*stripeapi.Error](err)
		sent := !ok || failed.Kind != wallet.OutcomeUnavailable
		return session, sent, fmt.Errorf("%w: %w", ErrProviderUnavailable, err)
	}
	if session.URL == "" {
		return session, true, ErrNoPage
	}
	return session, false, nil
}

// storePage stores a page with its payment. While that is in doubt, or takes too long, the
// caller gets the page all the same, and storePage goes on behind it.
func (e *Engine) storePage(ctx context.Context, p wallet.Payment, session stripeapi.CheckoutSession, cause wallet.Cause) (wallet.Payment, bool, error) {
	type result struct {
		payment wallet.Payment
		err     error
	}
	stored := make(chan result, 1)
	// The caller's own context must not end a write that its answer promises.
	background, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
	stop := context.AfterFunc(e.stopping, cancel) //nolint:contextcheck // the end of the engine, not of the request
	go func() {
		defer cancel()
		defer stop()
		var r result
		r.err = postgres.Resolve(background, func() (err error) {
			r.payment, err = e.settlePage(background, p, wallet.Outcome{
				Kind: wallet.OutcomeRequiresAction, RedirectURL: session.URL, CheckoutSessionID: session.ID,
			}, cause)
			return err
		})
		if r.err != nil {
			e.Log.WarnContext(background, "page not stored", slog.String("payment_id", p.ID.String()), slog.Any("error", r.err))
		}
		stored <- r
	}()
	timer := time.NewTimer(pageWait)
	defer timer.Stop()
	select {
	case r := <-stored:
		if r.err == nil {
			return r.payment, r.payment.Status == wallet.PaymentRequiresAction, nil
		}
		if !postgres.InDoubt(r.err) {
			e.giveUp(ctx, p.ID, true, cause)
			return p, false, r.err
		}
	case <-timer.C:
	}
	p.Status, p.RedirectURL, p.StripeCheckoutSessionID = wallet.PaymentRequiresAction, session.URL, session.ID
	return p, true, nil
}

// withdraw ends an attempt whose page no caller got. The purchase stays as it is, and can
// be paid on another page at once. If Stripe may have made the page, a check closes it.
// Withdraw does nothing to a payment that has its page.
func (e *Engine) withdraw(ctx context.Context, id wallet.ID, mayHavePage bool, cause wallet.Cause) (wallet.Payment, error) {
	now := e.Now()
	applied, err := e.Settle(context.WithoutCancel(ctx), wallet.Settlement{
		Cause: cause, CloseIntentAt: now, Now: now, PaymentID: id,
		Outcome: wallet.Outcome{
			Kind: wallet.OutcomeWithdrawn, MayHavePage: mayHavePage,
			Failure: wallet.Failure{Code: wallet.FailureCanceled, Message: "The request for the payment page was answered with an error."},
		},
	})
	return applied.Payment, err
}

// giveUp withdraws an attempt for a request that is about to be answered with an error. If
// that fails, the attempt's check does it.
func (e *Engine) giveUp(ctx context.Context, id wallet.ID, mayHavePage bool, cause wallet.Cause) {
	if _, err := e.withdraw(ctx, id, mayHavePage, cause); err != nil {
		e.Log.WarnContext(ctx, "attempt not withdrawn", slog.String("payment_id", id.String()), slog.Any("error", err))
	}
}

// abandoned reports whether the request that opened an attempt has ended and left it
// without a page.
func (e *Engine) abandoned(p wallet.Payment) bool {
	return atCheckout(p) && p.Status == wallet.PaymentCreated &&
		(p.Checks > 0 || p.NextCheckAt != nil && !e.Now().Before(*p.NextCheckAt))
}

// checkoutRequest returns the request for a payment's page. It uses only stored values
// that never change, because Stripe refuses a repeated key with different parameters.
func checkoutRequest(p wallet.Payment, order postgres.Order) stripeapi.CheckoutRequest {
	return stripeapi.CheckoutRequest{
		CheckoutID:     p.ID,
		PaymentID:      p.ID,
		WalletID:       p.WalletID,
		OrganizationID: p.OrganizationID,
		Amount:         p.Amount,
		Currency:       p.Currency,
		CustomerID:     order.StripeCustomerID,
		Title:          order.Title,
		SuccessURL:     order.ReturnURL,
		CancelURL:      order.ReturnURL,
		ReceiptEmail:   order.ReceiptEmail,
		SaveCard:       true,
		ExpiresAt:      p.CreatedAt.Add(pageLife),
	}
}

func (e *Engine) settlePage(ctx context.Context, p wallet.Payment, o wallet.Outcome, cause wallet.Cause) (wallet.Payment, error) {
	applied, err := e.Settle(ctx, wallet.Settlement{
		ActionDeadline: p.CreatedAt.Add(pageLife), Cause: cause, Now: e.Now(), Outcome: o, PaymentID: p.ID,
	})
	return applied.Payment, err
}

// checkPage retrieves a payment's page from Stripe and settles the payment if the page
// is paid or closed. It closes a page that has lapsed, and one whose purchase was paid
// by another payment.
func (e *Engine) checkPage(ctx context.Context, stripe Stripe, p wallet.Payment, cause wallet.Cause) error {
	if p.StripeCheckoutSessionID == "" {
		return e.checkLostPage(ctx, stripe, p, cause)
	}
	order, err := postgres.GetOrder(ctx, e.Pool, p.ID)
	if err != nil {
		return err
	}
	session, err := stripe.GetCheckoutSession(ctx, p.StripeCheckoutSessionID)
	if stripeapi.IsNotFound(err) {
		e.Log.ErrorContext(ctx, "stripe does not know the payment's page", slog.String("payment_id", p.ID.String()))
		return nil
	}
	if err != nil {
		return err
	}
	if session.Status == sessionOpen && (e.lapsed(p) || order.Settled) {
		if session, err = e.closePage(ctx, stripe, p.StripeCheckoutSessionID); err != nil {
			return err
		}
	}
	switch {
	case session.Status == sessionComplete && session.IntentID != "":
		return e.conclude(ctx, p, stripe.Retrieve(ctx, session.IntentID), cause)
	case session.Status == sessionExpired:
		return e.conclude(ctx, p, canceledPage(), cause)
	default:
		return nil
	}
}

// The states of a checkout session at Stripe.
const (
	sessionComplete = "complete"
	sessionExpired  = "expired"
	sessionOpen     = "open"
)

// closePage closes a page. If Stripe refuses, because the page is paid or closed, it
// retrieves the page instead.
func (e *Engine) closePage(ctx context.Context, stripe Stripe, id string) (stripeapi.CheckoutSession, error) {
	session, err := stripe.ExpireCheckoutSession(ctx, id)
	if _, refused := refusal(err); refused {
		return stripe.GetCheckoutSession(ctx, id)
	}
	return session, err
}

// checkLostPage withdraws an attempt that its request has left without a page, because
// the process died or the database was away. No cardholder got the page's address, unless
// storing the page was in doubt when the process died.
func (e *Engine) checkLostPage(ctx context.Context, stripe Stripe, p wallet.Payment, cause wallet.Cause) error {
	if p.StripePaymentIntentID != "" {
		return e.checkIntent(ctx, stripe, p, cause)
	}
	if !e.abandoned(p) {
		return nil // its request is still under way
	}
	withdrawn, err := e.withdraw(ctx, p.ID, true, cause)
	if err != nil || withdrawn.CloseDueAt == nil {
		return err
	}
	return e.closeWithdrawnPage(ctx, stripe, withdrawn, cause)
}

// closeWithdrawnPage closes the page that a withdrawn attempt may have at Stripe. The
// same request under the same key finds it. Had it been paid, the money is credited.
func (e *Engine) closeWithdrawnPage(ctx context.Context, stripe Stripe, p wallet.Payment, cause wallet.Cause) error {
	if e.Now().Sub(p.CreatedAt) >= pageLife {
		return postgres.IntentClosed(ctx, e.Pool, p.ID) // Stripe has closed it
	}
	if !e.keyHolds(p) {
		return nil // the request could make another page
	}
	order, err := postgres.GetOrder(ctx, e.Pool, p.ID)
	if err != nil {
		return err
	}
	session, err := stripe.CreateCheckoutSession(ctx, checkoutRequest(p, order))
	if _, refused := refusal(err); refused {
		return postgres.IntentClosed(ctx, e.Pool, p.ID) // there is none
	}
	if failed, ok := errors.AsType[*stripeapi.Error](err); ok && failed.Replayed {
		return nil // the key does not lead to the page, which closes at the end of its life
	}
	if err != nil {
		return err
	}
	if session, err = e.closePage(ctx, stripe, session.ID); err != nil {
		return err
	}
	switch {
	case session.Status == sessionComplete && session.IntentID != "":
		return e.conclude(ctx, p, stripe.Retrieve(ctx, session.IntentID), cause)
	case session.Status == sessionExpired:
		return postgres.IntentClosed(ctx, e.Pool, p.ID)
	default:
		return nil
	}
}

// closeRival inserts the job that closes the open page of a purchase which was paid by
// another payment.
func (e *Engine) closeRival(ctx context.Context, p wallet.Payment) error {
	rival, found, err := postgres.NewestPayment(ctx, e.Pool, p.WalletTransactionID)
	if err != nil || !found || !rival.Status.Open() || !atCheckout(rival) {
		return err
	}
	if _, err := e.river.Insert(ctx, CheckPaymentArgs{PaymentID: rival.ID}, nil); err != nil {
		return fmt.Errorf("check payment %s: %w", rival.ID, err)
	}
	return nil
}

// atCheckout reports whether the cardholder pays at Stripe's checkout. Every other
// payment has a saved card.
func atCheckout(p wallet.Payment) bool { return p.PaymentMethodID == nil }

func canceledPage() wallet.Outcome {
	return wallet.Outcome{
		Kind:    wallet.OutcomeCanceled,
		Failure: wallet.Failure{Code: wallet.FailureCanceled, Message: "The payment page was closed before anybody paid."},
	}
}

// pageCause returns the cause of what PaymentPage does.
func pageCause(p wallet.Payment) wallet.Cause {
	return wallet.Cause{Kind: wallet.CauseRequest, ID: "payment page of " + p.WalletTransactionID.String()}
}

// unavailable wraps an error, after which a job would be tried again, as
// ErrProviderUnavailable.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrProviderUnavailable, err)
}
