package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// LoginWindow is how long failed logins count, and the longest time that a subject is
// blocked.
const LoginWindow = 15 * time.Minute

// LoginBlockedUntil returns the time until which logins of the subjects (an account and an
// IP address) are refused, zero if they are not.
func LoginBlockedUntil(ctx context.Context, db DB, subjects []string, now time.Time) (time.Time, error) {
	var until *time.Time
	err := db.QueryRow(ctx, `
		select max(blocked_until) from login_failures where subject = any ($1) and blocked_until > $2`,
		subjects, now).Scan(&until)
	if err != nil {
		return time.Time{}, fmt.Errorf("look up failed logins: %w", err)
	}
	if until == nil {
		return time.Time{}, nil
	}
	return *until, nil
}

// NoteLoginFailure counts a failed login for each subject. Subject i is blocked for one
// second after free[i] failures within LoginWindow, and for twice as long after each
// further failure, up to LoginWindow.
func NoteLoginFailure(ctx context.Context, db DB, subjects []string, free []int32, now time.Time) error {
	var b pgx.Batch
	b.Queue(`delete from login_failures where last_failed_at < $1`, now.Add(-2*LoginWindow))
	b.Queue(`
		insert into login_failures as f (subject, failures, last_failed_at, blocked_until)
		select subject, 1, $3::timestamptz, $3::timestamptz from unnest($1::text[], $2::int[]) as s (subject, free) order by subject
		on conflict (subject) do update
		set failures = case when f.last_failed_at < $3::timestamptz - $4::bigint * interval '1 millisecond' then 1 else f.failures + 1 end,
			last_failed_at = $3::timestamptz`, subjects, free, now, LoginWindow.Milliseconds())
	b.Queue(`
		update login_failures f
		set blocked_until = $3::timestamptz + least(power(2, f.failures - s.free) * 1000, $4::bigint) * interval '1 millisecond'
		from unnest($1::text[], $2::int[]) as s (subject, free)
		where f.subject = s.subject and f.failures >= s.free`, subjects, free, now, LoginWindow.Milliseconds())
	if err := db.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("note failed login: %w", err)
	}
	return nil
}

// ForgetLoginFailures deletes the failed logins of the subjects.
func ForgetLoginFailures(ctx context.Context, db DB, subjects []string) error {
	if _, err := db.Exec(ctx, `delete from login_failures where subject = any ($1)`, subjects); err != nil {
		return fmt.Errorf("forget failed logins: %w", err)
	}
	return nil
}

// DeleteSessions deletes expired sessions. The session store does not delete them itself.
func DeleteSessions(ctx context.Context, db DB, now time.Time) error {
	if _, err := db.Exec(ctx, `delete from sessions where expiry < $1`, now); err != nil {
		return fmt.Errorf("delete sessions: %w", err)
	}
	return nil
}
