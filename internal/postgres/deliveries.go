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

// Lane identifies the pending deliveries of one object to one endpoint. Only the holder
// of the claim delivers them, so they arrive in order.
type Lane struct {
	EndpointID wallet.ID `json:"endpoint_id"`
	ObjectID   wallet.ID `json:"object_id"`
	Claim      wallet.ID `json:"claim"`
}

// ClaimLanes claims lanes that are due. At most perEndpoint lanes of an endpoint are
// claimed at the same time, and one of an endpoint that is held. A claim ends after lease
// unless it is renewed. The transaction must also insert the jobs that deliver the lanes.
func ClaimLanes(ctx context.Context, tx pgx.Tx, now time.Time, lease time.Duration, perEndpoint int) ([]Lane, error) {
	rows, _ := tx.Query(ctx, `
		with ready as (
			select e.id,
				case when e.failures >= $4 then 1 else $3 end - (
					select count(*) from delivery_lanes l
					where l.endpoint_id = e.id and l.claim is not null and l.due_at > $1) as room
			from webhook_endpoints e
			where e.deleted_at is null and e.status = 'enabled' and (e.held_until is null or e.held_until <= $1)
				and exists (select from delivery_lanes l where l.endpoint_id = e.id and l.due_at <= $1)
		), due as (
			select l.endpoint_id, l.object_id
			from ready r
			cross join lateral (
				select l.endpoint_id, l.object_id from delivery_lanes l
				where l.endpoint_id = r.id and l.due_at <= $1
				order by l.due_at
				limit greatest(r.room, 0)
				for no key update skip locked
			) l
		)
		update delivery_lanes l
		set due_at = $1 + $2::bigint * interval '1 millisecond', claim = gen_random_uuid()
		from due
		where l.endpoint_id = due.endpoint_id and l.object_id = due.object_id
		returning l.endpoint_id, l.object_id, l.claim`,
		now, lease.Milliseconds(), perEndpoint, wallet.HoldAfter)
	lanes, err := pgx.CollectRows(rows, pgx.RowToStructByName[Lane])
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return lanes, nil
}

// Delivery is an event to be sent to an endpoint.
type Delivery struct {
	ID       wallet.ID
	Attempts int
	Endpoint wallet.Endpoint
	// EndpointFailures is the number of failed attempts at the endpoint since its last
	// success.
	EndpointFailures int
	// Secrets are the secrets that sign the endpoint's deliveries, the current one first.
	Secrets []string
	Event   wallet.MerchantEvent
}

// NextDelivery returns the first pending delivery of a lane. It returns nil if there is
// none, if the endpoint is disabled or deleted, or if another process holds the claim.
func NextDelivery(ctx context.Context, db DB, l Lane, now time.Time) (*Delivery, error) {
	order := `d.sequence`
	if breakpoint.Broken(breakpoint.DeliveryOrder) {
		order = `d.attempts, d.sequence desc`
	}
	rows, _ := db.Query(ctx, `
		select d.id as delivery_id, d.attempts, v.id as event_id, v.organization_id as event_organization_id,
			v.mode as event_mode, v.type as event_type, v.object_id, v.sequence, v.created_at as event_created_at,
			coalesce(v.traceparent, '') as traceparent, coalesce((v.snapshot->>'amount')::bigint, 0) as money_back,
			e.secret, e.previous_secret, e.previous_secret_expires_at, e.failures as endpoint_failures, `+endpointColumns+`
		from delivery_lanes l
		join webhook_endpoints e on e.id = l.endpoint_id and e.deleted_at is null and e.status = 'enabled'
		join deliveries d on d.endpoint_id = l.endpoint_id and d.object_id = l.object_id and d.status = 'pending'
		join merchant_events v on v.id = d.event_id
		where l.endpoint_id = $1 and l.object_id = $2 and l.claim = $3
		order by `+order+`
		limit 1`, l.EndpointID, l.ObjectID, l.Claim)
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[deliveryRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find delivery to endpoint %s: %w", l.EndpointID, err)
	}
	d := r.delivery(now)
	return &d, readSnapshot(ctx, db, &d.Event)
}

// deliveryRow is a delivery with its endpoint and event. The event's columns have a prefix
// where the endpoint has a column of the same name.
type deliveryRow struct {
	wallet.Endpoint
	DeliveryID              wallet.ID
	Attempts                int
	EventID                 wallet.ID
	EventOrganizationID     wallet.ID
	EventMode               wallet.Mode
	EventType               wallet.DeliveryType
	ObjectID                wallet.ID
	Sequence                int64
	EventCreatedAt          time.Time
	Traceparent             string
	MoneyBack               int64
	Secret                  string
	PreviousSecret          *string
	PreviousSecretExpiresAt *time.Time
	EndpointFailures        int
}

