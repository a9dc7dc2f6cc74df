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

// QueueDeliver is the queue of deliveries to merchants. A slow endpoint occupies workers
// of this queue only.
const QueueDeliver = "deliver"

// Merchants sends deliveries to merchants' endpoints.
type Merchants interface {
	// Send makes one attempt. It returns the HTTP status of the answer, zero without
	// one, and an error if the attempt did not succeed.
	Send(ctx context.Context, m delivery.Message) (int, error)
}

const (
	// deliverLease is how long a claim on a lane lasts. Each attempt renews it. It is
	// longer than the longest attempt.
	deliverLease = 45 * time.Second
	// deliverFor is how long one job works on a lane before it releases its worker.
	deliverFor = 10 * time.Second
	// deliverAtOnce is how many deliveries to one endpoint may be under way.
	deliverAtOnce = 8
	// deliverEvery is how often each process looks for due deliveries.
	deliverEvery = time.Second
)

// deliveryWaits are the waits between attempts. A delivery has eight attempts within
// about a day.
var deliveryWaits = []time.Duration{
	10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour,
}

const (
	// holdAtFirst is how long a failing endpoint is held at first: no attempt is made
	// meanwhile. The time doubles with each further failure, up to holdAtMost.
	holdAtFirst = 30 * time.Second
	holdAtMost  = time.Hour
)

// DeliverArgs names a lane: the pending deliveries about one object to one endpoint, in
// the order of the object's events.
type DeliverArgs struct{ postgres.Lane }

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts gives the job few attempts. Only a database error fails the job, and after
// the last attempt the lane becomes due again. A failed delivery does not fail the job.
func (DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 3, Queue: QueueDeliver}
}

// DeliverWorker sends events to merchants' endpoints. Each delivery is made at least
// once. The deliveries of a lane are made in order: the next one is not tried until the
// previous one has succeeded or was given up.
type DeliverWorker struct {
	river.WorkerDefaults[DeliverArgs]
	Engine *Engine
}

// Work makes the lane's deliveries one after another. No database transaction is open
// during an attempt.
func (w *DeliverWorker) Work(ctx context.Context, job *river.Job[DeliverArgs]) error {
	e, lane := w.Engine, job.Args.Lane
	for began := e.Now(); ; {
		d, err := postgres.NextDelivery(ctx, e.Pool, lane, e.Now())
		if err != nil {
			return err
		}
		if d == nil {
			return postgres.EndLane(ctx, e.Pool, lane) // nothing is pending, or the endpoint was removed
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

// deliver makes one attempt. It reports whether the lane's next delivery may follow now.
func (e *Engine) deliver(ctx context.Context, lane postgres.Lane, d *postgres.Delivery) (bool, error) {
	began := e.Now()
	sending, end := e.trace(ctx, "deliver event", d.Event.Traceparent)
	status, err := e.Merchants.Send(sending, delivery.Message{
		DeliveryID: d.ID, Endpoint: d.Endpoint, Event: d.Event, Now: began, Secrets: d.Secrets,
	})
	end(err)
	if ctx.Err() != nil {
		return false, ctx.Err() // the process stops, so the endpoint did not fail
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

// outcomeOf returns the outcome of an attempt for Watcher.
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

// holdFor returns how long the endpoint is held if this attempt makes it held.
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

// DispatchDeliveries inserts jobs for lanes with due deliveries until ctx ends: every
// second, and immediately when this process has committed a delivery. Every process with
// workers calls DispatchDeliveries. Each due lane goes to one of them.
func (e *Engine) DispatchDeliveries(ctx context.Context) {
	repeat(ctx, deliverEvery, e.announced, func(ctx context.Context) {
		if err := e.dispatchDeliveries(ctx); err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, "look for due deliveries", slog.Any("error", err))
		}
	})
}

func (e *Engine) dispatchDeliveries(ctx context.Context) error {
	return e.insertClaimed(ctx, QueueDeliver, func(tx pgx.Tx) ([]river.InsertManyParams, error) {
		lanes, err := postgres.ClaimLanes(ctx, tx, e.Now(), deliverLease, deliverAtOnce)
		if err != nil {
			return nil, err
		}
		params := make([]river.InsertManyParams, len(lanes))
		for i, l := range lanes {
			params[i].Args = DeliverArgs{l}
		}
		return params, nil
	})
}

// announce makes DispatchDeliveries of this process look for due deliveries now.
func (e *Engine) announce() {
	select {
	case e.announced <- struct{}{}:
	default: // a token is there already
	}
}
