package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// OpenPayments is how many payments stand at an open state, and their amount in
// minor units.
type OpenPayments struct {
	Mode     wallet.Mode
	Currency wallet.Currency
	Status   wallet.PaymentStatus
	Payments int64
	Amount   int64
}

// OldestOpen is the age of the oldest payment of an open state, 0 without one.
type OldestOpen struct {
	Mode   wallet.Mode
	Status wallet.PaymentStatus
	Age    time.Duration
}

// ModeGauges are figures of one mode.
type ModeGauges struct {
	Mode        wallet.Mode
	Events      int64 // unhandled
	OldestEvent time.Duration
	// Reconciled is false when it never was; then the two below say nothing.
	Reconciled      bool
	Drift           int64 // what was not repaired
	SinceReconciled time.Duration
}

// QueueGauges are the jobs of a queue that may be worked now.
type QueueGauges struct {
	Queue  string
	Jobs   int64
	Oldest time.Duration
}

// Gauges are the figures that the metrics and fundrail doctor show.
type Gauges struct {
	Open          []OpenPayments
	OldestOpen    []OldestOpen
	Modes         []ModeGauges
	Queues        []QueueGauges
	Lanes         int64
	OldestLane    time.Duration
	Held          int64
	Discrepancies int64
}

// ReadGauges reads the gauges of the modes. Each figure comes from a partial index that
// holds only the rows it counts.
func ReadGauges(ctx context.Context, db DB, modes []wallet.Mode, now time.Time) (Gauges, error) {
	var b pgx.Batch
	b.Queue(`
		select mode, currency, status, count(*) as payments, sum(amount)::bigint as amount, min(created_at) as oldest_at
		from payments where next_check_at is not null
		group by mode, currency, status`)
	b.Queue(`
		select m.mode, coalesce(e.events, 0), e.oldest, r.drift - r.repaired, r.finished_at
		from unnest($1::text[]) with ordinality as m (mode, position)
		left join lateral (
			select count(*) as events, min(received_at) as oldest from stripe_events
			where status = 'pending' and mode = m.mode
		) e on true
		left join lateral (
			select drift, repaired, finished_at from reconciliations where mode = m.mode order by finished_at desc limit 1
		) r on true
		order by m.position`, modes)
	b.Queue(`
		select queue, count(*), min(scheduled_at)
		from (select queue, scheduled_at from river_job where state = 'available' limit 10000) j
		group by queue`)
	b.Queue(`
		select (select count(*) from delivery_lanes),
			(select min(l.due_at) from webhook_endpoints e
				cross join lateral (select due_at from delivery_lanes where endpoint_id = e.id order by due_at limit 1) l
				where e.deleted_at is null and e.status = 'enabled' and e.held_until is null and l.due_at <= $1),
			(select count(*) from webhook_endpoints where deleted_at is null and status = 'enabled' and held_until is not null),
			(select count(*) from payment_discrepancies where resolved_at is null)`, now)
	results := db.SendBatch(ctx, &b)
	g, err := readGauges(results, modes, now)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return g, fmt.Errorf("read how things stand: %w", err)
	}
	return g, nil
}

func readGauges(results pgx.BatchResults, modes []wallet.Mode, now time.Time) (Gauges, error) {
	var g Gauges
	if err := readOpen(results, &g, modes, now); err != nil {
		return g, err
	}
	rows, _ := results.Query()
	var err error
	g.Modes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ModeGauges, error) {
		var (
			m                  ModeGauges
			oldest, reconciled *time.Time
			drift              *int64
		)
		err := row.Scan(&m.Mode, &m.Events, &oldest, &drift, &reconciled)
		m.OldestEvent = since(oldest, now)
		if reconciled != nil {
			m.Reconciled, m.Drift, m.SinceReconciled = true, *drift, since(reconciled, now)
		}
		return m, err
	})
	if err != nil {
		return g, err
	}
	rows, _ = results.Query()
	g.Queues, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (QueueGauges, error) {
		var (
			q      QueueGauges
			oldest *time.Time
		)
		err := row.Scan(&q.Queue, &q.Jobs, &oldest)
		q.Oldest = since(oldest, now)
		return q, err
	})
	if err != nil {
		return g, err
	}
	var lane *time.Time
	err = results.QueryRow().Scan(&g.Lanes, &lane, &g.Held, &g.Discrepancies)
	g.OldestLane = since(lane, now)
	return g, err
}

// readOpen also fills in the states that no payment stands at, so that an age is
// seen to fall back to nothing.
func readOpen(results pgx.BatchResults, g *Gauges, modes []wallet.Mode, now time.Time) error {
	type state struct {
		mode   wallet.Mode
		status wallet.PaymentStatus
	}
	ages := map[state]time.Duration{}
	type openRow struct {
		OpenPayments
		OldestAt time.Time
	}
	rows, _ := results.Query()
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[openRow])
	for _, o := range list {
		g.Open = append(g.Open, o.OpenPayments)
		s := state{o.Mode, o.Status}
		ages[s] = max(ages[s], since(&o.OldestAt, now))
	}
	for _, mode := range modes {
		for _, status := range wallet.PaymentStatuses {
			if status.Open() {
				g.OldestOpen = append(g.OldestOpen, OldestOpen{Mode: mode, Status: status, Age: ages[state{mode, status}]})
			}
		}
	}
	return err
}

func since(at *time.Time, now time.Time) time.Duration {
	if at == nil {
		return 0
	}
	return max(0, now.Sub(*at))
}

// OldestUnhandledEvent is the age of the oldest pending event, 0 without one.
func OldestUnhandledEvent(ctx context.Context, db DB, now time.Time) (time.Duration, error) {
	var oldest *time.Time
	if err := db.QueryRow(ctx, `select min(received_at) from stripe_events where status = 'pending'`).Scan(&oldest); err != nil {
		return 0, fmt.Errorf("find the oldest unhandled event: %w", err)
	}
	return since(oldest, now), nil
}

// OldestProcessing is the age of the oldest payment in processing, 0 without one.
func OldestProcessing(ctx context.Context, db DB, now time.Time) (time.Duration, error) {
	var oldest *time.Time
	err := db.QueryRow(ctx, `
		select min(created_at) from payments where next_check_at is not null and status = 'processing'`).Scan(&oldest)
	if err != nil {
		return 0, fmt.Errorf("find the oldest payment in processing: %w", err)
	}
	return since(oldest, now), nil
}
