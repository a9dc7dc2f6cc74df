package postgres

import (
	"context"
	"fmt"
	"time"
)

// WakeQueues tells every worker process that jobs are there to be fetched. River
// sends such a notification itself, but not for jobs that follow another one
// within its cooldown, and those would wait for the next poll. It does not wait
// for the disk: a lost wake costs a poll interval, nothing else.
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

// Job is a job that is inserted by the statement which makes what it is about. River
// keeps its table open to that, for programs in other languages: what is not named has
// the defaults of a new job. Nothing is announced; see WakeQueues.
type Job struct {
	Kind        string
	Queue       string
	MaxAttempts int
}

// The parameters of a statement that inserts the job, null without one.

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

// TakeBackJobs makes the jobs available again that a worker process of this id
// was running when it died. The caller must be that process's successor.
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
