package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/migrations"
)

const (
	oldestServer = 14_00_00 // PostgreSQL 14, as server_version_num has it
	// clockMayDiffer is far below the five minutes for which a signature of Stripe is
	// valid.
	clockMayDiffer = 30 * time.Second
	// workerSeenWithin is several times the interval of the most frequent periodic job.
	workerSeenWithin = 2 * time.Minute
	jobsMayWait      = time.Minute
	eventsMayWait    = 10 * time.Minute
	// reconciledWithin is one and a half intervals of the daily reconciliation.
	reconciledWithin = 36 * time.Hour
)

// durable are settings of the server. With other values, a commit may be lost, or
// transactions may behave differently from what the statements expect.
var durable = []struct{ name, want, mend string }{
	{"fsync", "on", "Set fsync = on: without it a power cut loses money and breaks the database."},
	{"full_page_writes", "on", "Set full_page_writes = on: without it a power cut can break the database."},
	{"default_transaction_isolation", "read committed", "Set default_transaction_isolation = 'read committed' for Fundrail's user: its statements are written for that."},
	{"default_transaction_read_only", "off", "Set default_transaction_read_only = off for Fundrail's user, or point DATABASE_URL at the primary."},
}

// database checks the database and returns it, or nil if it cannot be used.
func (e *examination) database(ctx context.Context) *pgxpool.Pool {
	const check = "database"
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if e.Settings.Database.Check() != nil {
		return nil // the check of the settings reports it
	}
	if unfit, ok := errors.AsType[*postgres.UnfitError](postgres.CheckURL(string(e.Settings.DatabaseURL))); ok {
		e.mend(check, "", unfit.Reason, unfit.Remedy)
		return nil
	}
	pool, err := connect(ctx, e.Settings)
	if err != nil {
		e.mend(check, "", "not reachable: "+err.Error(), "Start PostgreSQL, or correct DATABASE_URL.")
		return nil
	}
	if unfit, ok := errors.AsType[*postgres.UnfitError](postgres.CheckSessions(ctx, pool)); ok {
		e.mend(check, "", unfit.Reason, unfit.Remedy)
		pool.Close()
		return nil
	}
	if err := e.server(ctx, pool); err != nil {
		e.mend(check, "", "not readable: "+err.Error(), "Let Fundrail's user connect and read.")
		pool.Close()
		return nil
	}
	if err := migrations.Check(ctx, pool); err != nil {
		e.mend("schema", "", err.Error(), "Run fundrail migrate up with the version of Fundrail that is to run.")
		pool.Close()
		return nil
	}
	e.ok("schema", "", fmt.Sprintf("at least version %d, as this program needs", migrations.Latest()))
	return pool
}

func (e *examination) server(ctx context.Context, pool *pgxpool.Pool) error {
	const check = "database"
	var (
		number          int
		version, commit string
		standby         bool
		clock           time.Time
	)
	began := e.Now()
	err := pool.QueryRow(ctx, `
		select current_setting('server_version_num')::int, current_setting('server_version'), current_setting('synchronous_commit'),
			pg_is_in_recovery(), clock_timestamp()`).Scan(&number, &version, &commit, &standby, &clock)
	if err != nil {
		return err
	}
	before := len(e.findings)
	if number < oldestServer {
		e.mend(check, "", "PostgreSQL "+version, "Upgrade to PostgreSQL 14 or newer.")
	}
	if standby {
		e.mend(check, "", "a standby, which cannot be written to", "Point DATABASE_URL at the primary.")
	}
	if commit == "off" {
		e.mend(check, "", "synchronous_commit is off", "Set synchronous_commit = on: an answer that was given must not be lost.")
	}
	for _, d := range durable {
		var value string
		if err := pool.QueryRow(ctx, `select current_setting($1)`, d.name).Scan(&value); err != nil {
			return err
		}
		if value != d.want {
			e.mend(check, "", d.name+" is "+value, d.mend)
		}
	}
	if len(e.findings) == before {
		e.ok(check, "", "PostgreSQL "+version+", durable")
	}
	e.clock("clock of the database", "", clock, began, e.Now())
	return nil
}

// clock compares another clock with this machine's, read before and after it.
func (e *examination) clock(check string, mode wallet.Mode, theirs, before, after time.Time) {
	var off time.Duration
	switch {
	case theirs.Before(before):
		off = before.Sub(theirs)
	case theirs.After(after):
		off = theirs.Sub(after)
	}
	detail := fmt.Sprintf("within %s of this machine's", (off + time.Second).Truncate(time.Second))
	if off <= clockMayDiffer {
		e.ok(check, mode, detail)
		return
	}
	e.mend(check, mode, fmt.Sprintf("%s away from this machine's", off.Round(time.Second)),
		"Keep both clocks right with NTP: deadlines, keys and signatures depend on them.")
}

// work checks that jobs are worked, events are handled and the books are in order.
func (e *examination) work(ctx context.Context, pool *pgxpool.Pool) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	now := e.Now()
	workers, err := postgres.ListWorkers(ctx, pool)
	if err != nil {
		e.mend("workers", "", err.Error(), "Look at the database's log.")
		return
	}
	alive := 0
	for _, w := range workers {
		if now.Sub(w.SeenAt) < workerSeenWithin {
			alive++
		}
	}
	if alive == 0 {
		e.mend("workers", "", fmt.Sprintf("no job was taken within %s", workerSeenWithin), "Start fundrail serve or fundrail worker.")
	} else {
		e.ok("workers", "", fmt.Sprintf("%d at work", alive))
	}
	e.books(ctx, pool, now)
}

func (e *examination) books(ctx context.Context, pool *pgxpool.Pool, now time.Time) {
	g, err := postgres.ReadGauges(ctx, pool, wallet.Modes, now)
	if err != nil {
		e.mend("jobs", "", err.Error(), "Look at the database's log.")
		return
	}
	waiting := false
	for _, q := range g.Queues {
		if q.Oldest > jobsMayWait {
			waiting = true
			e.mend("jobs", "", fmt.Sprintf("a job of queue %s has waited for %s", q.Queue, q.Oldest.Round(time.Second)),
				"Start more workers, or find out why these are busy: docs/operations.md, JobsWait.")
		}
	}
	if !waiting {
		e.ok("jobs", "", "none waits")
	}
	if g.Discrepancies > 0 {
		e.mend("books", "", fmt.Sprintf("Stripe and the books differ on %d payments", g.Discrepancies),
			"Look at them in the dashboard under Attention: docs/operations.md, MoneyDiscrepancy.")
	}
	for _, m := range g.Modes {
		if m.OldestEvent > eventsMayWait {
			e.mend("events", m.Mode, fmt.Sprintf("an event has waited for %s", m.OldestEvent.Round(time.Second)),
				"See why it is not handled: docs/operations.md, MoneyEventUnhandled.")
		}
		if e.Settings.SecretKey(m.Mode) == "" || !m.Reconciled {
			continue
		}
		switch {
		case m.Drift > 0:
			e.mend("reconciliation", m.Mode, fmt.Sprintf("%d differences were left", m.Drift), "Run fundrail reconcile, then with --repair.")
		case m.SinceReconciled > reconciledWithin:
			e.mend("reconciliation", m.Mode, fmt.Sprintf("the last one was %s ago", m.SinceReconciled.Round(time.Hour)), "See whether workers have the mode's Stripe key.")
		default:
			e.ok("reconciliation", m.Mode, "nothing differs")
		}
	}
}
