package main

import (
	"context"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/worker"
)

type serveCmd struct {
	config.Settings

	WithoutWorker bool `help:"Leave jobs to other processes."`
}

// Run answers requests, and works on jobs, until the context ends.
func (c *serveCmd) Run(ctx context.Context, a *app) error {
	return worker.Run(ctx, worker.Options{
		Log:            c.Logger(a.Stderr),
		Settings:       c.Settings,
		WithoutWorkers: c.WithoutWorker,
	})
}
