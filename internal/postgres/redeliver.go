package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// DeliveryLine is a delivery in a list, with the outcome of its last attempt.
type DeliveryLine struct {
	ID         wallet.ID
	EndpointID wallet.ID
	EventID    wallet.ID
	Type       wallet.DeliveryType
	ObjectID   wallet.ID
	Sequence   int64
	Status     wallet.DeliveryStatus
	Attempts   int
	CreatedAt  time.Time
	FinishedAt *time.Time
	// ResponseStatus and Error are those of the last attempt, 0 and empty if there was
	// none.
	ResponseStatus int
	Error          string
}

// ListDeliveries returns up to limit deliveries to an endpoint with a status and ids below
// before, newest first. An empty status matches every delivery, and a zero before does not
// limit the ids.
func ListDeliveries(ctx context.Context, db DB, endpointID wallet.ID, status wallet.DeliveryStatus, before wallet.ID, limit int) ([]DeliveryLine, error) {
	if before == (wallet.ID{}) {
		before = uuid.Max
	}
	rows, _ := db.Query(ctx, `
		select d.id, d.endpoint_id, d.event_id, v.type, d.object_id, d.sequence, d.status, d.attempts, d.created_at, d.finished_at,
			coalesce(a.response_status, 0) as response_status, coalesce(a.error, '') as error
		from deliveries d
		join merchant_events v on v.id = d.event_id
		left join lateral (
			select a.response_status, a.error from delivery_attempts a where a.delivery_id = d.id order by a.id desc limit 1
		) a on true
		where d.endpoint_id = $1 and d.id < $2 and ($3 = '' or d.status = $3)
		order by d.id desc
		limit $4`, endpointID, before, string(status), limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[DeliveryLine])
	if err != nil {
		return nil, fmt.Errorf("list deliveries to endpoint %s: %w", endpointID, err)
	}
	return nonNil(list), nil
}

// ListAttempts returns the attempts of a delivery, the oldest first.
func ListAttempts(ctx context.Context, db DB, deliveryID wallet.ID) ([]DeliveryAttempt, error) {
	rows, _ := db.Query(ctx, `
		select delivery_id, attempted_at, duration_ms, coalesce(response_status, 0) as response_status, coalesce(error, '') as error
		from delivery_attempts
		where delivery_id = $1
		order by id`, deliveryID)
	type attemptRow struct {
		DeliveryID     wallet.ID
		AttemptedAt    time.Time
		DurationMS     int64
		ResponseStatus int
		Error          string
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (DeliveryAttempt, error) {
		r, err := pgx.RowToStructByName[attemptRow](row)
		return DeliveryAttempt{
			DeliveryID: r.DeliveryID, AttemptedAt: r.AttemptedAt, Duration: time.Duration(r.DurationMS) * time.Millisecond,
			ResponseStatus: r.ResponseStatus, Error: r.Error,
		}, err
	})
	if err != nil {
		return nil, fmt.Errorf("list attempts of delivery %s: %w", deliveryID, err)
	}
	return nonNil(list), nil
}

// Redelivery selects what to deliver again to an endpoint: one delivery, or all events
// between two times that its present subscription includes. These may be older than the
// endpoint.
type Redelivery struct {
	Endpoint   EndpointRef
	DeliveryID wallet.ID // zero to use From and To
	From, To   time.Time // To is exclusive
	// FailedOnly leaves out deliveries that succeeded.
	FailedOnly bool
	Now        time.Time
}

// redeliveredEvents selects the events of a Redelivery.
const redeliveredEvents = `
	with wanted as (
		select v.id as event_id, v.object_id, v.sequence, d.id as delivery_id, $6::timestamptz as at
		from webhook_endpoints e
		join merchant_events v on v.organization_id = e.organization_id and v.mode = e.mode
		left join deliveries d on d.event_id = v.id and d.endpoint_id = e.id
		where e.id = $1 and (
			d.id = $2
			or ($2::uuid is null and v.created_at >= $3 and v.created_at < $4 and (d.id is not null or v.type = any (e.types))
				and d.status is distinct from 'pending' and not ($5 and d.status is not distinct from 'succeeded')))
	)`

// The lanes are created or locked before deliveries become pending in them. A transaction
// that ends such a lane has then either committed already, or waits and sees the new
// deliveries.
const (
	redeliverLanes = redeliveredEvents + `
		insert into delivery_lanes as l (endpoint_id, object_id, due_at)
		select distinct $1::uuid, object_id, at from wanted order by object_id
		on conflict (endpoint_id, object_id) do update
		set due_at = case when l.claim is null then least(l.due_at, excluded.due_at) else l.due_at end`
	redeliver = redeliveredEvents + `, again as (
			update deliveries d
			set status = 'pending', attempts = 0, finished_at = null
			from wanted w
			where d.id = w.delivery_id
			returning 1
		), made as (
			insert into deliveries (id, endpoint_id, event_id, object_id, sequence, status, created_at)
			select ` + newIDAt + `, $1, c.event_id, c.object_id, c.sequence, 'pending', c.at
			from wanted c
			where delivery_id is null
			on conflict do nothing
			returning 1
		)
		select (select count(*) from again) + (select count(*) from made)`
)

// Redeliver makes deliveries pending again and returns how many. Each starts with a fresh
// set of attempts, the first at once. The error is CodeWebhookNotFound for an unknown
// endpoint, or a DeliveryID that is not of the endpoint.
func Redeliver(ctx context.Context, tx pgx.Tx, r Redelivery) (int64, error) {
	if _, err := GetEndpoint(ctx, tx, r.Endpoint); err != nil {
		return 0, err
	}
	args := []any{r.Endpoint.ID, nullable.From(r.DeliveryID), r.From, r.To, r.FailedOnly, r.Now}
	if _, err := tx.Exec(ctx, redeliverLanes, args...); err != nil {
		return 0, fmt.Errorf("redeliver to endpoint %s: %w", r.Endpoint.ID, err)
	}
	var n int64
	err := tx.QueryRow(ctx, redeliver, args...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("redeliver to endpoint %s: %w", r.Endpoint.ID, err)
	}
	if n == 0 && r.DeliveryID != (wallet.ID{}) {
		return 0, &wallet.Error{Code: wallet.CodeWebhookNotFound, Message: "Delivery not found."}
	}
	return n, nil
}

// FindDeliveryEndpoint returns the endpoint of a delivery. The error is CodeWebhookNotFound
// for an unknown delivery.
func FindDeliveryEndpoint(ctx context.Context, db DB, deliveryID wallet.ID) (EndpointRef, error) {
	var id wallet.ID
	err := db.QueryRow(ctx, `select endpoint_id from deliveries where id = $1`, deliveryID).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return EndpointRef{}, &wallet.Error{Code: wallet.CodeWebhookNotFound, Message: "Delivery not found."}
	}
	if err != nil {
		return EndpointRef{}, fmt.Errorf("find delivery %s: %w", deliveryID, err)
	}
	return FindEndpointRef(ctx, db, id)
}
