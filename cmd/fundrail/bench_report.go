package main

import (
	"fmt"
	"strconv"

	"github.com/fundrail/fundrail/internal/bench"
	"github.com/fundrail/fundrail/internal/console"
)

// printBench prints a report for people.
func (a *app) printBench(r bench.Report) error {
	a.printf("\nPostgreSQL %s, %s, %d processors; fsync %s, synchronous_commit %s, full_page_writes %s; "+
		"%.0f %% challenges; %d payments preloaded\n\n",
		r.Setting.Postgres, r.Setting.Go, r.Setting.CPUs, r.Setting.Durability["fsync"],
		r.Setting.Durability["synchronous_commit"], r.Setting.Durability["full_page_writes"],
		100*r.Setting.Challenges, r.Setting.Preloaded)
	rows := [][]string{{"GOAL", "MEASURED", "WANTED", ""}}
	for _, g := range r.Goals {
		sign, verdict := "<=", "met"
		if g.AtLeast {
			sign = ">="
		}
		switch {
		case g.Value == 0:
			verdict = "not measured"
		case !g.Met:
			verdict = "missed"
		}
		rows = append(rows, []string{g.Name, figure(g.Value), sign + " " + figure(g.Goal), verdict})
	}
	if err := a.printTable(rows); err != nil {
		return err
	}
	a.printf("\n")
	if err := a.printTable(settledRows(r)); err != nil {
		return err
	}
	a.printf("\n")
	if err := a.printTable(latencyRows(r)); err != nil {
		return err
	}
	a.printf("\n")
	if err := a.printTable(baselineRows(r)); err != nil {
		return err
	}
	for _, audit := range r.Audits {
		a.printf("\naudit of %s: %s, %s, %s: everything adds up", audit.Database,
			console.Plural(audit.Wallets, "wallet"), console.Plural(audit.Payments, "payment"), console.Plural(audit.Transfers, "transfer"))
	}
	a.printf("\n")
	return nil
}

// settledRows show the middle run of each series: rates per second, processor
// times in microseconds per payment.
func settledRows(r bench.Report) [][]string {
	rows := [][]string{{
		"SETTLED", "PER SECOND", "ACCEPT P50", "P99 MS", "APP US", "POSTGRES US", "SIMULATOR US", "DRIVER US",
		"COMMITS", "WAL KB", "JOBS", "APP MIB",
	}}
	for _, name := range bench.Loads {
		runs := r.Settled[name]
		if len(runs) == 0 {
			continue
		}
		m := runs.Middle()
		rows = append(rows, []string{
			name, figure(m.PerSecond), figure(m.Accept.P50), figure(m.Accept.P99), figure(m.AppCPU), figure(m.PostgresCPU),
			figure(m.SimulatorCPU), figure(m.DriverCPU), figure(m.Commits), figure(m.WALBytes / 1e3), figure(m.Jobs),
			figure(float64(m.PeakRSS) / (1 << 20)),
		})
	}
	return rows
}

func latencyRows(r bench.Report) [][]string {
	rows := [][]string{{
		"LATENCY, MS", "PER SECOND", "ACCEPT P50", "P99", "SETTLED P50", "P99", "MAX", "PAYMENTS",
	}}
	for _, name := range bench.Latencies {
		m, ok := r.Latency[name]
		if !ok {
			continue
		}
		rows = append(rows, []string{
			name, figure(m.PerSecond), figure(m.Accept.P50), figure(m.Accept.P99), figure(m.Settle.P50), figure(m.Settle.P99),
			figure(m.Settle.Max), strconv.FormatInt(m.Settled, 10),
		})
	}
	return rows
}

func baselineRows(r bench.Report) [][]string {
	rows := [][]string{{"ROUND", "TPC-B/S", "INSERTS/S", "INSERT P50 MS", "WEBHOOKS/S", "P99 MS"}}
	for i, b := range r.Baseline {
		row := []string{strconv.Itoa(i + 1), figure(b.TPCB), figure(b.Inserts), figure(b.Commit.P50), "-", "-"}
		if i < len(r.Intake) {
			row[4], row[5] = figure(r.Intake[i].PerSecond), figure(r.Intake[i].Latency.P99)
		}
		rows = append(rows, row)
	}
	return rows
}

// figure formats a number with about three significant digits, or as a dash if it was
// not measured.
func figure(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}
