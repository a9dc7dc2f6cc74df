package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
)

// countCap is where counting stops, so that a count has a bounded cost.
const countCap = 10_000

// Count is a number of rows, either exact or estimated from the planner's statistics.
type Count struct {
	N         int64
	Estimated bool
}

// CountJobs counts the jobs of each state. The counts are of both modes, because a job's
// row does not have its mode. Counts above 10,000 are estimates.
func CountJobs(ctx context.Context, db postgres.DB) (map[string]Count, error) {
	rows, _ := db.Query(ctx, `
		with shares as (
			select unnest(most_common_vals::text::text[]) as state, unnest(most_common_freqs) as share
			from pg_stats
			where schemaname = current_schema() and tablename = 'river_job' and attname = 'state'
		)
		select s.state, c.n, coalesce(sh.share * t.reltuples, 0)::bigint as estimate
		from unnest($1::text[]) as s (state)
		cross join (select reltuples from pg_class where oid = 'river_job'::regclass) t
		cross join lateral (
			select count(*) as n
			from (select from river_job where state = s.state::river_job_state limit $2 + 1) j
		) c
		left join shares sh on sh.state = s.state`, JobStates, countCap)
	type countRow struct {
		State       string
		N, Estimate int64
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[countRow])
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	counts := make(map[string]Count, len(JobStates))
	for _, r := range list {
		if r.N > countCap {
			counts[r.State] = Count{N: max(r.N, r.Estimate), Estimated: true}
		} else {
			counts[r.State] = Count{N: r.N}
		}
	}
	return counts, nil
}

// QueueRow is a queue with its jobs.
type QueueRow struct {
	Name string
	// The counts of jobs stop at QueueCountCap.
	Available int64
	Running   int64
	Retryable int64
	Scheduled int64
	// OldestAt is when the oldest available job was due.
	OldestAt  *time.Time
	PausedAt  *time.Time
	UpdatedAt *time.Time // when a worker process last reported that it works the queue
	// PausedBy is the operator who paused the queue in the dashboard. It is empty for a
	// queue that is not paused or was paused elsewhere.
	PausedBy    string
	PauseReason string
}

// QueueCountCap is where counting the jobs of a queue stops.
const QueueCountCap = countCap

// ListQueues returns all queues that a worker has ever reported, by name.
func ListQueues(ctx context.Context, db postgres.DB) ([]QueueRow, error) {
	rows, _ := db.Query(ctx, `
		with counts as (
			select q.name, s.state, c.n
			from river_queue q
			cross join unnest(array['available', 'running', 'retryable', 'scheduled']) as s (state)
			cross join lateral (
				select count(*) as n
				from (select from river_job j where j.state = s.state::river_job_state and j.queue = q.name limit $1) j
			) c
		)
		select q.name,
			(select n from counts c where c.name = q.name and c.state = 'available') as available,
			(select n from counts c where c.name = q.name and c.state = 'running') as running,
			(select n from counts c where c.name = q.name and c.state = 'retryable') as retryable,
			(select n from counts c where c.name = q.name and c.state = 'scheduled') as scheduled,
			(select min(o.scheduled_at) from generate_series(1, 4) as p (priority) cross join lateral (
				select scheduled_at from river_job j
				where j.state = 'available' and j.queue = q.name and j.priority = p.priority
				order by scheduled_at limit 1) o) as oldest_at,
			q.paused_at, q.updated_at, coalesce(a.actor, '') as paused_by, coalesce(a.reason, '') as pause_reason
		from river_queue q
		left join lateral (
			select actor, reason from operator_actions
			where subject_kind = 'queue' and subject_id = q.name and action = 'queue.pause' and q.paused_at is not null
			order by id desc limit 1
		) a on true
		order by q.name`, QueueCountCap)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[QueueRow])
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return list, nil
}

// QueueLatency is the time that jobs of a queue waited from their due time to the start of
// their last attempt.
type QueueLatency struct {
	P50, P95 time.Duration
}

// QueueLatencies measures the jobs that were due in the hour before now and are completed,
// up to the newest hundred of each queue and priority. It leaves out queues without such
// jobs.
func QueueLatencies(ctx context.Context, db postgres.DB, now time.Time) (map[string]*QueueLatency, error) {
	const newest = 100
	rows, _ := db.Query(ctx, `
		select q.name, percentile_disc(array[0.5, 0.95]) within group (order by j.waited) as micros
		from river_queue q
		cross join generate_series(1, 4) as p (priority)
		cross join lateral (
			select greatest(extract(epoch from attempted_at - scheduled_at) * 1000000, 0)::bigint as waited
			from river_job j
			where j.state = 'completed' and j.queue = q.name and j.priority = p.priority
				and j.scheduled_at > $1 and j.attempted_at is not null
			order by j.scheduled_at desc limit $2
		) j
		group by q.name`, now.Add(-time.Hour), newest)
	type latencyRow struct {
		Name   string
		Micros []int64 // of the two quantiles
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[latencyRow])
	if err != nil {
		return nil, fmt.Errorf("measure queues: %w", err)
	}
	latencies := make(map[string]*QueueLatency)
	for _, r := range list {
		latencies[r.Name] = &QueueLatency{
			P50: time.Duration(r.Micros[0]) * time.Microsecond, P95: time.Duration(r.Micros[1]) * time.Microsecond,
		}
	}
	return latencies, nil
}

// PeriodicRun is the last run of a kind of job.
type PeriodicRun struct {
	Kind  string
	JobID int64
	State string
	At    time.Time
	Took  time.Duration
	Runs  int64 // among the newest jobs that were read
}

// ListPeriodicRuns returns the last run of each kind of job on a queue, by kind. It reads
// the newest thousand jobs of each priority that run, were completed or were discarded.
func ListPeriodicRuns(ctx context.Context, db postgres.DB, queue string) ([]PeriodicRun, error) {
	const newest = 1000
	rows, _ := db.Query(ctx, `
		with recent as (
			select j.* from unnest(array['completed', 'discarded', 'running']) as s (state)
			cross join generate_series(1, 4) as p (priority)
			cross join lateral (
				select id, kind, state::text as state, attempted_at, finalized_at from river_job j
				where j.state = s.state::river_job_state and j.queue = $1 and j.priority = p.priority
				order by j.scheduled_at desc limit $2
			) j
		)
		select distinct on (kind) kind, id as job_id, state, coalesce(attempted_at, finalized_at, 'epoch') as at,
			coalesce(greatest(extract(epoch from finalized_at - attempted_at) * 1000, 0), 0)::bigint * 1000000 as took,
			count(*) over (partition by kind) as runs
		from recent
		order by kind, id desc`, queue, newest)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[PeriodicRun])
	if err != nil {
		return nil, fmt.Errorf("list periodic jobs: %w", err)
	}
	return list, nil
}
