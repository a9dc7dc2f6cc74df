package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ApplicationName is the application_name of Fundrail's connections in pg_stat_activity.
const ApplicationName = "fundrail"

const workerName = ApplicationName + " worker "

// ProcessName returns an application_name for the connections of this process. A process
// that works jobs gets a unique name, and CountWorkers counts these names. This needs no
// table, and a killed process disappears with its connections.
func ProcessName(worksJobs bool) string {
	if !worksJobs {
		return ApplicationName
	}
	const digits = 12 // an application_name has at most 63 bytes
	return workerName + strings.ReplaceAll(uuid.NewString(), "-", "")[:digits]
}

// CountWorkers counts the processes that work the jobs of this database. It sees only the
// processes that connect as the same database role.
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

// ListWorkers returns the processes that took one of the newest jobs, the last to take one
// first.
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
