package jobs

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// checkAges are the ages at which an open payment is checked; after the last one
// it is checked every checkRepeat. The first is postgres.FirstCheckAfter.
var checkAges = []time.Duration{
	postgres.FirstCheckAfter, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
}

const checkRepeat = time.Hour

// StripeKeyLife is how long the same request with the same key is certain to
// bring the first answer back. Stripe forgets keys after 24 hours at the earliest.
const StripeKeyLife = 23 * time.Hour

// CheckPaymentArgs asks for an open payment to be compared with Stripe.
type CheckPaymentArgs struct {
	PaymentID wallet.ID `json:"payment_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (CheckPaymentArgs) Kind() string { return "check_payment" }

// InsertOpts gives the job few attempts: the next check comes by itself.
func (CheckPaymentArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 5, Queue: QueueCheck}
}

// CheckPaymentWorker finds out what became of a payment that nobody has heard of:
// its answer was lost, its webhook never came, or its challenge was abandoned.
type CheckPaymentWorker struct {
	river.WorkerDefaults[CheckPaymentArgs]
	Engine *Engine
}

// Work asks Stripe how the payment stands, in the way that its state allows.
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
	err = e.check(ctx, c, wallet.Cause{Kind: wallet.CauseJob, ID: strconv.FormatInt(job.ID, 10)})
	end(err)
	return err
}

func (e *Engine) check(ctx context.Context, c postgres.Charge, cause wallet.Cause) error {
	p := c.Payment
	ctx = onBehalf(ctx, p)
	if p.Status == wallet.PaymentFailed {
		return e.closeIntent(ctx, p, cause)
	}
	if !p.Status.Open() {
		return nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return err
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
		repeated, err = e.askCharge(ctx, c) // the same key: a repeat, or the first execution
		if err != nil {
			return err
		}
		if repeated.Kind != wallet.OutcomeUnknown {
			return e.conclude(ctx, p, repeated, cause)
		}
	}
	// Stripe repeats a failure that it stored under the key, and in a day it may
	// have forgotten the key, so that repeating could charge twice. What it lists
	// decides; finding nothing decides nothing.
	const skew = time.Hour
	listed, found, err := stripe.FindIntent(ctx, c.StripeCustomerID, p.ID, p.CreatedAt.Add(-skew))
	switch {
	case err != nil:
		return orLater(err)
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

func (e *Engine) checkIntent(ctx context.Context, stripe Stripe, p wallet.Payment, cause wallet.Cause) error {
	o := stripe.Retrieve(ctx, p.StripePaymentIntentID)
	lapsed := p.ActionDeadlineAt != nil && !e.Now().Before(*p.ActionDeadlineAt)
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

// EnqueueChecksArgs asks for the jobs of what is due for a check: open payments,
// failed ones whose intent may be open, and refunds.
type EnqueueChecksArgs struct{}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (EnqueueChecksArgs) Kind() string { return "enqueue_checks" }

// InsertOpts gives the job one attempt: it comes again by itself.
func (EnqueueChecksArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// EnqueueChecksEvery is how often EnqueueChecksWorker runs.
const EnqueueChecksEvery = 15 * time.Second

// EnqueueChecksWorker makes jobs from the state of payments, so that no check
// depends on a job that somebody once inserted.
type EnqueueChecksWorker struct {
	river.WorkerDefaults[EnqueueChecksArgs]
	Engine *Engine
}

// Work claims what is due and inserts its jobs, in one transaction.
func (w *EnqueueChecksWorker) Work(ctx context.Context, _ *river.Job[EnqueueChecksArgs]) error {
	const limit = 1000 // a round's share; the rest is due in the next one
	e := w.Engine
	return e.inTx(ctx, func(tx pgx.Tx) error {
		ids, err := postgres.ClaimDueChecks(ctx, tx, e.Now(), e.checkAges(), e.scaled(checkRepeat), limit)
		if err != nil {
			return err
		}
		closings, err := postgres.ClaimDueClosings(ctx, tx, e.Now(), e.scaled(checkRepeat), limit)
		if err != nil {
			return err
		}
		refunds, err := postgres.ClaimDueRefunds(ctx, tx, e.Now(), e.scaled(checkRepeat), limit)
		if err != nil {
			return err
		}
		params := make([]river.InsertManyParams, 0, len(ids)+len(closings)+len(refunds))
		for _, id := range append(ids, closings...) {
			params = append(params, river.InsertManyParams{Args: CheckPaymentArgs{PaymentID: id}})
		}
		for _, id := range refunds {
			params = append(params, river.InsertManyParams{Args: CreateRefundArgs{RefundID: id}})
		}
		err = e.insertJobs(ctx, tx, params)
		if len(ids) > 0 {
			breakpoint.Reach(breakpoint.ChecksWritten)
		}
		return err
	})
}

func (e *Engine) checkAges() []time.Duration {
	ages := make([]time.Duration, len(checkAges))
	for i, d := range checkAges {
		ages[i] = e.scaled(d)
	}
	return ages
}
