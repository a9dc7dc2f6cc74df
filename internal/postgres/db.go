// Package postgres holds the SQL of the money's way and of its tables, one file per
// table or step. Steps of that way take many members at once and write them
// in one transaction; a single member is a batch of one. What the rows mean is
// package wallet's business, and who calls Stripe is package jobs'.
package postgres

import (
	"context"

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

// nonNil turns a nil slice into an empty one, because a nil slice is NULL to
// Postgres.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
