// Package pgproxy is a TCP proxy for tests that stands between a client and
// PostgreSQL and produces, on demand, the faults of real networks, servers and
// poolers: before a commit is sent, after the server has committed, on connect, or
// at a statement. It reads the frontend/backend protocol in both directions, so
// that a fault strikes at a message's boundary and a test knows what the server has
// done. What the client makes of a fault, and whether that is right, is left to the
// tests.
//
// A test injects a Fault, waits for Injection.Fired in place of sleeping, and asks
// the database directly what has come of it.
//
// # What pgx v5.12 makes of each fault
//
// "Stored" says whether the rows are there. "Safe" is pgconn.SafeToRetry.
// "Extended" is a statement with arguments, a batch, or CopyFrom, in an explicit
// transaction or not. "Simple" is a statement without arguments, and so every
// Begin, Commit, Rollback and pgx.BeginFunc whose COMMIT is struck: pgx sends those
// as simple queries.
//
//	fault                            stored  extended                simple (Commit, BeginFunc)
//	BeforeCommit CloseConn           no      io.ErrUnexpectedEOF     "conn closed", safe
//	BeforeCommit ResetConn           no      ECONNRESET              "conn closed", safe
//	BeforeCommit AnswerError 08P01   no      PgError FATAL 08P01     PgError FATAL 08P01
//	BeforeCommit AnswerError 57P01   no      PgError FATAL 57P01     PgError FATAL 57P01
//	BeforeCommit AnswerError 40003   no      PgError ERROR 40003     PgError ERROR 40003
//	BeforeCommit HoldRequest         late    the context's error     the context's error
//	BeforeCommit FreezeConn          late    the context's error     the context's error
//	BeforeCommit FreezeToServer      late    the context's error     the context's error
//	BeforeCommit FreezeToClient      yes     the context's error     the context's error
//	BeforeCommit HoldAnswer          yes     the context's error     the context's error
//	AfterCommit  CloseConn           yes     io.ErrUnexpectedEOF     "conn closed", safe (!)
//	AfterCommit  ResetConn           yes     ECONNRESET              "conn closed", safe (!)
//	AfterCommit  AnswerError 08P01   yes     PgError FATAL 08P01     PgError FATAL 08P01
//	AfterCommit  AnswerError 57P01   yes     PgError FATAL 57P01     PgError FATAL 57P01
//	AfterCommit  AnswerError 40003   yes     PgError ERROR 40003     PgError ERROR 40003
//	AfterCommit  HoldAnswer          yes     the context's error     the context's error
//	AfterCommit  FreezeConn          yes     the context's error     the context's error
//	AfterCommit  FreezeToClient      yes     the context's error     the context's error
//	AfterCommit  FreezeToServer      yes     nil, next call hangs    nil, next call hangs
//	Connect      any but a hold      no      ConnectError            ConnectError
//
// The context's error is context.Canceled bare, or for a deadline an error that wraps
// context.DeadlineExceeded and satisfies pgconn.Timeout; neither is safe. "Late" is
// "no" at first, and "yes" once the fault is released, whatever the client has been
// told meanwhile: a context that ends doesn't take back what the client has sent.
// The cancel request that pgx sends then is lost on the same way.
//
// CopyFrom reads and writes at the same time. When its connection ends it returns the
// error of either: ECONNRESET, EPIPE or net.ErrClosed in place of the one above. An
// error of writing is safe to pgconn.SafeToRetry if the last write sent nothing, whatever
// the writes before have sent.
//
// "conn closed" with SafeToRetry true is a mistake of pgx's, and not the error of
// BeginFunc's deferred rollback, which is ErrTxClosed and ignored: while it reads the
// answer of a simple query, MultiResultReader.NextResult drops the error of the first
// read, which has closed the connection, and reads again. So SafeToRetry proves
// nothing for a statement without arguments. BeforeWrite and BeforeQuery give the
// errors of the column of the statement that is struck; in an explicit transaction
// nothing is stored then, even after a release, because the client never commits.
package pgproxy
