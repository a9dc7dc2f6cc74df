package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// ChargePaymentsArgs asks for accepted payments to be charged: those that were
// committed together, under load a few dozen, otherwise one. It carries ids only:
// the rows are the truth, and may change while the job waits.
type ChargePaymentsArgs struct {
	PaymentIDs []wallet.ID `json:"payment_ids"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (ChargePaymentsArgs) Kind() string { return "charge_payments" }

// InsertOpts bounds the attempts so that all of them come while Stripe remembers
// the idempotency keys. After the last one the payments are still open, and the
// checks go on from their state.
func (ChargePaymentsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 12, Queue: QueueCharge}
}

// ChargePaymentsWorker charges payments' cards at Stripe.
type ChargePaymentsWorker struct {
	river.WorkerDefaults[ChargePaymentsArgs]
	Engine *Engine
}

// Work reads, calls Stripe for all payments at once, and writes each outcome as
// it comes, so that none waits for another; no database transaction is open during
// a call. When one of them needs another attempt, the job gets it, and finds the
// others done. A crash in between is harmless: the retry sends the same
// idempotency keys and gets the first PaymentIntents back.
func (w *ChargePaymentsWorker) Work(ctx context.Context, job *river.Job[ChargePaymentsArgs]) error {
	charges, err := postgres.GetCharges(ctx, w.Engine.Pool, job.Args.PaymentIDs)
	if err != nil {
		return err
	}
	breakpoint.Reach(breakpoint.ChargeRead)
	cause := wallet.Cause{Kind: wallet.CauseJob, ID: strconv.FormatInt(job.ID, 10)}
	if len(charges) == 1 {
		return w.Engine.workCharge(ctx, charges[0], cause)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(charges))
	for i, c := range charges {
		wg.Go(func() { errs[i] = caught(func() error { return w.Engine.workCharge(ctx, c, cause) }) })
	}
	wg.Wait()
	return worst(errs)
}

// worst is the error that says most about what the job needs: another attempt
// before a mere delay, and a delay before nothing.
func worst(errs []error) error {
	var snooze error
	for _, err := range errs {
		if _, ok := errors.AsType[*river.JobSnoozeError](err); ok {
			snooze = err
		} else if err != nil {
			return err
		}
	}
	return snooze
}

// caught turns a panic into an error. River catches those of the goroutine that
// it runs a job in, and no others.
func caught(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return do()
}

// onBehalf marks calls to Stripe as made for the payment's organization, so that
// organizations take turns when the calls are limited.
func onBehalf(ctx context.Context, p wallet.Payment) context.Context {
	return stripeapi.WithCaller(ctx, p.OrganizationID.String())
}

// workCharge does what the payment's state asks of the job that charges it.
func (e *Engine) workCharge(ctx context.Context, c postgres.Charge, cause wallet.Cause) (err error) {
	ctx, end := e.tracePayment(onBehalf(ctx, c.Payment), "charge payment", c.Payment)
	defer func() { end(err) }()
	switch c.Payment.Status {
	case wallet.PaymentCreated, wallet.PaymentProcessing:
		if !e.keyHolds(c.Payment) {
			return e.check(ctx, c, cause) // repeating could charge twice
		}
		return e.charge(ctx, c, cause)
	case wallet.PaymentFailed:
		// The attempt before this one may have died between the decline and the
		// closing of the intent.
		return e.closeIntent(ctx, c.Payment, cause)
	case wallet.PaymentCanceled, wallet.PaymentRequiresAction, wallet.PaymentSucceeded:
		return nil // it has moved on without us
	default:
		return nil
	}
}

// charge charges the payment and acts on the answer.
func (e *Engine) charge(ctx context.Context, c postgres.Charge, cause wallet.Cause) error {
	defer e.charging.begin(c.Payment.ID)()
	o, err := e.askCharge(ctx, c)
	if err != nil {
		return err
	}
	return e.conclude(ctx, c.Payment, o, cause)
}

// askCharge sends the payment's one request to Stripe, always with the same key
// and the same parameters.
func (e *Engine) askCharge(ctx context.Context, c postgres.Charge) (wallet.Outcome, error) {
	if c.PaymentMethodGone {
		return wallet.Outcome{
			Kind:   wallet.OutcomeRejected,
			Reason: "the payment method was removed before",
			Failure: wallet.Failure{
				Code:    wallet.FailurePaymentMethodMissing,
				Message: "Payment method not found or does not belong to this wallet.",
			},
		}, nil
	}
	stripe, err := e.stripe(c.Payment.Mode)
	if err != nil {
		return wallet.Outcome{}, err
	}
	select {
	case e.calls <- struct{}{}:
	case <-ctx.Done():
		return wallet.Outcome{}, ctx.Err()
	}
	defer func() { <-e.calls }()
	outcome := stripe.Charge(ctx, chargeRequest(c))
	breakpoint.Reach(breakpoint.ChargeAnswered)
	return outcome, nil
}

// keyHolds tells whether Stripe is certain to know the payment's key, if it has
// ever seen it. A job may come back after days, when its workers were away or it
// was put off all the time.
func (e *Engine) keyHolds(p wallet.Payment) bool {
	return e.Now().Sub(p.CreatedAt) < e.KeyLife || breakpoint.Broken(breakpoint.StaleKey)
}

// chargeRequest is made of what was stored with the payment and never changes: a
// repetition that differs from the first request is refused by Stripe.
func chargeRequest(c postgres.Charge) stripeapi.ChargeRequest {
	p := c.Payment
	return stripeapi.ChargeRequest{
		Amount:          p.Amount,
		Attempt:         1,
		Currency:        p.Currency,
		CustomerID:      c.StripeCustomerID,
		OffSession:      p.OffSession,
		OrganizationID:  p.OrganizationID,
		PaymentID:       p.ID,
		PaymentMethodID: c.StripePaymentMethodID,
		ReceiptEmail:    c.ReceiptEmail,
		ReturnURL:       c.ReturnURL,
		WalletID:        p.WalletID,
	}
}

// conclude turns what Stripe said into state, and does at Stripe what follows
// from it: an intent whose payment has failed is canceled, so that it cannot
// succeed later. An error asks River for another attempt.
func (e *Engine) conclude(ctx context.Context, p wallet.Payment, o wallet.Outcome, cause wallet.Cause) error {
	if !namesPayment(o, p.ID) {
		e.Log.ErrorContext(ctx, "intent names another payment",
			slog.String("payment_id", p.ID.String()), slog.String("payment_intent_id", o.IntentID))
		return nil
	}
	if atCheckout(p) && (o.Kind == wallet.OutcomeDeclined || o.Kind == wallet.OutcomeRequiresAction) {
		return nil // the page is open still, and another card may be tried on it
	}
	if wantsCardholder(p, o) {
		var err error
		if o, err = e.confirmOnSession(ctx, p, o.IntentID); err != nil {
			return err
		}
	}
	if o.Kind == wallet.OutcomeUnavailable {
		return e.later(ctx, p, o)
	}
	if o.Kind == wallet.OutcomeUnknown && breakpoint.Broken(breakpoint.LostAnswer) {
		o.Kind, o.Failure = wallet.OutcomeRejected, wallet.Failure{Code: wallet.FailureInternal}
	}
	applied, err := e.Settle(ctx, wallet.Settlement{
		ActionDeadline: e.Now().Add(e.ActionDeadline),
		CloseIntentAt:  e.Now().Add(e.scaled(postgres.CloseIntentAfter)),
		Cause:          cause,
		Now:            e.Now(),
		Outcome:        o,
		PaymentID:      p.ID,
	})
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
		switch applied.Payment.Status {
		case wallet.PaymentFailed, wallet.PaymentCanceled:
			return e.closeIntent(ctx, applied.Payment, cause)
		default:
			return nil
		}
	default:
		return nil
	}
}

// namesPayment tells whether an intent may be that of a payment: it names it in its
// metadata, or names none.
func namesPayment(o wallet.Outcome, id wallet.ID) bool {
	return o.PaymentID == (wallet.ID{}) || o.PaymentID == id
}

// afterSuccess does what follows from a success that is out of the ordinary.
func (e *Engine) afterSuccess(ctx context.Context, p wallet.Payment) error {
	var problems []error
	if !p.Status.Open() {
		problems = append(problems, e.closeRival(ctx, p))
	}
	if atCheckout(p) {
		problems = append(problems, e.saveCardOf(ctx, p))
	}
	return errors.Join(problems...)
}

// closeIntent cancels the intent of a payment that has failed or was given up. A
// cancel that loses to success brings the success, which is settled. Until it is
// known to be closed, the checks come back to it.
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
		return e.later(ctx, p, o)
	case wallet.OutcomeUnknown:
		return &UnknownOutcomeError{Reason: o.Reason}
	default:
		return nil
	}
}

// later puts the job off without counting an attempt: nothing happened at Stripe.
func (e *Engine) later(ctx context.Context, p wallet.Payment, o wallet.Outcome) error {
	if _, down := e.Outage(p.Mode); !down { // an outage is logged once, not for each job that it holds
		e.Log.WarnContext(ctx, "stripe is unavailable",
			slog.String("payment_id", p.ID.String()), slog.String("reason", o.Reason))
	}
	return river.JobSnooze(jitter(unavailableWait))
}

// UnknownOutcomeError asks for another attempt with the same key: whether the
// charge happened is not known.
type UnknownOutcomeError struct{ Reason string }

// Error implements error.
func (e *UnknownOutcomeError) Error() string { return "unknown outcome: " + e.Reason }
