package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// SweepEventsEvery is how often Stripe's list of events is read.
const SweepEventsEvery = 3 * time.Minute

const (
	// sweepOverlap is how far a sweep goes back before the end of the previous one.
	// Stripe lists events slightly out of order.
	sweepOverlap = 10 * time.Minute
	// sweepLag is the distance between the end of a sweep and the present. The list may
	// not show the newest events yet.
	sweepLag = time.Minute
	// eventLife is how long Stripe keeps events.
	eventLife = 30 * 24 * time.Hour
	// sweepFor is how long a sweep may take before it releases its worker.
	sweepFor = 25 * time.Second
)

// SweepEventsArgs names a mode whose missed events are to be found.
type SweepEventsArgs struct {
	Mode wallet.Mode `json:"mode"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (SweepEventsArgs) Kind() string { return "sweep_events" }

// InsertOpts gives the job one attempt, because the job is periodic.
func (SweepEventsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: QueuePeriodic}
}

// SweepEventsWorker reads Stripe's list of events from the end of the last sweep on, and
// takes in the events that no webhook has brought.
type SweepEventsWorker struct {
	river.WorkerDefaults[SweepEventsArgs]
	Engine *Engine
}

// Work sweeps. An unfinished sweep continues at once in another run of the job.
func (w *SweepEventsWorker) Work(ctx context.Context, job *river.Job[SweepEventsArgs]) error {
	if _, ok := w.Engine.Stripe[job.Args.Mode]; !ok {
		return nil // another process may have the key of the mode
	}
	whole, err := w.Engine.SweepEvents(ctx, job.Args.Mode, sweepFor)
	if err == nil && !whole {
		return river.JobSnooze(0)
	}
	return err
}

// SweepEvents takes in the events of a mode that Stripe lists and that are not stored,
// from the oldest to the newest. It saves its position after each page. It reports
// whether it has reached the end within d.
func (e *Engine) SweepEvents(ctx context.Context, mode wallet.Mode, d time.Duration) (bool, error) {
	stripe, err := e.stripe(mode)
	if err != nil {
		return false, err
	}
	began := e.Now()
	query, err := e.sweepFrom(ctx, mode, began)
	if err != nil {
		return false, err
	}
	s := &sweep{engine: e, mode: mode, began: began, latest: query.Since, resumeAfter: query.After}
	const page = 100 // the number of events in one answer of Stripe
	for event, err := range stripe.ListEvents(ctx, query) {
		if err != nil {
			return false, errors.Join(fmt.Errorf("sweep events of %s mode: %w", mode, err), s.flush(ctx))
		}
		s.events = append(s.events, event)
		if len(s.events) < page {
			continue
		}
		if err := s.flush(ctx); err != nil {
			return false, err
		}
		if e.Now().Sub(began) > d {
			return false, nil
		}
	}
	s.latest, s.resumeAfter = began, "" // everything before this time was read
	s.ended = true
	return true, s.flush(ctx)
}

// sweepFrom returns where to begin. After an unfinished sweep that is its last event.
// After a finished sweep it is sweepOverlap before its end. The first sweep begins with
// the oldest payment that Stripe may have events about. An unfinished sweep does not go
// back, because it would never end if the overlap had more events than it can read.
func (e *Engine) sweepFrom(ctx context.Context, mode wallet.Mode, now time.Time) (stripeapi.EventQuery, error) {
	q := stripeapi.EventQuery{Types: eventTypes}
	horizon := now.Add(-eventLife)
	last, swept, err := postgres.LastSweep(ctx, e.Pool, mode)
	if err != nil {
		return q, err
	}
	from := last.Until
	if !swept {
		oldest, found, err := postgres.OldestRelevantPayment(ctx, e.Pool, mode, horizon)
		if err != nil {
			return q, err
		}
		from = now
		if found {
			from = oldest
		}
	}
	q.Since = from.Add(-sweepOverlap)
	if q.Since.Before(horizon) {
		q.Since = horizon
	}
	if last.ResumeAfter != "" {
		q.After = last.ResumeAfter
		return q, nil
	}
	// With an event's id Stripe lists the events after it without a search. If Stripe
	// has deleted that event, Since decides.
	q.After, err = postgres.LatestEventBefore(ctx, e.Pool, mode, q.Since)
	return q, err
}

// sweep is the state of a sweep.
type sweep struct {
	engine *Engine
	mode   wallet.Mode
	began  time.Time
	events []stripeapi.Event // read, but not yet taken in
	latest time.Time         // all events before this time have been read
	// resumeAfter is the id of the last event that was read, or of the event before the
	// first one. It is empty when all events have been read.
	resumeAfter string
	ended       bool
}

// flush takes the gathered events in and then saves the position. After a crash in
// between, the next sweep reads the same events again.
func (s *sweep) flush(ctx context.Context) error {
	e := s.engine
	ids := make([]string, len(s.events))
	for i, event := range s.events {
		ids[i] = event.ID
		if event.CreatedAt.After(s.latest) {
			s.latest = event.CreatedAt
		}
		if !s.ended {
			s.resumeAfter = event.ID
		}
	}
	known, err := postgres.KnownEvents(ctx, e.Pool, ids)
	if err != nil {
		return err
	}
	found := 0
	var group errgroup.Group // concurrent calls of TakeIn share transactions
	for _, event := range s.events {
		if known[event.ID] {
			continue
		}
		in, err := ParseEvent(event.Raw, s.mode)
		if err != nil {
			e.Log.ErrorContext(ctx, "listed event refused", slog.String("event_id", event.ID), slog.Any("error", err))
			continue
		}
		found++
		in.Event.Source, in.Event.ReceivedAt = "sweep", e.Now()
		group.Go(func() error {
			_, err := e.TakeIn(ctx, in)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("take in swept events: %w", err)
	}
	s.events = s.events[:0]
	if found > 0 {
		e.Log.WarnContext(ctx, "events found that no webhook brought", slog.String("mode", string(s.mode)), slog.Int("events", found))
	}
	until := s.latest
	if limit := s.began.Add(-sweepLag); until.After(limit) {
		until = limit
	}
	return postgres.SaveSweep(ctx, e.Pool, s.mode, postgres.Sweep{Until: until, ResumeAfter: s.resumeAfter}, found, e.Now())
}
