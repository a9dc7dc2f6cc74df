package bench

import (
	"context"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/fundrail/fundrail/internal/bench/plain"
)

// run starts everything, measures, and audits the books.
func (b *bench) run(ctx context.Context) (Report, error) {
	r := Report{Settled: map[string]Series{}, Latency: map[string]Run{}}
	if err := b.prepare(ctx); err != nil {
		return r, err
	}
	if err := b.measureAll(ctx, b.roundSteps(&r), b.onceSteps(&r)); err != nil {
		return r, err
	}
	if b.PlotDir != "" && !b.OnlyPlain && !b.Quick {
		sweeps, err := b.sweeps(ctx)
		if err != nil {
			return r, err
		}
		r.Sweeps = sweeps
	}
	for _, t := range b.targets {
		a, err := t.audit(ctx)
		if err != nil {
			return r, err
		}
		b.say("the books of %s add up: %d wallets, %d payments, %d transfers", t.name, a.Wallets, a.Payments, a.Transfers)
		r.Audits = append(r.Audits, a)
	}
	r.Setting = Setting{
		Postgres: b.version, Durability: b.durability, Go: runtime.Version(), CPUs: runtime.NumCPU(),
		Challenges: b.Challenges, Preloaded: b.Preload, Processes: b.Processes, Workers: b.Workers,
	}
	r.conclude()
	return r, nil
}

// prepare starts everything that is measured, in parallel as far as possible.
func (b *bench) prepare(ctx context.Context) error {
	b.say("filling pgbench's tables, and ours with %d merchants", wallets)
	first, within := errgroup.WithContext(ctx)
	first.Go(func() (err error) {
		b.pgbench, err = b.newPgbench(within)
		return err
	})
	first.Go(func() error { return b.createTemplate(within) })
	if err := first.Wait(); err != nil {
		return err
	}
	b.say("starting Fundrail, the plain River program, and their simulators")
	if !b.OnlyPlain && !b.Quick {
		b.say("storing %d payments", b.Preload)
	}
	targets, within := errgroup.WithContext(ctx)
	for at, o := range b.targetOptions() {
		targets.Go(func() (err error) {
			*at, err = b.startTarget(within, o)
			return err
		})
	}
	if err := targets.Wait(); err != nil {
		return err
	}
	b.say("warming up")
	for _, t := range b.targets {
		if t.many == nil {
			continue
		}
		if err := b.warmUp(ctx, t); err != nil {
			return err
		}
	}
	if b.waiting != nil {
		if err := b.prepareEvents(ctx); err != nil {
			return err
		}
	}
	_, err := b.admin.Exec(ctx, "checkpoint")
	return err
}

// targetOptions returns the options of each target, by the field of b that will
// hold it.
func (b *bench) targetOptions() map[**target]targetOptions {
	serve := []string{"serve"}
	main := targetOptions{name: "bench_main", command: serve, processes: b.Processes}
	if b.Quick {
		return map[**target]targetOptions{&b.main: main}
	}
	all := map[**target]targetOptions{
		&b.plain: {name: "bench_plain_river", command: []string{"bench-plain"}, prepare: plain.Prepare},
	}
	if b.OnlyPlain {
		return all
	}
	all[&b.main] = main
	all[&b.full] = targetOptions{
		name: "bench_full", command: serve, processes: b.Processes,
		prepare: func(ctx context.Context, pool *pgxpool.Pool) error {
			began := b.Now()
			err := b.preload(ctx, pool, history{count: b.Preload})
			if b.Preload > usualPreload {
				b.deadline = b.deadline.Add(b.Now().Sub(began)) // a large preload does not reduce the time for measurements
			}
			return err
		},
	}
	all[&b.waiting] = targetOptions{
		name: "bench_intake", command: []string{"serve", "--without-worker"}, withoutCards: true,
		prepare: func(ctx context.Context, pool *pgxpool.Pool) error {
			return b.preload(ctx, pool, history{count: waitingPayments, open: true})
		},
	}
	return all
}

// preload stores payments and updates the planner's statistics.
func (b *bench) preload(ctx context.Context, pool *pgxpool.Pool, h history) error {
	const (
		minReported = 1_000_000
		every       = 10 * time.Second
	)
	h.began, h.merchants = b.began, b.merchants[:wallets]
	lastSaid := b.Now()
	err := h.load(ctx, pool, func(table string, rows int64) {
		if h.count >= minReported && b.Now().Sub(lastSaid) > every {
			lastSaid = b.Now()
			b.say("%d rows in %s", rows, table)
		}
	})
	if err != nil {
		return err
	}
	_, err = pool.Exec(ctx, "vacuum (analyze)")
	return err
}

// prepareEvents reads an event from the simulator as a sample.
func (b *bench) prepareEvents(ctx context.Context) error {
	sample, err := b.main.sim.sampleEvent(ctx, "payment_intent.succeeded")
	if err != nil {
		return err
	}
	h := &history{began: b.began, count: waitingPayments, merchants: b.merchants[:wallets], open: true}
	b.events, err = newEvents(sample, h, b.waiting)
	return err
}

// warmUp fills caches and connection pools, and updates the planner's statistics.
func (b *bench) warmUp(ctx context.Context, t *target) error {
	if _, err := b.load(ctx, t, t.many, load{clients: pgbenchClients, async: true, duration: time.Second}); err != nil {
		return err
	}
	_, err := t.pool.Exec(ctx, "analyze")
	return err
}
