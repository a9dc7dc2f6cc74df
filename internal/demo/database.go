package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// database is a temporary database for one demo. A demo must not share one with another
// service, whose workers would take the demo's jobs to their own Stripe.
type database struct {
	name   string
	server *pgx.ConnConfig
	url    string
}

// createDatabase creates a database on the server of databaseURL.
func createDatabase(ctx context.Context, databaseURL string) (*database, error) {
	server, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a PostgreSQL address") // the parser's error may show the password
	}
	var suffix [6]byte
	_, _ = rand.Read(suffix[:]) // never fails
	d := &database{name: "fundrail_demo_" + hex.EncodeToString(suffix[:]), server: server}
	d.url = withDatabase(databaseURL, d.name)
	if err := d.exec(ctx, "create database "+d.name); err != nil {
		return nil, fmt.Errorf("create the demo's database: %w", err)
	}
	return d, nil
}

// drop drops the database, even if connections are left.
func (d *database) drop(ctx context.Context) error {
	if err := d.exec(ctx, "drop database "+d.name+" with (force)"); err != nil {
		return fmt.Errorf("drop the demo's database: %w", err)
	}
	return nil
}

func (d *database) exec(ctx context.Context, sql string) error {
	conn, err := pgx.ConnectConfig(ctx, d.server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the statement's result is what counts
	_, err = conn.Exec(ctx, sql)
	return err
}

// withDatabase returns databaseURL with another database of the same server.
func withDatabase(databaseURL, name string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return databaseURL // connecting to it reports what is wrong
	}
	u.Path = "/" + name
	return u.String()
}
