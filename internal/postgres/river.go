package postgres

import (
	"context"
	"fmt"
	"time"
)

// WakeQueues notifies every worker process that the queues have new jobs. River itself
// does not notify for a job that follows another within its cooldown; such a job would
// wait for the next poll. The commit does not wait for the disk, because a lost
// notification only delays jobs until that poll.
func WakeQueues(ctx context.Context, db DB, queues []string) error {
	payloads := make([]string, len(queues))
	for i, q := range queues {
		payloads[i] = `{"queue": "` + q + `"}`
	}
	_, err := db.Exec(ctx, `
		select set_config('synchronous_commit', 'off', true), pg_notify(current_schema() || '.river_insert', payload)
		from unnest($1::text[]) as payload`, payloads)
	if err != nil {
		return fmt.Errorf("wake queues: %w", err)
	}
	return nil
}

// Job is a job that SQL inserts, in the statement that stores the row that the job is
// about. River supports such inserts: the other columns have the defaults of a new job.
// They notify no worker; see WakeQueues.
type Job struct {
	Kind        string
	Queue       string
	MaxAttempts int
}

// The methods return the parameters of a statement that inserts the job. They are null for
// a nil Job.

func (j *Job) kind() *string {
	if j == nil {
		return nil
	}
	return &j.Kind
}

func (j *Job) queue() *string {
	if j == nil {
		return nil
	}
	return &j.Queue
}

func (j *Job) maxAttempts() *int {
	if j == nil {
		return nil
	}
	return &j.MaxAttempts
}

// TakeBackJobs makes the jobs available that a worker process was running when it died,
// and returns how many. The caller must be the successor of that process under the same
// client id: the jobs of a living process would run twice at the same time.
func TakeBackJobs(ctx context.Context, db DB, clientID string, now time.Time) (int64, error) {
	tag, err := db.Exec(ctx, `
		update river_job
		set state = 'available', scheduled_at = $2
		where state = 'running' and attempted_by[array_upper(attempted_by, 1)] = $1`, clientID, now)
	if err != nil {
		return 0, fmt.Errorf("take back jobs of %s: %w", clientID, err)
	}
	return tag.RowsAffected(), nil
}
