package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The waits of a connection. Nothing waits for the database for longer without a
// decision: the callers' own limits are not longer than these.
const (
	// connectLimit bounds dialing a server and logging in to it.
	connectLimit = 5 * time.Second
	// silenceLimit is how long a server may say nothing after a statement was sent.
	// Then the connection is taken for dead, and dropped.
	silenceLimit = 5 * time.Second
	// lockLimit bounds the wait for a row that another transaction holds. Ours hold
	// rows for milliseconds.
	lockLimit = 500 * time.Millisecond
	// abandonedLimit is how long the server keeps a transaction whose client says
	// nothing: perhaps it is gone, and the transaction still holds its rows.
	abandonedLimit = 10 * time.Second
)

// PoolOptions say how a pool connects.
type PoolOptions struct {
	URL      string
	MaxConns int32
	// Name is what the connections are called in pg_stat_activity.
	Name string
	// PlanByIndex has the planner find rows by their keys: for pools that serve the
	// money's way, whose statements read a few rows each.
	PlanByIndex bool
	// Silence is how long a server may say nothing after a statement was sent, five
	// seconds unless given. A pool for long reads gives more.
	Silence time.Duration
	// LockWait is how long a statement waits for a row that another transaction holds,
	// and Abandoned is how long the server keeps a transaction whose client says
	// nothing: half a second and ten seconds unless given. Tests shorten them.
	LockWait  time.Duration
	Abandoned time.Duration
	Tracer    pgx.QueryTracer
}

// OpenPool connects to the database. It fails when nothing answers there. The
// engine's settings are set on each connection and not inherited from the role or
// the database, so that a default that an operator changes for other
// programs does not change how money is moved.
func OpenPool(ctx context.Context, o PoolOptions) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errAddress()
	}
	if err := checkExecMode(cfg.ConnConfig.DefaultQueryExecMode); err != nil {
		return nil, err
	}
	o.Silence = cmp.Or(o.Silence, silenceLimit)
	o.LockWait = cmp.Or(o.LockWait, lockLimit)
	o.Abandoned = cmp.Or(o.Abandoned, abandonedLimit)
	if o.MaxConns > 0 {
		cfg.MaxConns = o.MaxConns
	}
	cfg.ConnConfig.Tracer = patienceTracer{o.Silence}
	if o.Tracer != nil {
		cfg.ConnConfig.Tracer = multitracer.New(patienceTracer{o.Silence}, o.Tracer)
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = o.Name
	cfg.ConnConfig.ConnectTimeout = connectLimit
	cfg.ConnConfig.DialFunc = dialer(o.Silence)
	if cfg.ConnConfig.ValidateConnect == nil {
		// A standby is refused, and the next host of the address is tried.
		cfg.ConnConfig.ValidateConnect = primaryOnly
	}
	cfg.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) { return !demoted(conn), nil }
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := RegisterTypes(ctx, conn); err != nil {
			return err
		}
		return setUp(ctx, conn, o)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		if unfit, ok := errors.AsType[*UnfitError](err); ok {
			return nil, unfit
		}
		return nil, fmt.Errorf("database: %w", err)
	}
	return pool, nil
}

// primaryOnly refuses a standby. It does not ask whether transactions are read-only:
// setUp changes that.
func primaryOnly(ctx context.Context, conn *pgconn.PgConn) error {
	err := pgconn.ValidateConnectTargetSessionAttrsPrimary(ctx, conn)
	if !errors.Is(err, pgconn.ErrStandbyConnection) {
		return err
	}
	return &UnfitError{
		Reason: "DATABASE_URL leads to a standby, which cannot be written to",
		Remedy: "Let it lead to the primary, or list all servers in it.",
		Err:    err,
	}
}

// demotedKey is where a connection keeps that its server has become read-only.
const demotedKey = "fundrail demoted"

// demoted reports whether the server has refused a write of the connection because it is
// read-only. Then it is a standby now, behind a pooler or a proxy that kept the connection.
func demoted(conn *pgx.Conn) bool { return conn.PgConn().CustomData()[demotedKey] != nil }

// setUp has the connection work as every other one does.
func setUp(ctx context.Context, conn *pgx.Conn, o PoolOptions) error {
	settings := map[string]string{
		"default_transaction_isolation":       "read committed",
		"default_transaction_read_only":       "off",
		"idle_in_transaction_session_timeout": milliseconds(o.Abandoned),
		"lock_timeout":                        milliseconds(o.LockWait),
		"statement_timeout":                   "0", // the client's own limits decide
	}
	if o.PlanByIndex {
		// Every statement of the money's way reads a few rows by an index, but it is
		// planned once, for arrays of unknown length and often for tables that were empty
		// when they were last analysed. Then the planner takes reading whole tables for
		// cheaper, and keeps to that plan while they grow. Reading a table is still
		// possible where there is no other way, at a price that must not make the
		// planner compile it.
		settings["plan_cache_mode"] = "force_generic_plan"
		for _, name := range []string{"enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit"} {
			settings[name] = "off"
		}
	}
	var names, values []string
	for name, value := range settings {
		names, values = append(names, name), append(values, value)
	}
	var pid int32
	err := conn.QueryRow(ctx, `
		select pg_backend_pid(), count(set_config(name, value, false))
		from (select unnest(@names::text[]) as name, unnest(@values::text[]) as value) s`,
		params{"names": names, "values": values}).Scan(&pid, nil)
	if err != nil {
		return fmt.Errorf("set up a connection: %w", err)
	}
	setBackend(conn, pid)
	return nil
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// dialer makes connections that notice when the server falls silent.
func dialer(silence time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout: connectLimit,
		// An idle connection whose peer is gone is found out before it is used.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence, Interval: 2 * time.Second, Count: 2},
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		watched := &watchedConn{Conn: conn}
		watched.silence.Store(int64(silence))
		return watched, nil
	}
}
