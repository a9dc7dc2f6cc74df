package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// CreateRefundArgs asks for a refund to be made at Stripe, or to be compared with
// Stripe's when it was made before.
type CreateRefundArgs struct {
	RefundID wallet.ID `json:"refund_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (CreateRefundArgs) Kind() string { return "create_refund" }

// InsertOpts limits the attempts so that all of them come while Stripe remembers
// the idempotency key. A refund that is still open afterwards is found by its
// next_check_at, and gets a new job.
func (CreateRefundArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 12, Queue: QueueSettle}
}

// CreateRefundWorker makes refunds at Stripe.
type CreateRefundWorker struct {
	river.WorkerDefaults[CreateRefundArgs]
	Engine *Engine
}

// Work makes the refund. Every attempt sends the same idempotency key and the same
// parameters, so that neither a crash nor a lost answer makes a second refund.
func (w *CreateRefundWorker) Work(ctx context.Context, job *river.Job[CreateRefundArgs]) error {
	e := w.Engine
	r, err := postgres.GetRefund(ctx, e.Pool, job.Args.RefundID)
	if wallet.HasCode(err, wallet.CodeRefundNotFound) {
		return river.JobCancel(err)
	}
	if err != nil {
		return err
	}
	if !r.Status.Open() {
		return nil
	}
	p, err := postgres.GetPayment(ctx, e.Pool, r.PaymentID)
	if err != nil {
		return err
	}
	return e.makeRefund(ctx, p, r, jobCause(job.JobRow))
}

// errRefundAbsent reports that Stripe does not list the refund. That does not prove
// that Stripe did not make it.
var errRefundAbsent = errors.New("stripe lists no such refund")

// makeRefund makes a refund at Stripe, or looks at it when it was made, and applies
// what Stripe says. A refund that Stripe refuses to make is given up.
func (e *Engine) makeRefund(ctx context.Context, p wallet.Payment, r wallet.Refund, cause wallet.Cause) error {
	ctx = onBehalf(ctx, p)
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return err
	}
	err = e.applyMoneyBack(ctx, p, cause, func() (moneyback.Answer, error) { return e.askRefund(ctx, stripe, p, r) })
	refusal, ok := errors.AsType[*stripeapi.Error](err)
	switch {
	case errors.Is(err, errRefundAbsent):
		e.Log.ErrorContext(ctx, "refund is not known at stripe",
			slog.String("refund_id", r.ID.String()), slog.String("payment_id", p.ID.String()), slog.Time("created_at", r.CreatedAt))
		return nil
	case ok && refusal.Op == "create_refund" && (refusal.Kind == wallet.OutcomeRejected || refusal.Kind == wallet.OutcomeDeclined):
		return e.refuseRefund(ctx, p, r, refusal, cause)
	default:
		return err
	}
}

// askRefund makes the refund, or retrieves it when Stripe is known to have it.
//
// When the refund cannot be made, or Stripe may have forgotten the key, so that
// another attempt could send the money twice, the intent's refunds are listed.
// Stripe has the refund if it is among them. If it is not, nothing is known.
func (e *Engine) askRefund(ctx context.Context, stripe Stripe, p wallet.Payment, r wallet.Refund) (moneyback.Answer, error) {
	if r.StripeRefundID != "" {
		state, err := stripe.GetRefund(ctx, r.StripeRefundID)
		return moneyback.Answer{Refunds: []wallet.RefundState{state}}, err
	}
	err := errRefundAbsent
	if e.Now().Sub(r.CreatedAt) < e.KeyLife {
		var state wallet.RefundState
		state, err = stripe.CreateRefund(ctx, stripeapi.RefundRequest{
			RefundID: r.ID, PaymentID: p.ID, IntentID: p.StripePaymentIntentID, Amount: r.Amount, Reason: stripeapi.RefundReason(r.Reason),
		})
		if err == nil {
			return moneyback.Answer{Refunds: []wallet.RefundState{state}}, nil
		}
		if refusal, ok := errors.AsType[*stripeapi.Error](err); ok && refusal.Kind == wallet.OutcomeUnavailable {
			return moneyback.Answer{}, err
		}
	}
	list, listErr := stripe.RefundsOf(ctx, p.StripePaymentIntentID)
	if listErr != nil {
		return moneyback.Answer{}, listErr
	}
	for _, state := range list {
		if state.RefundID == r.ID {
			return moneyback.Answer{Refunds: []wallet.RefundState{state}}, nil
		}
	}
	return moneyback.Answer{}, err
}

// refuseRefund gives up a refund that Stripe refuses to make, and puts its money
// back into the wallet.
func (e *Engine) refuseRefund(ctx context.Context, p wallet.Payment, r wallet.Refund, refusal *stripeapi.Error, cause wallet.Cause) error {
	reason := refusal.Code
	if reason == "" {
		reason = "refused"
	}
	var bookings []moneyback.Booking
	err := e.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		bookings, err = postgres.RefuseRefund(ctx, tx, r.ID, reason, e.Now())
		return err
	})
	if err != nil {
		return err
	}
	e.Log.WarnContext(ctx, "stripe refused a refund",
		slog.String("refund_id", r.ID.String()), slog.String("payment_id", p.ID.String()), slog.String("reason", refusal.Reason()))
	e.logBookings(ctx, p, bookings, cause)
	return nil
}

// RequestRefund stores a refund and the job that makes it, in one transaction. The
// second result is false, and nothing is stored, when the refund's idempotency key
// is taken. What speaks against the refund is a *wallet.Error. When the commit is in
// doubt, the error is a postgres.DoubtError, and the refund is what may be stored.
func (e *Engine) RequestRefund(ctx context.Context, n postgres.NewRefund) (wallet.Refund, bool, error) {
	var (
		r       wallet.Refund
		claimed bool
	)
	err := e.inTx(context.WithoutCancel(ctx), func(tx pgx.Tx) error {
		var err error
		if claimed, err = claimRefundKey(ctx, tx, n); err != nil {
			return err
		}
		if !claimed {
			return postgres.ErrKeyTaken
		}
		r, err = e.storeRefund(ctx, tx, n)
		return err
	})
	if err == nil && claimed {
		e.wakes.wake(QueueSettle)
		e.announce()
	}
	return r, claimed && err == nil, err
}

// claimRefundKey claims the idempotency key of a refund, if it has one. It reports
// whether the refund may be stored. The key belongs to the payment's organization
// and mode, so an unknown payment is CodePaymentNotFound.
func claimRefundKey(ctx context.Context, tx pgx.Tx, n postgres.NewRefund) (bool, error) {
	if n.Idempotency == nil {
		return true, nil
	}
	p, err := postgres.GetPayment(ctx, tx, n.PaymentID)
	if err != nil {
		return false, err
	}
	return postgres.ClaimIdempotencyKey(ctx, tx, p.OrganizationID, p.Mode, *n.Idempotency, n.Now)
}

// storeRefund stores a refund and the job that makes it, in a transaction in which
// the refund's idempotency key is claimed already.
func (e *Engine) storeRefund(ctx context.Context, tx pgx.Tx, n postgres.NewRefund) (wallet.Refund, error) {
	r, err := postgres.RequestRefund(ctx, tx, n)
	if err != nil {
		return r, err
	}
	return r, e.insertJobs(ctx, tx, []river.InsertManyParams{{Args: CreateRefundArgs{RefundID: r.ID}}})
}

// WaitRefund waits until Stripe has answered about a refund, for d at most, and
// returns the refund. When d is over, ctx ends or the engine stops first, it returns
// the refund as it stands.
func (e *Engine) WaitRefund(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Refund, error) {
	timer, tick := time.NewTimer(d), time.NewTicker(e.PollEvery)
	defer timer.Stop()
	defer tick.Stop()
	for {
		r, err := postgres.GetRefund(context.WithoutCancel(ctx), e.Pool, id)
		if err != nil || r.Answered() {
			return r, err
		}
		select {
		case <-tick.C:
			continue
		case <-timer.C:
		case <-e.draining:
		case <-ctx.Done():
		}
		return r, nil
	}
}
