package bench

import (
	"context"
	"errors"
	"time"
)

// The keys of Report.Settled, measured once per round.
const (
	loadMany64    = "clients_64"
	loadMany16    = "clients_16"
	loadMany1     = "clients_1"
	loadOneWallet = "one_wallet"
	loadFull      = "full"
	loadPlain     = "plain_river"
)

// The keys of Report.Latency, measured once.
const (
	latencyHalfAccept = "half_load_accept"
	latencyHalfSettle = "half_load_settle"
	latencyFullSettle = "full_load_settle"
	latencyFew        = "rate_3"
	latencySome       = "rate_200"
	latencySlow       = "stripe_200ms_rate_400"
	latencySlowFull   = "stripe_200ms_full_load"
)

// Loads and Latencies are the keys of Report.Settled and Report.Latency, in the
// order of a printed report.
var (
	Loads     = []string{loadMany64, loadMany16, loadMany1, loadOneWallet, loadFull, loadPlain}
	Latencies = []string{
		latencyHalfAccept, latencyHalfSettle, latencyFullSettle, latencyFew, latencySome, latencySlow, latencySlowFull,
	}
)

const (
	rounds = 3
	// pgbenchClients and crowd are the numbers of clients that are compared.
	pgbenchClients = 16
	crowd          = 64
	// slowStripe is the duration of a real call to Stripe. slowCrowd is the number
	// of clients that keeps the service busy with it.
	slowStripe = 200 * time.Millisecond
	slowCrowd  = 512
	// auditTime is reserved for the audits at the end.
	auditTime = 4 * time.Second
)

// step is one measurement. Its share of the time is proportional to its weight.
type step struct {
	weight float64
	do     func(ctx context.Context, d time.Duration) error
}

