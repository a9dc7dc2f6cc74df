// Package jobs is the money's way between a request and a settled payment: one
// file per job, and the Engine that accepts payments, takes events in and settles
// outcomes, each together with the jobs that continue from there. Calling Stripe
// is left to package stripeapi, the SQL to package postgres, and HTTP to the
// packages above.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"github.com/fundrail/fundrail/internal/batch"
	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/requestid"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The queues. Settlement has one of its own, so that it never waits behind
// charges, which wait for Stripe.
const (
	QueueCharge   = "charge"
	QueueSettle   = "settle"
	QueueCheck    = "check"
	QueuePeriodic = "periodic"
)

// Stripe is what the jobs ask of Stripe. Every answer about an intent is sorted
// into an Outcome; other calls that bring nothing return a *stripeapi.Error.
type Stripe interface {
	AmountRefunded(ctx context.Context, chargeID string) (int64, error)
	// Breaker returns the breaker that stops the calls while Stripe is down, nil when
	// there is none.
	Breaker() *stripeapi.Breaker
	Cancel(ctx context.Context, intentID string, reason stripeapi.CancelReason) wallet.Outcome
	Charge(ctx context.Context, r stripeapi.ChargeRequest) wallet.Outcome
	Confirm(ctx context.Context, r stripeapi.ConfirmRequest) wallet.Outcome
	CreateCheckoutSession(ctx context.Context, r stripeapi.CheckoutRequest) (stripeapi.CheckoutSession, error)
	CreateCustomer(ctx context.Context, r stripeapi.CustomerRequest) (string, error)
	CreateRefund(ctx context.Context, r stripeapi.RefundRequest) (wallet.RefundState, error)
	ExpireCheckoutSession(ctx context.Context, id string) (stripeapi.CheckoutSession, error)
	FindIntent(ctx context.Context, customerID string, paymentID wallet.ID, since time.Time) (wallet.Outcome, bool, error)
	GetCheckoutSession(ctx context.Context, id string) (stripeapi.CheckoutSession, error)
	GetDispute(ctx context.Context, id string) (wallet.DisputeState, error)
	GetRefund(ctx context.Context, id string) (wallet.RefundState, error)
	ListDisputes(ctx context.Context, w stripeapi.Window) iter.Seq2[wallet.DisputeState, error]
	ListEvents(ctx context.Context, q stripeapi.EventQuery) iter.Seq2[stripeapi.Event, error]
	ListPaymentMethods(ctx context.Context, customerID string) ([]stripeapi.PaymentMethod, error)
	ListIntents(ctx context.Context, w stripeapi.Window) iter.Seq2[stripeapi.Intent, error]
	ListRefunds(ctx context.Context, w stripeapi.Window) iter.Seq2[wallet.RefundState, error]
	RefundsOf(ctx context.Context, intentID string) ([]wallet.RefundState, error)
	Retrieve(ctx context.Context, intentID string) wallet.Outcome
}

// Options are what an Engine needs. Workers, CheckScale, KeyLife and PollEvery
// have defaults; the others are required.
type Options struct {
	Pool *pgxpool.Pool
	// Stripe holds a client for each mode that is configured.
	Stripe map[wallet.Mode]Stripe
	Log    *slog.Logger
	Now    func() time.Time
	// PublicURL is where browsers reach this service, without a trailing slash.
	PublicURL string
	// ActionDeadline is how long a 3-D Secure challenge may stay open.
	ActionDeadline time.Duration
	// FetchCooldown is the River client's: a wake is sent that long after a
	// commit, so that jobs which River did not announce are fetched.
	FetchCooldown time.Duration
	// Workers is how many charges are under way at once, 100 unless given.
	Workers int
	// CheckScale divides the waits before somebody looks after a payment or an
	// event that nothing was heard of. It is 1 unless given, and for tests.
	CheckScale int
	// KeyLife is how long the same request with the same key is certain to bring
	// Stripe's first answer back, StripeKeyLife unless given.
	KeyLife time.Duration
	// Merchants is how merchants' endpoints are reached: the internet alone unless
	// given.
	Merchants Merchants
	// Retention is how long old rows are kept: for ever unless given.
	Retention Retention
	// Tracer makes the spans of payments' traces. Nil makes none, and costs nothing.
	Tracer trace.Tracer
	// Watch is told of what happens. Nil is nobody.
	Watch Watcher
	// PollEvery is how often callers who wait look for payments that another
	// process settled, 100 ms unless given.
	PollEvery time.Duration
}

// Engine moves payments along. Its methods are safe for concurrent use.
type Engine struct {
	Options
	// announced holds a token when this process has something to tell merchants.
	announced chan struct{}
	river     *river.Client[pgx.Tx]
	calls     chan struct{} // holds one for each charge under way
	accepts   *batch.Writer[postgres.NewPayment, bool]
	intakes   *batch.Writer[Intake, postgres.StoredEvent]
	settles   *batch.Writer[wallet.Settlement, postgres.Applied]
	// found reads events that are to be handled, and finishes marks those that were.
	found    *batch.Writer[string, postgres.FoundEvent]
	finishes *batch.Writer[postgres.FinishedEvent, struct{}]
	charging *charging
	waiters  *waiters
	wakes    *wakes
	draining chan struct{}
	drain    sync.Once
	stop     context.CancelFunc
	stopping context.Context //nolint:containedctx // the life of the engine, not of one call
}

