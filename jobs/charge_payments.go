package jobs

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// ChargePaymentsArgs names accepted payments to charge: those that were committed in
// one transaction. Under load these are a few dozen, otherwise one. The args hold only
// ids, because the payments may change while the job waits.
type ChargePaymentsArgs struct {
	PaymentIDs []wallet.ID `json:"payment_ids"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (ChargePaymentsArgs) Kind() string { return "charge_payments" }

// InsertOpts limits the attempts so that all of them come while Stripe keeps the
// idempotency keys. After the last one the checks continue with the payments that are
// still open.
func (ChargePaymentsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 12, Queue: QueueCharge}
}

// ChargePaymentsWorker charges the cards of payments at Stripe.
type ChargePaymentsWorker struct {
	river.WorkerDefaults[ChargePaymentsArgs]
	Engine *Engine
}

// Work reads the payments, calls Stripe for all of them at once, and writes each
// outcome as soon as it arrives. No database transaction is open during a call. When
// one payment needs another attempt, the whole job gets it and skips the payments that
// are done. A crash between call and write is harmless: the next attempt sends the same
// idempotency keys and gets the same PaymentIntents.
func (w *ChargePaymentsWorker) Work(ctx context.Context, job *river.Job[ChargePaymentsArgs]) error {
	charges, err := postgres.GetCharges(ctx, w.Engine.Pool, job.Args.PaymentIDs)
	if err != nil {
		return err
	}
	breakpoint.Reach(breakpoint.ChargeRead)
	cause := jobCause(job.JobRow)
	if len(charges) == 1 {
		return w.Engine.workCharge(ctx, charges[0], cause)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(charges))
	for i, c := range charges {
		wg.Go(func() { errs[i] = recovered(func() error { return w.Engine.workCharge(ctx, c, cause) }) })
	}
	wg.Wait()
	return decidingError(errs)
}

// decidingError returns the error that decides how a job of several payments
// continues. A failure comes before an error that only puts the job off: see delayOf.
func decidingError(errs []error) error {
	var delaying error
	for _, err := range errs {
		if err == nil {
			continue
		}
		if _, ok := delayOf(err); !ok {
			return err
		}
		delaying = err
	}
	return delaying
}

// recovered calls do and returns a panic of it as an error. River recovers only
// panics of the goroutine in which it runs the job.
func recovered(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return do()
}

// onBehalf marks the calls to Stripe as made for the payment's organization. The
// rate limiter lets organizations take turns.
func onBehalf(ctx context.Context, p wallet.Payment) context.Context {
	return stripeapi.WithCaller(ctx, p.OrganizationID.String())
}

// workCharge does what the payment's state requires of the charge job.
func (e *Engine) workCharge(ctx context.Context, c postgres.Charge, cause wallet.Cause) (err error) {
	ctx, end := e.tracePayment(onBehalf(ctx, c.Payment), "charge payment", c.Payment)
	defer func() { end(err) }()
	switch c.Payment.Status {
	case wallet.PaymentCreated, wallet.PaymentProcessing:
		if !e.keyHolds(c.Payment) {
			return e.check(ctx, c, cause) // repeating the charge could charge twice
		}
		return e.charge(ctx, c, cause)
	case wallet.PaymentFailed:
		// An earlier attempt may have ended between the decline and the closing of
		// the intent.
		return e.closeIntent(ctx, c.Payment, cause)
	case wallet.PaymentCanceled, wallet.PaymentRequiresAction, wallet.PaymentSucceeded:
		return nil // another job or event was faster
	default:
		return nil
	}
}

// charge charges the payment and acts on the outcome.
func (e *Engine) charge(ctx context.Context, c postgres.Charge, cause wallet.Cause) error {
	defer e.charging.begin(c.Payment.ID)()
	o, err := e.sendCharge(ctx, c)
	if err != nil {
		return err
	}
	return e.conclude(ctx, c.Payment, o, cause)
}

// sendCharge sends the charge to Stripe. Every call for a payment has the same key and
// the same parameters.
func (e *Engine) sendCharge(ctx context.Context, c postgres.Charge) (wallet.Outcome, error) {
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

// keyHolds reports whether Stripe certainly still has the payment's idempotency key,
// if it ever received it. A job may be days old when its workers were stopped or
// Stripe was unavailable.
func (e *Engine) keyHolds(p wallet.Payment) bool {
	return e.Now().Sub(p.CreatedAt) < e.KeyLife || breakpoint.Broken(breakpoint.StaleKey)
}

// chargeRequest returns the payment's request. It uses only stored values that never
// change, because Stripe refuses a repeated key with different parameters.
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
