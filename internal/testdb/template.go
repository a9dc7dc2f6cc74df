package testdb

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// A run's databases are called testPrefix, the run and a number.
	testPrefix = "fundrail_test_"
	// A template is called templatePrefix and the fingerprint of its schema.
	templatePrefix = "fundrail_template_"

	// The first keys of the advisory locks. A run holds the lock of its number and,
	// shared, the lock of its template until it ends. It holds the making lock while it
	// creates a template.
	runLock      = 0x66756e64
	templateLock = 0x66756e65
	makingLock   = 0x66756e66
)

func (s *server) templateName() string { return templatePrefix + s.schema.fingerprint }

func (s *server) databaseName(number int64) string {
	return fmt.Sprintf("%s%08x_%d", testPrefix, s.run, number)
}

// templateKey returns the second key of a template's locks. A template that shares its
// key with another one is only kept longer.
func templateKey(name string) int32 {
	return int32(crc32.ChecksumIEEE([]byte(name))) //nolint:gosec // any number will do
}

// ensureTemplate creates the template unless it exists. The template gets its name when
// it is complete, so a run that is killed leaves no incomplete template.
func (s *server) ensureTemplate(ctx context.Context) error {
	if exists, err := s.exists(ctx, s.templateName()); err != nil || exists {
		return err
	}
	return s.admin.AcquireFunc(ctx, func(conn *pgxpool.Conn) (err error) {
		key := templateKey(s.templateName())
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, $2)", makingLock, key); err != nil {
			return err
		}
		defer func() {
			_, unlockErr := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1, $2)", makingLock, key)
			err = errors.Join(err, unlockErr)
		}()
		if exists, err := s.exists(ctx, s.templateName()); err != nil || exists {
			return err
		}
		return s.makeTemplate(ctx)
	})
}

func (s *server) makeTemplate(ctx context.Context) error {
	raw := s.databaseName(s.last.Add(1))
	if err := s.exec(ctx, "CREATE DATABASE %s TEMPLATE template0", raw); err != nil {
		return fmt.Errorf("create a template database: %w", err)
	}
	err := s.fillTemplate(ctx, raw)
	if err == nil {
		err = s.exec(ctx, "ALTER DATABASE %s RENAME TO %s", raw, s.templateName())
	}
	if err == nil {
		return nil
	}
	dropErr := s.dropDatabase(context.WithoutCancel(ctx), raw)
	if isCode(err, duplicateDatabase) {
		// Advisory locks belong to one database. A run whose DATABASE_URL names another
		// database of this server has created the template at the same time.
		return dropErr
	}
	return errors.Join(fmt.Errorf("create a template database: %w", err), dropErr)
}

// fillTemplate migrates the database and then refuses connections to it, because a
// database with connections cannot be cloned.
func (s *server) fillTemplate(ctx context.Context, name string) error {
	pool, err := pgxpool.New(ctx, s.url(name))
	if err != nil {
		return err
	}
	err = s.schema.migrate(ctx, pool)
	pool.Close()
	if err != nil {
		return err
	}
	return s.exec(ctx, "ALTER DATABASE %s WITH ALLOW_CONNECTIONS false", name)
}

func (s *server) exists(ctx context.Context, name string) (exists bool, err error) {
	err = s.admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	return exists, err
}

// sweep drops what dead runs have left: their databases, and templates of other schemas
// that no run uses. A run is alive while it holds its lock. It takes the lock before it
// creates anything, so sweep reads the databases first and the locks second.
func (s *server) sweep(ctx context.Context) error {
	names, err := s.strings(ctx, `
		SELECT datname FROM pg_database
		WHERE (starts_with(datname, $1) OR starts_with(datname, $2)) AND datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)`,
		testPrefix, templatePrefix)
	if err != nil {
		return err
	}
	// pg_locks shows the locks of all databases, and keys as unsigned numbers.
	held, err := s.strings(ctx, `
		SELECT classid::text || ' ' || objid::text FROM pg_locks
		WHERE locktype = 'advisory' AND objsubid = 2 AND granted`)
	if err != nil {
		return err
	}
	alive := make(map[string]bool, len(held))
	for _, lock := range held {
		alive[lock] = true
	}
	for _, name := range names {
		lock, ok := lockOf(name)
		if !ok || alive[lock] {
			continue
		}
		// Another run may be dropping the same database, or may have just begun to use
		// the template. In that case it creates a new one.
		_ = s.dropDatabase(ctx, name)
	}
	return nil
}

// lockOf returns the lock that the user of a test database holds, as pg_locks shows it.
func lockOf(name string) (string, bool) {
	if strings.HasPrefix(name, templatePrefix) {
		return fmt.Sprintf("%d %d", templateLock, uint32(templateKey(name))), true //nolint:gosec // as the server shows it
	}
	run, _, found := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
	number, err := strconv.ParseUint(run, 16, 32)
	return fmt.Sprintf("%d %d", runLock, number), found && err == nil
}

func (s *server) strings(ctx context.Context, sql string, args ...any) ([]string, error) {
	rows, _ := s.admin.Query(ctx, sql, args...) // CollectRows reports its error as well
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
