package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Attention is what an operator should look at.
type Attention struct {
	// Uncredited are old pending events that report a successful charge of a payment
	// that is not settled.
	Uncredited []UncreditedRow
	// Unknown are payments that have waited for Stripe for longer than a charge takes.
	Unknown []PaymentRow
	// Lapsing are payments whose challenge deadline is near or past.
	Lapsing []PaymentRow
	// Events are old pending events of any type.
	Events        []EventRow
	Discrepancies []DiscrepancyRow
	Discarded     []JobRow
	// Drift is what the last reconciliation found and could not repair. ReconciledAt
	// is the time of that reconciliation, zero if there was none.
	Drift        []postgres.Drift
	ReconciledAt time.Time
	Disputes     []DisputeRow
	// Amounts are the amounts of the payments that Drift, Events and Discarded name.
	Amounts map[wallet.ID]Money
	// Endpoints are merchants' endpoints whose last attempt failed.
	Endpoints []EndpointRow
}

// Money is an amount in minor units of its currency.
type Money struct {
	Amount   int64
	Currency wallet.Currency
}

// DisputeRow is a dispute that is not closed.
type DisputeRow struct {
	ID        wallet.ID
	StripeID  string `db:"stripe_dispute_id"`
	PaymentID wallet.ID
	Status    string
	Reason    string
	Amount    int64
	Currency  wallet.Currency
	CreatedAt time.Time
}

// EndpointRow is a merchant's endpoint whose last attempt failed.
type EndpointRow struct {
	ID               wallet.ID
	Name             string
	OrganizationName string
	Failures         int // in a row
	FailingSince     time.Time
	HeldUntil        *time.Time
	LastError        string
	Waiting          int64 // pending deliveries, counted up to QueueCountCap
}

// Len returns the number of items.
func (a Attention) Len() int {
	return len(a.Uncredited) + len(a.Unknown) + len(a.Lapsing) + len(a.Events) + len(a.Discrepancies) + len(a.Discarded) +
		len(a.Drift) + len(a.Disputes) + len(a.Endpoints)
}

// UncreditedRow is a pending event that reports a successful charge, with the payment
// that is not settled.
type UncreditedRow struct {
	EventID    string
	ReceivedAt time.Time
	DueAt      time.Time
	PaymentID  wallet.ID
	Status     wallet.PaymentStatus
	Amount     int64
	Currency   wallet.Currency
}

// AttentionAges are the limits beyond which something needs attention.
type AttentionAges struct {
	Unknown   time.Duration // minimum age of a payment with an unknown outcome
	Events    time.Duration // minimum age of a pending event
	Lapsing   time.Duration // maximum time left until a challenge's deadline
	Discarded time.Duration // maximum age of a discarded job
}