// delivery returns the delivery, with the secrets that are valid at now.
func (r deliveryRow) delivery(now time.Time) Delivery {
	d := Delivery{
		ID: r.DeliveryID, Attempts: r.Attempts, Endpoint: r.Endpoint, EndpointFailures: r.EndpointFailures,
		Secrets: []string{r.Secret},
		Event: wallet.MerchantEvent{
			ID: r.EventID, OrganizationID: r.EventOrganizationID, Mode: r.EventMode, Type: r.EventType, ObjectID: r.ObjectID,
			Sequence: r.Sequence, CreatedAt: r.EventCreatedAt, Traceparent: r.Traceparent, MoneyBack: r.MoneyBack,
		},
	}
	if r.PreviousSecret != nil && now.Before(*r.PreviousSecretExpiresAt) {
		d.Secrets = append(d.Secrets, *r.PreviousSecret)
	}
	return d
}

// readSnapshot reads the rows that the event is about, as they were when it was written.
// The snapshot overlays the present rows: a snapshot that is older than a column gets the
// column's present value.
func readSnapshot(ctx context.Context, db DB, e *wallet.MerchantEvent) error {
	var b pgx.Batch
	b.Queue(`
		select `+paymentColumns+`
		from merchant_events e
		join payments today on today.id = (e.snapshot->'payment'->>'id')::uuid
		cross join jsonb_populate_record(today, e.snapshot->'payment') p
		where e.id = $1`, e.ID)
	b.Queue(`
		select `+transactionColumns+`
		from merchant_events e
		join wallet_transactions today on today.id = (e.snapshot->'transaction'->>'id')::uuid
		cross join jsonb_populate_record(today, e.snapshot->'transaction') t
		join wallets w_today on w_today.id = t.wallet_id
		cross join jsonb_populate_record(w_today, e.snapshot->'wallet') w
		left join payments p on false
		where e.id = $1`, e.ID)
	b.Queue(`
		select `+walletColumns+`
		from merchant_events e
		join wallets today on today.id = (e.snapshot->'wallet'->>'id')::uuid
		cross join jsonb_populate_record(today, e.snapshot->'wallet') w
		join customers c on c.id = w.customer_id
		where e.id = $1`, e.ID)
	b.Queue(`
		select c.id, c.external_id, coalesce(c.email, '') as email, coalesce(c.firstname, '') as firstname,
			coalesce(c.lastname, c.name, '') as lastname, coalesce(c.stripe_customer_id, '') as stripe_customer_id, c.created_at
		from merchant_events e
		join customers c on c.id = (e.snapshot->'wallet'->>'customer_id')::uuid
		where e.id = $1`, e.ID)
	results := db.SendBatch(ctx, &b)
	err := readSnapshotRows(results, e)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("read event %s: %w", e.ID, err)
	}
	return nil
}

func readSnapshotRows(results pgx.BatchResults, e *wallet.MerchantEvent) error {
	var err error
	if e.Payment, err = readOptional(results, scanPayment); err != nil {
		return err
	}
	if e.Transaction, err = readOptional(results, scanTransaction); err != nil {
		return err
	}
	if e.Wallet, err = readOptional(results, scanWallet); err != nil {
		return err
	}
	customer, err := readOptional(results, pgx.RowToStructByName[wallet.EventCustomer])
	if customer != nil {
		e.Customer = *customer
	}
	return err
}

// readOptional reads the only row of a result, nil if there is none.
func readOptional[T any](results pgx.BatchResults, scan pgx.RowToFunc[T]) (*T, error) {
	rows, _ := results.Query()
	v, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &v, err
}

// DeliveryAttempt is the outcome of one attempt to deliver.
type DeliveryAttempt struct {
	DeliveryID     wallet.ID
	AttemptedAt    time.Time
	Duration       time.Duration
	ResponseStatus int    // 0 if there was no response
	Error          string // empty if the attempt succeeded
	// RetryAfter is the wait before the next attempt after a failure; 0 gives the delivery
	// up.
	RetryAfter time.Duration
	// HoldFor is how long the endpoint is held if this is at least its
	// wallet.HoldAfter-th failure in a row.
	HoldFor time.Duration
}

// AttemptResult is the state of the lane and its endpoint after an attempt.
type AttemptResult struct {
	// Next reports whether the caller still holds the claim and the lane has a delivery
	// that may be sent at once.
	Next bool
	// Failures is the number of failed attempts at the endpoint since its last success.
	Failures int
}