// judge says what the error of a group's write means for its members.
func judge(err error) batch.Verdict {
	switch {
	case postgres.Blocked(err):
		return batch.Blocked
	case postgres.InDoubt(err), postgres.Unavailable(err):
		return batch.Failed
	default:
		return batch.Refused
	}
}

// linger is how long the steps of many payments gather under load.
const linger = 8 * time.Millisecond

// NewEngine makes an Engine. Connect must be called before it is used, and Close
// when it is not needed any more.
func NewEngine(ctx context.Context, o Options) *Engine {
	if o.PollEvery == 0 {
		o.PollEvery = 100 * time.Millisecond
	}
	if o.CheckScale == 0 {
		o.CheckScale = 1
	}
	if o.KeyLife == 0 {
		o.KeyLife = StripeKeyLife
	}
	if o.Workers == 0 {
		o.Workers = 100
	}
	if o.Watch == nil {
		o.Watch = unwatched{}
	}
	if o.Merchants == nil {
		o.Merchants = delivery.NewSender(delivery.Config{})
	}
	e := &Engine{Options: o, announced: make(chan struct{}, 1), calls: make(chan struct{}, o.Workers), draining: make(chan struct{})}
	e.stopping, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.accepts = batch.NewWriter(ctx, e.writeAccepts, batch.Config[postgres.NewPayment]{
		Key: idempotencyKeyOf, Linger: linger, Judge: judge,
		Free: func(ctx context.Context, list []postgres.NewPayment) ([]bool, error) {
			return postgres.FreePurchases(ctx, o.Pool, list)
		},
	})
	e.intakes = batch.NewWriter(ctx, e.writeIntakes, batch.Config[Intake]{
		Key: func(i Intake) string { return i.Event.ID }, Linger: linger, Judge: judge,
	})
	e.settles = batch.NewWriter(ctx, e.writeSettlements, batch.Config[wallet.Settlement]{
		Key: func(s wallet.Settlement) string { return string(s.PaymentID[:]) }, Linger: linger, Judge: judge,
		Free: func(ctx context.Context, list []wallet.Settlement) ([]bool, error) {
			ids := make([]wallet.ID, len(list))
			for i, s := range list {
				ids[i] = s.PaymentID
			}
			return postgres.FreePayments(ctx, o.Pool, ids)
		},
	})
	e.found = batch.NewWriter(ctx, func(ctx context.Context, ids []string) ([]postgres.FoundEvent, error) {
		return postgres.FindEvents(ctx, o.Pool, ids)
	}, batch.Config[string]{Key: func(id string) string { return id }, Judge: judge})
	e.finishes = batch.NewWriter(ctx, func(ctx context.Context, list []postgres.FinishedEvent) ([]struct{}, error) {
		return make([]struct{}, len(list)), postgres.FinishEvents(ctx, o.Pool, list)
	}, batch.Config[postgres.FinishedEvent]{Key: func(f postgres.FinishedEvent) string { return f.ID }, Judge: judge})
	e.charging, e.waiters = newCharging(), newWaiters()
	e.wakes = newWakes(o.FetchCooldown, func(queues []string) {
		if err := postgres.WakeQueues(e.stopping, o.Pool, queues); err != nil && e.stopping.Err() == nil {
			o.Log.WarnContext(e.stopping, "wake not sent", slog.Any("error", err))
		}
	})
	go e.pollForWaiters()
	return e
}

// Connect gives the engine the River client through which it inserts jobs.
func (e *Engine) Connect(client *river.Client[pgx.Tx]) { e.river = client }

// Drain answers everybody who waits for a payment with how it stands now, and
// whoever comes later at once. The process is about to stop; the payments go on.
func (e *Engine) Drain() { e.drain.Do(func() { close(e.draining) }) }

// Close waits until every write under way is done, or ctx ends.
func (e *Engine) Close(ctx context.Context) {
	e.Drain()
	e.accepts.Close(ctx)
	e.intakes.Close(ctx)
	e.settles.Close(ctx)
	e.found.Close(ctx)
	e.finishes.Close(ctx)
	e.wakes.close()
	e.stop()
}

// Accept stores a payment and the job that charges it in one transaction. The
// result is false, and nothing is stored, when the payment's idempotency key is
// taken. The error is a postgres.DoubtError when the payment may have been stored;
// the same payment may then be sent again. When ctx ends before the payment was sent
// to the database, nothing happens.
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

// complete adds what the engine alone knows to a payment that is to be stored.
func (e *Engine) complete(ctx context.Context, p *postgres.NewPayment) {
	p.Traceparent, p.RequestID = e.traceparent(ctx), requestid.From(ctx)
	p.FirstCheckAt = p.CreatedAt.Add(e.scaled(postgres.FirstCheckAfter))
	p.ReturnURL = e.returnURL(p.Mode, p.ID)
}

