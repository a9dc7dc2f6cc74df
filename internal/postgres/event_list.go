package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// EventFilter says which stored events are wanted. Empty fields let everything
// through, save for the mode.
type EventFilter struct {
	Mode   wallet.Mode
	Status EventStatus
	Type   string
	Limit  int
}

// ListEvents gives the stored events that pass the filter, the newest first and
// without their bodies.
func ListEvents(ctx context.Context, db DB, f EventFilter) ([]Event, error) {
	rows, _ := db.Query(ctx, `
		select id, mode, type, coalesce(api_version, ''), coalesce(object_id, ''), coalesce(stripe_payment_intent_id, ''),
			coalesce(payment_id, '00000000-0000-0000-0000-000000000000'), status, source, ''::bytea, deliveries, created_at,
			received_at, handled_at, coalesce(note, '')
		from stripe_events
		where mode = $1 and ($2 = '' or status = $2) and ($3 = '' or type = $3)
		order by received_at desc, id
		limit $4`, f.Mode, string(f.Status), f.Type, f.Limit)
	list, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return nonNil(list), nil
}

// ReplayEvent makes a stored event pending again, whatever became of it before.
// The transaction must also insert its job. An unknown event is CodeNotFound.
func ReplayEvent(ctx context.Context, tx pgx.Tx, id string, now time.Time) error {
	var found string
	err := tx.QueryRow(ctx, `
		update stripe_events
		set status = 'pending', due_at = $2, handled_at = null, handled_by = null, note = null
		where id = $1
		returning id`, id, now.Add(RearmAfter)).Scan(&found)
	if errors.Is(err, pgx.ErrNoRows) {
		return &wallet.Error{Code: wallet.CodeNotFound, Message: "No stored event has this id."}
	}
	if err != nil {
		return fmt.Errorf("replay event %s: %w", id, err)
	}
	return nil
}

// CountArrivals tells how the newest events of a mode came, at most limit and none
// received before since: by a webhook, or found by a sweep.
func CountArrivals(ctx context.Context, db DB, mode wallet.Mode, since time.Time, limit int) (webhook, sweep int, err error) {
	err = db.QueryRow(ctx, `
		select count(*) filter (where source = 'webhook'), count(*) filter (where source = 'sweep')
		from (select source from stripe_events where mode = $1 and received_at >= $2 order by received_at desc limit $3) e`,
		mode, since, limit).Scan(&webhook, &sweep)
	if err != nil {
		return 0, 0, fmt.Errorf("count arrivals of events: %w", err)
	}
	return webhook, sweep, nil
}
