package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// EventRow is a stored Stripe event in a list, without its body.
type EventRow struct {
	ID         string
	Type       string
	Status     postgres.EventStatus
	Source     string
	Deliveries int
	ObjectID   string
	IntentID   string `db:"stripe_payment_intent_id"`
	PaymentID  *wallet.ID
	CreatedAt  time.Time
	ReceivedAt time.Time
	DueAt      time.Time // when a pending event gets a new job
	HandledAt  *time.Time
	HandledBy  string
	Note       string
}

const eventRowColumns = `e.id, e.type, e.status, e.source, e.deliveries, coalesce(e.object_id, '') as object_id,
	coalesce(e.stripe_payment_intent_id, '') as stripe_payment_intent_id, e.payment_id, e.created_at, e.received_at, e.due_at,
	e.handled_at, coalesce(e.handled_by, '') as handled_by, coalesce(e.note, '') as note`

// EventRowFilter selects events. Mode is required; other empty fields match every
// event.
type EventRowFilter struct {
	Mode   wallet.Mode
	Status postgres.EventStatus
	Type   string
	Cursor string // Next of the page before, empty for the first page
	Limit  int
}

// ListEventRows returns a page of the events that match the filter, the newest first.
// Pending events come in the order in which they are due.
func ListEventRows(ctx context.Context, db postgres.DB, f EventRowFilter) (Page[EventRow], error) {
	column, direction, bound := "received_at", "desc", "<"
	afterAt, afterID := farFuture, ""
	if f.Status == postgres.EventPending {
		column, direction, bound, afterAt = "due_at", "", ">", time.Time{}
	}
	if f.Cursor != "" {
		var err error
		if afterAt, afterID, err = parseTimeCursor(f.Cursor); err != nil {
			return Page[EventRow]{}, err
		}
	}
	// The index is on (received_at desc, id): ids ascend within one time.
	after := `(e.` + column + ` ` + bound + ` @after_at or e.` + column + ` = @after_at and e.id > @after_id)`
	order := ` order by e.` + column + ` ` + direction + `, e.id`
	window := f.Limit + 1
	if f.Type != "" || f.Status != "" {
		window = ListWindow
	}
	args := pgx.NamedArgs{
		"mode": f.Mode, "status": string(f.Status), "type": f.Type, "after_at": afterAt, "after_id": afterID,
		"window": window, "limit": f.Limit + 1,
	}
	seen := `select id, type, status, ` + column + ` from stripe_events e
		where e.mode = @mode and (@status <> 'pending' or e.status = 'pending')
			and e.` + column + ` ` + bound + `= @after_at and ` + after + order + ` limit @window`
	if f.Status == postgres.EventPending {
		// The index of pending events does not have the mode. There are few pending events.
		seen = `select id, type, status, due_at from stripe_events e
			where e.status = 'pending' and e.mode = @mode and @status = 'pending' and ` + after + order + ` limit @window`
	}
	rows, _ := db.Query(ctx, `
		with seen as (`+seen+`)
		select `+eventRowColumns+`
		from (
			select * from seen e
			where (@type = '' or type = @type) and (@status = '' or status = @status) `+order+` limit @limit
		) page
		join stripe_events e on e.id = page.id`+order, args)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[EventRow])
	if err != nil {
		return Page[EventRow]{}, fmt.Errorf("list events: %w", err)
	}
	cursor := func(e EventRow) string {
		if f.Status == postgres.EventPending {
			return timeCursor(e.DueAt, e.ID)
		}
		return timeCursor(e.ReceivedAt, e.ID)
	}
	if len(list) > f.Limit {
		return paged(list, f.Limit, false, cursor, nil), nil
	}
	type windowEnd struct {
		N      int
		LastAt time.Time
		LastID string
	}
	rows, _ = db.Query(ctx, `
		select count(*) as n, coalesce(`+lastOf(direction)+`(`+column+`), 'epoch') as last_at,
			coalesce((array_agg(id order by `+column+` `+opposite(direction)+`, id desc))[1], '') as last_id
		from (`+seen+`) s`, args)
	end, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[windowEnd])
	if err != nil {
		return Page[EventRow]{}, fmt.Errorf("list events: %w", err)
	}
	return paged(list, f.Limit, end.N >= ListWindow, cursor, func() string { return timeCursor(end.LastAt, end.LastID) }), nil
}

// lastOf returns the aggregate that finds the last time of a list in this direction.
func lastOf(direction string) string {
	if direction == "desc" {
		return "min"
	}
	return "max"
}

func opposite(direction string) string {
	if direction == "desc" {
		return ""
	}
	return "desc"
}

// EventTypeRow is a type of event and when one of it was last received.
type EventTypeRow struct {
	Type   string
	LastAt time.Time
	N      int64 // how many of the newest 2,000 events have the type
}

// ListEventTypes returns the types of the newest 2,000 events of a mode, by name.
func ListEventTypes(ctx context.Context, db postgres.DB, mode wallet.Mode) ([]EventTypeRow, error) {
	const newest = 2000
	rows, _ := db.Query(ctx, `
		select type, max(received_at) as last_at, count(*) as n
		from (select type, received_at from stripe_events where mode = $1 order by received_at desc, id limit $2) e
		group by type
		order by type`, mode, newest)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[EventTypeRow])
	if err != nil {
		return nil, fmt.Errorf("list event types: %w", err)
	}
	return list, nil
}

// EventLag says how late the events of a mode arrive and how many are pending.
type EventLag struct {
	// P50 and P95 are the time from the creation of an event at Stripe to its receipt,
	// over the webhooks among the newest 500 events. Stripe's timestamps have whole
	// seconds.
	P50, P95 time.Duration
	LastAt   *time.Time // receipt of the newest webhook
	// Pending is the number of pending events, counted up to 10,000. OldestAt is the
	// receipt of the oldest of them.
	Pending  int64
	OldestAt *time.Time
}

// GetEventLag measures the events of a mode.
func GetEventLag(ctx context.Context, db postgres.DB, mode wallet.Mode) (EventLag, error) {
	const newest = 500
	type lagRow struct {
		P50, P95 int64 // milliseconds
		LastAt   *time.Time
		Pending  int64
		OldestAt *time.Time
	}
	rows, _ := db.Query(ctx, `
		with recent as (
			select greatest(extract(epoch from received_at - created_at) * 1000, 0) as lag, received_at
			from (select * from stripe_events where mode = $1 order by received_at desc, id limit $2) e
			where source = 'webhook'
		), pending as (
			select received_at from stripe_events where status = 'pending' and mode = $1 limit $3
		)
		select coalesce(percentile_disc(0.5) within group (order by lag), 0)::bigint as p50,
			coalesce(percentile_disc(0.95) within group (order by lag), 0)::bigint as p95, max(received_at) as last_at,
			(select count(*) from pending) as pending, (select min(received_at) from pending) as oldest_at
		from recent`, mode, newest, countCap)
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[lagRow])
	if err != nil {
		return EventLag{}, fmt.Errorf("measure event lag: %w", err)
	}
	return EventLag{
		P50: time.Duration(r.P50) * time.Millisecond, P95: time.Duration(r.P95) * time.Millisecond,
		LastAt: r.LastAt, Pending: r.Pending, OldestAt: r.OldestAt,
	}, nil
}
