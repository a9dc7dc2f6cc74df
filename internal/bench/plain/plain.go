// Package plain is a simple payment service, as a first version would be written:
// River with its defaults, one transaction per step, one statement per row, one
// queue. The bench compares Fundrail with it, on the same schema, with the same
// requests and the same simulated Stripe. It handles successful payments and
// challenges only. It has no idempotency keys and handles neither lost answers nor
// declines, each of which would make it slower.
package plain

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	maxConns   = 16
	maxWorkers = 100
	stopWithin = 5 * time.Second
)

// program is the running service.
type program struct {
	now       func() time.Time
	pool      *pgxpool.Pool
	publicURL string
	river     *river.Client[pgx.Tx]
	secret    string
	stripe    *stripeapi.Client
}

// Prepare restores the indexes and settings of River's tables that Fundrail's
// schema removes.
func Prepare(ctx context.Context, pool *pgxpool.Pool) error {
	for _, sql := range []string{
		`create index if not exists river_job_args_index on river_job using gin (args)`,
		`create index if not exists river_job_metadata_index on river_job using gin (metadata)`,
		`create index if not exists river_job_kind on river_job using btree (kind)`,
		`alter table river_job reset (autovacuum_analyze_scale_factor, autovacuum_analyze_threshold, autovacuum_vacuum_scale_factor)`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare for the plain program: %w", err)
		}
	}
	return nil
}

// Run serves until ctx ends. It uses the same settings as Fundrail's service.
func Run(ctx context.Context, s config.Settings, now func() time.Time) error {
	if len(s.StripeTestWebhookSecrets) == 0 {
		return errors.New("a webhook secret is missing")
	}
	cfg, err := pgxpool.ParseConfig(string(s.DatabaseURL))
	if err != nil {
		return errors.New("DATABASE_URL is not a PostgreSQL address")
	}
	cfg.MaxConns = maxConns
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	stripe, err := stripeapi.New(stripeapi.Config{
		Mode: wallet.ModeTest, SecretKey: string(s.StripeTestSecretKey), URL: s.StripeAPIURL,
	})
	if err != nil {
		return err
	}
	p := &program{
		now: now, pool: pool, publicURL: s.PublicAddress(nil), secret: string(s.StripeTestWebhookSecrets[0]), stripe: stripe,
	}
	if err := p.startRiver(ctx); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/wallet/fund", p.fund)
	mux.HandleFunc("POST /webhooks/stripe", p.webhook)
	server := &http.Server{Addr: s.ListenAddr, Handler: mux, ReadHeaderTimeout: stopWithin}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, server.Shutdown(ending), p.river.Stop(ending))
}

func (p *program) startRiver(ctx context.Context) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &chargeWorker{program: p})
	river.AddWorker(workers, &settleWorker{program: p})
	var err error
	p.river, err = river.NewClient(riverpgxv5.New(p.pool), &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}},
		Workers: workers,
	})
	if err != nil {
		return err
	}
	return p.river.Start(context.WithoutCancel(ctx))
}
