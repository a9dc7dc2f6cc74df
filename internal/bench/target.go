package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/migrations"
)

// template is the database that the targets' databases are copies of. It is
// migrated and has merchants but no payments.
const template = "bench_template"

// target is a service that is measured. It has its own database and processes.
type target struct {
	name      string
	processes []*child
	sim       *simulator
	many, one *deck // decks of cards that pay into many wallets, and into one
	pool      *pgxpool.Pool
	profiles  []string  // the addresses of the processes' profilers
	secret    string    // signs the events
	front     *spreader // distributes Stripe's deliveries among several processes
}

// targetOptions describe a target.
type targetOptions struct {
	name string
	// command is the service's command.
	command []string
	// prepare changes the database before the service starts.
	prepare   func(ctx context.Context, pool *pgxpool.Pool) error
	processes int
	// withoutCards leaves the simulator without cards, for a target that makes no
	// charges.
	withoutCards bool
}

// createTemplate creates the template database.
func (b *bench) createTemplate(ctx context.Context) error {
	if _, err := b.admin.Exec(ctx, "create database "+template); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, b.server.URL(template))
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool, b.Log); err != nil {
		return err
	}
	if b.statements {
		if _, err := pool.Exec(ctx, "create extension "+statementsLibrary); err != nil {
			return err
		}
	}
	b.merchants = newMerchants(b.Challenges)
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return insertMerchants(ctx, tx, b.merchants, b.Now())
	})
	if err != nil {
		return err
	}
	_, err = pool.Exec(ctx, "vacuum (analyze)")
	return err
}

// startTarget creates a database and starts a service on it.
func (b *bench) startTarget(ctx context.Context, o targetOptions) (*target, error) {
	if _, err := b.admin.Exec(ctx, fmt.Sprintf("create database %s template %s", o.name, template)); err != nil {
		return nil, err
	}
	t := &target{name: o.name}
	var err error
	if t.pool, err = pgxpool.New(ctx, b.server.URL(o.name)); err != nil {
		return nil, err
	}
	b.onStop(func() error { t.pool.Close(); return nil })
	if o.prepare != nil {
		if err := o.prepare(ctx, t.pool); err != nil {
			return nil, err
		}
	}
	addrs := make([]string, max(o.processes, 1))
	for i := range addrs {
		if addrs[i], err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	hook := addrs[0]
	if len(addrs) > 1 {
		if t.front, err = newSpreader(ctx, addrs); err != nil {
			return nil, err
		}
		b.onStop(t.front.close)
		hook = t.front.addr
	}
	if t.sim, err = b.startSimulator(ctx, o.name); err != nil {
		return nil, err
	}
	if !o.withoutCards {
		if err := t.sim.saveCards(ctx, b.merchants); err != nil {
			return nil, err
		}
	}
	if t.secret, err = t.sim.createEndpoint(ctx, "http://"+hook+"/webhooks/stripe"); err != nil {
		return nil, err
	}
	for i, addr := range addrs {
		env := []string{
			"DATABASE_URL=" + b.server.URL(o.name), "LISTEN_ADDR=" + addr, "STRIPE_API_URL=" + t.sim.url,
			"STRIPE_TEST_SECRET_KEY=" + stripeKey, "STRIPE_TEST_WEBHOOK_SECRETS=" + t.secret,
			// The limit must not refuse the many requests of one merchant.
			"RATE_LIMIT_PER_MINUTE=1000000000",
			"WORKERS=" + strconv.Itoa(b.Workers),
		}
		if b.ProfileDir != "" {
			profiles, err := freeAddr(ctx)
			if err != nil {
				return nil, err
			}
			t.profiles = append(t.profiles, profiles)
			env = append(env, "PROFILE_LISTEN_ADDR="+profiles)
		}
		c, err := b.startChild(ctx, fmt.Sprintf("%s-%d", o.name, i), addr, env, o.command...)
		if err != nil {
			return nil, err
		}
		t.processes = append(t.processes, c)
		b.onStop(c.stop)
	}
	if !o.withoutCards {
		t.many = newDeck(o.name+"-many-", addrs[0], b.merchants[:wallets])
		t.one = newDeck(o.name+"-one-", addrs[0], b.merchants[wallets:])
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets = append(b.targets, t)
	return t, nil
}

func (t *target) addrs() []string {
	list := make([]string, len(t.processes))
	for i, c := range t.processes {
		list[i] = c.addr
	}
	return list
}

// stop stops the service and keeps its database.
func (t *target) stop() error {
	var problems []error
	for _, c := range t.processes {
		problems = append(problems, c.stop())
	}
	return errors.Join(problems...)
}

// drained waits until no payment is open, and returns the time of that.
func (b *bench) drained(ctx context.Context, t *target) (time.Time, error) {
	const (
		limit = 2 * time.Minute
		every = 2 * time.Millisecond
	)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		var open bool
		err := t.pool.QueryRow(ctx, `select exists (select from payments where next_check_at is not null)`).Scan(&open)
		if err != nil {
			return time.Time{}, fmt.Errorf("wait for %s to settle: %w", t.name, err)
		}
		now := b.Now()
		if !open {
			return now, nil
		}
		for _, c := range t.processes {
			if err := c.alive(); err != nil {
				return now, err
			}
		}
		if err := waitUntil(ctx, b.Now, now.Add(every)); err != nil {
			return now, fmt.Errorf("wait for %s to settle: %w", t.name, err)
		}
	}
}

// audit audits the books of a target.
func (t *target) audit(ctx context.Context) (Audit, error) {
	report, err := postgres.Audit(ctx, t.pool)
	if err != nil {
		return Audit{}, err
	}
	a := Audit{
		Database: t.name, Wallets: report.Wallets, Payments: report.Payments, Transfers: report.Transfers,
		Findings: len(report.Findings),
	}
	if len(report.Findings) > 0 {
		f := report.Findings[0]
		return a, fmt.Errorf("the books of %s do not add up: %d findings, the first: %s %s %s",
			t.name, len(report.Findings), f.Check, f.ID, f.Detail)
	}
	return a, nil
}

// settledSince counts the payments created since the given id, and returns an error
// if any has not succeeded.
func (t *target) settledSince(ctx context.Context, since wallet.ID) (settled, others int64, err error) {
	err = t.pool.QueryRow(ctx, `
		select count(*) filter (where status = 'succeeded'), count(*) filter (where status <> 'succeeded')
		from payments where id >= $1`, since).Scan(&settled, &others)
	if err == nil && others > 0 {
		err = errors.New("payments did not succeed")
	}
	return settled, others, err
}
