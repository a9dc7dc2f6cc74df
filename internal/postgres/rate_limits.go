package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Spending is the number of tokens that a process took from a bucket that all processes
// share, as a time.
type Spending struct {
	APIKeyID wallet.ID
	// Name distinguishes the buckets of a key.
	Name string
	// Since is when the first token was taken. Cost is the time in which the bucket
	// regains all of them.
	Since time.Time
	Cost  time.Duration
}

// ShareSpendings adds spendings to the shared buckets and returns when each bucket is full
// again, considering the spendings of all processes. A bucket must not occur twice in list.
func ShareSpendings(ctx context.Context, db DB, list []Spending) ([]time.Time, error) {
	ids, names := make([]wallet.ID, len(list)), make([]string, len(list))
	since, cost := make([]time.Time, len(list)), make([]int64, len(list))
	for i, s := range list {
		ids[i], names[i], since[i], cost[i] = s.APIKeyID, s.Name, s.Since, s.Cost.Microseconds()
	}
	rows, _ := db.Query(ctx, `
		with spent as materialized (
			select id, name, since, cost * interval '1 microsecond' as cost, position
			from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[]) with ordinality
				as u (id, name, since, cost, position)
		), shared as (
			insert into rate_limits as r (api_key_id, name, full_at)
			select id, name, since + cost from spent order by id, name
			on conflict (api_key_id, name) do update set full_at = (
				select greatest(r.full_at, s.since) + s.cost from spent s where s.id = r.api_key_id and s.name = r.name
			)
			returning api_key_id, name, full_at
		)
		select h.full_at from spent s join shared h on h.api_key_id = s.id and h.name = s.name order by s.position`,
		ids, names, since, cost)
	fullAt, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return nil, fmt.Errorf("share the spendings of %d buckets: %w", len(list), err)
	}
	if len(fullAt) != len(list) {
		return nil, fmt.Errorf("share the spendings of %d buckets: got %d rows", len(list), len(fullAt))
	}
	return fullAt, nil
}
