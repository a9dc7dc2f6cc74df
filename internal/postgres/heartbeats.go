package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Beat writes the heartbeat of a process in a transaction as those of payments are. It
// returns an error if the database cannot do that now: it is read-only, its disk is full,
// or the connection has lost its session.
//
// The row is small and its page has room, so the write alone would succeed on a full
// disk. A sort that does not fit into memory has the server write a file as well.
func Beat(ctx context.Context, pool *pgxpool.Pool, process string, now time.Time) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	defer conn.Release()
	var pid int32
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var b pgx.Batch
		b.Queue(`select set_config('work_mem', '64kB', true)`)
		b.Queue(`select count(*) from generate_series(1, 20000)`)
		b.Queue(`
			insert into heartbeats (process, beaten_at) values (@process, @now)
			on conflict (process) do update set beaten_at = greatest(heartbeats.beaten_at, excluded.beaten_at)
			returning pg_backend_pid()`, params{"process": process, "now": now}).QueryRow(func(row pgx.Row) error { return row.Scan(&pid) })
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	if pid != backend(conn.Conn()) {
		return errTransactionPooling(errors.New("the session has changed"))
	}
	return nil
}

// DeleteHeartbeats deletes up to limit heartbeats from before a time. It returns how many
// it deleted.
func DeleteHeartbeats(ctx context.Context, db DB, before time.Time, limit int) (int64, error) {
	tag, err := db.Exec(ctx, `
		delete from heartbeats where process in (
			select process from heartbeats where beaten_at < @before limit @limit for update skip locked)`,
		params{"before": before, "limit": limit})
	if err != nil {
		return 0, fmt.Errorf("delete heartbeats: %w", err)
	}
	return tag.RowsAffected(), nil
}
