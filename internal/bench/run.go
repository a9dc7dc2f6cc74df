package bench

import (
	"context"
	"time"
)

const (
	rounds = 3
	// pgbenchClients and crowded are the numbers of clients that are compared.
	pgbenchClients = 16
	crowded        = 64
)

// Report is everything that was measured.
type Report struct {
	Ratios   map[string]float64 `json:"ratios"`
	Baseline Baseline           `json:"baseline"`
	Settled  []Run              `json:"settled_64_clients"`
}

// Baseline is what pgbench does on the same server, one figure for each round.
type Baseline struct {
	Commit  []Latency `json:"commit_1_client"`
	Inserts []float64 `json:"insert_per_second_16_clients"`
	TPCB    []float64 `json:"tpcb_per_second_16_clients"`
}

func (b *bench) run(ctx context.Context) (Report, error) {
	var r Report
	b.say("filling pgbench's tables")
	pg, err := b.newPgbench(ctx)
	if err != nil {
		return r, err
	}
	b.say("planting %d merchants", wallets)
	if err := b.plant(ctx); err != nil {
		return r, err
	}
	b.say("starting the simulator and the service")
	if b.sim, err = b.startSimulator(ctx); err != nil {
		return r, err
	}
	if err := b.sim.saveCards(ctx, b.merchants); err != nil {
		return r, err
	}
	t, err := b.startTarget(ctx, targetOptions{name: "bench", command: []string{"serve"}, processes: b.Processes})
	if err != nil {
		return r, err
	}
	d := b.manyWallets(t)
	if err := b.warmUp(ctx, t, d); err != nil {
		return r, err
	}
	unit := (b.Duration - b.Now().Sub(b.began)) / (rounds * 11)
	for range rounds {
		if err := b.round(ctx, pg, t, d, unit, &r); err != nil {
			return r, err
		}
	}
	if _, err := t.audit(ctx); err != nil {
		return r, err
	}
	b.say("the books add up")
	var settled []float64
	for _, run := range r.Settled {
		settled = append(settled, run.PerSecond)
	}
	r.Ratios = map[string]float64{"settled_vs_tpcb": over(median(settled), median(r.Baseline.TPCB))}
	return r, nil
}

// warmUp fills caches and connection pools, and gives the planner something to
// count.
func (b *bench) warmUp(ctx context.Context, t *target, d *deck) error {
	if _, err := b.load(ctx, t, d, load{clients: pgbenchClients, async: true, duration: time.Second}); err != nil {
		return err
	}
	_, err := t.pool.Exec(ctx, "vacuum (analyze)")
	return err
}

func (b *bench) round(ctx context.Context, pg *pgbench, t *target, d *deck, unit time.Duration, r *Report) error {
	tpcb, err := pg.tpcb(ctx, pgbenchClients, 3*unit)
	if err != nil {
		return err
	}
	b.say("TPC-B, %d clients: %.0f/s", pgbenchClients, tpcb)
	run, err := b.profiled(ctx, t, d, load{clients: crowded, async: true, duration: 4 * unit})
	if err != nil {
		return err
	}
	b.say("%d clients: %.0f settled/s; processor us: service %.0f, Postgres %.0f, simulator %.0f, driver %.0f; "+
		"commits %.2f, transactions %.2f, WAL %.0f B, jobs %.2f, RSS %d MiB", crowded, run.PerSecond,
		run.AppCPU, run.PostgresCPU, run.SimulatorCPU, run.DriverCPU, run.Commits, run.Transactions, run.WALBytes, run.Jobs,
		run.PeakRSS>>20)
	inserts, err := pg.inserts(ctx, pgbenchClients, 2*unit)
	if err != nil {
		return err
	}
	commit, err := pg.commit(ctx, unit)
	if err != nil {
		return err
	}
	b.say("one-row inserts, %d clients: %.0f/s; one client: %.3f ms", pgbenchClients, inserts, commit.P50)
	r.Settled = append(r.Settled, run)
	r.Baseline.TPCB = append(r.Baseline.TPCB, tpcb)
	r.Baseline.Inserts = append(r.Baseline.Inserts, inserts)
	r.Baseline.Commit = append(r.Baseline.Commit, commit)
	return nil
}
