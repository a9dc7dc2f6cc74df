package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// StripeKeyLife is how long Stripe certainly repeats its first answer to a request with
// the same idempotency key. Stripe keeps keys for at least 24 hours.
const StripeKeyLife = 23 * time.Hour

// CheckPaymentArgs names a payment that is to be compared with Stripe.
type CheckPaymentArgs struct {
	PaymentID wallet.ID `json:"payment_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (CheckPaymentArgs) Kind() string { return "check_payment" }

// InsertOpts gives the job few attempts, because checks are repeated.
func (CheckPaymentArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 5, Queue: QueueCheck}
}

// CheckPaymentWorker asks Stripe about a payment that made no progress: its answer was
// lost, its webhook did not arrive, or its challenge was abandoned.
type CheckPaymentWorker struct {
	river.WorkerDefaults[CheckPaymentArgs]
	Engine *Engine
}

// Work asks Stripe for the payment's state and applies the answer.
func (w *CheckPaymentWorker) Work(ctx context.Context, job *river.Job[CheckPaymentArgs]) error {
	e := w.Engine
	c, err := postgres.GetCharge(ctx, e.Pool, job.Args.PaymentID)
	if wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return river.JobCancel(err)
	}
	if err != nil {
		return err
	}
	breakpoint.Reach(breakpoint.CheckRead)
	ctx, end := e.tracePayment(ctx, "check payment", c.Payment)
	err = e.check(ctx, c, jobCause(job.JobRow))
	end(err)
	return err
}

// check does what the payment's state requires.
func (e *Engine) check(ctx context.Context, c postgres.Charge, cause wallet.Cause) error {
	p := c.Payment
	ctx = onBehalf(ctx, p)
	if p.Status == wallet.PaymentFailed {
		return e.closeIntent(ctx, p, cause)
	}
	withdrawn := p.Status == wallet.PaymentCanceled && atCheckout(p) && p.CloseDueAt != nil
	if !p.Status.Open() && !withdrawn {
		return nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return err
	}
	if withdrawn {
		return e.closeWithdrawnPage(ctx, stripe, p, cause)
	}
	if atCheckout(p) {
		return e.checkPage(ctx, stripe, p, cause)
	}
	if p.StripePaymentIntentID != "" {
		return e.checkIntent(ctx, stripe, p, cause)
	}
	var repeated wallet.Outcome
	young := e.keyHolds(p)
	if young {
		defer e.charging.begin(p.ID)()
		repeated, err = e.sendCharge(ctx, c) // under the same key, so Stripe charges at most once
		if err != nil {
			return err
		}
		if repeated.Kind != wallet.OutcomeUnknown {
			return e.conclude(ctx, p, repeated, cause)
		}
	}
	// The key cannot tell: Stripe may have stored a failure under it, or may have
	// forgotten it, so that a repetition could charge twice. An intent in Stripe's list
	// decides. Its absence decides nothing, because lists lag behind.
	const skew = time.Hour
	listed, found, err := stripe.FindIntent(ctx, c.StripeCustomerID, p.ID, p.CreatedAt.Add(-skew))
	switch {
	case err != nil:
		return err
	case found:
		return e.conclude(ctx, p, listed, cause)
	case breakpoint.Broken(breakpoint.CancelOnAbsence):
		return e.conclude(ctx, p, wallet.Outcome{Kind: wallet.OutcomeCanceled}, cause)
	case young:
		return e.conclude(ctx, p, repeated, cause)
	}
	e.Log.ErrorContext(ctx, "payment has no intent at stripe",
		slog.String("payment_id", p.ID.String()), slog.Time("created_at", p.CreatedAt))
	return nil
}

// lapsed reports whether the deadline of the payment's challenge or page has passed.
func (e *Engine) lapsed(p wallet.Payment) bool {
	return p.ActionDeadlineAt != nil && !e.Now().Before(*p.ActionDeadlineAt)
}

// checkIntent retrieves the payment's intent, cancels it if its challenge has lapsed,
// and acts on the outcome.
func (e *Engine) checkIntent(ctx context.Context, stripe Stripe, p wallet.Payment, cause wallet.Cause) error {
	o := stripe.Retrieve(ctx, p.StripePaymentIntentID)
	lapsed := e.lapsed(p)
	if lapsed && breakpoint.Broken(breakpoint.BlindDeadline) {
		o = wallet.Outcome{Kind: wallet.OutcomeCanceled, IntentID: p.StripePaymentIntentID}
		return e.conclude(ctx, p, o, cause)
	}
	if o.Kind == wallet.OutcomeRequiresAction && lapsed {
		o = stripe.Cancel(ctx, p.StripePaymentIntentID, stripeapi.CancelAbandoned)
	}
	if o.Kind == wallet.OutcomeMissing {
		e.Log.ErrorContext(ctx, "stripe does not know the payment's intent",
			slog.String("payment_id", p.ID.String()), slog.String("reason", o.Reason))
		return nil
	}
	return e.conclude(ctx, p, o, cause)
}
