// Package migrations migrates a database to the schema of this program. Fundrail's
// own tables are in numbered SQL files, and River's migrations have numbers among
// them. The files describe the tables. Package postgres reads and writes them.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed *.sql
var files embed.FS

// riverVersions maps numbers of our migrations to the version of River's schema
// that they install. An upgrade of River with new migrations adds an entry.
var riverVersions = map[int64]int{1: 8}

// ErrUnknownSchema means that this program cannot work on the database's schema.
var ErrUnknownSchema = errors.New("database schema is not the one this program knows")

// Status is a migration with its state.
type Status struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Up applies all missing migrations. Several processes may call it at the same
// time: a lock in the database makes them run one after the other, and the later
// ones have nothing left to apply.
func Up(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	return withProvider(pool, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			log.InfoContext(ctx, "migration applied",
				slog.Int64("version", r.Source.Version), slog.Duration("duration", r.Duration))
		}
		if err != nil {
			return fmt.Errorf("migrate up: %w", err)
		}
		return nil
	})
}

// Down reverts the newest migration. It returns the version of that migration, or 0
// if there was none.
func Down(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var version int64
	err := withProvider(pool, func(p *goose.Provider) error {
		r, err := p.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("migrate down: %w", err)
		}
		version = r.Source.Version
		return nil
	})
	return version, err
}

// List returns all migrations, oldest first.
func List(ctx context.Context, pool *pgxpool.Pool) ([]Status, error) {
	var list []Status
	err := withProvider(pool, func(p *goose.Provider) error {
		all, err := p.Status(ctx)
		if err != nil {
			return fmt.Errorf("migration status: %w", err)
		}
		for _, s := range all {
			name := s.Source.Path
			if name == "" {
				name = fmt.Sprintf("river version %d", riverVersions[s.Source.Version])
			}
			list = append(list, Status{
				Version: s.Source.Version,
				Name:    name,
				Applied: s.State == goose.StateApplied,
			})
		}
		return nil
	})
	return list, err
}

const undefinedTable = "42P01"

// Check returns an error unless this program can work on the database. Every
// migration that the program knows must be applied. Newer migrations are allowed
// unless they removed something that the program uses. The error wraps
// ErrUnknownSchema and says what to do.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	have, err := Version(ctx, pool)
	if err != nil {
		return err
	}
	want := Latest()
	switch {
	case have < want:
		return fmt.Errorf("%w: it is at version %d and version %d is needed; run: fundrail migrate up",
			ErrUnknownSchema, have, want)
	case have > want:
		return checkFloor(ctx, pool, have, want)
	}
	return nil
}

// checkFloor returns an error if a newer schema no longer supports this program.
func checkFloor(ctx context.Context, pool *pgxpool.Pool, have, want int64) error {
	var floor int64
	err := pool.QueryRow(ctx, `select oldest_program from schema_floor`).Scan(&floor)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == undefinedTable {
		floor, err = have, nil
	}
	if err != nil {
		return fmt.Errorf("read the oldest program of the schema: %w", err)
	}
	if want < floor {
		return fmt.Errorf("%w: it is at version %d, which needs a program of version %d or newer, and this one has version %d; run a newer fundrail",
			ErrUnknownSchema, have, floor, want)
	}
	return nil
}

// Version returns the version of the database's schema, or 0 for an empty database.
func Version(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var have int64
	err := pool.QueryRow(ctx, `select coalesce(max(version_id), 0) from goose_db_version`).Scan(&have)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == undefinedTable {
		err = nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return have, nil
}

// Latest returns the version of the newest migration in this program.
func Latest() int64 {
	var latest int64
	for v := range riverVersions {
		latest = max(latest, v)
	}
	names, _ := fs.Glob(files, "*.sql") // the pattern is a valid constant
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err == nil {
			latest = max(latest, v)
		}
	}
	return latest
}

// Fingerprint identifies the schema that Up installs. Programs with the same
// fingerprint install the same tables.
func Fingerprint() string {
	h := sha256.New()
	names, _ := fs.Glob(files, "*.sql")
	for _, name := range names {
		body, _ := files.ReadFile(name) // embedded files can always be read
		_, _ = fmt.Fprintf(h, "%s %d\n%s", name, len(body), body)
	}
	for v := range Latest() + 1 {
		if river, ok := riverVersions[v]; ok {
			_, _ = fmt.Fprintf(h, "river %d %d\n", v, river)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func withProvider(pool *pgxpool.Pool, do func(*goose.Provider) error) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	var river []*goose.Migration
	for version, target := range riverVersions {
		river = append(river, riverMigration(pool, version, target))
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }() // closes the wrapper only; the pool stays open
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker),
		goose.WithGoMigrations(river...),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return do(p)
}

// riverMigration returns a migration that runs River's migrator. It runs outside of
// goose's transaction, because the migrator starts its own.
func riverMigration(pool *pgxpool.Pool, version int64, target int) *goose.Migration {
	run := func(direction rivermigrate.Direction, opts *rivermigrate.MigrateOpts) *goose.GoFunc {
		return &goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
			m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				return fmt.Errorf("river: %w", err)
			}
			if _, err = m.Migrate(ctx, direction, opts); err != nil {
				return fmt.Errorf("river: %w", err)
			}
			return nil
		}}
	}
	previous := -1
	for v, t := range riverVersions {
		if v < version {
			previous = max(previous, t)
		}
	}
	return goose.NewGoMigration(version,
		run(rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: target}),
		run(rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: previous}))
}
