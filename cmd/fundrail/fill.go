package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/bench"
	"github.com/fundrail/fundrail/internal/config"
)

type seedCmd struct {
	config.Database

	Payments int           `default:"1000000" help:"Number of payments."`
	Jobs     int           `default:"3000000" help:"Number of jobs."`
	Over     time.Duration `default:"720h" help:"The time before now over which they are spread."`
}

// Run fills a database for measurements. Stripe does not know the open payments that it
// generates, so the database is of no other use.
func (c *seedCmd) Run(ctx context.Context, a *app) error {
	if c.Payments < 1 || c.Jobs < 0 || c.Over <= 0 {
		return errors.New("--payments and --over must be above zero, --jobs at least zero")
	}
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		started := a.Now()
		err := bench.Fill{
			Payments: c.Payments, Jobs: c.Jobs, Until: started, Over: c.Over,
			Progress: func(table string, rows int) {
				a.printf("%10d  %-20s %6d s\n", rows, table, int(a.Now().Sub(started).Seconds()))
			},
		}.Run(ctx, pool)
		return err
	})
}
