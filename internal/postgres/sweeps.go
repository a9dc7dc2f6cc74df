package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Sweep is the position up to which Stripe's list of events has been read in a mode.
type Sweep struct {
	// Until is the time before which all events have been read.
	Until time.Time `db:"swept_until"`
	// ResumeAfter is the last event that the last sweep read. It is empty if the sweep
	// reached the end of the list.
	ResumeAfter string
}

// LastSweep returns the position up to which Stripe's list of events has been read in a
// mode. The second result is false if it was never read.
func LastSweep(ctx context.Context, db DB, mode wallet.Mode) (Sweep, bool, error) {
	rows, _ := db.Query(ctx, `
		select swept_until, coalesce(resume_after, '') as resume_after from event_sweeps where mode = $1`, mode)
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Sweep])
	if errors.Is(err, pgx.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("find sweep of %s mode: %w", mode, err)
	}
	return s, true, nil
}

// SaveSweep stores the position up to which events were read and adds the number of new
// events. The stored time never decreases: a concurrent sweep may have read further.
func SaveSweep(ctx context.Context, db DB, mode wallet.Mode, to Sweep, found int, now time.Time) error {
	_, err := db.Exec(ctx, `
		insert into event_sweeps as s (mode, swept_until, resume_after, found, swept_at)
		values ($1, $2, $5, $3, $4)
		on conflict (mode) do update
		set swept_until = greatest(s.swept_until, excluded.swept_until), resume_after = excluded.resume_after,
			found = s.found + excluded.found, swept_at = greatest(s.swept_at, excluded.swept_at)`,
		mode, to.Until, found, now, nullable.From(to.ResumeAfter))
	if err != nil {
		return fmt.Errorf("save sweep of %s mode: %w", mode, err)
	}
	return nil
}

// OldestRelevantPayment returns when the oldest payment of a mode was accepted that is open
// or was accepted after a time. Events from before then cannot change a payment. The second
// result is false if there is no such payment.
func OldestRelevantPayment(ctx context.Context, db DB, mode wallet.Mode, after time.Time) (time.Time, bool, error) {
	var oldest *time.Time
	err := db.QueryRow(ctx, `
		select min(created_at) from payments
		where mode = $1 and (next_check_at is not null or created_at >= $2)`, mode, after).Scan(&oldest)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("find oldest payment of %s mode: %w", mode, err)
	}
	if oldest == nil {
		return time.Time{}, false, nil
	}
	return *oldest, true, nil
}

// LatestEventBefore returns the id of the event of a mode that was received last before a
// time and was also created before it. It is empty if there is none.
func LatestEventBefore(ctx context.Context, db DB, mode wallet.Mode, before time.Time) (string, error) {
	var id string
	err := db.QueryRow(ctx, `
		select id from stripe_events
		where mode = $1 and received_at <= $2 and created_at <= $2
		order by received_at desc, id
		limit 1`, mode, before).Scan(&id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("find event of %s mode: %w", mode, err)
	}
	return id, nil
}

// KnownEvents returns the set of the events that are stored.
func KnownEvents(ctx context.Context, db DB, ids []string) (map[string]bool, error) {
	rows, _ := db.Query(ctx, `select id from stripe_events where id = any ($1)`, nonNil(ids))
	known := make(map[string]bool, len(ids))
	var id string
	_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		known[id] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up events: %w", err)
	}
	return known, nil
}
