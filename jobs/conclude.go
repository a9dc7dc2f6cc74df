package jobs

import (
	"context"
	"errors"
	"log/slog"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// conclusion is what follows from an outcome of a payment.
type conclusion int

const (
	// concludeSettle applies the outcome. If the payment is failed or canceled
	// afterwards, its intent is closed.
	concludeSettle conclusion = iota
	// concludeTryLater changes nothing: Stripe did not serve the request.
	concludeTryLater
	// concludeRefuse changes nothing: the intent belongs to another payment.
	concludeRefuse
	// concludeConfirmOnSession confirms the intent again as if the cardholder were
	// present, and then decides about the new outcome.
	concludeConfirmOnSession
	// concludeLeavePageOpen changes nothing: the cardholder may try another card on
	// the payment page.
	concludeLeavePageOpen
)

// conclusionOf decides what follows from an outcome of a payment. Engine.conclude acts
// on the decision, and Engine.PreviewEvent shows it to operators.
func conclusionOf(p wallet.Payment, o wallet.Outcome) conclusion {
	switch {
	case o.Kind == wallet.OutcomeUnavailable:
		return concludeTryLater
	case !mayBelong(o, p.ID):
		return concludeRefuse
	case atCheckout(p) && (o.Kind == wallet.OutcomeDeclined || o.Kind == wallet.OutcomeRequiresAction):
		return concludeLeavePageOpen
	case needsCardholder(p, o):
		return concludeConfirmOnSession
	default:
		return concludeSettle
	}
}

// mayBelong reports whether an outcome's intent may be that of a payment: it names the
// payment in its metadata, or names none.
func mayBelong(o wallet.Outcome, id wallet.ID) bool {
	return o.PaymentID == (wallet.ID{}) || o.PaymentID == id
}

// needsCardholder reports whether a charge without the cardholder was declined only
// because the bank asks for authentication.
func needsCardholder(p wallet.Payment, o wallet.Outcome) bool {
	const authenticationRequired = "authentication_required"
	return p.OffSession && (p.Status == wallet.PaymentCreated || p.Status == wallet.PaymentProcessing) &&
		o.Kind == wallet.OutcomeDeclined && o.IntentID != "" &&
		(o.Failure.Code == authenticationRequired || o.Failure.DeclineCode == authenticationRequired)
}

// conclude acts on an outcome: it settles the payment, and closes the intent at Stripe
// if the payment has failed. p is the payment as it was before the call to Stripe. An
// error means that the job has to run again.
func (e *Engine) conclude(ctx context.Context, p wallet.Payment, o wallet.Outcome, cause wallet.Cause) error {
	next := conclusionOf(p, o)
	if next == concludeConfirmOnSession {
		var err error
		if o, err = e.confirmOnSession(ctx, p, o.IntentID); err != nil {
			return err
		}
		p.OffSession = false // the outcome is now that of an on-session charge, and final
		next = conclusionOf(p, o)
	}
	switch next {
	case concludeTryLater:
		return e.tryLater(ctx, p, o)
	case concludeRefuse:
		e.Log.ErrorContext(ctx, "intent names another payment",
			slog.String("payment_id", p.ID.String()), slog.String("payment_intent_id", o.IntentID))
		return nil
	case concludeLeavePageOpen:
		return nil
	case concludeSettle, concludeConfirmOnSession:
		return e.settleAndFollowUp(ctx, p, o, cause)
	}
	return nil
}

// settleAndFollowUp settles an outcome and does what the result requires.
func (e *Engine) settleAndFollowUp(ctx context.Context, p wallet.Payment, o wallet.Outcome, cause wallet.Cause) error {
	if o.Kind == wallet.OutcomeUnknown && breakpoint.Broken(breakpoint.LostAnswer) {
		o.Kind, o.Failure = wallet.OutcomeRejected, wallet.Failure{Code: wallet.FailureInternal}
	}
	applied, err := e.Settle(ctx, e.settlement(p.ID, o, cause))
	if err != nil {
		return err
	}
	breakpoint.Reach(breakpoint.OutcomeStored)
	if applied.Moved && applied.Payment.Status == wallet.PaymentSucceeded {
		return e.afterSuccess(ctx, p)
	}
	switch o.Kind {
	case wallet.OutcomeUnknown:
		return &UnknownOutcomeError{Reason: o.Reason}
	case wallet.OutcomeRejected:
		if applied.Moved && o.Failure.Code == wallet.FailureInternal {
			e.Log.ErrorContext(ctx, "stripe rejected a charge",
				slog.String("payment_id", p.ID.String()),
				slog.String("reason", o.Reason),
				slog.String("stripe_request_id", o.RequestID))
		}
		return nil
	case wallet.OutcomeDeclined, wallet.OutcomeRequiresAction:
		// An open intent of an ended payment could still succeed.
		if s := applied.Payment.Status; s == wallet.PaymentFailed || s == wallet.PaymentCanceled {
			return e.closeIntent(ctx, applied.Payment, cause)
		}
		return nil
	default:
		return nil
	}
}

// settlement returns the settlement of an outcome.
func (e *Engine) settlement(id wallet.ID, o wallet.Outcome, cause wallet.Cause) wallet.Settlement {
	now := e.Now()
	return wallet.Settlement{
		ActionDeadline: now.Add(e.ActionDeadline),
		Cause:          cause,
		CloseIntentAt:  now.Add(e.scaled(postgres.CloseIntentAfter)),
		Now:            now,
		Outcome:        o,
		PaymentID:      id,
	}
}

// afterSuccess does what a success requires in two cases. A payment that had ended
// before may have a rival, whose page has to be closed. A payment at the checkout
// brings a card to save.
func (e *Engine) afterSuccess(ctx context.Context, p wallet.Payment) error {
	var errs []error
	if !p.Status.Open() {
		errs = append(errs, e.closeRival(ctx, p))
	}
	if atCheckout(p) {
		errs = append(errs, e.saveCardOf(ctx, p))
	}
	return errors.Join(errs...)
}

// closeIntent cancels the intent of a failed or canceled payment. If the intent has
// succeeded before the cancel, it settles the success. The checks repeat closeIntent
// until Stripe confirms that the intent is closed.
func (e *Engine) closeIntent(ctx context.Context, p wallet.Payment, cause wallet.Cause) error {
	if p.StripePaymentIntentID == "" || breakpoint.Broken(breakpoint.OpenIntent) {
		return nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return err
	}
	o := stripe.Cancel(ctx, p.StripePaymentIntentID, stripeapi.CancelAbandoned)
	breakpoint.Reach(breakpoint.IntentClosed)
	switch o.Kind {
	case wallet.OutcomeCanceled:
		return postgres.IntentClosed(ctx, e.Pool, p.ID)
	case wallet.OutcomeSucceeded:
		return e.conclude(ctx, p, o, cause)
	case wallet.OutcomeUnavailable:
		return e.tryLater(ctx, p, o)
	case wallet.OutcomeUnknown:
		return &UnknownOutcomeError{Reason: o.Reason}
	default:
		return nil
	}
}

// UnknownOutcomeError reports that a call to Stripe may or may not have had an effect.
// The job has to send the same request with the same key again.
type UnknownOutcomeError struct{ Reason string }

// Error implements error.
func (e *UnknownOutcomeError) Error() string { return "unknown outcome: " + e.Reason }
