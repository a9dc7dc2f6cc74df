package postgres

import "github.com/jackc/pgx/v5"

// ColumnsOf is columnsOf for the tests of this package, which are outside of it
// because package testdb imports it.
func ColumnsOf[T any](rows []T) pgx.NamedArgs { return columnsOf(rows) }
