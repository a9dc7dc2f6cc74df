package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ApplicationName is what Fundrail's connections are called in pg_stat_activity.
const ApplicationName = "fundrail"

const workerName = ApplicationName + " worker "

// ProcessName is what the connections of one process are called from here on. One
// that works jobs has a name of its own, by which the others count it: no table to
// keep, and a process that was killed is gone with its connections.
func ProcessName(works bool) string {
	if !works {
		return ApplicationName
	}
	const digits = 12 // a name has room for 63 bytes
	return workerName + strings.ReplaceAll(uuid.NewString(), "-", "")[:digits]
}

// CountWorkers counts the processes that work the jobs of this database. It sees
// those that connect as the same role.
func CountWorkers(ctx context.Context, db DB) (int, error) {
	var n int
	err := db.QueryRow(ctx, `
		select count(distinct application_name) from pg_stat_activity
		where datname = current_database() and starts_with(application_name, $1)`, workerName).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count processes: %w", err)
	}
	return n, nil
}

// Worker is a process that works jobs.
type Worker struct {
	ID     string
	SeenAt time.Time // when it last took a job
	Leader bool
}

// ListWorkers gives the processes that took one of the newest jobs.
func ListWorkers(ctx context.Context, db DB) ([]Worker, error) {
	const newest = 500
	rows, _ := db.Query(ctx, `
		with recent as (
			(select attempted_by, attempted_at from river_job
			where state = 'completed' and finalized_at is not null
			order by finalized_at desc limit $1)
			union all
			(select attempted_by, attempted_at from river_job where state = 'running' limit $1)
		)
		select w.id, max(w.at) as seen_at, coalesce(bool_or(l.leader_id is not null), false) as leader
		from (
			select attempted_by[array_upper(attempted_by, 1)] as id, attempted_at as at from recent
			where attempted_by is not null and attempted_at is not null
		) w
		left join river_leader l on l.leader_id = w.id
		group by w.id
		order by max(w.at) desc`, newest)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Worker])
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	return nonNil(list), nil
}