// RecordAttempt stores the outcome of an attempt, finishes the delivery if it succeeded or
// is given up, and renews, postpones or ends the lane.
func RecordAttempt(ctx context.Context, db DB, l Lane, a DeliveryAttempt, lease time.Duration) (AttemptResult, error) {
	finished := a.AttemptedAt.Add(a.Duration)
	status := wallet.DeliveryFailed
	switch {
	case a.Error == "":
		status = wallet.DeliverySucceeded
	case a.RetryAfter > 0:
		status = wallet.DeliveryPending
	}
	// The lane's row is locked first. A transaction that adds a delivery to the lane locks
	// it too, so it either commits before and the last statement sees its delivery, or it
	// waits and makes a new lane.
	var b pgx.Batch
	b.Queue(`select from delivery_lanes where endpoint_id = $1 and object_id = $2 for update`, l.EndpointID, l.ObjectID)
	b.Queue(recordAttempt, a.DeliveryID, l.EndpointID, a.AttemptedAt, a.Duration.Milliseconds(), nullable.From(a.ResponseStatus),
		nullable.From(a.Error), string(status), finished, wallet.HoldAfter, finished.Add(a.HoldFor))
	b.Queue(moveLane, l.EndpointID, l.ObjectID, l.Claim, status == wallet.DeliveryPending,
		finished.Add(a.RetryAfter), finished.Add(lease))
	results := db.SendBatch(ctx, &b)
	r, err := readAttempt(results)
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return r, fmt.Errorf("record attempt of delivery %s: %w", a.DeliveryID, err)
	}
	return r, nil
}

const (
	// recordAttempt updates the endpoint only if something changes. Every transaction that
	// locks both locks the lane before the endpoint, so that none deadlocks.
	recordAttempt = `
	with attempt as (
		insert into delivery_attempts (delivery_id, attempted_at, duration_ms, response_status, error)
		values ($1, $3, $4, $5, $6)
	), delivery as (
		update deliveries
		set attempts = least(attempts + 1, 1000), status = $7, finished_at = case when $7 <> 'pending' then $8::timestamptz end
		where id = $1 and status = 'pending'
	), recovered as (
		update webhook_endpoints
		set failures = 0, failing_since = null, held_until = null, last_error = null
		where id = $2 and $6::text is null and failures > 0
	), failing as (
		update webhook_endpoints
		set failures = failures + 1, failing_since = coalesce(failing_since, $3), last_error = $6,
			held_until = case when failures + 1 >= $9::integer then $10::timestamptz end
		where id = $2 and $6::text is not null
		returning failures
	)
	select coalesce((select failures from failing), 0)`

	// moveLane deletes a lane without pending deliveries. It releases the lane until the
	// retry if its first delivery is to be retried, and otherwise renews the claim.
	moveLane = `
	with remaining as (
		select exists (
			select from deliveries d where d.endpoint_id = $1 and d.object_id = $2 and d.status = 'pending') as any
	), ended as (
		delete from delivery_lanes l using remaining
		where l.endpoint_id = $1 and l.object_id = $2 and not remaining.any
	), kept as (
		update delivery_lanes l
		set due_at = case when $4 then $5::timestamptz else $6::timestamptz end, claim = case when not $4 then l.claim end
		from remaining
		where l.endpoint_id = $1 and l.object_id = $2 and l.claim = $3 and remaining.any
		returning 1
	)
	select not $4 and exists (select from kept)`
)

func readAttempt(results pgx.BatchResults) (AttemptResult, error) {
	var r AttemptResult
	if _, err := results.Exec(); err != nil {
		return r, err
	}
	if err := results.QueryRow().Scan(&r.Failures); err != nil {
		return r, err
	}
	return r, results.QueryRow().Scan(&r.Next)
}

// ReleaseLane releases a claimed lane, which may be claimed again at due.
func ReleaseLane(ctx context.Context, db DB, l Lane, due time.Time) error {
	_, err := db.Exec(ctx, `
		update delivery_lanes set due_at = $4, claim = null
		where endpoint_id = $1 and object_id = $2 and claim = $3`, l.EndpointID, l.ObjectID, l.Claim, due)
	if err != nil {
		return fmt.Errorf("release deliveries to endpoint %s: %w", l.EndpointID, err)
	}
	return nil
}

// EndLane deletes a claimed lane unless it has pending deliveries.
func EndLane(ctx context.Context, db DB, l Lane) error {
	var b pgx.Batch
	b.Queue(`select from delivery_lanes where endpoint_id = $1 and object_id = $2 for update`, l.EndpointID, l.ObjectID)
	b.Queue(`
		delete from delivery_lanes
		where endpoint_id = $1 and object_id = $2 and claim = $3 and not exists (
			select from deliveries where endpoint_id = $1 and object_id = $2 and status = 'pending')`,
		l.EndpointID, l.ObjectID, l.Claim)
	if err := db.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("end deliveries to endpoint %s: %w", l.EndpointID, err)
	}
	return nil
}
