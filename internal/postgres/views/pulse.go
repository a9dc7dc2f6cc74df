package views

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Pulse sums up the payments of a mode that were accepted in a period.
type Pulse struct {
	From, Until time.Time
	Buckets     []PulseBucket
	// ByStatus counts the payments by their present status.
	ByStatus map[wallet.PaymentStatus]int64
	// Settled is the money received by currency, the currency with most payments first.
	Settled  []CurrencySum
	Declines []CodeCount // the most frequent first
	// SettleP50 and SettleP95 are the time from acceptance to settlement.
	SettleP50, SettleP95 time.Duration
}

// Accepted returns the number of payments.
func (p Pulse) Accepted() int64 {
	var n int64
	for _, count := range p.ByStatus {
		n += count
	}
	return n
}

// PulseBucket is a part of the period.
type PulseBucket struct {
	From, Until           time.Time
	Settled, Failed, Open int64
}

// CurrencySum is a number of payments and their amount in minor units.
type CurrencySum struct {
	Currency wallet.Currency
	N        int64
	Amount   int64
}

// CodeCount is the number of payments that failed with a code.
type CodeCount struct {
	Code string
	N    int64
}

// GetPulse sums up a period, which it divides into parts of equal length. It reads each
// payment of the period once.
func GetPulse(ctx context.Context, db postgres.DB, mode wallet.Mode, from, until time.Time, parts int) (Pulse, error) {
	p := Pulse{From: from, Until: until, ByStatus: make(map[wallet.PaymentStatus]int64)}
	width := until.Sub(from) / time.Duration(parts)
	for i := range parts {
		at := from.Add(time.Duration(i) * width)
		p.Buckets = append(p.Buckets, PulseBucket{From: at, Until: at.Add(width)})
	}
	rows, _ := db.Query(ctx, `
		with p as materialized (
			select status, currency, coalesce(failure_decline_code, failure_code) as code, amount_received,
				case when created_at >= @from
					then least((extract(epoch from created_at - @from) * 1000)::bigint / @width::bigint, @parts::bigint - 1)
				end as part,
				(extract(epoch from succeeded_at - created_at) * 1000)::bigint as took
			from payments
			where id >= @first and id < @end and mode = @mode
		), g as materialized (
			select part, status, currency, code, count(*) as n, sum(amount_received) as received
			from p group by part, status, currency, code
		)
		select 'bucket' as section, status as key, part as value, sum(n)::bigint as n from g where part is not null group by status, part
		union all
		select 'settled', currency, sum(received)::bigint, sum(n)::bigint from g where status = 'succeeded' group by currency
		union all
		select 'decline', coalesce(code, 'unknown'), 0, sum(n)::bigint from g where status in ('canceled', 'failed') group by code
		union all
		select 'settle', q.share, q.took, 0
		from (
			select percentile_disc(array[0.5, 0.95]) within group (order by took) as tooks from p where status = 'succeeded'
		) s
		cross join lateral unnest(array['0.5', '0.95'], s.tooks) as q (share, took)
		where q.took is not null`,
		pgx.NamedArgs{
			"mode": mode, "from": from, "first": wallet.FirstID(from), "end": wallet.FirstID(until),
			"width": max(width.Milliseconds(), 1), "parts": parts,
		})
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[pulseRow])
	if err != nil {
		return p, fmt.Errorf("measure payments: %w", err)
	}
	for _, r := range list {
		p.add(r)
	}
	slices.SortFunc(p.Settled, func(a, b CurrencySum) int { return int(b.N - a.N) })
	slices.SortFunc(p.Declines, func(a, b CodeCount) int { return int(b.N - a.N) })
	return p, nil
}

// pulseRow is a figure of one of the sections that GetPulse reads: bucket, settled, decline
// or settle.
type pulseRow struct {
	Section string
	Key     string // a status, a currency, a code, or a quantile
	Value   int64  // the part of the period, an amount, 0, or milliseconds
	N       int64  // payments
}

func (p *Pulse) add(r pulseRow) {
	status := wallet.PaymentStatus(r.Key)
	switch r.Section {
	case "bucket":
		p.ByStatus[status] += r.N
		b := &p.Buckets[max(r.Value, 0)]
		switch {
		case status == wallet.PaymentSucceeded:
			b.Settled += r.N
		case status.Open():
			b.Open += r.N
		default:
			b.Failed += r.N
		}
	case "settled":
		p.Settled = append(p.Settled, CurrencySum{Currency: wallet.Currency(r.Key), N: r.N, Amount: r.Value})
	case "decline":
		p.Declines = append(p.Declines, CodeCount{Code: r.Key, N: r.N})
	case "settle":
		took := time.Duration(r.Value) * time.Millisecond
		if r.Key == "0.5" {
			p.SettleP50 = took
		} else {
			p.SettleP95 = took
		}
	}
}

// InFlight sums up the open payments of one status and currency.
type InFlight struct {
	Status   wallet.PaymentStatus
	Currency wallet.Currency
	N        int64
	Amount   int64
	OldestAt time.Time // acceptance of the oldest
}

// ListInFlight sums up the open payments of a mode, in the order of a payment's statuses.
func ListInFlight(ctx context.Context, db postgres.DB, mode wallet.Mode) ([]InFlight, error) {
	rows, _ := db.Query(ctx, `
		select status, currency, count(*) as n, sum(amount)::bigint as amount, min(created_at) as oldest_at
		from payments
		where next_check_at is not null and mode = $1
		group by status, currency
		order by array_position(array['created', 'processing', 'requires_action'], status), count(*) desc`, mode)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[InFlight])
	if err != nil {
		return nil, fmt.Errorf("sum up open payments: %w", err)
	}
	return list, nil
}

// ModeInUse returns the mode to show to a user who has not chosen one: live if there is a
// live API key, else test.
func ModeInUse(ctx context.Context, db postgres.DB) (wallet.Mode, error) {
	var live bool
	if err := db.QueryRow(ctx, `select exists (select from api_keys where mode = 'live')`).Scan(&live); err != nil {
		return "", fmt.Errorf("look for live keys: %w", err)
	}
	if live {
		return wallet.ModeLive, nil
	}
	return wallet.ModeTest, nil
}