// measureAll runs the steps of each round, and then those that are run once.
func (b *bench) measureAll(ctx context.Context, round, once []step) error {
	var all []step
	for range rounds {
		all = append(all, round...)
	}
	all = append(all, once...)
	for i, s := range all {
		left := 0.0
		for _, later := range all[i:] {
			left += later.weight
		}
		// A step can take longer than planned, for example to drain a queue. The
		// steps that are left share what remains.
		remaining := b.deadline.Add(-auditTime).Sub(b.Now())
		d := max(time.Duration(s.weight/left*float64(remaining)*loadShare), shortest)
		if err := s.do(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

const (
	// loadShare is the share of a step's time that is load. The rest is for
	// draining queues.
	loadShare = 0.85
	shortest  = 500 * time.Millisecond
)

// roundSteps returns the steps of a round. They are interleaved, so that changes in
// the machine's speed affect all of them.
func (b *bench) roundSteps(r *Report) []step {
	base := func() *Baseline { return &r.Baseline[len(r.Baseline)-1] }
	steps := []step{{3, func(ctx context.Context, d time.Duration) (err error) {
		r.Baseline = append(r.Baseline, Baseline{})
		base().TPCB, err = b.pgbench.tpcb(ctx, pgbenchClients, d)
		b.say("TPC-B, %d clients: %.0f/s", pgbenchClients, base().TPCB)
		return err
	}}}
	if b.Quick {
		return append(steps, b.settledStep(r, loadMany64, 4, b.main, b.main.many, crowd))
	}
	if !b.OnlyPlain {
		steps = append(steps,
			b.settledStep(r, loadMany64, 4, b.main, b.main.many, crowd),
			b.settledStep(r, loadOneWallet, 3, b.main, b.main.one, crowd),
			b.settledStep(r, loadFull, 3, b.full, b.full.many, crowd))
	}
	steps = append(steps, b.settledStep(r, loadPlain, 2, b.plain, b.plain.many, crowd),
		step{2, func(ctx context.Context, d time.Duration) (err error) {
			base().Inserts, err = b.pgbench.inserts(ctx, pgbenchClients, d)
			b.say("one-row inserts, %d clients: %.0f/s", pgbenchClients, base().Inserts)
			return err
		}})
	if !b.OnlyPlain {
		steps = append(steps, step{2.5, func(ctx context.Context, d time.Duration) error {
			in, err := b.intake(ctx, b.waiting, b.events, crowd, d)
			b.say("webhooks, %d clients: %.0f/s; processor us: service %.0f, PostgreSQL %.0f", crowd, in.PerSecond, in.AppCPU, in.PostgresCPU)
			r.Intake = append(r.Intake, in)
			return err
		}})
	}
	steps = append(steps, step{1, func(ctx context.Context, d time.Duration) (err error) {
		base().Commit, err = b.pgbench.commit(ctx, d)
		b.say("one-row inserts, 1 client: %.3f ms", base().Commit.P50)
		return err
	}})
	if !b.OnlyPlain {
		steps = append(steps,
			b.settledStep(r, loadMany16, 2, b.main, b.main.many, pgbenchClients),
			b.settledStep(r, loadMany1, 1.5, b.main, b.main.many, 1))
	}
	return steps
}

// settledStep returns a step that measures how many payments are settled with the
// given number of clients.
func (b *bench) settledStep(r *Report, name string, weight float64, t *target, d *deck, clients int) step {
	return step{weight, func(ctx context.Context, took time.Duration) error {
		l := load{clients: clients, async: true, duration: took}
		measure := b.load
		if name == loadMany64 {
			measure = b.profiled
		}
		run, err := measure(ctx, t, d, l)
		if err != nil {
			return err
		}
		b.printRun(name, run)
		r.Settled[name] = append(r.Settled[name], run)
		return nil
	}}
}

func (b *bench) printRun(name string, r Run) {
	b.say("%s: %.0f settled/s; processor us: service %.0f, PostgreSQL %.0f, simulator %.0f, driver %.0f; "+
		"commits %.2f, WAL %.1f kB, jobs %.2f, service %d MiB", name, r.PerSecond,
		r.AppCPU, r.PostgresCPU, r.SimulatorCPU, r.DriverCPU, r.Commits, r.WALBytes/1e3, r.Jobs, r.PeakRSS>>20)
}

// onceSteps returns the steps that measure latencies and the cost of an idle
// service.
func (b *bench) onceSteps(r *Report) []step {
	if b.OnlyPlain || b.Quick {
		return nil
	}
	latency := func(name string, weight float64, l func() load) step {
		return step{weight, func(ctx context.Context, d time.Duration) error {
			how := l()
			how.duration = d
			run, err := b.load(ctx, b.main, b.main.many, how)
			if err != nil {
				return err
			}
			b.say("%s: %.0f settled/s; accepted p50 %.1f p99 %.1f ms; settled p50 %.1f p99 %.1f max %.1f ms",
				name, run.PerSecond, run.Accept.P50, run.Accept.P99, run.Settle.P50, run.Settle.P99, run.Settle.Max)
			r.Latency[name] = run
			return nil
		}}
	}
	half := func() float64 { return r.Settled[loadMany64].Middle().PerSecond / 2 }
	return []step{
		latency(latencyHalfAccept, 3, func() load { return load{rate: half(), async: true} }),
		latency(latencyHalfSettle, 3, func() load { return load{rate: half()} }),
		latency(latencyFullSettle, 2, func() load { return load{clients: crowd} }),
		latency(latencyFew, 8, func() load { return load{rate: 3} }),
		latency(latencySome, 4, func() load { return load{rate: 200} }),
		{0, func(ctx context.Context, _ time.Duration) error { return b.main.sim.setLatency(ctx, slowStripe) }},
		latency(latencySlow, 4, func() load { return load{rate: 400} }),
		latency(latencySlowFull, 8, func() load { return load{clients: slowCrowd, async: true} }),
		{0, func(ctx context.Context, _ time.Duration) error { return b.main.sim.setLatency(ctx, 0) }},
		{4, func(ctx context.Context, d time.Duration) (err error) {
			if b.PlotDir == "" { // otherwise the sweeps need the other targets
				if err := b.stopOthers(b.main); err != nil {
					return err
				}
			}
			r.Idle, err = b.idle(ctx, b.main, max(d, 2*time.Second))
			b.say("idle: service %.1f %%, PostgreSQL %.1f %% of a core", r.Idle.App, r.Idle.Postgres)
			return err
		}},
	}
}

// stopOthers stops all services except one.
func (b *bench) stopOthers(t *target) error {
	var problems []error
	for _, o := range b.targets {
		if o != t {
			problems = append(problems, o.stop())
		}
	}
	return errors.Join(problems...)
}

// idle measures the cost of a service without requests. It tries to exclude the
// vacuuming of what was loaded before.
func (b *bench) idle(ctx context.Context, t *target, d time.Duration) (Idle, error) {
	const tries = 3
	var r Idle
	for _, statement := range []string{"vacuum", "checkpoint"} {
		if _, err := t.pool.Exec(ctx, statement); err != nil {
			return r, err
		}
	}
	for range tries {
		vacuumed, err := b.awaitVacuum(ctx, t)
		if err != nil {
			return r, err
		}
		if r, err = b.idleFor(ctx, t, d); err != nil {
			return r, err
		}
		again, err := b.awaitVacuum(ctx, t)
		if err != nil || again == vacuumed {
			return r, err
		}
	}
	return r, nil
}

// awaitVacuum waits at least a second, and then until no table is being vacuumed,
// up to a limit. It returns the number of vacuums and analyzes so far.
func (b *bench) awaitVacuum(ctx context.Context, t *target) (done int64, err error) {
	const patience = 10
	for range patience {
		if err := waitUntil(ctx, b.Now, b.Now().Add(time.Second)); err != nil {
			return 0, err
		}
		var busy bool
		err := t.pool.QueryRow(ctx, `
			select exists (select from pg_stat_activity where backend_type = 'autovacuum worker'),
				(select coalesce(sum(autovacuum_count + autoanalyze_count), 0)::bigint from pg_stat_user_tables)`).Scan(&busy, &done)
		if err != nil || !busy {
			return done, err
		}
	}
	return done, nil
}

func (b *bench) idleFor(ctx context.Context, t *target, d time.Duration) (Idle, error) {
	before, err := b.count(ctx, t)
	if err != nil {
		return Idle{}, err
	}
	began := b.Now()
	if err := waitUntil(ctx, b.Now, began.Add(d)); err != nil {
		return Idle{}, err
	}
	after, err := b.count(ctx, t)
	if err != nil {
		return Idle{}, err
	}
	percent := func(x time.Duration) float64 { return 100 * over(x.Seconds(), b.Now().Sub(began).Seconds()) }
	return Idle{App: percent(after.app - before.app), Postgres: percent(after.postgres - before.postgres)}, nil
}
