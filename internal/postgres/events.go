package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// EventStatus is what became of a Stripe event.
type EventStatus string

// The states of a Stripe event.
const (
	// EventHandled: a job has applied what it reports, or nothing had to change.
	EventHandled EventStatus = "handled"
	// EventIgnored: it is about no payment of ours, or of a type that is not handled.
	EventIgnored EventStatus = "ignored"
	// EventPending: a job will handle it.
	EventPending EventStatus = "pending"
)

// Event is a Stripe event as it came.
type Event struct {
	ID                    string
	Mode                  wallet.Mode
	Type                  string
	APIVersion            string
	ObjectID              string // the id of the object it is about
	StripePaymentIntentID string // empty when it is not about an intent
	PaymentID             wallet.ID
	Status                EventStatus
	Source                string // "webhook" or "sweep"
	Body                  []byte
	Deliveries            int
	CreatedAt             time.Time // by Stripe's clock
	ReceivedAt            time.Time
	HandledAt             *time.Time
	Note                  string
}

// StoredEvent is the result of storing an event.
type StoredEvent struct {
	Status EventStatus
	// New is false when the event was here before; its deliveries are counted.
	New bool
	// NeedsJob reports whether the event needs a job now: it is pending, and either new
	// or unhandled for so long that its job may be lost. An event of a charge under way
	// gets its job later: see ChargeGrace.
	NeedsJob bool
}

const (
	// RearmAfter is how long a pending event waits for its job before a sweep inserts
	// a new one.
	RearmAfter = 5 * time.Minute
	// ChargeGrace is how long an event waits for the charge that it tells of: the
	// charge's own answer is usually about to settle the payment, and then nothing
	// is left to do. Until then it has no job.
	ChargeGrace = 2 * time.Second
)

// ownPayment finds the payment of an intent, or else the one that the intent named.
// The mode is for the caller to compare, outside: asked in here, a plan that was
// made when the table was empty takes the index of (mode, status, id) for the id,
// and reads all of it.
func ownPayment(intentID, paymentID string) string {
	return `
		select id, mode, status from payments where stripe_payment_intent_id = ` + intentID + `
		union all
		select id, mode, status from payments where id = ` + paymentID + `
		limit 1`
}

