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

	// The first keys of our advisory locks. A run holds the lock of its number
	// and, shared, that of its template for as long as it lives; whoever makes a
	// template holds that of the making.
	runLock      = 0x66756e64
	templateLock = 0x66756e65
	makingLock   = 0x66756e66
)

func (s *server) templateName() string { return templatePrefix + s.schema.fingerprint }

func (s *server) databaseName(number int64) string {
	return fmt.Sprintf("%s%08x_%d", testPrefix, s.run, number)
}

// templateKey is the second key of a template's locks. Two templates that share
// one are merely kept longer.
func templateKey(name string) int32 {
	return int32(crc32.ChecksumIEEE([]byte(name))) //nolint:gosec // any number will do
}

// ensureTemplate makes the template, unless it is there. It gets its name only
// when it is complete, so a run that is killed in between leaves no half of one.
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
		return fmt.Errorf("make a template database: %w", err)
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
		// Advisory locks end at the borders of a database, and somebody whose
		// DATABASE_URL names another one was faster.
		return dropErr
	}
	return errors.Join(fmt.Errorf("make a template database: %w", err), dropErr)
}

// fillTemplate migrates the database and closes it to all but cloning, which
// wants nobody to be connected.
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

// sweep drops what runs that died have left: their databases, and templates of
// other schemas that no run uses. Who lives is told by the locks, which a run
// takes before it creates anything; so the databases have to be read first.
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
		// Another run may be sweeping too, or just have begun to use the template;
		// then it makes itself a new one.
		_ = s.dropDatabase(ctx, name)
	}
	return nil
}

// lockOf is the lock that the user of a database of ours holds, as sweep reads
// it from pg_locks.
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
