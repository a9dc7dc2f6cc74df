package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// UnfitError is a way to the database that can never work, however often it is tried.
type UnfitError struct {
	Reason string // what is wrong, such as "DATABASE_URL leads to a standby"
	Remedy string // what to do about it: a sentence
	Err    error  // may be nil
}

// Error implements error.
func (e *UnfitError) Error() string { return e.Reason + ". " + e.Remedy }

// Unwrap gives the cause.
func (e *UnfitError) Unwrap() error { return e.Err }

func isUnfit(err error) bool {
	_, ok := errors.AsType[*UnfitError](err)
	return ok
}

// CheckURL returns an UnfitError if an address has an option with which the statements do
// not work.
func CheckURL(url string) error {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return errAddress()
	}
	return checkExecMode(cfg.ConnConfig.DefaultQueryExecMode)
}

// errAddress does not contain the parser's error, which may show the password.
func errAddress() error { return errors.New("DATABASE_URL is not a PostgreSQL address") }

// checkExecMode refuses the modes that send parameters without asking the server for
// their types. Arrays of ids and records cannot be sent like that.
func checkExecMode(mode pgx.QueryExecMode) error {
	if mode != pgx.QueryExecModeExec && mode != pgx.QueryExecModeSimpleProtocol {
		return nil
	}
	return &UnfitError{
		Reason: "DATABASE_URL has default_query_exec_mode=" + strings.ReplaceAll(mode.String(), " ", "_") + ", with which the statements do not work",
		Remedy: "Remove it from the address.",
	}
}

// backendKey is where a connection keeps the id of its server process.
const backendKey = "fundrail backend"

// setBackend remembers the id of the server process that a new connection has.
func setBackend(conn *pgx.Conn, pid int32) { conn.PgConn().CustomData()[backendKey] = pid }

// backend returns what setBackend remembered. It is not what the protocol says, because a
// pooler says something of its own there.
func backend(conn *pgx.Conn) int32 {
	pid, _ := conn.PgConn().CustomData()[backendKey].(int32)
	return pid
}

func errTransactionPooling(cause error) error {
	return &UnfitError{
		Reason: "DATABASE_URL leads to a pooler in transaction mode, which gives each transaction another session",
		Remedy: "Set pool_mode = session in PgBouncer for Fundrail's database, or connect to PostgreSQL itself.",
		Err:    cause,
	}
}

// CheckSessions returns an UnfitError if a pool's connections do not keep their sessions,
// as behind a pooler in transaction mode.
func CheckSessions(ctx context.Context, pool *pgxpool.Pool) error {
	err := checkSessions(ctx, pool)
	switch {
	case err == nil:
		return nil
	case prepared(err):
		return errTransactionPooling(err)
	case isUnfit(err):
		return err
	default:
		return fmt.Errorf("database: %w", err)
	}
}

func checkSessions(ctx context.Context, pool *pgxpool.Pool) error {
	first, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer first.Release()
	firstPID, err := backendOf(ctx, first)
	if err != nil {
		return err
	}
	// The first connection is idle now, so a pooler in transaction mode gives its session
	// to the second one. Or it has several, and gives each transaction any of them.
	second, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer second.Release()
	secondPID, err := backendOf(ctx, second)
	if err != nil {
		return err
	}
	if firstPID == secondPID {
		return errTransactionPooling(nil)
	}
	for range 3 {
		// While the second one is in a transaction, the first needs a session of its own.
		err := pgx.BeginFunc(ctx, second, func(tx pgx.Tx) error {
			if err := requireBackend(ctx, tx, secondPID); err != nil {
				return err
			}
			return requireBackend(ctx, first, firstPID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func requireBackend(ctx context.Context, db rowQuerier, want int32) error {
	pid, err := backendOf(ctx, db)
	if err == nil && pid != want {
		err = errTransactionPooling(nil)
	}
	return err
}

type rowQuerier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// backendOf asks for the server process of a session. It prepares no statement, which a
// pooler may lose.
func backendOf(ctx context.Context, db rowQuerier) (pid int32, err error) {
	err = db.QueryRow(ctx, `select pg_backend_pid()`, pgx.QueryExecModeExec).Scan(&pid)
	return pid, err
}

// prepared reports whether a statement was prepared in another session than the
// connection's, or by another connection in this one.
func prepared(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "26000" || pgErr.Code == "42P05") // invalid statement name, duplicate prepared statement
}
