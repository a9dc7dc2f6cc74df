package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/postgres"
)

type auditCmd struct {
	config.Database

	JSON bool `help:"Print one JSON object."`
}

// Run audits the ledger. It fails if there are differences, and lists them.
func (c *auditCmd) Run(ctx context.Context, a *app) error {
	return withPool(ctx, c.Database, func(pool *pgxpool.Pool) error {
		done := a.waiting("checking every wallet")
		report, err := postgres.Audit(ctx, pool)
		done()
		if err != nil {
			return err
		}
		if err := c.print(a, report); err != nil {
			return err
		}
		if len(report.Findings) > 0 {
			return errReported
		}
		return nil
	})
}

func (c *auditCmd) print(a *app, report postgres.AuditReport) error {
	if c.JSON {
		return a.printJSON(report)
	}
	a.printf("%s\n", a.verdict(len(report.Findings) == 0, auditSummary(report)))
	if len(report.Findings) == 0 {
		return nil
	}
	rows := [][]string{{"CHECK", "ID", "DETAIL"}}
	for _, f := range report.Findings {
		rows = append(rows, []string{f.Check, f.ID, f.Detail})
	}
	return a.printTable(rows)
}

func auditSummary(r postgres.AuditReport) string {
	verdict := "everything adds up"
	if n := len(r.Findings); n > 0 {
		verdict = console.Plural(n, "finding")
	}
	return fmt.Sprintf("audit: %s, %s, %s: %s",
		console.Plural(r.Wallets, "wallet"), console.Plural(r.Payments, "payment"), console.Plural(r.Transfers, "transfer"), verdict)
}
