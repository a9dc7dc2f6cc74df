package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// EventStatus is what became of a Stripe event.
type EventStatus string

// The states of a Stripe event.
const (
	// EventHandled: whatever it hinted at has been looked after.
	EventHandled EventStatus = "handled"
	// EventIgnored: it is about nothing of ours, or of a type that asks for nothing.
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

// StoredEvent is what StoreEvents made of an event.
type StoredEvent struct {
	Status EventStatus
	// New is false when the event was here before; its deliveries are counted.
	New bool
	// Arm tells that the caller must insert a job for the event: it is pending,
	// and new or so long without having been handled that its job may be lost.
	Arm bool
	// PaymentStatus is that of the event's payment, empty when it has none.
	PaymentStatus wallet.PaymentStatus
}

// RearmAfter is how long a pending event waits for its job before another
// delivery, or the periodic look, makes a new one.
const RearmAfter = 5 * time.Minute

// StoreEvents stores events, or counts one more delivery of those it has. Where
// needless says so, an event about a payment that has already succeeded needs
// nothing more and is stored as handled. The results stand in the order of the
// input. No two events of one call may have the same id.
func StoreEvents(ctx context.Context, tx pgx.Tx, list []Event, needless []bool) ([]StoredEvent, error) {
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
		ids[i], modes[i], types[i], versions[i], objects[i] = e.ID, string(e.Mode), e.Type, orNull(e.APIVersion), orNull(e.ObjectID)
		intents[i], statuses[i], sources[i] = orNull(e.StripePaymentIntentID), string(e.Status), e.Source
		if e.PaymentID != (wallet.ID{}) {
			payments[i] = &e.PaymentID
		}
		bodies[i], created[i], received[i] = e.Body, e.CreatedAt, e.ReceivedAt
		position[e.ID] = i
	}
	rows, _ := tx.Query(ctx, `
		with input as (
			select i.*, p.id as own_payment_id, p.status as payment_status
			from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[],
				$9::text[], $10::bytea[], $11::timestamptz[], $12::timestamptz[], $13::boolean[])
			as i (id, mode, type, api_version, object_id, intent_id, payment_id, status, source, body, created_at, received_at, needless)
			left join lateral (
				select p.id, p.status from payments p
				where p.stripe_payment_intent_id = i.intent_id and p.mode = i.mode
				union all
				select p.id, p.status from payments p
				where p.id = i.payment_id and p.mode = i.mode
				limit 1
			) p on true
		), stored as (
			insert into stripe_events as e (id, mode, type, api_version, object_id, stripe_payment_intent_id, payment_id,
				status, source, body, created_at, received_at, armed_at, handled_at, note)
			select id, mode, type, api_version, object_id, intent_id, own_payment_id,
				case when needless and payment_status = 'succeeded' then 'handled' else status end, source, body, created_at, received_at, received_at,
				case when status <> 'pending' or (needless and payment_status = 'succeeded') then received_at end,
				case when needless and payment_status = 'succeeded' then 'the payment was settled before' end
			from input
			order by id
			on conflict (id) do update
			set deliveries = e.deliveries + 1,
				armed_at = case when e.armed_at <= excluded.armed_at - $14::bigint * interval '1 millisecond'
					then excluded.armed_at else e.armed_at end
			returning id, status, deliveries, armed_at, received_at
		)
		select s.id, s.status, s.deliveries = 1, 
			s.status = 'pending' and (s.deliveries = 1 or (s.armed_at = i.received_at and s.armed_at > s.received_at)),
			coalesce(i.payment_status, '')
		from stored s join input i on i.id = s.id`,
		ids, modes, types, versions, objects, intents, payments, statuses, sources, bodies, created, received, needless, RearmAfter.Milliseconds())
	results := make([]StoredEvent, n)
	var (
		id string
		r  StoredEvent
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &r.Status, &r.New, &r.Arm, &r.PaymentStatus}, func() error {
		results[position[id]] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store %d events: %w", n, err)
	}
	return results, nil
}

const eventColumns = `id, mode, type, coalesce(api_version, ''), coalesce(object_id, ''), coalesce(stripe_payment_intent_id, ''),
	coalesce(payment_id, '00000000-0000-0000-0000-000000000000'), status, source, body, deliveries, created_at, received_at,
	handled_at, coalesce(note, '')`

func scanEvent(row pgx.CollectableRow) (Event, error) {
	var e Event
	err := row.Scan(&e.ID, &e.Mode, &e.Type, &e.APIVersion, &e.ObjectID, &e.StripePaymentIntentID, &e.PaymentID, &e.Status,
		&e.Source, &e.Body, &e.Deliveries, &e.CreatedAt, &e.ReceivedAt, &e.HandledAt, &e.Note)
	return e, err
}

// GetEvent finds a stored event. An unknown one is CodeNotFound.
func GetEvent(ctx context.Context, db DB, id string) (Event, error) {
	rows, _ := db.Query(ctx, `select `+eventColumns+` from stripe_events where id = $1`, id)
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, &wallet.Error{Code: wallet.CodeNotFound, Message: "Event not found."}
	}
	if err != nil {
		return e, fmt.Errorf("find event %s: %w", id, err)
	}
	return e, nil
}

// FinishEvent marks a pending event as handled or ignored, by whom, and with a
// note for a person. Finishing one again changes nothing.
func FinishEvent(ctx context.Context, db DB, id string, status EventStatus, by, note string, now time.Time) error {
	_, err := db.Exec(ctx, `
		update stripe_events
		set status = $2, handled_at = $3, handled_by = $4, note = nullif($5, '')
		where id = $1 and status = 'pending'`, id, status, now, by, note)
	if err != nil {
		return fmt.Errorf("finish event %s: %w", id, err)
	}
	return nil
}

// RearmEvents finds up to limit pending events whose job may be lost, and marks
// them as armed now. The transaction must also insert their jobs.
func RearmEvents(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]string, error) {
	rows, _ := tx.Query(ctx, `
		with stale as (
			select id from stripe_events
			where status = 'pending' and armed_at <= $1
			order by armed_at
			limit $3
			for no key update skip locked
		)
		update stripe_events e set armed_at = $2 from stale where e.id = stale.id returning e.id`,
		now.Add(-RearmAfter), now, limit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("rearm events: %w", err)
	}
	return ids, nil
}
