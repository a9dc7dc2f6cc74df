package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// sweepTime is the duration of the load at each point of a sweep.
const sweepTime = 4 * time.Second

// sweeps measures and draws how the cost grows with clients, wallets, history and
// processes. It takes a few minutes and ignores the deadline.
func (b *bench) sweeps(ctx context.Context) ([]Sweep, error) {
	if err := os.MkdirAll(b.PlotDir, 0o755); err != nil { //nolint:gosec // not a secret
		return nil, err
	}
	var all []Sweep
	for _, s := range []struct {
		what string
		run  func(ctx context.Context, s *Sweep) error
	}{
		{"clients", b.sweepClients},
		{"wallets", b.sweepWallets},
		{"history", b.sweepHistory},
		{"processes", b.sweepProcesses},
	} {
		sweep := Sweep{Name: s.what}
		if err := s.run(ctx, &sweep); err != nil {
			return nil, err
		}
		labels := map[string]string{
			"clients": "clients at once", "wallets": "wallets paid into", "history": "payments stored before", "processes": "processes",
		}
		if err := sweep.draw(b.PlotDir, labels[s.what]); err != nil {
			return nil, err
		}
		all = append(all, sweep)
	}
	return all, nil
}

func (b *bench) sweepPoint(ctx context.Context, s *Sweep, point string, t *target, d *deck, clients int) error {
	r, err := b.load(ctx, t, d, load{clients: clients, async: true, duration: sweepTime})
	if err != nil {
		return err
	}
	b.printRun(s.Name+" "+point, r)
	s.Points, s.Runs = append(s.Points, point), append(s.Runs, r)
	return nil
}

func (b *bench) sweepClients(ctx context.Context, s *Sweep) error {
	for _, n := range []int{1, 4, 16, 64, 256} {
		if err := b.sweepPoint(ctx, s, strconv.Itoa(n), b.main, b.main.many, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) sweepWallets(ctx context.Context, s *Sweep) error {
	if err := b.sweepPoint(ctx, s, "1", b.main, b.main.one, crowd); err != nil {
		return err
	}
	for _, n := range []int{10, 100, 1000, wallets} {
		d := newDeck(fmt.Sprintf("%s-%d-", b.main.name, n), b.main.processes[0].addr, b.merchants[:n])
		if err := b.sweepPoint(ctx, s, strconv.Itoa(n), b.main, d, crowd); err != nil {
			return err
		}
	}
	return nil
}

// sweepHistory compares a database without preloaded payments, one with a tenth of
// them, and one with all.
func (b *bench) sweepHistory(ctx context.Context, s *Sweep) error {
	tenth, err := b.startTarget(ctx, targetOptions{
		name: "bench_tenth", command: []string{"serve"}, processes: b.Processes,
		prepare: func(ctx context.Context, pool *pgxpool.Pool) error {
			return b.preload(ctx, pool, history{count: b.Preload / 10})
		},
	})
	if err != nil {
		return err
	}
	if err := b.warmUp(ctx, tenth); err != nil {
		return err
	}
	for _, p := range []struct {
		count int64
		t     *target
	}{{0, b.main}, {b.Preload / 10, tenth}, {b.Preload, b.full}} {
		if err := b.sweepPoint(ctx, s, strconv.FormatInt(p.count, 10), p.t, p.t.many, crowd); err != nil {
			return err
		}
	}
	return nil
}

// sweepProcesses compares different numbers of processes. They share the processors
// of one machine.
func (b *bench) sweepProcesses(ctx context.Context, s *Sweep) error {
	for _, n := range []int{1, 2, 4} {
		t, err := b.startTarget(ctx, targetOptions{name: fmt.Sprintf("bench_processes_%d", n), command: []string{"serve"}, processes: n})
		if err != nil {
			return err
		}
		if err := b.warmUp(ctx, t); err != nil {
			return err
		}
		if err := b.sweepPoint(ctx, s, strconv.Itoa(n), t, t.many, crowd); err != nil {
			return err
		}
		if err := t.stop(); err != nil {
			return err
		}
	}
	return nil
}
