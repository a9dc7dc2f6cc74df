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

// Intake is an event on its way in.
type Intake struct {
	Event postgres.Event
	// Needless says that the event asks for nothing once its payment has
	// succeeded.
	Needless bool
}

// holdFor is how long an event is held back while this process charges its
// payment. The charge's own answer is a moment away, and behind it the event costs
// one row and nothing else. Stripe waits for seconds.
const holdFor = time.Second

// TakeIn stores an event and, if something has to be done about it, the job that
// does it, in one transaction. An event that was here before is counted; if it is
// still not handled after a while, it gets another job.
func (e *Engine) TakeIn(ctx context.Context, i Intake) (postgres.StoredEvent, error) {
	if i.Needless {
		e.charging.wait(ctx, i.Event.PaymentID, holdFor)
	}
	ctx, end := e.traceEvent(ctx, "take in event", i.Event, nil)
	stored, err := e.intakes.Do(ctx, i)
	end(err)
	return stored, err
}

func (e *Engine) writeIntakes(ctx context.Context, list []Intake) ([]postgres.StoredEvent, error) {
	events, needless := make([]postgres.Event, len(list)), make([]bool, len(list))
	for i, in := range list {
		events[i], needless[i] = in.Event, in.Needless
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	stored, err := postgres.StoreEvents(ctx, e.Pool, events, needless, e.scaled(postgres.RearmAfter), jobOf(HandleEventArgs{}))
	if err != nil {
		return nil, err
	}
	breakpoint.Reach(breakpoint.IntakeCommitted)
	for i, s := range stored {
		if event := list[i].Event; s.New {
			e.Watch.EventTakenIn(event.Mode, event.Source, event.ReceivedAt.Sub(event.CreatedAt))
		}
		if s.Arm {
			e.wakes.wake(QueueSettle)
		}
	}
	return stored, nil
}

// LookForDueEvents makes jobs for the events whose time has come, every second
// until ctx ends: those that waited for a charge in vain, and those whose job may
// be lost. Every process that works jobs runs it; no two get the same event.
func (e *Engine) LookForDueEvents(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := e.armDueEvents(ctx); err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, "look for due events", slog.Any("error", err))
		}
	}
}

func (e *Engine) armDueEvents(ctx context.Context) error {
	const limit = 1000 // a round's share; the rest is due in the next one
	armed := 0
	err := e.inTx(ctx, func(tx pgx.Tx) error {
		ids, err := postgres.ClaimDueEvents(ctx, tx, e.Now(), e.scaled(postgres.RearmAfter), limit)
		if err != nil {
			return err
		}
		params := make([]river.InsertManyParams, len(ids))
		for i, id := range ids {
			params[i].Args = HandleEventArgs{EventID: id}
		}
		armed = len(ids)
		return e.insertJobs(ctx, tx, params)
	})
	if err == nil && armed > 0 {
		e.wakes.wake(QueueSettle)
	}
	return err
}
