package main

import (
	"context"
	"errors"
	"time"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/stripesim"
)

// stopSimulator is how long the simulator's current deliveries may take to end.
const stopSimulator = 3 * time.Second

type stripesimCmd struct {
	config.Log

	Listen             string          `default:"127.0.0.1:12111" help:"Host and port to answer on; port 0 picks one."`
	BaseURL            string          `placeholder:"http://…" help:"Address that clients use. Default: the one it answers on."`
	WebhookURL         string          `placeholder:"http://…" help:"Address to deliver events to. Default: no deliveries."`
	WebhookSecrets     []config.Secret `env:"STRIPE_TEST_WEBHOOK_SECRETS" placeholder:"whsec_…,…" help:"Secrets that sign the events of test mode."`
	LiveWebhookSecrets []config.Secret `env:"STRIPE_LIVE_WEBHOOK_SECRETS" placeholder:"whsec_…,…" help:"Secrets that sign the events of live mode."`
	StateFile          string          `placeholder:"PATH" help:"File that keeps the state over a restart. Default: memory only."`
	Latency            time.Duration   `default:"0s" help:"Time that each request takes."`
	RateLimit          int             `default:"0" help:"Requests per second and mode before it answers 429; 0 for no limit."`
	RealRetries        bool            `help:"Repeat deliveries over days, as Stripe does, instead of minutes."`
}

// Run serves the simulated Stripe until the context ends.
func (c *stripesimCmd) Run(ctx context.Context, a *app) error {
	cfg := stripesim.Config{
		BaseURL:            c.BaseURL,
		LiveWebhookSecrets: reveal(c.LiveWebhookSecrets),
		Log:                c.Logger(a.Stderr),
		RateLimit:          c.RateLimit,
		RequestLatency:     c.Latency,
		StateFile:          c.StateFile,
		WebhookSecrets:     reveal(c.WebhookSecrets),
		WebhookURL:         c.WebhookURL,
	}
	if c.RealRetries {
		cfg.WebhookRetry = stripesim.RetryReal()
	}
	sim, err := stripesim.New(cfg)
	if err != nil {
		return err
	}
	running, err := sim.Listen(c.Listen) //nolint:contextcheck // it is closed below
	if err != nil {
		return errors.Join(err, sim.Close(context.WithoutCancel(ctx)))
	}
	a.printf("The simulated Stripe answers at %s\n", running.URL)
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopSimulator)
	defer cancel()
	return running.Close(ctx)
}

func reveal(secrets []config.Secret) []string {
	var list []string
	for _, s := range secrets {
		list = append(list, string(s))
	}
	return list
}
