package main

import (
	"context"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/demo"
)

type demoCmd struct {
	Database     config.Secret `name:"database-url" env:"DATABASE_URL" group:"Settings" placeholder:"postgres://…" help:"Server for a temporary database, or the database to keep with --data-dir or --keep. Default: a private PostgreSQL."`
	DataDir      string        `placeholder:"DIR" help:"Keep everything in this directory. Default: nothing is kept."`
	Keep         bool          `help:"Keep everything in a temporary directory, to look at afterwards."`
	Listen       string        `default:"127.0.0.1:0" help:"Host and port to answer on; port 0 picks one."`
	StripeListen string        `default:"127.0.0.1:0" help:"Host and port of the simulated Stripe; port 0 picks one."`
}

// Run tells the story, and fails unless every check in it held.
func (c *demoCmd) Run(ctx context.Context, a *app) error {
	return demo.Run(ctx, demo.Options{
		DatabaseURL:  c.Database,
		DataDir:      c.DataDir,
		Keep:         c.Keep,
		Listen:       c.Listen,
		StripeListen: c.StripeListen,
		Now:          a.Now,
		Out:          a.Stdout,
		Paint:        a.painter(a.Stdout),
		Waiting:      a.waiting,
	})
}
