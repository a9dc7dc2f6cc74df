package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// OpenPayments is the number of payments with an open status, and the sum of their amounts
// in minor units.
type OpenPayments struct {
	Mode     wallet.Mode
	Currency wallet.Currency
	Status   wallet.PaymentStatus
	Payments int64
	Amount   int64
}

// OldestOpen is the age of the oldest payment with an open status, 0 if there is none.
type OldestOpen struct {
	Mode   wallet.Mode
	Status wallet.PaymentStatus
	Age    time.Duration
}

// ModeGauges are the gauges of one mode.
type ModeGauges struct {
	Mode        wallet.Mode
	Events      int64         // pending
	OldestEvent time.Duration // age of the oldest pending event, 0 if there is none
	// Reconciled reports whether the mode was ever reconciled. If it was not, Drift and
	// SinceReconciled are meaningless.
	Reconciled      bool
	Drift           int64 // unrepaired differences that the last reconciliation found
	SinceReconciled time.Duration
}

// QueueGauges counts the available jobs of a queue, up to 10,000 jobs in all queues. Oldest
// is how long the oldest of them has been due.
type QueueGauges struct {
	Queue  string
	Jobs   int64
	Oldest time.Duration
}

// Gauges are the values that the metrics and fundrail doctor show.
type Gauges struct {
	Open          []OpenPayments
	OldestOpen    []OldestOpen
	Modes         []ModeGauges
	Queues        []QueueGauges
	Lanes         int64         // delivery lanes
	OldestLane    time.Duration // how long a delivery to an endpoint that is not held has been due
	Held          int64         // endpoints
	Discrepancies int64         // unresolved
}

// ReadGauges reads the gauges of the modes. Each statement uses a partial index that has
// only the rows it counts.
func ReadGauges(ctx context.Context, db DB, modes []wallet.Mode, now time.Time) (Gauges, error) {
	var b pgx.Batch
	b.Queue(`
		select mode, currency, status, count(*) as payments, sum(amount)::bigint as amount, min(created_at) as oldest_at
		from payments where next_check_at is not null
		group by mode, currency, status`)
	b.Queue(`
		select m.mode, coalesce(e.events, 0) as events, e.oldest as oldest_event_at, r.drift - r.repaired as drift,
			r.finished_at as reconciled_at
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
		select queue, count(*) as jobs, min(scheduled_at) as oldest_at
		from (select queue, scheduled_at from river_job where state = 'available' limit 10000) j
		group by queue`)
	b.Queue(`
		select (select count(*) from delivery_lanes) as lanes,
			(select min(l.due_at) from webhook_endpoints e
				cross join lateral (select due_at from delivery_lanes where endpoint_id = e.id order by due_at limit 1) l
				where e.deleted_at is null and e.status = 'enabled' and e.held_until is null and l.due_at <= $1) as oldest_lane_at,
			(select count(*) from webhook_endpoints where deleted_at is null and status = 'enabled' and held_until is not null) as held,
			(select count(*) from payment_discrepancies where resolved_at is null) as discrepancies`, now)
	results := db.SendBatch(ctx, &b)
	g, err := readGauges(results, modes, now)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return g, fmt.Errorf("read gauges: %w", err)
	}
	return g, nil
}

func readGauges(results pgx.BatchResults, modes []wallet.Mode, now time.Time) (Gauges, error) {
	var g Gauges
	if err := readOpen(results, &g, modes, now); err != nil {
		return g, err
	}
	if err := readModes(results, &g, now); err != nil {
		return g, err
	}
	if err := readQueues(results, &g, now); err != nil {
		return g, err
	}
	type totalsRow struct {
		Lanes         int64
		OldestLaneAt  *time.Time
		Held          int64
		Discrepancies int64
	}
	rows, _ := results.Query()
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[totalsRow])
	g.Lanes, g.OldestLane, g.Held, g.Discrepancies = r.Lanes, since(r.OldestLaneAt, now), r.Held, r.Discrepancies
	return g, err
}

func readModes(results pgx.BatchResults, g *Gauges, now time.Time) error {
	type modeRow struct {
		Mode          wallet.Mode
		Events        int64
		OldestEventAt *time.Time
		Drift         *int64
		ReconciledAt  *time.Time
	}
	rows, _ := results.Query()
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[modeRow])
	for _, r := range list {
		m := ModeGauges{Mode: r.Mode, Events: r.Events, OldestEvent: since(r.OldestEventAt, now)}
		if r.ReconciledAt != nil {
			m.Reconciled, m.Drift, m.SinceReconciled = true, orZero(r.Drift), since(r.ReconciledAt, now)
		}
		g.Modes = append(g.Modes, m)
	}
	return err
}

func readQueues(results pgx.BatchResults, g *Gauges, now time.Time) error {
	type queueRow struct {
		Queue    string
		Jobs     int64
		OldestAt time.Time
	}
	rows, _ := results.Query()
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[queueRow])
	for _, r := range list {
		g.Queues = append(g.Queues, QueueGauges{Queue: r.Queue, Jobs: r.Jobs, Oldest: since(&r.OldestAt, now)})
	}
	return err
}

// readOpen adds an age of 0 for each status without payments, so that the gauge falls back
// to 0 when the last payment leaves the status.
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

// since returns the time from at to now, 0 if at is nil or later than now.
func since(at *time.Time, now time.Time) time.Duration {
	if at == nil {
		return 0
	}
	return max(0, now.Sub(*at))
}

// OldestUnhandledEvent returns the age of the oldest pending event, 0 if there is none.
func OldestUnhandledEvent(ctx context.Context, db DB, now time.Time) (time.Duration, error) {
	var oldest *time.Time
	if err := db.QueryRow(ctx, `select min(received_at) from stripe_events where status = 'pending'`).Scan(&oldest); err != nil {
		return 0, fmt.Errorf("find the oldest unhandled event: %w", err)
	}
	return since(oldest, now), nil
}

// OldestProcessing returns the age of the oldest payment in processing, 0 if there is none.
func OldestProcessing(ctx context.Context, db DB, now time.Time) (time.Duration, error) {
	var oldest *time.Time
	err := db.QueryRow(ctx, `
		select min(created_at) from payments where next_check_at is not null and status = 'processing'`).Scan(&oldest)
	if err != nil {
		return 0, fmt.Errorf("find the oldest payment in processing: %w", err)
	}
	return since(oldest, now), nil
}
