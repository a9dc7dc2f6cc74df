package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// params are the parameters of a statement by their names: each name must stand in the
// statement, and each of its names must be given. They are pgx.StrictNamedArgs, which
// reads the text of the statement for every execution; params reads it once. So they
// are for statements whose text is constant.
type params map[string]any

// positional is the text of a statement with $1, $2, … in the place of its names.
type positional struct {
	sql string
	// names has the name of each parameter, in the order of their numbers.
	names []string
}

// positionals are the statements that were read so far, as *positional by their text.
var positionals sync.Map

// RewriteQuery implements pgx.QueryRewriter.
func (p params) RewriteQuery(ctx context.Context, conn *pgx.Conn, sql string, _ []any) (string, []any, error) {
	known, ok := positionals.Load(sql)
	if !ok {
		// pgx gives each value the place of its name, so names in the place of values
		// come back in their order.
		names := make(pgx.StrictNamedArgs, len(p))
		for name := range p {
			names[name] = name
		}
		text, order, err := names.RewriteQuery(ctx, conn, sql, nil)
		if err != nil {
			return "", nil, err
		}
		statement := &positional{sql: text}
		for _, name := range order {
			statement.names = append(statement.names, name.(string))
		}
		known, _ = positionals.LoadOrStore(sql, statement)
	}
	statement := known.(*positional)
	values := make([]any, len(statement.names))
	for i, name := range statement.names {
		value, ok := p[name]
		if !ok {
			return "", nil, fmt.Errorf("the statement has the parameter %q, which is not given", name)
		}
		values[i] = value
	}
	if len(p) != len(values) {
		return "", nil, fmt.Errorf("%d parameters are given, the statement has %d", len(p), len(values))
	}
	return statement.sql, values, nil
}
