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
	// pageWait is how long PaymentPage waits for a charge that is under way.
	pageWait = 5 * time.Second
)

// PaymentPage returns a payment with a RedirectURL at which the cardholder can pay for a
// purchase: the challenge of an open charge, or a page of Stripe's checkout. Repeated
// calls return the same page until it closes. A purchase has one open payment at a time,
// so PaymentPage first waits for a charge under way and closes the intent of a failed one.
func (e *Engine) PaymentPage(ctx context.Context, t wallet.Transaction, stripeCustomerID string) (wallet.Payment, error) {
	stripe, err := e.stripe(t.Mode)
	switch {
	case err != nil:
		return wallet.Payment{}, ErrNoProvider
	case stripeCustomerID == "":
		return wallet.Payment{}, ErrNoProviderCustomer
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*pageWait) // a caller that leaves must not leave half a page
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
			open, done, err := e.openPage(ctx, stripe, p)
			if err != nil || done {
				return open, err
			}
		default:
			if err := e.closeFailedIntent(ctx, stripe, p); err != nil {
				return p, err
			}
			if err := e.openAttempt(ctx, t); err != nil {
				return p, err
			}
		}
	}
	return wallet.Payment{}, ErrPaymentUnderWay
}

// openPage returns an open payment with its page. The second result is false when the
// payment has moved, and the caller must read it again.
func (e *Engine) openPage(ctx context.Context, stripe Stripe, p wallet.Payment) (wallet.Payment, bool, error) {
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
	waited, err := e.Wait(ctx, p.ID, pageWait)
	switch {
	case err != nil:
		return p, false, err
	case waited.Status.Answered():
		return p, false, nil
	case !atCheckout(p):
		return p, false, ErrPaymentUnderWay
	}
	made, err := e.createPage(ctx, stripe, p, pageCause(p))
	return made, err == nil, err
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

// openAttempt stores a payment for a page and creates the page. It is not an error if a
// concurrent call has stored one first.
func (e *Engine) openAttempt(ctx context.Context, t wallet.Transaction) error {
	id := wallet.NewID()
	opened, err := postgres.OpenAttempt(ctx, e.Pool, postgres.Attempt{
		PaymentID: id, OrganizationID: t.OrganizationID, Mode: t.Mode, TransactionID: t.ID,
		ReturnURL: e.returnURL(t.Mode, id), RequestID: requestid.From(ctx), Now: e.Now(),
	})
	if err != nil || !opened {
		return err
	}
	p, err := postgres.GetPayment(ctx, e.Pool, id)
	if err != nil {
		return err
	}
	stripe, err := e.stripe(t.Mode)
	if err != nil {
		return err
	}
	_, err = e.createPage(ctx, stripe, p, pageCause(p))
	return err
}

// createPage creates the page of a payment and stores it with the payment. Stripe
// returns the existing page if there is one.
func (e *Engine) createPage(ctx context.Context, stripe Stripe, p wallet.Payment, cause wallet.Cause) (wallet.Payment, error) {
	order, err := postgres.GetOrder(ctx, e.Pool, p.ID)
	if err != nil {
		return p, err
	}
	if order.Settled { // by a failed payment that succeeded in the meantime
		if _, err := e.settlePage(ctx, p, canceledPage(), cause); err != nil {
			return p, err
		}
		return p, ErrPurchaseSettled
	}
	session, err := stripe.CreateCheckoutSession(ctx, checkoutRequest(p, order))
	if refused, ok := refusal(err); ok {
		o := wallet.Outcome{
			Kind: wallet.OutcomeRejected, Reason: refused.Reason(), RequestID: refused.RequestID,
			Failure: wallet.Failure{Code: wallet.FailureInternal, Message: "The payment could not be made."},
		}
		if _, err := e.settlePage(ctx, p, o, cause); err != nil {
			return p, err
		}
		return p, &PageRefusedError{Reason: refused.Reason()}
	}
	switch {
	case err != nil:
		return p, fmt.Errorf("%w: %w", ErrProviderUnavailable, err)
	case session.URL == "":
		return p, ErrNoPage
	}
	return e.settlePage(ctx, p, wallet.Outcome{
		Kind: wallet.OutcomeRequiresAction, RedirectURL: session.URL, CheckoutSessionID: session.ID,
	}, cause)
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

// checkLostPage handles a payment whose page was requested without an answer. No
// cardholder got the page's address, so it cannot have been paid.
func (e *Engine) checkLostPage(ctx context.Context, stripe Stripe, p wallet.Payment, cause wallet.Cause) error {
	if e.Now().Sub(p.CreatedAt) >= e.KeyLife {
		_, err := e.settlePage(ctx, p, canceledPage(), cause)
		return err
	}
	_, err := e.createPage(ctx, stripe, p, cause)
	if _, refused := errors.AsType[*PageRefusedError](err); refused || errors.Is(err, ErrPurchaseSettled) {
		return nil // the payment has ended
	}
	return err
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
