// Package bench measures the cost of a payment, as a ratio to what PostgreSQL's own
// pgbench does on the same server in the same run. It starts a private PostgreSQL
// with durable settings, and the simulator and the service in their own processes.
// It drives them over real HTTP. Afterwards it audits the books, because a fast
// wrong answer is worthless. The packages of the commands that it starts are not
// part of it.
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

// Options configures a measurement. All fields are required except Log, PlotDir and
// ProfileDir.
type Options struct {
	// Challenges is the share of payments with a 3-D Secure challenge.
	Challenges float64
	// Duration limits the whole measurement, including the set-up.
	Duration time.Duration
	// Executable is the path of this program. Its commands serve, stripesim and
	// supervised are run.
	Executable string
	Log        *slog.Logger
	Now        func() time.Time
	// OnlyPlain measures only the plain River program.
	OnlyPlain bool
	// PlotDir receives charts of how the cost grows, which take a few minutes.
	// Empty means no charts.
	PlotDir string
	// Preload is the number of payments stored before the cost of a history is
	// measured.
	Preload int64
	// Processes is the number of service processes.
	Processes int
	// ProfileDir receives profiles of the service and of PostgreSQL's statements.
	// Profiling costs some time. Empty means no profiles.
	ProfileDir string
	// Progress is called with lines about the progress, for people.
	Progress func(line string)
	// Quick measures only settled payments and TPC-B.
	Quick bool
	// Workers is the WORKERS setting of the service.
	Workers int
}

// bench is a running measurement.
type bench struct {
	Options
	admin *pgxpool.Pool // connected to the server's main database
	began time.Time
	// deadline is when the measurement should end.
	deadline time.Time
	dir      string // for logs and other temporary files
	pid      int
	server   *devpg.Server
	// statements reports whether pg_stat_statements is loaded.
	statements bool
	mu         sync.Mutex // guards the fields below, which several targets write at their start
	stops      []func() error

	durability map[string]string
	version    string // of PostgreSQL

	pgbench *pgbench
	events  *events
	targets []*target // all of the following that have been started
	main    *target   // empty at first
	full    *target   // has many payments
	waiting *target   // only stores events
	plain   *target

	// merchants have one wallet and one card each. The last one has many cards that
	// pay into its wallet.
	merchants []merchant
}

// usualPreload is the preload with which the cost of a history is usually measured.
const usualPreload = 300_000

// stopPostgres limits the time that PostgreSQL takes to stop.
const stopPostgres = 15 * time.Second

// serverSettings size the server for load. They do not change the settings that
// make commits durable.
var serverSettings = map[string]string{
	"checkpoint_timeout": "15min",
	"max_connections":    "500", // for all services together; each alone needs a few dozen
	"max_wal_size":       "8GB",
	"shared_buffers":     "1GB",
}

// Measure runs the bench. It has stopped everything that it started when it
// returns.
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

// onStop adds a step to stop. The steps run in reverse order.
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
		// The directory of the binaries is known only after the server has started.
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

// checkDurable returns an error if the server may lose committed transactions.
func (b *bench) checkDurable(ctx context.Context) error {
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		var value string
		if err := b.admin.QueryRow(ctx, "select current_setting($1)", name).Scan(&value); err != nil {
			return err
		}
		b.say("%s = %s", name, value)
		b.durability[name] = value
		if value != "on" {
			return errors.New(name + " is " + value + ": a server that may lose commits is not measured")
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
