package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// rollbackLimit bounds how long a failed transaction waits for its rollback. A
// connection that does not answer is dropped by its pool.
const rollbackLimit = 2 * time.Second

// ErrKeyTaken ends a transaction of InTx that found its idempotency key taken: it is
// rolled back, and InTx returns nil. There is nothing to commit, and so nothing that
// could be in doubt.
var ErrKeyTaken = errors.New("the idempotency key is taken")

// InTx runs do in a transaction on a connection of the pool. Unlike pgx.BeginFunc
// it tells doubt from failure: the error is a DoubtError when the commit was sent
// and its answer is no proof. Any other error proves that nothing was written.
func InTx(ctx context.Context, pool *pgxpool.Pool, do func(tx pgx.Tx) error) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := setLockWait(ctx, tx); err != nil {
		rollback(ctx, tx)
		return err
	}
	if err := do(tx); err != nil {
		// Whatever do had written ends with the transaction: it was not committed, and
		// a connection that was lost takes it along.
		rollback(ctx, tx)
		if errors.Is(err, ErrKeyTaken) {
			return nil
		}
		return err
	}
	if err := committed(tx.Commit(ctx)); err != nil {
		rollback(ctx, tx)
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

type lockWaitKey struct{}

// WithLockWait has the statements of InTx wait no longer than d for a row that another
// transaction holds.
func WithLockWait(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, lockWaitKey{}, d)
}

func setLockWait(ctx context.Context, tx pgx.Tx) error {
	d, ok := ctx.Value(lockWaitKey{}).(time.Duration)
	if !ok {
		return nil
	}
	if _, err := tx.Exec(ctx, `select set_config('lock_timeout', $1, true)`, milliseconds(d)); err != nil {
		return fmt.Errorf("set lock_timeout: %w", err)
	}
	return nil
}

func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackLimit)
	defer cancel()
	_ = tx.Rollback(ctx) // the pool drops a connection that is still in a transaction
}

// rollbackOn ends a transaction that was begun by a statement.
func rollbackOn(ctx context.Context, conn *pgxpool.Conn) {
	if conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackLimit)
	defer cancel()
	_, _ = conn.Exec(ctx, "rollback") // the pool drops a connection that is still in a transaction
}

// sendAtomically sends a batch as one implicit transaction and hands its results to
// read. The error is a DoubtError unless it proves that nothing was written.
func sendAtomically(ctx context.Context, pool *pgxpool.Pool, b *pgx.Batch, read func(pgx.BatchResults) error) error {
	// Waiting for a connection is no doubt: nothing has been sent.
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("acquire connection: %w", err)
	}
	defer conn.Release()
	return sent(sendBatch(ctx, conn, b, read))
}

func sendBatch(ctx context.Context, db DB, b *pgx.Batch, read func(pgx.BatchResults) error) error {
	results := db.SendBatch(ctx, b)
	err := read(results)
	if closeErr := results.Close(); err == nil {
		err = closeErr // the error of the commit, when the batch is a transaction
	}
	return err
}