// StoreEvents stores events, and counts another delivery of the events that it has.
//
// ignorable holds a value for each event. An ignorable event is stored as handled if it
// cannot change its payment: every event of a succeeded payment, every event but a
// success of a failed or canceled payment, and the event of a challenge for a payment
// that waits for one. An event that is not handled after rearmAfter is due again.
//
// Events that need a job get job, with the event's id as event_id in its args. If job is
// nil, the caller must insert the jobs in the same transaction. The results are in the
// order of list. Two events of one call must not have the same id.
func StoreEvents(ctx context.Context, db DB, list []Event, ignorable []bool, rearmAfter time.Duration, job *Job) ([]StoredEvent, error) {
	n := len(list)
	var (
		ids, modes, types, versions, objects = make([]string, n), make([]string, n), make([]string, n), make([]*string, n), make([]*string, n)
		intents, statuses, sources           = make([]*string, n), make([]string, n), make([]string, n)
		payments                             = make([]*wallet.ID, n)
		bodies                               = make([][]byte, n)
		created, received                    = make([]time.Time, n), make([]time.Time, n)
		position                             = make(map[string]int, n)
	)
	for i, e := range list {
		ids[i], modes[i], types[i], versions[i], objects[i] = e.ID, string(e.Mode), e.Type, nullable.From(e.APIVersion), nullable.From(e.ObjectID)
		intents[i], statuses[i], sources[i] = nullable.From(e.StripePaymentIntentID), string(e.Status), e.Source
		if e.PaymentID != (wallet.ID{}) {
			payments[i] = &e.PaymentID
		}
		bodies[i], created[i], received[i] = e.Body, e.CreatedAt, e.ReceivedAt
		position[e.ID] = i
	}
	rows, _ := db.Query(ctx, `
		with input as (
			select i.*, p.id as own_payment_id, p.status as payment_status
			from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[],
				$9::text[], $10::bytea[], $11::timestamptz[], $12::timestamptz[], $13::boolean[])
			as i (id, mode, type, api_version, object_id, intent_id, payment_id, status, source, body, created_at, received_at, ignorable)
			left join lateral (`+ownPayment("i.intent_id", "i.payment_id")+`) p on p.mode = i.mode
		), stored as (
			insert into stripe_events as e (id, mode, type, api_version, object_id, stripe_payment_intent_id, payment_id,
				status, source, body, created_at, received_at, due_at, handled_at, note)
			select id, mode, type, api_version, object_id, intent_id, own_payment_id,
				case when settled then 'handled' else status end, source, body, created_at, received_at,
				received_at + case when under_way then $15::bigint else $14::bigint end * interval '1 millisecond',
				case when status <> 'pending' or settled then received_at end,
				case when settled then 'no news for a payment that is ' || payment_status end
			from (
				select *, ignorable and (payment_status = 'succeeded'
						or payment_status in ('canceled', 'failed') and type <> 'payment_intent.succeeded'
						or payment_status = 'requires_action' and type = 'payment_intent.requires_action') as settled,
					ignorable and payment_status in ('created', 'processing') as under_way
				from input
			) i
			order by id
			on conflict (id) do update
			set deliveries = e.deliveries + 1,
				due_at = case when e.due_at <= excluded.received_at
					then excluded.received_at + $14::bigint * interval '1 millisecond' else e.due_at end
			returning id, status, deliveries, due_at
		), result as (
			select s.id, s.status, s.deliveries = 1 as new, $16::boolean
				or s.status = 'pending' and s.due_at = i.received_at + $14::bigint * interval '1 millisecond'
					and (s.deliveries = 1 or not exists (
						select 1 from stripe_events e where e.id = s.id and e.due_at = s.due_at)) as needs_job
			from stored s join input i on i.id = s.id
		), jobs as (
			insert into river_job (args, kind, queue, max_attempts)
			select jsonb_build_object('event_id', id), $17::text, $18::text, $19::smallint
			from result where needs_job and $17::text is not null
		)
		select id, status, new, needs_job from result`,
		ids, modes, types, versions, objects, intents, payments, statuses, sources, bodies, created, received, ignorable,
		rearmAfter.Milliseconds(), ChargeGrace.Milliseconds(), breakpoint.Broken(breakpoint.WebhookDedupe),
		job.kind(), job.queue(), job.maxAttempts())
	results := make([]StoredEvent, n)
	var (
		id string
		r  StoredEvent
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &r.Status, &r.New, &r.NeedsJob}, func() error {
		results[position[id]] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store %d events: %w", n, err)
	}
	return results, nil
}

const (
	// eventColumnsButBody are the columns of an Event. A body may be large, so lists leave
	// it out.
	eventColumnsButBody = `id, mode, type, coalesce(api_version, '') as api_version, coalesce(object_id, '') as object_id,
		coalesce(stripe_payment_intent_id, '') as stripe_payment_intent_id,
		coalesce(payment_id, '00000000-0000-0000-0000-000000000000') as payment_id, status, source, deliveries, created_at,
		received_at, handled_at, coalesce(note, '') as note, `
	eventColumns            = eventColumnsButBody + `body`
	eventColumnsWithoutBody = eventColumnsButBody + `null::bytea as body`
)

// GetEvent finds a stored event. An unknown one is CodeNotFound.
func GetEvent(ctx context.Context, db DB, id string) (Event, error) {
	rows, _ := db.Query(ctx, `select `+eventColumns+` from stripe_events where id = $1`, id)
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Event])
	if errors.Is(err, pgx.ErrNoRows) {
		return e, &wallet.Error{Code: wallet.CodeNotFound, Message: "Event not found."}
	}
	if err != nil {
		return e, fmt.Errorf("find event %s: %w", id, err)
	}
	return e, nil
}

// FoundEvent is a stored event, without its body, and the payment that it is about.
type FoundEvent struct {
	Event
	// Found is false when there is no such event, and nothing else is set.
	Found bool
	// Payment is nil when the event is about none of ours.
	Payment *wallet.Payment
}

