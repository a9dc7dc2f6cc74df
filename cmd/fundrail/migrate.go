package main

import (
	"context"
	"log/slog"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/migrations"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply the missing migrations. Several processes may do so at once."`
	Down   migrateDownCmd   `cmd:"" help:"Revert the newest migration."`
	Status migrateStatusCmd `cmd:"" help:"Show which migrations the database has."`
}

type migrateUpCmd struct{ config.Database }

// Run migrates the database to the newest schema.
func (c *migrateUpCmd) Run(ctx context.Context, a *app) error {
	return withConnection(ctx, c.Database, func(pool *pgxpool.Pool) error {
		if err := migrations.Up(ctx, pool, slog.New(slog.NewTextHandler(a.Stderr, nil))); err != nil {
			return err
		}
		a.printf("the database is at version %d\n", migrations.Latest())
		return nil
	})
}

type migrateDownCmd struct{ config.Database }

// Run reverts one migration.
func (c *migrateDownCmd) Run(ctx context.Context, a *app) error {
	return withConnection(ctx, c.Database, func(pool *pgxpool.Pool) error {
		version, err := migrations.Down(ctx, pool)
		if err != nil {
			return err
		}
		if version == 0 {
			a.printf("there was no migration to take back\n")
			return nil
		}
		a.printf("version %d was taken back\n", version)
		return nil
	})
}

type migrateStatusCmd struct {
	config.Database

	JSON bool `help:"Print one JSON object."`
}

// Run lists the migrations.
func (c *migrateStatusCmd) Run(ctx context.Context, a *app) error {
	return withConnection(ctx, c.Database, func(pool *pgxpool.Pool) error {
		list, err := migrations.List(ctx, pool)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(struct {
				Migrations []migrations.Status `json:"migrations"`
			}{list})
		}
		rows := [][]string{{"VERSION", "APPLIED", "NAME"}}
		for _, s := range list {
			rows = append(rows, []string{strconv.FormatInt(s.Version, 10), yesNo(s.Applied), s.Name})
		}
		return a.printTable(rows)
	})
}
