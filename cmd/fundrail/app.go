package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/migrations"
)

// errReported ends a command that has already printed its problems.
var errReported = errors.New("reported")

// app is the environment of a command.
type app struct {
	Getenv func(string) string
	Now    func() time.Time
	Stderr io.Writer
	Stdin  io.Reader
	Stdout io.Writer
	// Terminal reports whether the writer is a terminal. If it is nil, the command finds
	// out by itself.
	Terminal func(io.Writer) bool
}

// errorf prints an error, which may have several lines.
func (a *app) errorf(format string, args ...any) {
	const name = "fundrail: "
	lead := a.painter(a.Stderr)(console.Red, name)
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		_, _ = fmt.Fprintln(a.Stderr, lead+strings.TrimSpace(line))
		lead = strings.Repeat(" ", len(name))
	}
}

func (a *app) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stdout, format, args...)
}

// printJSON writes one object on one line.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printTable writes rows of cells in columns. The first row is the heading.
func (a *app) printTable(rows [][]string) error {
	return console.PrintTable(a.Stdout, a.painter(a.Stdout), rows)
}

// connect opens the database. It accepts any schema.
func connect(ctx context.Context, d config.Database) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, string(d.DatabaseURL))
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return pool, nil
}

// withConnection runs do on the database. It accepts any schema.
func withConnection(ctx context.Context, d config.Database, do func(*pgxpool.Pool) error) error {
	pool, err := connect(ctx, d)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(pool)
}

// withPool runs do on a database that has this program's schema.
func withPool(ctx context.Context, d config.Database, do func(*pgxpool.Pool) error) error {
	return withConnection(ctx, d, func(pool *pgxpool.Pool) error {
		if err := migrations.Check(ctx, pool); err != nil {
			return err
		}
		return do(pool)
	})
}

// withTx is withPool, in one transaction. The error says so if it is not known whether
// the transaction was committed.
func withTx(ctx context.Context, d config.Database, do func(pgx.Tx) error) error {
	return withPool(ctx, d, func(pool *pgxpool.Pool) error {
		return postgres.InTx(ctx, pool, do)
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func formatTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}
