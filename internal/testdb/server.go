package testdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/devpg"
	"github.com/fundrail/fundrail/migrations"
)

const (
	adminConns   = 4
	startTimeout = 2 * time.Minute

	duplicateDatabase = "42P04"
	undefinedDatabase = "3D000"
)

// schema is the content of a template.
type schema struct {
	fingerprint string
	migrate     func(ctx context.Context, pool *pgxpool.Pool) error
}

// currentSchema returns the schema of the migrations in this program.
func currentSchema() schema {
	return schema{
		fingerprint: migrations.Fingerprint(),
		migrate: func(ctx context.Context, pool *pgxpool.Pool) error {
			return migrations.Up(ctx, pool, slog.New(slog.DiscardHandler))
		},
	}
}

// server is the PostgreSQL server with the databases of this test binary.
type server struct {
	address string
	admin   *pgxpool.Pool
	clones  string        // the end of a statement that clones a template
	hold    *pgxpool.Conn // holds the locks that show other runs that this one is alive
	last    atomic.Int64  // number of the newest database
	private *devpg.Server // nil on the server of DATABASE_URL
	run     int32         // identifies this test binary
	schema  schema
}

// sharedServer is the server of this test binary. The first test that needs it starts it.
var sharedServer struct {
	err    error
	once   sync.Once
	server *server
}

// shared returns the shared server. The server outlives the test that starts it, so it
// does not take that test's context.
func shared() (*server, error) {
	sharedServer.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		sharedServer.server, sharedServer.err = start(ctx, os.Getenv("DATABASE_URL"), currentSchema())
	})
	return sharedServer.server, sharedServer.err
}

// stopShared stops the server, if a test has started it.
func stopShared() error {
	sharedServer.once.Do(func() {})
	if sharedServer.server == nil {
		return nil
	}
	return sharedServer.server.close(context.Background())
}

// start connects to the server at address, or starts a private one if address is empty.
func start(ctx context.Context, address string, sch schema) (*server, error) {
	if address == "" {
		return startPrivate(ctx, sch)
	}
	s, err := connect(ctx, address, sch)
	if err != nil {
		return nil, fmt.Errorf("use the server of DATABASE_URL: %w", err)
	}
	return s, nil
}

// startPrivate starts a server with the template already in it.
func startPrivate(ctx context.Context, sch schema) (*server, error) {
	pg, err := devpg.Start(ctx, devpg.Options{Seed: &devpg.Seed{
		Fill: func(ctx context.Context, pg *devpg.Server) error {
			s, err := connect(ctx, pg.DatabaseURL(), sch)
			if err != nil {
				return err
			}
			return s.close(ctx)
		},
		Key: templatePrefix + sch.fingerprint,
	}})
	if err != nil {
		return nil, err
	}
	s, err := connect(ctx, pg.DatabaseURL(), sch)
	if err != nil {
		return nil, errors.Join(err, pg.Stop(context.WithoutCancel(ctx)))
	}
	s.private = pg
	if s.version() >= 150000 {
		// Copying files takes two checkpoints, which are cheap on a server that never
		// waits for a disk.
		s.clones = " STRATEGY file_copy"
	}
	return s, nil
}

// connect prepares a server for this run: it takes the run's locks, drops what dead runs
// have left and ensures that there is a template.
func connect(ctx context.Context, address string, sch schema) (*server, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = adminConns
	admin, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, err
	}
	s := &server{address: address, admin: admin, run: rand.Int32(), schema: sch} //nolint:gosec // a name, not a secret
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (s *server) open(ctx context.Context) (err error) {
	if s.hold, err = s.admin.Acquire(ctx); err != nil {
		return err
	}
	_, err = s.hold.Exec(ctx, "SELECT pg_advisory_lock($1, $2), pg_advisory_lock_shared($3, $4)",
		runLock, s.run, templateLock, templateKey(s.templateName()))
	if err != nil {
		return err
	}
	if err := s.sweep(ctx); err != nil {
		return err
	}
	return s.ensureTemplate(ctx)
}

// close closes the connections and stops a private server. On another server, the next
// run drops the databases of tests that did not end.
func (s *server) close(ctx context.Context) error {
	if s.hold != nil {
		// Closed, not released to the pool, so that its locks end.
		_ = s.hold.Hijack().Close(ctx)
	}
	s.admin.Close()
	if s.private != nil {
		return s.private.Stop(ctx)
	}
	return nil
}

// version returns the server's major version as a number, such as 150000.
func (s *server) version() int {
	var number int
	_, _ = fmt.Sscanf(s.hold.Conn().PgConn().ParameterStatus("server_version"), "%d", &number)
	return number * 10000
}

// createDatabase clones the template, or template0 for an empty database, and
// returns the clone's name.
func (s *server) createDatabase(ctx context.Context, empty bool) (string, error) {
	name := s.databaseName(s.last.Add(1))
	if empty {
		return name, s.exec(ctx, "CREATE DATABASE %s TEMPLATE template0", name)
	}
	err := s.clone(ctx, name)
	if isCode(err, undefinedDatabase) {
		// Another run dropped the template just before this run locked it.
		if err = s.ensureTemplate(ctx); err == nil {
			err = s.clone(ctx, name)
		}
	}
	return name, err
}

func (s *server) clone(ctx context.Context, name string) error {
	return s.exec(ctx, "CREATE DATABASE %s TEMPLATE %s"+s.clones, name, s.templateName())
}

// dropDatabase drops a database, even if connections are left.
func (s *server) dropDatabase(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name)
}

// exec runs a statement with names, which cannot be arguments.
func (s *server) exec(ctx context.Context, format string, names ...string) error {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	_, err := s.admin.Exec(ctx, fmt.Sprintf(format, quoted...))
	return err
}

// url returns the server's address with another database. DATABASE_URL may have either
// of the two forms that libpq accepts.
func (s *server) url(name string) string {
	u, err := url.Parse(s.address)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return s.address + " dbname=" + name
	}
	u.Path = "/" + name
	return u.String()
}

func isCode(err error, code string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == code
}
