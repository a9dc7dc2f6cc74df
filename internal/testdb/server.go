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

// schema is what a template has in it.
type schema struct {
	fingerprint string
	migrate     func(ctx context.Context, pool *pgxpool.Pool) error
}

// currentSchema is that of the migrations in this program.
func currentSchema() schema {
	return schema{
		fingerprint: migrations.Fingerprint(),
		migrate: func(ctx context.Context, pool *pgxpool.Pool) error {
			return migrations.Up(ctx, pool, slog.New(slog.DiscardHandler))
		},
	}
}

// server is where the databases of this test binary are.
type server struct {
	address string
	admin   *pgxpool.Pool
	clones  string        // what a statement that clones a template ends with
	hold    *pgxpool.Conn // keeps the locks that tell others we are alive
	last    atomic.Int64  // number of the newest database
	private *devpg.Server // nil on the server of DATABASE_URL
	run     int32         // tells this test binary from all others
	schema  schema
}

// theServer is the one server of this test binary, once a test has asked for it.
var theServer struct {
	err    error
	once   sync.Once
	server *server
}

// shared returns theServer, which the first call starts. It outlives the test that happens to come first, and so has a context of its own.
func shared() (*server, error) {
	theServer.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		theServer.server, theServer.err = start(ctx, os.Getenv("DATABASE_URL"), currentSchema())
	})
	return theServer.server, theServer.err
}

// stopShared stops the server, if a test has started it.
func stopShared() error {
	theServer.once.Do(func() {})
	if theServer.server == nil {
		return nil
	}
	return theServer.server.close(context.Background())
}

// start uses the server at the address, or starts one if that is empty.
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
		// Copying files takes two checkpoints, and those are nothing on a server
		// that never waits for a disk.
		s.clones = " STRATEGY file_copy"
	}
	return s, nil
}

// connect opens a server for this run: with its locks taken, the remains of dead
// runs removed, and a template.
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

// close gives everything back. The databases of tests that didn't end are left
// to the next sweep, or go with the private server.
func (s *server) close(ctx context.Context) error {
	if s.hold != nil {
		// Closed and not returned: its locks are to end with it.
		_ = s.hold.Hijack().Close(ctx)
	}
	s.admin.Close()
	if s.private != nil {
		return s.private.Stop(ctx)
	}
	return nil
}

// version is the server's version as a number, such as 150018.
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
		// Another run swept it between our taking its lock and our use of it.
		if err = s.ensureTemplate(ctx); err == nil {
			err = s.clone(ctx, name)
		}
	}
	return name, err
}

func (s *server) clone(ctx context.Context, name string) error {
	return s.exec(ctx, "CREATE DATABASE %s TEMPLATE %s"+s.clones, name, s.templateName())
}

// dropDatabase drops a database, whoever is connected to it.
func (s *server) dropDatabase(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name)
}

// exec runs a statement that takes names, which can't be arguments.
func (s *server) exec(ctx context.Context, format string, names ...string) error {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	_, err := s.admin.Exec(ctx, fmt.Sprintf(format, quoted...))
	return err
}

// url is the server's address with another database in it. DATABASE_URL may be
// either of the two forms that libpq takes.
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
