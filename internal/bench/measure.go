package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Run is the result of one load on a service. Processor times are microseconds per
// settled payment.
type Run struct {
	Settled   int64   `json:"settled"`
	PerSecond float64 `json:"settled_per_second"`
	// Drained is the rate that includes the time until the last webhook was
	// answered.
	Drained float64 `json:"drained_per_second"`

	Accept    Latency `json:"accept"`
	Settle    Latency `json:"request_to_settled"`
	Challenge Latency `json:"request_to_challenge"`

	AppCPU       float64 `json:"app_cpu_us"`
	PostgresCPU  float64 `json:"postgres_cpu_us"`
	SimulatorCPU float64 `json:"simulator_cpu_us"`
	DriverCPU    float64 `json:"driver_cpu_us"`

	// Commits counts transactions that wrote something, and Transactions all of
	// them.
	Commits      float64 `json:"commits"`
	Transactions float64 `json:"transactions"`
	WALBytes     float64 `json:"wal_bytes"`
	// Jobs counts the jobs inserted for River.
	Jobs float64 `json:"jobs"`
	// LateEvents is the total number of events that are still pending.
	LateEvents int64 `json:"late_events"`
	// PeakRSS is the peak memory of the largest service process, in bytes.
	PeakRSS int64 `json:"app_peak_rss_bytes"`
}

// counters are read before and after a load.
type counters struct {
	app, postgres, simulator, driver time.Duration
	commits, transactions, wal, jobs int64
}

func (b *bench) count(ctx context.Context, t *target) (counters, error) {
	var c counters
	// The statistics do not include a backend's recent work until it has been idle
	// for a second or has flushed them.
	err := t.pool.QueryRow(ctx, `
		select pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
			(select xact_commit from pg_stat_database where datname = current_database()),
			(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint,
			coalesce((select last_value from pg_sequences where sequencename = 'river_job_id_seq'), 0)`).
		Scan(&c.commits, &c.transactions, &c.wal, &c.jobs)
	if err != nil {
		return c, fmt.Errorf("read the statistics of %s: %w", t.name, err)
	}
	for _, p := range t.processes {
		c.app += processTime(p.pid())
	}
	c.postgres, c.simulator, c.driver = familyTime(b.server.PID()), processTime(t.sim.pid()), processTime(b.pid)
	return c, nil
}

// load loads a target and measures the cost until all payments are settled and all
// webhooks are answered.
func (b *bench) load(ctx context.Context, t *target, d *deck, l load) (Run, error) {
	r, err := b.measure(ctx, t, d, l)
	if err != nil {
		return r, fmt.Errorf("%s, %s: %w", t.name, l, err)
	}
	return r, nil
}

func (l load) String() string {
	if l.rate > 0 {
		return fmt.Sprintf("%.0f requests/s", l.rate)
	}
	return fmt.Sprintf("%d clients", l.clients)
}

func (b *bench) measure(ctx context.Context, t *target, d *deck, l load) (Run, error) {
	for _, p := range t.processes {
		resetPeak(p.pid())
	}
	before, err := b.count(ctx, t)
	if err != nil {
		return Run{}, err
	}
	since := wallet.NewID()
	drv := &driver{addrs: t.addrs(), deck: d, now: b.Now, sim: t.sim.addr}
	seen, err := drv.drive(ctx, l)
	if err != nil {
		return Run{}, err
	}
	settled, err := b.drained(ctx, t)
	if err != nil {
		return Run{}, err
	}
	if err := t.sim.waitIdle(ctx); err != nil {
		return Run{}, err
	}
	drained := b.Now()
	after, err := b.count(ctx, t)
	if err != nil {
		return Run{}, err
	}
	r := Run{Accept: newLatency(seen.accepted), Settle: newLatency(seen.settled), Challenge: newLatency(seen.challenged)}
	if r.Settled, _, err = t.settledSince(ctx, since); err != nil {
		return r, err
	}
	if int(r.Settled) != seen.requests() {
		return r, fmt.Errorf("%d payments settled of %d requests", r.Settled, seen.requests())
	}
	r.PerSecond = over(float64(r.Settled), settled.Sub(seen.first).Seconds())
	r.Drained = over(float64(r.Settled), max(settled.Sub(seen.first), drained.Sub(seen.first)).Seconds())
	r.costs(before, after)
	for _, p := range t.processes {
		r.PeakRSS = max(r.PeakRSS, peakMemory(p.pid()))
	}
	err = t.pool.QueryRow(ctx, `select count(*) from stripe_events where status = 'pending'`).Scan(&r.LateEvents)
	if err != nil {
		return r, err
	}
	return r, nil
}

// costs sets the costs per settled payment.
func (r *Run) costs(before, after counters) {
	n := float64(r.Settled)
	cpu := func(a, b time.Duration) float64 { return over(float64((b - a).Microseconds()), n) }
	r.AppCPU = cpu(before.app, after.app)
	r.PostgresCPU = cpu(before.postgres, after.postgres)
	r.SimulatorCPU = cpu(before.simulator, after.simulator)
	r.DriverCPU = cpu(before.driver, after.driver)
	r.Commits = over(float64(after.commits-before.commits), n)
	r.Transactions = over(float64(after.transactions-before.transactions), n)
	r.WALBytes = over(float64(after.wal-before.wal), n)
	r.Jobs = over(float64(after.jobs-before.jobs), n)
}
