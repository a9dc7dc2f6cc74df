package pgproxy_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/pgproxy"
)

const insert = "insert into written (write, part) values ($1, $2)"

// way is one of the ways in which Fundrail writes.
type way struct {
	name  string
	rows  int
	write func(ctx context.Context, pool *pgxpool.Pool, name string) error
}

func group(name string) *pgx.Batch {
	var b pgx.Batch
	for part := range 20 {
		b.Queue(insert, name, part)
	}
	return &b
}

func ways() []way {
	return []way{
		{"Exec", 1, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			_, err := pool.Exec(ctx, insert, name, 0)
			return err
		}},
		{"SendBatch", 20, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			return pool.SendBatch(ctx, group(name)).Close()
		}},
		{"BeginFunc", 1, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, insert, name, 0)
				return err
			})
		}},
		{"BeginFuncBatch", 20, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				return tx.SendBatch(ctx, group(name)).Close()
			})
		}},
		{"BatchBeginTx", 20, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			var b pgx.Batch
			b.BeginTx(pgx.TxOptions{})
			for part := range 20 {
				b.Queue(insert, name, part)
			}
			b.Queue("commit")
			return pool.SendBatch(ctx, &b).Close()
		}},
		{"CopyFrom", 20, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			rows := pgx.CopyFromSlice(20, func(part int) ([]any, error) { return []any{name, part}, nil })
			_, err := pool.CopyFrom(ctx, pgx.Identifier{"written"}, []string{"write", "part"}, rows)
			return err
		}},
	}
}

// TestFaults sends each way of writing through each fault, and asks both sides what
// has come of it: pgx for its error, the database for the rows.
func TestFaults(t *testing.T) {
	t.Parallel()
	url, direct := newDatabase(t)
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for when, name := range map[pgproxy.When]string{
				pgproxy.BeforeCommit: "BeforeCommit", pgproxy.AfterCommit: "AfterCommit", pgproxy.BeforeWrite: "BeforeWrite",
			} {
				for _, do := range []pgproxy.Action{pgproxy.CloseConn, pgproxy.ResetConn, pgproxy.FreezeConn, pgproxy.HoldRequest, pgproxy.HoldAnswer, pgproxy.FreezeToClient, pgproxy.FreezeToServer} {
					if do == pgproxy.HoldRequest && when == pgproxy.AfterCommit {
						continue
					}
					probe(t, url, direct, w, pgproxy.Fault{When: when, Do: do}, name)
				}
				for _, e := range []pgproxy.Error{pgproxy.ServerConnCrashed, pgproxy.CompletionUnknown, pgproxy.AdminShutdown} {
					probe(t, url, direct, w, pgproxy.Fault{When: when, Do: pgproxy.AnswerError, Error: e}, name)
				}
			}
		})
	}
}

func probe(t *testing.T, url string, direct *pgxpool.Pool, w way, f pgproxy.Fault, when string) {
	r := newRigOn(t, url, direct)
	id := fmt.Sprint(w.name, when, f.Do, f.Error.Code)
	require.NoError(t, w.write(t.Context(), r.pool, id+"warm"))
	i := r.proxy.Inject(f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := async(func() error { return w.write(ctx, r.pool, id) })
	receive(t, "strike", i.Fired())
	if f.Do == pgproxy.HoldAnswer || f.Do == pgproxy.FreezeToClient {
		receive(t, "done", i.Done())
	}
	if f.Do != pgproxy.AnswerError && f.Do != pgproxy.CloseConn && f.Do != pgproxy.ResetConn {
		cancel()
	}
	err := result(t, got)
	n := r.written(t, id)
	i.Release()
	receive(t, "done", i.Done())
	late := r.written(t, id)
	fmt.Printf("TABLE %-14s %-12s %-14s %s | %s | %d %d\n", w.name, when, f.Do, f.Error.Code, sort(err), n, late)
}
