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
