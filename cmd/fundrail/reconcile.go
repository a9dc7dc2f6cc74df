package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

type reconcileCmd struct {
	config.Database
	config.Stripe

	Since  time.Duration `default:"24h" help:"How far back to compare. Open payments are compared whatever their age."`
	Repair bool          `help:"Settle what Stripe confirms."`
	JSON   bool          `help:"Print one JSON object."`
}

// Run compares each mode that has a Stripe key. It fails if a difference is left.
func (c *reconcileCmd) Run(ctx context.Context, a *app) error {
	if c.Since <= 0 {
		return fmt.Errorf("--since must be longer than zero, not %s", c.Since)
	}
	var results []postgres.Reconciliation
	err := withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		engine, modes, err := c.engine(ctx, a, pool)
		if err != nil {
			return err
		}
		defer engine.Close(ctx)
		for _, mode := range modes {
			done := a.waiting("comparing with Stripe, " + string(mode))
			r, err := engine.Reconcile(ctx, jobs.ReconcileOptions{
				Mode: mode, Since: a.Now().Add(-c.Since), Repair: c.Repair, Source: "operator",
			})
			done()
			if err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.print(a, results); err != nil {
		return err
	}
	for _, r := range results {
		if r.Left() > 0 {
			return errReported
		}
	}
	return nil
}

// engine returns an engine that inserts no jobs, because the command repairs by itself.
func (c *reconcileCmd) engine(ctx context.Context, a *app, pool *pgxpool.Pool) (*jobs.Engine, []wallet.Mode, error) {
	const actionDeadline = 24 * time.Hour // of a challenge that the comparison finds
	var modes []wallet.Mode
	clients := make(map[wallet.Mode]jobs.Stripe)
	for _, mode := range wallet.Modes {
		key := c.SecretKey(mode)
		if key == "" {
			continue
		}
		client, err := stripeapi.New(stripeapi.Config{Mode: mode, SecretKey: string(key), URL: c.StripeAPIURL})
		if err != nil {
			return nil, nil, err
		}
		modes, clients[mode] = append(modes, mode), client
	}
	log := slog.New(slog.DiscardHandler)
	return jobs.NewEngine(ctx, jobs.Options{
		ActionDeadline: actionDeadline, Log: log, Now: a.Now, Pool: pool, Stripe: clients,
	}), modes, nil
}

type reconcileLine struct {
	Mode     wallet.Mode      `json:"mode"`
	Since    time.Time        `json:"since"`
	Until    time.Time        `json:"until"`
	Payments int64            `json:"payments"`
	Refunds  int64            `json:"refunds"`
	Disputes int64            `json:"disputes"`
	Drift    int              `json:"drift"`
	Repaired int64            `json:"repaired"`
	Findings []postgres.Drift `json:"findings"`
}

func (c *reconcileCmd) print(a *app, results []postgres.Reconciliation) error {
	if c.JSON {
		return c.printJSON(a, results)
	}
	rows := [][]string{{"KIND", "PAYMENT", "STRIPE", "DETAIL", "REPAIRED"}}
	for _, r := range results {
		verdict := "nothing differs"
		if n := len(r.Drift); n > 0 {
			verdict = console.Plural(n, "difference")
			if r.Repaired() > 0 {
				verdict += fmt.Sprintf(", %d repaired", r.Repaired())
			}
		}
		a.printf("%s\n", a.verdict(r.Left() == 0, fmt.Sprintf("reconcile %s: %s, %s, %s: %s", r.Mode,
			console.Plural(r.Payments, "payment"), console.Plural(r.Refunds, "refund"), console.Plural(r.Disputes, "dispute"), verdict)))
		for _, d := range r.Drift {
			payment := "-"
			if d.PaymentID != (wallet.ID{}) {
				payment = d.PaymentID.String()
			}
			rows = append(rows, []string{string(d.Kind), payment, d.StripeID, d.Detail, yesNo(d.Repaired)})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	return a.printTable(rows)
}

func (c *reconcileCmd) printJSON(a *app, results []postgres.Reconciliation) error {
	answer := struct {
		Drift    int             `json:"drift"`
		Repaired int64           `json:"repaired"`
		Modes    []reconcileLine `json:"modes"`
	}{Modes: []reconcileLine{}}
	for _, r := range results {
		answer.Drift += len(r.Drift)
		answer.Repaired += r.Repaired()
		answer.Modes = append(answer.Modes, reconcileLine{
			Mode: r.Mode, Since: r.Since, Until: r.Until, Payments: r.Payments, Refunds: r.Refunds, Disputes: r.Disputes,
			Drift: len(r.Drift), Repaired: r.Repaired(), Findings: r.Drift,
		})
	}
	return a.printJSON(answer)
}
