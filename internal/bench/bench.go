// Package bench measures what a payment costs, in ratios to what PostgreSQL's own
// pgbench does on the same server in the same run. It starts everything it needs:
// a private PostgreSQL with durable settings, the simulator and the service in
// processes of their own, and drives them through real HTTP. It proves the books
// afterwards: a fast wrong answer is worth nothing. What the commands do that it
// starts is left to their packages.
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/devpg"
)

// Options say what is measured and for how long. All but Log are required.
type Options struct {
	// Challenges is the share of payments that pass a 3-D Secure challenge.
	Challenges float64
	// Duration is how long everything may take, set-up included.
	Duration time.Duration
	// Executable is this program. Its commands serve, stripesim and supervised are
	// run.
	Executable string
	Log        *slog.Logger
	Now        func() time.Time
	// OnlyPlain measures the plain River program alone.
	OnlyPlain bool
	// PlotDir gets charts of how the cost grows. Empty means that it is not looked
	// at, which takes a few minutes.
	PlotDir string
	// Preload is how many payments are stored before it is measured how much a
	// history costs.
	Preload int64
	// Processes is how many processes serve.
	Processes int
	// ProfileDir gets profiles of the service and of PostgreSQL's statements. Empty
	// means that nothing is profiled, which costs a little.
	ProfileDir string
	// Progress is told what is going on, in lines for a person.
	Progress func(line string)
	// Quick measures nothing but settled payments against TPC-B.
	Quick bool
	// Workers is the service's setting of that name.
	Workers int
}

// bench is everything that was started, and what it was started with.
type bench struct {
	Options
	admin *pgxpool.Pool // the server's own database
	began time.Time
	// deadline is when everything should be over.
	deadline time.Time
	dir      string // logs and the like
	pid      int
	server   *devpg.Server
	// statements tells that PostgreSQL keeps account of them.
	statements bool
	mu         sync.Mutex // guards what targets that start at the same time write to
	stops      []func() error

	durability map[string]string
	version    string // PostgreSQL's

	pgbench *pgbench
	events  *events
	targets []*target // all of the following, once they are started
	main    *target   // has no payments at first
	full    *target   // has many
	waiting *target   // only takes events in
	plain   *target

	// merchants all have one wallet and one card, but the last, whose wallet many
	// cards pay into.
	merchants []merchant
}

// usualPreload is what the share of a history in the cost is measured with.
const usualPreload = 300_000

// stopPostgres is how long PostgreSQL may take to stop.
const stopPostgres = 15 * time.Second

// serverSettings size the server as one that is meant to carry load. Whatever
// makes commits durable stays as it is.
var serverSettings = map[string]string{
	"checkpoint_timeout": "15min",
	"max_connections":    "500", // of all the services, which on their own would take a few dozen
	"max_wal_size":       "8GB",
	"shared_buffers":     "1GB",
}

// Measure runs the bench. When it returns, everything that it started is gone.
func Measure(ctx context.Context, o Options) (_ Report, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &bench{Options: o, began: o.Now(), durability: map[string]string{}, pid: os.Getpid()}
	b.deadline = b.began.Add(o.Duration)
	defer func() { err = errors.Join(err, b.stop()) }()
	if b.dir, err = os.MkdirTemp("", "fundrail-bench-"); err != nil {
		return Report{}, err
	}
	b.onStop(func() error { return os.RemoveAll(b.dir) })
	if err := b.startServer(ctx); err != nil {
		return Report{}, err
	}
	return b.run(ctx)
}

func (b *bench) say(format string, args ...any) {
	b.Progress(fmt.Sprintf("%5.1fs  ", b.Now().Sub(b.began).Seconds()) + fmt.Sprintf(format, args...))
}

// onStop adds a step to the way down, which is the way up in reverse.
func (b *bench) onStop(step func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stops = append(b.stops, step)
}

func (b *bench) stop() error {
	var problems []error
	for _, step := range slices.Backward(b.stops) {
		problems = append(problems, step())
	}
	return errors.Join(problems...)
}

func (b *bench) startServer(ctx context.Context) error {
	b.say("starting PostgreSQL with durable settings")
	server, err := devpg.Start(ctx, devpg.Options{Durable: true, Log: b.Log, Settings: serverSettings})
	if err != nil {
		return err
	}
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPostgres)
		defer cancel()
		return server.Stop(ctx)
	}
	if b.ProfileDir != "" && libraryAt(server.BinDir()) {
		// Only a running server tells where its binaries are.
		settings := maps.Clone(serverSettings)
		settings["shared_preload_libraries"] = statementsLibrary
		settings["pg_stat_statements.track_planning"] = "on"
		if err := stop(); err != nil {
			return err
		}
		if server, err = devpg.Start(ctx, devpg.Options{Durable: true, Log: b.Log, Settings: settings}); err != nil {
			return err
		}
		b.statements = true
	}
	b.server = server
	b.onStop(stop)
	if b.admin, err = pgxpool.New(ctx, server.DatabaseURL()); err != nil {
		return err
	}
	b.onStop(func() error { b.admin.Close(); return nil })
	if err := b.admin.QueryRow(ctx, "select current_setting('server_version')").Scan(&b.version); err != nil {
		return err
	}
	return b.checkDurable(ctx)
}

// checkDurable refuses to measure a server that may forget what it committed.
func (b *bench) checkDurable(ctx context.Context) error {
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := b.admin.QueryRow(ctx, "select current_setting($1)", name).Scan(&value); err != nil {
			return err
		}
		b.say("%s = %s", name, value)
		b.durability[name] = value
		if value != "on" {
			return errors.New(name + " is " + value + ": what a server that forgets can do is not worth measuring")
		}
	}
	return nil
}

// inDatabase runs a statement in a database of the server.
func (b *bench) inDatabase(ctx context.Context, name, sql string) error {
	pool, err := pgxpool.New(ctx, b.server.URL(name))
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = pool.Exec(ctx, sql)
	return err
}
