package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/batch"
	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/requestid"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Accept stores a payment and the job that charges it in one transaction. The
// result is false, and nothing is stored, when the payment's idempotency key is
// taken. The error is a postgres.DoubtError when the payment may have been stored.
// The caller may then call Accept with the same payment again. When ctx ends before
// the payment was sent to the database, nothing is stored.
func (e *Engine) Accept(ctx context.Context, p postgres.NewPayment) (bool, error) {
	e.complete(ctx, &p)
	e.waiters.expect(p.ID, e.Now())
	accepted, err := e.accepts.Do(ctx, p)
	if errors.Is(err, batch.ErrUnderWay) {
		err = &postgres.DoubtError{Err: err}
	}
	if !accepted && !postgres.InDoubt(err) {
		e.waiters.forget(p.ID)
	}
	return accepted, err
}

// complete sets the fields of a new payment that only the engine knows.
func (e *Engine) complete(ctx context.Context, p *postgres.NewPayment) {
	p.Traceparent, p.RequestID = e.traceparent(ctx), requestid.From(ctx)
	p.FirstCheckAt = p.CreatedAt.Add(e.scaled(postgres.FirstCheckAfter))
	p.ReturnURL = e.returnURL(p.Mode, p.ID)
}

// returnURL returns the address to which Stripe sends the cardholder's browser after
// a challenge or a payment page.
func (e *Engine) returnURL(mode wallet.Mode, id wallet.ID) string {
	return e.PublicURL + "/v1/payments/" + wallet.Spell(wallet.PrefixPayment, mode, id) + "/return"
}

// idempotencyKeyOf returns a string that two payments have in common if they have
// the same idempotency key. It is empty for a payment without a key.
func idempotencyKeyOf(p postgres.NewPayment) string {
	if p.Idempotency == nil {
		return ""
	}
	return p.OrganizationID.String() + string(p.Mode) + p.Idempotency.Operation + "\x00" + p.Idempotency.Key
}

func (e *Engine) writeAccepts(ctx context.Context, list []postgres.NewPayment) ([]bool, error) {
	job := jobOf(ChargePaymentsArgs{})
	if breakpoint.Broken(breakpoint.JobOutsideTx) {
		job = nil
	}
	accepted, err := postgres.AcceptPayments(ctx, e.Pool, list, job)
	if len(list) == 1 && postgres.StoredBefore(err) {
		// An earlier attempt was committed, but its answer was lost.
		return []bool{true}, nil
	}
	if err != nil {
		return nil, err
	}
	breakpoint.Reach(breakpoint.AcceptCommitted)
	if job == nil {
		e.chargeLate(ctx, list)
	}
	e.wakes.wake(QueueCharge)
	return accepted, nil
}

// chargeLate inserts the payments' job after their commit, for the tests that break
// this safeguard.
func (e *Engine) chargeLate(ctx context.Context, list []postgres.NewPayment) {
	var args ChargePaymentsArgs
	for _, p := range list {
		args.PaymentIDs = append(args.PaymentIDs, p.ID)
	}
	time.AfterFunc(50*time.Millisecond, func() {
		_ = e.inTx(ctx, func(tx pgx.Tx) error { return e.insertJobs(ctx, tx, []river.InsertManyParams{{Args: args}}) })
	})
}
