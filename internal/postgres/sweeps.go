package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Sweep is how far Stripe's list of events has been read in a mode.
type Sweep struct {
	// Until is the time before which everything has been read.
	Until time.Time
	// ResumeAfter is the event that the last sweep ended with, when it did not come
	// to the end of the list; empty when it did.
	ResumeAfter string
}

// LastSweep says how far Stripe's list of events has been read in a mode. The
// second result is false when it never was.
func LastSweep(ctx context.Context, db DB, mode wallet.Mode) (Sweep, bool, error) {
	var s Sweep
	err := db.QueryRow(ctx, `select swept_until, coalesce(resume_after, '') from event_sweeps where mode = $1`, mode).
		Scan(&s.Until, &s.ResumeAfter)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("find sweep of %s mode: %w", mode, err)
	}
	return s, true, nil
}

// SaveSweep notes how far events were read, and how many of them were new. Its time
// never goes back behind what another sweep has reached.
func SaveSweep(ctx context.Context, db DB, mode wallet.Mode, to Sweep, found int, now time.Time) error {
	_, err := db.Exec(ctx, `
		insert into event_sweeps as s (mode, swept_until, resume_after, found, swept_at)
		values ($1, $2, $5, $3, $4)
		on conflict (mode) do update
		set swept_until = greatest(s.swept_until, excluded.swept_until), resume_after = excluded.resume_after,
			found = s.found + excluded.found, swept_at = greatest(s.swept_at, excluded.swept_at)`,
		mode, to.Until, found, now, orNull(to.ResumeAfter))
	if err != nil {
		return fmt.Errorf("save sweep of %s mode: %w", mode, err)
	}
	return nil
}

// OldestConcern is when the oldest payment of a mode was accepted that is still
// open, or that was accepted after a time. Nothing that Stripe has to say of
// older ones can be news. The second result is false when there is none.
func OldestConcern(ctx context.Context, db DB, mode wallet.Mode, after time.Time) (time.Time, bool, error) {
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

// LatestEventBefore finds the id of an event of a mode that happened and came
// before a time, among the last of those. It is empty when there is none.
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

// KnownEvents tells which of the events are stored.
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