// FindEvents finds stored events and their payments: a payment by the id of its
// intent, or else by the one that the intent named. The results stand in the order
// of the ids, of which no two may be the same.
func FindEvents(ctx context.Context, db DB, ids []string) ([]FoundEvent, error) {
	var b pgx.Batch
	b.Queue(`select `+eventColumnsWithoutBody+` from stripe_events where id = any ($1)`, ids)
	b.Queue(`
		select e.id as event_id, `+paymentColumns+`
		from stripe_events e
		join lateral (`+ownPayment("e.stripe_payment_intent_id", "e.payment_id")+`) own on own.mode = e.mode
		join payments p on p.id = own.id
		where e.id = any ($1)`, ids)
	results := db.SendBatch(ctx, &b)
	found, err := readFound(results, ids)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("find %d events: %w", len(ids), err)
	}
	return found, nil
}

func readFound(results pgx.BatchResults, ids []string) ([]FoundEvent, error) {
	position := make(map[string]int, len(ids))
	for i, id := range ids {
		position[id] = i
	}
	found := make([]FoundEvent, len(ids))
	rows, _ := results.Query()
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[Event])
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		found[position[e.ID]] = FoundEvent{Event: e, Found: true}
	}
	rows, _ = results.Query()
	type ownRow struct {
		paymentRow
		EventID string `db:"event_id"`
	}
	payments, err := pgx.CollectRows(rows, pgx.RowToStructByName[ownRow])
	for _, r := range payments {
		found[position[r.EventID]].Payment = new(r.payment())
	}
	return found, err
}

// FinishedEvent is what became of an event.
type FinishedEvent struct {
	ID     string
	Status EventStatus
	By     string // who handled it, such as a job
	Note   string // for a person
	Now    time.Time
}

// FinishEvents marks pending events as handled or ignored. Finishing one again
// changes nothing.
func FinishEvents(ctx context.Context, db DB, list []FinishedEvent) error {
	n := len(list)
	ids, statuses, by, notes, nows := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]time.Time, n)
	for i, f := range list {
		ids[i], statuses[i], by[i], notes[i], nows[i] = f.ID, string(f.Status), f.By, f.Note, f.Now
	}
	_, err := db.Exec(ctx, `
		update stripe_events e
		set status = i.status, handled_at = i.now, handled_by = i.handled_by, note = nullif(i.note, '')
		from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) as i (id, status, handled_by, note, now)
		where e.id = i.id and e.status = 'pending'`, ids, statuses, by, notes, nows)
	if err != nil {
		return fmt.Errorf("finish %d events: %w", n, err)
	}
	return nil
}

// ClaimDueEvents finds up to limit pending events that are due, and puts them off
// by rearmAfter. Those that ask for nothing any more, because their payment was
// settled meanwhile, it marks as handled and leaves out. The transaction must also
// insert the jobs of those it returns.
func ClaimDueEvents(ctx context.Context, tx pgx.Tx, now time.Time, rearmAfter time.Duration, limit int) ([]string, error) {
	rows, _ := tx.Query(ctx, `
		with due as (
			select e.id, e.type like 'payment_intent.%' and (p.status = 'succeeded'
				or p.status in ('canceled', 'failed') and e.type <> 'payment_intent.succeeded'
				or p.status = 'requires_action' and e.type = 'payment_intent.requires_action') as settled
			from stripe_events e
			left join payments p on p.id = e.payment_id
			where e.status = 'pending' and e.due_at <= $1
			order by e.due_at
			limit $3
			for no key update of e skip locked
		), claimed as (
			update stripe_events e
			set due_at = $1 + $2::bigint * interval '1 millisecond',
				status = case when due.settled then 'handled' else e.status end,
				handled_at = case when due.settled then $1 end,
				note = case when due.settled then 'the charge had settled the payment' end
			from due
			where e.id = due.id
			returning e.id, e.status
		)
		select id from claimed where status = 'pending'`, now, rearmAfter.Milliseconds(), limit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("claim due events: %w", err)
	}
	return ids, nil
}

// EventFilter says which stored events are wanted. Empty fields let everything
// through, except the mode, which is required.
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
		select `+eventColumnsWithoutBody+`
		from stripe_events
		where mode = $1 and ($2 = '' or status = $2) and ($3 = '' or type = $3)
		order by received_at desc, id
		limit $4`, f.Mode, string(f.Status), f.Type, f.Limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Event])
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
