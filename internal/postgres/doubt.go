package postgres

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// DoubtError reports a write that the database may have done, or may still do: it
// was sent, and its answer was lost, or is no proof. Every other error of a write
// proves that nothing was written and nothing will be.
type DoubtError struct{ Err error }

// Error implements error.
func (e *DoubtError) Error() string { return "the database may have done it: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *DoubtError) Unwrap() error { return e.Err }

// InDoubt reports whether err leaves open whether a write was done.
func InDoubt(err error) bool {
	_, ok := errors.AsType[*DoubtError](err)
	return ok
}

// sent sorts the error of a batch that was handed to a connection. It is a
// DoubtError unless err proves that nothing was written.
//
// There are two proofs. The driver knows that it had sent nothing; or the server
// refused a statement inside the transaction, which undoes it all. An error that
// ends the connection is no proof, because it may follow the commit; nor is one of
// class 08, because a pooler says it in the server's name when it has lost the
// server.
func sent(err error) error {
	if err == nil || notSent(err) {
		return err
	}
	return committed(err)
}

// committed sorts the error of a COMMIT that was handed to a connection. The driver
// is no witness here: pgx sends a COMMIT as a simple query, and reports "conn
// closed", which pgconn.SafeToRetry calls safe, when the connection breaks before
// the answer.
func committed(err error) error {
	if err == nil || InDoubt(err) || refused(err) {
		return err
	}
	return &DoubtError{Err: err}
}

func notSent(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || pgconn.SafeToRetry(err) || errors.Is(err, puddle.ErrClosedPool)
}

func refused(err error) bool {
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return true
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	// Severity is in the language of the server's lc_messages. Servers since 9.6 say it
	// in English too; a pooler may not.
	severity := cmp.Or(pgErr.SeverityUnlocalized, pgErr.Severity)
	switch {
	case severity == "FATAL", severity == "PANIC", // the connection has ended, perhaps behind the commit
		strings.HasPrefix(pgErr.Code, "08"),  // connection exception
		strings.HasPrefix(pgErr.Code, "57P"), // the server goes down or comes up
		strings.HasPrefix(pgErr.Code, "58"),  // system error, such as a failed write
		strings.HasPrefix(pgErr.Code, "XX"),  // internal error
		pgErr.Code == "40003":                // statement completion unknown
		return false
	default:
		return true
	}
}

// Unavailable reports whether err means that the database cannot be reached or
// cannot serve now, as opposed to a statement that it refuses.
func Unavailable(err error) bool {
	// A refused login has a code of its own, such as 28000, that is not about a statement.
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return true
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code[:2] {
		case "08", "53", "57", "58": // connection, resources, operator intervention, system
			return true
		}
		// A read-only server is a standby, or a failover is under way.
		return pgErr.Code == "25006" || pgErr.Code == "40003" || Blocked(err)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return InDoubt(err) || notSent(err) || pgconn.Timeout(err) ||
		errors.Is(err, pgx.ErrTxClosed) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// Rejected reports whether the server refused the values of a write, so that it would
// refuse the same write at any time. A unique violation is not meant: the row that is
// in the way may be that of an earlier attempt.
func Rejected(err error) bool {
	const uniqueViolation = "23505"
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code != uniqueViolation &&
		(strings.HasPrefix(pgErr.Code, "22") || strings.HasPrefix(pgErr.Code, "23")) // data, integrity constraint
}

// Resolve repeats a write that is in doubt until the database says stored or refused, or
// ctx ends. Each call must make the same write. The error is a DoubtError when the write
// may have happened.
func Resolve(ctx context.Context, write func() error) error {
	const longest = 2 * time.Second
	var doubt error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, longest) {
		err := write()
		switch {
		case InDoubt(err):
			doubt = err
		case err == nil, doubt == nil, Rejected(err):
			return err
		default: // an attempt that fails says nothing of one before it that is in doubt
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return doubt
		}
	}
}

// Blocked reports whether a statement gave up because another transaction holds a
// row that it needs. Nothing was written, and the same may succeed once that
// transaction has ended.
func Blocked(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch pgErr.Code {
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock not available
		return true
	default:
		return false
	}
}
