package jobs

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// CreateRefundArgs asks for a refund to be made at Stripe, or for a look at what
// became of it there.
type CreateRefundArgs struct {
	RefundID wallet.ID `json:"refund_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (CreateRefundArgs) Kind() string { return "create_refund" }

// InsertOpts bounds the attempts so that all of them come while Stripe remembers
// the idempotency key. A refund that is still open then is looked after from its
// state.
func (CreateRefundArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 12, Queue: QueueSettle}
}

// CreateRefundWorker makes refunds at Stripe.
type CreateRefundWorker struct {
	river.WorkerDefaults[CreateRefundArgs]
	Engine *Engine
}

// Work makes the refund, always with the same key and the same parameters, so that
// a crash or a lost answer makes no second one.
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
	cause := wallet.Cause{Kind: wallet.CauseJob, ID: strconv.FormatInt(job.ID, 10)}
	return orLater(e.makeRefund(ctx, p, r, cause))
}

// errRefundAbsent reports that Stripe lists no such refund. That is no proof.
var errRefundAbsent = errors.New("stripe lists no such refund")

func (e *Engine) makeRefund(ctx context.Context, p wallet.Payment, r wallet.Refund, cause wallet.Cause) error {
	ctx = onBehalf(ctx, p)
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return err
	}
	err = e.applyMoneyBack(ctx, p, cause, func() (returned, error) { return e.askRefund(ctx, stripe, p, r) })
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

// askRefund makes the refund, or looks at it when Stripe has it. When making it
// brings nothing, or Stripe may have forgotten the key, so that another try could
// send the money twice, the intent's refunds are listed: finding it is conclusive.
func (e *Engine) askRefund(ctx context.Context, stripe Stripe, p wallet.Payment, r wallet.Refund) (returned, error) {
	if r.StripeRefundID != "" {
		state, err := stripe.GetRefund(ctx, r.StripeRefundID)
		return returned{refunds: []wallet.RefundState{state}}, err
	}
	err := errRefundAbsent
	if e.Now().Sub(r.CreatedAt) < e.KeyLife {
		var state wallet.RefundState
		state, err = stripe.CreateRefund(ctx, stripeapi.RefundRequest{
			RefundID: r.ID, PaymentID: p.ID, IntentID: p.StripePaymentIntentID, Amount: r.Amount, Reason: stripeapi.RefundReason(r.Reason),
		})
		if err == nil {
			return returned{refunds: []wallet.RefundState{state}}, nil
		}
		if refusal, ok := errors.AsType[*stripeapi.Error](err); ok && refusal.Kind == wallet.OutcomeUnavailable {
			return returned{}, err
		}
	}
	list, listErr := stripe.RefundsOf(ctx, p.StripePaymentIntentID)
	if listErr != nil {
		return returned{}, listErr
	}
	for _, state := range list {
		if state.RefundID == r.ID {
			return returned{refunds: []wallet.RefundState{state}}, nil
		}
	}
	return returned{}, err
}

func (e *Engine) refuseRefund(ctx context.Context, p wallet.Payment, r wallet.Refund, refusal *stripeapi.Error, cause wallet.Cause) error {
	reason := refusal.Code
	if reason == "" {
		reason = "refused"
	}
	var bookings []postgres.Booking
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
// is taken. What speaks against the refund is a *wallet.Error.
func (e *Engine) RequestRefund(ctx context.Context, n postgres.NewRefund) (wallet.Refund, bool, error) {
	var (
		r      wallet.Refund
		stored bool
	)
	err := e.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		if r, stored, err = postgres.RequestRefund(ctx, tx, n); err != nil || !stored {
			return err
		}
		return e.insertJobs(ctx, tx, []river.InsertManyParams{{Args: CreateRefundArgs{RefundID: r.ID}}})
	})
	if err != nil {
		return wallet.Refund{}, false, err
	}
	if stored {
		e.wakes.wake(QueueSettle)
	}
	return r, stored, nil
}

// WaitRefund returns the refund as soon as Stripe has said something of it, or as
// it stands when d is over or ctx ends.
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
