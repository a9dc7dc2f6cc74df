package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// listQuery is a query of a list that is read page by page. Its where clause uses args as
// $1, $2 and so on. The joins of extra are for the columns alone; the count does without
// them.
type listQuery struct {
	columns string
	from    string
	extra   string
	where   string
	order   string
	args    []any
}

// listPage reads a page of a list and counts all its rows, in one round trip.
func listPage[T any](ctx context.Context, db DB, q listQuery, page wallet.Page, scan pgx.RowToFunc[T]) ([]T, int, error) {
	limit, offset := page.Bounds()
	n := len(q.args)
	var b pgx.Batch
	b.Queue(`select count(*) from `+q.from+` where `+q.where, q.args...)
	b.Queue(`select `+q.columns+` from `+q.from+` `+q.extra+` where `+q.where+` order by `+q.order+
		` limit $`+strconv.Itoa(n+1)+` offset $`+strconv.Itoa(n+2), append(q.args[:n:n], limit, offset)...)
	results := db.SendBatch(ctx, &b)
	defer func() { _ = results.Close() }() // an error was reported by the query before
	var total int
	if err := results.QueryRow().Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count: %w", err)
	}
	rows, _ := results.Query()
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, 0, fmt.Errorf("list: %w", err)
	}
	return nonNil(list), total, nil
}
