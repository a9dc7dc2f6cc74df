// Package postgres contains the SQL of the service, one file per table or per step of a
// payment. The steps of a payment take many payments at once and write them in one
// transaction; a single payment is a batch of one. Package wallet decides what the rows
// mean, and package jobs calls Stripe.
package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB runs statements. It is a pool, a connection or a transaction. A batch that is sent
// to a pool is one transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// nonNil returns s, or an empty slice if s is nil. pgx encodes a nil slice as null.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
