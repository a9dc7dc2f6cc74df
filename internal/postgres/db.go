// Package postgres is all the SQL there is, one file per table or per step of
// the money's way. Steps of that way take many members at once and write them
// in one transaction; a single member is a batch of one. What the rows mean is
// package wallet's business, and who calls Stripe is package jobs'.
package postgres

import (
	"context"
	"errors"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB runs statements: a pool, a connection or a transaction, as the caller
// chooses. A batch sent to a pool is one transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Unavailable tells whether err means that the database cannot be reached or
// cannot serve now, as opposed to a statement that it refuses.
func Unavailable(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code[:2] {
		case "08", "53", "57": // connection, resources, operator intervention
			return true
		}
		return pgErr.Code == "25006" // read-only: a standby, or a failover under way
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, pgx.ErrTxClosed) || errors.Is(err, net.ErrClosed) ||
		pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

// nonNil turns a nil slice into an empty one, because a nil slice is NULL to
// Postgres.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
