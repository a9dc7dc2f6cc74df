package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
)

// Intake is an event that is to be stored.
type Intake struct {
	Event postgres.Event
	// IgnorableWhenFinal reports whether the event needs no job when its payment is
	// already in the state that the event reports, or past it.
	IgnorableWhenFinal bool
}

// holdFor is how long TakeIn waits for this process's own charge of the payment. The
// charge's answer usually arrives within that time, and then the event needs no job.
// Stripe waits several seconds for the answer to a webhook.
const holdFor = time.Second

// TakeIn stores an event and, if the event needs one, the job that handles it, in one
// transaction. A repeated event is counted. If it is still not handled some time later,
// it gets another job.
func (e *Engine) TakeIn(ctx context.Context, i Intake) (postgres.StoredEvent, error) {
	if i.IgnorableWhenFinal {
		e.charging.wait(ctx, i.Event.PaymentID, holdFor)
	}
	ctx, end := e.traceEvent(ctx, "take in event", i.Event, nil)
	stored, err := e.intakes.Do(ctx, i)
	end(err)
	return stored, err
}

func (e *Engine) writeIntakes(ctx context.Context, list []Intake) ([]postgres.StoredEvent, error) {
	events, ignorable := make([]postgres.Event, len(list)), make([]bool, len(list))
	for i, in := range list {
		events[i], ignorable[i] = in.Event, in.IgnorableWhenFinal
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	stored, err := postgres.StoreEvents(ctx, e.Pool, events, ignorable, e.scaled(postgres.RearmAfter), jobOf(HandleEventArgs{}))
	if err != nil {
		return nil, err
	}
	breakpoint.Reach(breakpoint.IntakeCommitted)
	for i, s := range stored {
		if event := list[i].Event; s.New {
			e.Watch.EventTakenIn(event.Mode, event.Source, event.ReceivedAt.Sub(event.CreatedAt))
		}
		if s.NeedsJob {
			e.wakes.wake(QueueSettle)
		}
	}
	return stored, nil
}

// LookForDueEvents inserts jobs for due events, every second until ctx ends. An event is
// due when the charge that it reports has not settled its payment in time, or when its
// job may be lost. Every process with workers calls LookForDueEvents. Each due event
// goes to one of them.
func (e *Engine) LookForDueEvents(ctx context.Context) {
	repeat(ctx, time.Second, nil, func(ctx context.Context) {
		if err := e.insertJobsOfDueEvents(ctx); err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, "look for due events", slog.Any("error", err))
		}
	})
}

func (e *Engine) insertJobsOfDueEvents(ctx context.Context) error {
	const limit = 1000 // for one round; the others are due in the next one
	return e.insertClaimed(ctx, QueueSettle, func(tx pgx.Tx) ([]river.InsertManyParams, error) {
		ids, err := postgres.ClaimDueEvents(ctx, tx, e.Now(), e.scaled(postgres.RearmAfter), limit)
		if err != nil {
			return nil, err
		}
		params := make([]river.InsertManyParams, len(ids))
		for i, id := range ids {
			params[i].Args = HandleEventArgs{EventID: id}
		}
		return params, nil
	})
}
