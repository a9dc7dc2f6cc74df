package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// watchedConn is a connection that fails when the server says nothing for a while
// after something was sent to it. TCP alone would wait for about a quarter of an
// hour, and for ever if the network still acknowledges what is sent.
//
// A read that nothing was sent before, such as that of a LISTEN, may take any time;
// and so may the rest of an answer that has begun, because the server flushes what it
// has before it computes on.
type watchedConn struct {
	net.Conn

	silence atomic.Int64 // nanoseconds
	mu      sync.Mutex
	waiting bool // something was sent, and nothing has come since
	// owned reports that the driver has set a deadline, to interrupt what is under
	// way. It must not be replaced.
	owned bool
}

// Write implements net.Conn.
func (c *watchedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		return n, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.owned {
		c.waiting = true
		err = c.Conn.SetReadDeadline(time.Now().Add(time.Duration(c.silence.Load()))) //nolint:forbidigo // the network's clock is the kernel's
	}
	return n, err
}

// Read implements net.Conn.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n == 0 {
		return n, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting && !c.owned {
		c.waiting = false
		_ = c.Conn.SetReadDeadline(time.Time{}) // what was read is worth more than this error
	}
	return n, err
}

// SetDeadline implements net.Conn.
func (c *watchedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owned = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *watchedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owned = !t.IsZero()
	return c.Conn.SetReadDeadline(t)
}

type patienceKey struct{}

// WithPatience lets the statements that are sent with the context take d before the
// server's silence counts as the connection's death. It is for reads of whole tables.
func WithPatience(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, d)
}

// reindexPatience is for River, which rebuilds its indexes once a day and says
// nothing of it in the context.
const reindexPatience = 2 * time.Minute

// patienceTracer tells connections how patient to be with each statement.
type patienceTracer struct{ silence time.Duration }

// TraceQueryStart implements pgx.QueryTracer.
func (t patienceTracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	d, ok := ctx.Value(patienceKey{}).(time.Duration)
	switch {
	case ok:
		t.set(conn, d)
	case strings.HasPrefix(data.SQL, "REINDEX"):
		t.set(conn, reindexPatience)
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (t patienceTracer) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	t.set(conn, t.silence)
	noteDemotion(conn, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (t patienceTracer) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	if d, ok := ctx.Value(patienceKey{}).(time.Duration); ok {
		t.set(conn, d)
	}
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (patienceTracer) TraceBatchQuery(_ context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	noteDemotion(conn, data.Err)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (t patienceTracer) TraceBatchEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	t.set(conn, t.silence)
	noteDemotion(conn, data.Err)
}

// noteDemotion marks a connection whose server refuses to write, so that the pool replaces
// it.
func noteDemotion(conn *pgx.Conn, err error) {
	if err == nil {
		return
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "25006" { // read-only transaction
		conn.PgConn().CustomData()[demotedKey] = true
	}
}

func (patienceTracer) set(conn *pgx.Conn, d time.Duration) {
	c := conn.PgConn().Conn()
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	if watched, ok := c.(*watchedConn); ok {
		watched.silence.Store(int64(d))
	}
}
