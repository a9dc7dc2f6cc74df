package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// texts returns the texts of a query with one column.
func texts(t *testing.T, pool *pgxpool.Pool, query string) []string {
	t.Helper()

	rows, _ := pool.Query(t.Context(), query)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestDeleteStripeEvents(t *testing.T) {
	t.Parallel()

	pool, now := testdb.New(t), testfactory.Now
	before := now.Add(-90 * 24 * time.Hour)
	for id, e := range map[string]struct {
		mode, status string
		age          time.Duration
	}{
		"old_1":       {"test", "handled", 0},
		"old_2":       {"test", "handled", time.Hour},
		"old_3":       {"test", "ignored", time.Hour},
		"old_4":       {"test", "handled", 2 * time.Hour},
		"old_pending": {"test", "pending", 3 * time.Hour},
		"old_live":    {"live", "handled", 2 * time.Hour},
		"young":       {"test", "handled", -time.Hour},
	} {
		_, err := pool.Exec(t.Context(), `
			insert into stripe_events (id, mode, type, status, source, body, created_at, received_at, due_at, handled_at)
			values ($1, $2, 'a', $3, 'webhook', '', $4, $4, $4, case when $3 <> 'pending' then $4::timestamptz end)`,
			id, e.mode, e.status, before.Add(-e.age-time.Second))
		require.NoError(t, err)
	}

	var from time.Time
	var deleted []int64
	for range 3 {
		n, next, err := postgres.DeleteStripeEvents(t.Context(), pool, wallet.ModeTest, from, before, 2)
		require.NoError(t, err)
		deleted, from = append(deleted, n), next
	}

	require.Equal(t, []int64{2, 2, 0}, deleted)
	require.Equal(t, []string{"old_live", "old_pending", "young"}, texts(t, pool, `select id from stripe_events order by id`))
}

func TestDeleteMerchantEvents(t *testing.T) {
	t.Parallel()

	pool, now := testdb.New(t), testfactory.Now
	before := now.Add(-30 * 24 * time.Hour)
	e, _ := testfactory.Endpoint(t, pool, testfactory.EndpointOpts{})
	for i, row := range []struct {
		kind, status string // without a status there is no delivery
		age          time.Duration
	}{
		{"old.undelivered", "", 6 * time.Hour},
		{"old.pending", "pending", 5 * time.Hour},
		{"old.failed", "failed", 4 * time.Hour},
		{"old.succeeded", "succeeded", 3 * time.Hour},
		{"young", "succeeded", -time.Second},
	} {
		at := before.Add(-row.age)
		id := wallet.FirstID(at)
		_, err := pool.Exec(t.Context(), `
			with event as (
				insert into merchant_events (id, organization_id, mode, type, object_id, sequence, snapshot, created_at)
				values ($1, $2, 'test', $3, $4, $5, '{}', $6)
			), sequence as (
				insert into merchant_event_sequences (object_id, last_sequence) values ($4, $5)
				on conflict (object_id) do update set last_sequence = excluded.last_sequence
			), delivery as (
				insert into deliveries (id, endpoint_id, event_id, object_id, sequence, status, attempts, created_at, finished_at)
				select $1, $7, $1, $4, $5, $8::text, 1, $6, case when $8 <> 'pending' then $6::timestamptz end where $8 <> ''
			)
			select`, id, e.OrganizationID, row.kind, e.ID, i+1, at, e.ID, row.status)
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), `
			insert into delivery_attempts (delivery_id, attempted_at, duration_ms) select id, $2, 1 from deliveries where id = $1`, id, at)
		require.NoError(t, err)
	}

	deleted, seen, last, err := postgres.DeleteMerchantEvents(t.Context(), pool, wallet.ID{}, before, 3)
	require.NoError(t, err)
	require.EqualValues(t, 2, deleted)
	require.EqualValues(t, 3, seen)
	deleted, seen, last, err = postgres.DeleteMerchantEvents(t.Context(), pool, last, before, 3)
	require.NoError(t, err)
	require.EqualValues(t, 1, deleted)
	require.EqualValues(t, 1, seen)
	deleted, seen, _, err = postgres.DeleteMerchantEvents(t.Context(), pool, last, before, 3)
	require.NoError(t, err)
	require.Zero(t, deleted+seen)

	require.Equal(t, []string{"old.pending", "young"}, texts(t, pool, `select type from merchant_events order by id`))
	require.Equal(t, []string{"pending", "succeeded"}, texts(t, pool, `select status from deliveries order by id`))
	require.Len(t, texts(t, pool, `select id::text from delivery_attempts`), 2)
	require.Equal(t, []string{"5"}, texts(t, pool, `select last_sequence::text from merchant_event_sequences`), "the sequence continues")
}

func TestDeleteOldSessions(t *testing.T) {
	t.Parallel()

	pool, now := testdb.New(t), testfactory.Now
	for token, age := range map[string]time.Duration{"a": time.Minute, "b": time.Hour, "c": 2 * time.Hour, "live": -time.Minute} {
		_, err := pool.Exec(t.Context(), `insert into sessions (token, data, expiry) values ($1, '', $2)`, token, now.Add(-age))
		require.NoError(t, err)
	}

	n, err := postgres.DeleteOldSessions(t.Context(), pool, now, 2)

	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.Equal(t, []string{"a", "live"}, texts(t, pool, `select token from sessions order by token`))
}

func TestDeleteLoginFailures(t *testing.T) {
	t.Parallel()

	pool, now := testdb.New(t), testfactory.Now
	for subject, age := range map[string]time.Duration{"old": 3 * postgres.LoginWindow, "young": postgres.LoginWindow} {
		_, err := pool.Exec(t.Context(), `
			insert into login_failures (subject, failures, last_failed_at, blocked_until) values ($1, 1, $2, $2)`, subject, now.Add(-age))
		require.NoError(t, err)
	}

	n, err := postgres.DeleteLoginFailures(t.Context(), pool, now, 10)

	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, []string{"young"}, texts(t, pool, `select subject from login_failures`))
}