// returnURL is where the cardholder's browser lands after a challenge or a page.
func (e *Engine) returnURL(mode wallet.Mode, id wallet.ID) string {
	return e.PublicURL + "/v1/payments/" + wallet.Spell(wallet.PrefixPayment, mode, id) + "/return"
}

func (e *Engine) writeAccepts(ctx context.Context, list []postgres.NewPayment) ([]bool, error) {
	job := jobOf(ChargePaymentsArgs{})
	if breakpoint.Broken(breakpoint.JobOutsideTx) {
		job = nil
	}
	accepted, err := postgres.AcceptPayments(ctx, e.Pool, list, job)
	if len(list) == 1 && postgres.StoredBefore(err) {
		// An attempt before this one was committed, and its answer was lost.
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

// chargeLate is what a test does to a job that should have been in the transaction.
func (e *Engine) chargeLate(ctx context.Context, list []postgres.NewPayment) {
	var args ChargePaymentsArgs
	for _, p := range list {
		args.PaymentIDs = append(args.PaymentIDs, p.ID)
	}
	time.AfterFunc(50*time.Millisecond, func() {
		_ = e.inTx(ctx, func(tx pgx.Tx) error { return e.insertJobs(ctx, tx, []river.InsertManyParams{{Args: args}}) })
	})
}

// jobOf is a job for a statement to insert, which adds the args.
func jobOf(args interface {
	river.JobArgs
	river.JobArgsWithInsertOpts
},
) *postgres.Job {
	opts := args.InsertOpts()
	return &postgres.Job{Kind: args.Kind(), Queue: opts.Queue, MaxAttempts: opts.MaxAttempts}
}

// Settle turns an outcome into state, through the one function that does so, and
// tells those who wait for the payment.
func (e *Engine) Settle(ctx context.Context, s wallet.Settlement) (postgres.Applied, error) {
	ctx, end := e.trace(ctx, "settle payment", "")
	applied, err := e.settles.Do(ctx, s)
	end(err)
	return applied, err
}

func (e *Engine) writeSettlements(ctx context.Context, list []wallet.Settlement) ([]postgres.Applied, error) {
	applied, err := postgres.ApplyOutcomes(ctx, e.Pool, list)
	if err != nil {
		return nil, err
	}
	for i, a := range applied {
		if a.Moved {
			e.logMove(ctx, list[i], a.Payment)
			e.Watch.PaymentMoved(a.Payment)
		}
		if a.Announced {
			e.announce()
		}
		if a.Payment.Status.Answered() {
			e.waiters.tell(a.Payment)
		}
	}
	return applied, nil
}

func (e *Engine) logMove(ctx context.Context, s wallet.Settlement, p wallet.Payment) {
	e.Log.InfoContext(ctx, "payment moved",
		slog.String("payment_id", p.ID.String()),
		slog.String("request_id", p.RequestID),
		slog.String("wallet_id", p.WalletID.String()),
		slog.String("status", string(p.Status)),
		slog.Int64("amount", p.Amount),
		slog.String("currency", string(p.Currency)),
		slog.String("failure_code", p.Failure.Code),
		slog.String("payment_intent_id", p.StripePaymentIntentID),
		slog.String("stripe_request_id", s.Outcome.RequestID),
		slog.String("cause_kind", string(s.Cause.Kind)),
		slog.String("cause_id", s.Cause.ID))
}

// stripe finds the client of a mode. Without one, jobs of that mode wait: a
// process that has the key may run beside this one.
func (e *Engine) stripe(mode wallet.Mode) (Stripe, error) {
	if s, ok := e.Stripe[mode]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("no Stripe key is configured for %s mode", mode)
}

// writeLimit bounds a transaction, which takes milliseconds; one that takes this
// long hangs.
const writeLimit = batch.DefaultLimit

// inTx runs a transaction, and tells doubt from failure: see postgres.InTx.
func (e *Engine) inTx(ctx context.Context, do func(tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	return postgres.InTx(ctx, e.Pool, do)
}

func (e *Engine) insertJobs(ctx context.Context, tx pgx.Tx, params []river.InsertManyParams) error {
	if len(params) == 0 {
		return nil
	}
	if e.river == nil {
		return errors.New("engine is not connected to River")
	}
	// COPY is the cheaper way for many, but it is planned anew each time.
	const few = 20
	var err error
	if len(params) > few {
		_, err = e.river.InsertManyFastTx(ctx, tx, params)
	} else {
		_, err = e.river.InsertManyTx(ctx, tx, params)
	}
	if err != nil {
		return fmt.Errorf("insert %d jobs: %w", len(params), err)
	}
	return nil
}

func idempotencyKeyOf(p postgres.NewPayment) string {
	if p.Idempotency == nil {
		return ""
	}
	return p.OrganizationID.String() + string(p.Mode) + p.Idempotency.Operation + "\x00" + p.Idempotency.Key
}

// scaled is a wait as this engine keeps it.
func (e *Engine) scaled(d time.Duration) time.Duration { return d / time.Duration(e.CheckScale) }