// GetAttention returns up to limit items of each kind, the oldest first.
func GetAttention(ctx context.Context, db postgres.DB, mode wallet.Mode, ages AttentionAges, now time.Time, limit int) (Attention, error) {
	var (
		a Attention
		b pgx.Batch
	)
	b.Queue(`
		select e.id as event_id, e.received_at, e.due_at, p.id as payment_id, p.status, p.amount, p.currency
		from stripe_events e
		join payments p on p.id = e.payment_id and p.mode = e.mode
		where e.status = 'pending' and e.mode = $1 and e.type = 'payment_intent.succeeded' and e.received_at < $2
			and p.status <> 'succeeded'
		order by e.due_at limit $3`, mode, now.Add(-ages.Events), limit)
	b.Queue(`
		select `+paymentRowColumns+`
		from (
			select s.* from unnest(array['created', 'processing']) as u (status) cross join lateral (
				select * from payments p
				where p.mode = $1 and (p.status, p.id) >= (u.status, '00000000-0000-0000-0000-000000000000'::uuid)
					and (p.status, p.id) < (u.status, $2) and p.created_at < $3
				order by p.status, p.id limit $4
			) s
		) p`+paymentRowJoins+`
		order by p.id limit $4`, mode, wallet.FirstID(now.Add(-ages.Unknown)), now.Add(-ages.Unknown), limit)
	b.Queue(`
		select `+paymentRowColumns+`
		from (
			select * from payments
			where mode = $1 and status = 'requires_action' and action_deadline_at < $2
			order by action_deadline_at limit $3
		) p`+paymentRowJoins+`
		order by p.action_deadline_at`, mode, now.Add(ages.Lapsing), limit)
	b.Queue(`
		select `+eventRowColumns+`
		from stripe_events e
		where e.status = 'pending' and e.mode = $1 and e.received_at < $2
		order by e.due_at limit $3`, mode, now.Add(-ages.Events), limit)
	b.Queue(`
		select `+discrepancyColumns+`
		from payment_discrepancies d join payments p on p.id = d.payment_id
		where d.resolved_at is null and p.mode = $1
		order by d.found_at limit $2`, mode, limit)
	b.Queue(`
		select id, stripe_dispute_id, payment_id, status, coalesce(reason, '') as reason, amount, currency, created_at
		from disputes
		where mode = $1 and status not in ('lost', 'warning_closed', 'won')
		order by created_at limit $2`, mode, limit)
	b.Queue(`
		select e.id, e.name, o.name as organization_name, e.failures, e.failing_since, e.held_until,
			coalesce(e.last_error, '') as last_error,
			(select count(*) from (select from deliveries d where d.endpoint_id = e.id and d.status = 'pending' limit $3) d) as waiting
		from webhook_endpoints e
		join organizations o on o.id = e.organization_id
		where e.mode = $1 and e.failures > 0 and e.deleted_at is null and e.status = 'enabled'
		order by e.failing_since limit $2`, mode, limit, QueueCountCap)
	if err := a.read(db.SendBatch(ctx, &b)); err != nil {
		return a, fmt.Errorf("find what needs attention: %w", err)
	}
	discarded, err := ListJobs(ctx, db, JobFilter{Mode: mode, State: "discarded", Limit: limit})
	if err != nil {
		return a, err
	}
	last, found, err := postgres.LatestReconciliation(ctx, db, mode, "")
	if err != nil {
		return a, err
	}
	if found {
		a.ReconciledAt = last.FinishedAt
	}
	for _, d := range last.Drift {
		if !d.Repaired && len(a.Drift) < limit {
			a.Drift = append(a.Drift, d)
		}
	}
	for _, j := range discarded.Rows {
		if j.FinalizedAt != nil && now.Sub(*j.FinalizedAt) < ages.Discarded {
			a.Discarded = append(a.Discarded, j)
		}
	}
	a.Amounts, err = a.amounts(ctx, db, mode)
	return a, err
}

// amounts returns the amounts of the payments that drift, events and jobs name.
func (a *Attention) amounts(ctx context.Context, db postgres.DB, mode wallet.Mode) (map[wallet.ID]Money, error) {
	var ids []wallet.ID
	for _, d := range a.Drift {
		ids = append(ids, d.PaymentID)
	}
	for _, e := range a.Events {
		if e.PaymentID != nil {
			ids = append(ids, *e.PaymentID)
		}
	}
	for _, j := range a.Discarded {
		ids = append(ids, j.PaymentIDs...)
	}
	amounts := make(map[wallet.ID]Money, len(ids))
	if len(ids) == 0 {
		return amounts, nil
	}
	rows, _ := db.Query(ctx, `select id, amount, currency from payments where id = any ($1) and mode = $2`, ids, mode)
	type amountRow struct {
		ID wallet.ID
		Money
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[amountRow])
	if err != nil {
		return nil, fmt.Errorf("look up amounts: %w", err)
	}
	for _, r := range list {
		amounts[r.ID] = r.Money
	}
	return amounts, nil
}

func (a *Attention) read(results pgx.BatchResults) error {
	return readBatch(results,
		rowsInto(&a.Uncredited), rowsInto(&a.Unknown), rowsInto(&a.Lapsing), rowsInto(&a.Events),
		rowsInto(&a.Discrepancies), rowsInto(&a.Disputes), rowsInto(&a.Endpoints))
}
