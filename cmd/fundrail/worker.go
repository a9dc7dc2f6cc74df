package main

import (
	"context"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/worker"
)

type workerCmd struct{ config.Settings }

// Run works on jobs until the context ends.
func (c *workerCmd) Run(ctx context.Context, a *app) error {
	return worker.Run(ctx, worker.Options{
		Log:         c.Logger(a.Stderr),
		Settings:    c.Settings,
		WithoutHTTP: true,
	})
}
