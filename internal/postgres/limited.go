package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// LookUpLimit bounds a look-up, with the wait for a connection.
const LookUpLimit = 5 * time.Second

// LookUps returns the pool for look-ups: each statement ends with an error after
// LookUpLimit, whatever the caller's context allows.
func LookUps(pool *pgxpool.Pool) DB { return limited{pool: pool} }

type limited struct{ pool *pgxpool.Pool }

// Exec implements DB.
func (l limited) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	ctx, cancel := context.WithTimeout(ctx, LookUpLimit)
	defer cancel()
	return l.pool.Exec(ctx, sql, args...)
}

// Query implements DB.
func (l limited) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, LookUpLimit)
	rows, err := l.pool.Query(ctx, sql, args...)
	return &limitedRows{Rows: rows, cancel: cancel}, err
}

// QueryRow implements DB.
func (l limited) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	ctx, cancel := context.WithTimeout(ctx, LookUpLimit)
	return limitedRow{Row: l.pool.QueryRow(ctx, sql, args...), cancel: cancel}
}

// SendBatch implements DB.
func (l limited) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	ctx, cancel := context.WithTimeout(ctx, LookUpLimit)
	return limitedResults{BatchResults: l.pool.SendBatch(ctx, b), cancel: cancel}
}

// limitedRows, limitedRow and limitedResults give their timers back when they have
// been read.
type limitedRows struct {
	pgx.Rows

	cancel context.CancelFunc
}

// Next implements pgx.Rows, which closes the rows behind the last one.
func (r *limitedRows) Next() bool {
	more := r.Rows.Next()
	if !more {
		r.cancel()
	}
	return more
}

// Close implements pgx.Rows.
func (r *limitedRows) Close() {
	r.Rows.Close()
	r.cancel()
}

type limitedRow struct {
	pgx.Row

	cancel context.CancelFunc
}

// Scan implements pgx.Row.
func (r limitedRow) Scan(dest ...any) error {
	defer r.cancel()
	return r.Row.Scan(dest...)
}

type limitedResults struct {
	pgx.BatchResults

	cancel context.CancelFunc
}

// Close implements pgx.BatchResults.
func (r limitedResults) Close() error {
	defer r.cancel()
	return r.BatchResults.Close()
}
