package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// listQuery is a list that is read page by page. Its where clause uses args as $1
// and so on; extra joins what only the rows need and the count does not.
type listQuery struct {
	columns string
	from    string
	extra   string
	where   string
	order   string
	args    []any
}

// listPage reads one page of a list and counts all of it, in one transaction.
func listPage[T any](ctx context.Context, db DB, q listQuery, page wallet.Page, scan pgx.RowToFunc[T]) ([]T, int, error) {
	limit, offset := page.Bounds()
	n := len(q.args)
	var b pgx.Batch
	b.Queue(`select count(*) from `+q.from+` where `+q.where, q.args...)
	b.Queue(`select `+q.columns+` from `+q.from+` `+q.extra+` where `+q.where+` order by `+q.order+
		` limit $`+strconv.Itoa(n+1)+` offset $`+strconv.Itoa(n+2), append(q.args[:n:n], limit, offset)...)
	results := db.SendBatch(ctx, &b)
	defer func() { _ = results.Close() }() // it was read to its end, or failed before
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
