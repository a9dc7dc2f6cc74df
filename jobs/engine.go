// Package jobs takes a payment from the request to its final state. It has one file
// per job and the Engine, which accepts payments, takes in Stripe's events and
// settles outcomes. The Engine commits each of these together with the jobs that
// continue from there.
//
// The package leaves the calls to Stripe to package stripeapi, the SQL to package
// postgres, the rules about money to packages wallet and moneyback, and HTTP to the
// packages above it.
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
	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The queues. Settlement has a queue of its own, because jobs of QueueCharge occupy
// their workers while they wait for Stripe.
const (
	QueueCharge   = "charge"
	QueueSettle   = "settle"
	QueueCheck    = "check"
	QueuePeriodic = "periodic"
)

// Stripe is the set of calls that the jobs make. A call about an intent returns an
// Outcome. The errors of the other calls are *stripeapi.Error.
type Stripe interface {
	AmountRefunded(ctx context.Context, chargeID string) (int64, error)
	// Breaker returns the breaker that stops the calls while Stripe is down. It is nil
	// when the client has none.
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

// Options configures an Engine. Pool, Stripe, Log, Now, PublicURL, ActionDeadline and
// FetchCooldown are required. The others have defaults.
type Options struct {
	Pool *pgxpool.Pool
	// Stripe holds a client for each mode that has a key.
	Stripe map[wallet.Mode]Stripe
	Log    *slog.Logger
	Now    func() time.Time
	// PublicURL is the address of this service for browsers, without a trailing slash.
	PublicURL string
	// ActionDeadline is how long a 3-D Secure challenge may stay open.
	ActionDeadline time.Duration
	// FetchCooldown is that of the River client. The engine repeats a wake after this
	// time, because River fetches at most once per cooldown.
	FetchCooldown time.Duration
	// Workers is how many charges may be under way at once. Zero means 100.
	Workers int
	// CheckScale divides the waits before a job checks a payment or an event that made
	// no progress. Zero means 1. Tests use larger values.
	CheckScale int
	// KeyLife is how long Stripe certainly repeats its first answer to a request with
	// the same idempotency key. Zero means StripeKeyLife.
	KeyLife time.Duration
	// Merchants sends deliveries to the endpoints of merchants. Nil means a Sender that
	// refuses private addresses.
	Merchants Merchants
	// Retention is how long old rows are kept. Zero values keep them for ever.
	Retention Retention
	// Tracer starts the spans of payments' traces. Nil means that there are none.
	Tracer trace.Tracer
	// Watch counts what the engine does. Nil means that nothing is counted.
	Watch Watcher
	// PollEvery is how often waiting callers look for payments that another process
	// settled. Zero means 100 ms.
	PollEvery time.Duration
}

// Engine accepts payments, settles them, and inserts and works their jobs. Its methods
// are safe for concurrent use.
type Engine struct {
	Options
	river *river.Client[pgx.Tx]

	// announced holds a token when this process has committed a delivery that is due.
	announced chan struct{}
	calls     chan struct{} // holds a token for each charge under way
	charging  *charging
	waiters   *waiters
	wakes     *wakes

	// The writers share transactions among concurrent callers.
	accepts  *batch.Writer[postgres.NewPayment, bool]
	intakes  *batch.Writer[Intake, postgres.StoredEvent]
	settles  *batch.Writer[wallet.Settlement, postgres.Applied]
	found    *batch.Writer[string, postgres.FoundEvent]      // reads events to handle
	finishes *batch.Writer[postgres.FinishedEvent, struct{}] // marks events as handled

	draining  chan struct{} // closed by Drain
	drainOnce sync.Once
	stopping  context.Context //nolint:containedctx // the life of the engine, not of one call
	stop      context.CancelFunc
}

// linger is how long a writer waits for more members under load.
const linger = 8 * time.Millisecond

// NewEngine returns an Engine. The caller must call Connect before it uses the engine,
// and Close at the end.
func NewEngine(ctx context.Context, o Options) *Engine {
	o.setDefaults()
	e := &Engine{
		Options:   o,
		announced: make(chan struct{}, 1),
		calls:     make(chan struct{}, o.Workers),
		charging:  newCharging(),
		waiters:   newWaiters(),
		draining:  make(chan struct{}),
	}
	e.stopping, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.startWriters(ctx)
	e.wakes = newWakes(o.FetchCooldown, func(queues []string) {
		if err := postgres.WakeQueues(e.stopping, o.Pool, queues); err != nil && e.stopping.Err() == nil {
			o.Log.WarnContext(e.stopping, "wake not sent", slog.Any("error", err))
		}
	})
	go e.pollForWaiters()
	return e
}

func (o *Options) setDefaults() {
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
}

func (e *Engine) startWriters(ctx context.Context) {
	e.accepts = batch.NewWriter(ctx, e.writeAccepts, batch.Config[postgres.NewPayment]{
		Key: idempotencyKeyOf, Linger: linger, Judge: verdictOn,
		Scope: func(p postgres.NewPayment) string { return string(p.WalletID[:]) },
		Free: func(ctx context.Context, list []postgres.NewPayment) ([]bool, error) {
			return postgres.FreePurchases(ctx, e.Pool, list)
		},
	})
	e.intakes = batch.NewWriter(ctx, e.writeIntakes, batch.Config[Intake]{
		Key: func(i Intake) string { return i.Event.ID }, Linger: linger, Judge: verdictOn,
	})
	e.settles = batch.NewWriter(ctx, e.writeSettlements, batch.Config[wallet.Settlement]{
		Key: func(s wallet.Settlement) string { return string(s.PaymentID[:]) }, Linger: linger, Judge: verdictOn,
		Free: func(ctx context.Context, list []wallet.Settlement) ([]bool, error) {
			ids := make([]wallet.ID, len(list))
			for i, s := range list {
				ids[i] = s.PaymentID
			}
			return postgres.FreePayments(ctx, e.Pool, ids)
		},
	})
	e.found = batch.NewWriter(ctx, func(ctx context.Context, ids []string) ([]postgres.FoundEvent, error) {
		return postgres.FindEvents(ctx, e.Pool, ids)
	}, batch.Config[string]{Key: func(id string) string { return id }, Judge: verdictOn})
	e.finishes = batch.NewWriter(ctx, func(ctx context.Context, list []postgres.FinishedEvent) ([]struct{}, error) {
		return make([]struct{}, len(list)), postgres.FinishEvents(ctx, e.Pool, list)
	}, batch.Config[postgres.FinishedEvent]{Key: func(f postgres.FinishedEvent) string { return f.ID }, Judge: verdictOn})
}

// verdictOn returns what the error of a group's write means for its members.
func verdictOn(err error) batch.Verdict {
	switch {
	case postgres.Blocked(err):
		return batch.Blocked
	case postgres.InDoubt(err), postgres.Unavailable(err):
		return batch.Failed
	default:
		return batch.Refused
	}
}

// Connect sets the River client through which the engine inserts jobs.
func (e *Engine) Connect(client *river.Client[pgx.Tx]) { e.river = client }

// Drain ends the waits of all callers: Wait and WaitRefund return the current state at
// once, now and later. The process calls it when it is about to stop. The payments
// continue.
func (e *Engine) Drain() { e.drainOnce.Do(func() { close(e.draining) }) }

// Close waits until every write under way has ended, or ctx ends.
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

// stripe returns the client of a mode. Jobs of a mode without a client fail and are
// tried again, because another process may have the key.
func (e *Engine) stripe(mode wallet.Mode) (Stripe, error) {
	if s, ok := e.Stripe[mode]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("no Stripe key is configured for %s mode", mode)
}

// writeLimit limits a transaction. A normal one takes milliseconds.
const writeLimit = batch.DefaultLimit

// inTx runs do in a transaction. Its error is a postgres.DoubtError when the
// transaction may have been committed: see postgres.InTx.
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
	// COPY is cheaper for many jobs, but the database plans it anew each time.
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

// scaled returns a wait divided by CheckScale.
func (e *Engine) scaled(d time.Duration) time.Duration { return d / time.Duration(e.CheckScale) }

// repeat calls do every d until ctx ends, and at once when early receives a value. A
// nil early never does.
func repeat(ctx context.Context, d time.Duration, early <-chan struct{}, do func(ctx context.Context)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-early:
		case <-tick.C:
		}
		do(ctx)
	}
}

// insertClaimed inserts the jobs that claim returns, in claim's transaction, and wakes
// their queue.
func (e *Engine) insertClaimed(ctx context.Context, queue string, claim func(tx pgx.Tx) ([]river.InsertManyParams, error)) error {
	inserted := false
	err := e.inTx(ctx, func(tx pgx.Tx) error {
		params, err := claim(tx)
		if err != nil {
			return err
		}
		inserted = len(params) > 0
		return e.insertJobs(ctx, tx, params)
	})
	if err == nil && inserted {
		e.wakes.wake(queue)
	}
	return err
}

// jobOf returns a job for a statement to insert. The statement adds the args.
func jobOf(args interface {
	river.JobArgs
	river.JobArgsWithInsertOpts
},
) *postgres.Job {
	opts := args.InsertOpts()
	return &postgres.Job{Kind: args.Kind(), Queue: opts.Queue, MaxAttempts: opts.MaxAttempts}
}
