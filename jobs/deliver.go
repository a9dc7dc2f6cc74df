package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/delivery"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// QueueDeliver is where merchants are told. A merchant who is slow to answer keeps
// workers of this queue alone.
const QueueDeliver = "deliver"

// Merchants is what the jobs ask of merchants' endpoints: one attempt to deliver,
// with the status of the answer, or why it did not succeed.
type Merchants interface {
	Send(ctx context.Context, m delivery.Message) (int, error)
}

const (
	// deliverLease is how long a claim on a lane holds without being renewed. It is
	// longer than an attempt may take.
	deliverLease = 45 * time.Second
	// deliverFor is how long one job goes on with a lane that has more to deliver.
	deliverFor = 10 * time.Second
	// deliverAtOnce is how many deliveries are under way to one endpoint.
	deliverAtOnce = 8
	// deliverEvery is how often each process looks for what is due.
	deliverEvery = time.Second
)

// deliveryWaits are the waits after each failed attempt but the last: eight
// attempts within about a day.
var deliveryWaits = []time.Duration{
	10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour,
}

const (
	// holdAtFirst is how long an endpoint is left alone when it is first held. It doubles
	// with each attempt that fails then, up to holdAtMost.
	holdAtFirst = 30 * time.Second
	holdAtMost  = time.Hour
)

// DeliverArgs asks for the pending deliveries of one object to one endpoint, in
// the order of what happened to the object.
type DeliverArgs struct{ postgres.Lane }

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts gives the job few attempts: they are for a database that is away, and
// after the last one the lane is due again by itself. What a merchant's endpoint
// answers is no failure of the job.
func (DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 3, Queue: QueueDeliver}
}

// DeliverWorker tells merchants what happened. Each delivery is made at least once
// and, to one endpoint and about one object, in order: the next one is not tried
// before the one before it succeeded or was given up.
type DeliverWorker struct {
	river.WorkerDefaults[DeliverArgs]
	Engine *Engine
}

// Work sends one delivery behind the other. No database transaction is open while a
// merchant is asked.
func (w *DeliverWorker) Work(ctx context.Context, job *river.Job[DeliverArgs]) error {
	e, lane := w.Engine, job.Args.Lane
	for began := e.Now(); ; {
		d, err := postgres.NextDelivery(ctx, e.Pool, lane, e.Now())
		if err != nil {
			return err
		}
		if d == nil {
			return postgres.EndLane(ctx, e.Pool, lane) // taken over, given up, or nobody listens any more
		}
		next, err := e.deliver(ctx, lane, d)
		if err != nil || !next {
			return err
		}
		if e.Now().Sub(began) > deliverFor {
			return postgres.ReleaseLane(ctx, e.Pool, lane, e.Now())
		}
	}
}

// deliver makes one attempt, and tells whether the lane's next one may follow.
func (e *Engine) deliver(ctx context.Context, lane postgres.Lane, d *postgres.Delivery) (bool, error) {
	began := e.Now()
	sending, end := e.trace(ctx, "deliver event", d.Event.Traceparent)
	status, err := e.Merchants.Send(sending, delivery.Message{
		DeliveryID: d.ID, Endpoint: d.Endpoint, Event: d.Event, Now: began, Secrets: d.Secrets,
	})
	end(err)
	if ctx.Err() != nil {
		return false, ctx.Err() // the process stops: that is no failure of the endpoint's
	}
	a := postgres.DeliveryAttempt{
		DeliveryID: d.ID, AttemptedAt: began, Duration: max(0, e.Now().Sub(began)), ResponseStatus: status,
	}
	if err != nil {
		a.Error = err.Error()
		if d.Attempts < len(deliveryWaits) && !breakpoint.Broken(breakpoint.DeliveryRetry) {
			a.RetryAfter = e.scaled(jitter(deliveryWaits[d.Attempts]))
		}
		a.HoldFor = e.scaled(jitter(e.holdFor(d)))
	}
	r, err := postgres.RecordAttempt(ctx, e.Pool, lane, a, deliverLease)
	if err != nil {
		return false, err
	}
	e.Watch.Delivered(d.Endpoint.Signature, outcomeOf(a), a.Duration)
	e.logDelivery(ctx, d, a, r)
	return r.Next, nil
}

func outcomeOf(a postgres.DeliveryAttempt) string {
	switch {
	case a.Error == "":
		return "delivered"
	case a.RetryAfter > 0:
		return "failed"
	default:
		return "given_up"
	}
}

// holdFor is how long the endpoint is left alone if it is held now.
func (e *Engine) holdFor(d *postgres.Delivery) time.Duration {
	over := max(0, d.EndpointFailures+1-wallet.HoldAfter)
	return min(holdAtMost, holdAtFirst<<min(over, 16))
}

func (e *Engine) logDelivery(ctx context.Context, d *postgres.Delivery, a postgres.DeliveryAttempt, r postgres.AttemptResult) {
	attrs := []slog.Attr{
		slog.String("delivery_id", d.ID.String()),
		slog.String("event_id", d.Event.ID.String()),
		slog.String("type", string(d.Event.Type)),
		slog.String("object_id", d.Event.ObjectID.String()),
		slog.String("endpoint_id", d.Endpoint.ID.String()),
		slog.Int("attempt", d.Attempts+1),
		slog.Int("status", a.ResponseStatus),
		slog.Duration("duration", a.Duration),
	}
	if a.Error == "" {
		e.Log.LogAttrs(ctx, slog.LevelDebug, "delivered", attrs...)
		return
	}
	attrs = append(attrs, slog.String("error", a.Error))
	if a.RetryAfter > 0 {
		e.Log.LogAttrs(ctx, slog.LevelInfo, "delivery failed", attrs...)
	} else {
		e.Log.LogAttrs(ctx, slog.LevelWarn, "delivery given up", attrs...)
	}
	if r.Failures == wallet.HoldAfter {
		e.Log.LogAttrs(ctx, slog.LevelWarn, "webhook endpoint held",
			slog.String("endpoint_id", d.Endpoint.ID.String()),
			slog.String("organization_id", d.Endpoint.OrganizationID.String()),
			slog.Int("failures", r.Failures),
			slog.String("error", a.Error))
	}
}

// DispatchDeliveries makes jobs for the deliveries that are due, until ctx ends: at
// once when this process has something to tell, and every second besides. Every
// process that works jobs runs it; no two get the same lane.
func (e *Engine) DispatchDeliveries(ctx context.Context) {
	tick := time.NewTicker(deliverEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.announced:
		case <-tick.C:
		}
		if err := e.dispatchDeliveries(ctx); err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, "look for due deliveries", slog.Any("error", err))
		}
	}
}

func (e *Engine) dispatchDeliveries(ctx context.Context) error {
	claimed := 0
	err := e.inTx(ctx, func(tx pgx.Tx) error {
		lanes, err := postgres.ClaimLanes(ctx, tx, e.Now(), deliverLease, deliverAtOnce)
		if err != nil {
			return err
		}
		params := make([]river.InsertManyParams, len(lanes))
		for i, l := range lanes {
			params[i].Args = DeliverArgs{l}
		}
		claimed = len(lanes)
		return e.insertJobs(ctx, tx, params)
	})
	if err == nil && claimed > 0 {
		e.wakes.wake(QueueDeliver)
	}
	return err
}

// announce has this process look for due deliveries at once.
func (e *Engine) announce() {
	select {
	case e.announced <- struct{}{}:
	default: // somebody has said so, and nobody has looked yet
	}
}
