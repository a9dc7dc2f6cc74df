package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/fundrail/fundrail/internal/bench"
	"github.com/fundrail/fundrail/internal/bench/plain"
	"github.com/fundrail/fundrail/internal/config"
)

type benchCmd struct {
	Challenges float64       `default:"0.1" help:"Share of payments that pass a 3-D Secure challenge."`
	CPUProfile string        `name:"cpuprofile" placeholder:"DIR" help:"Directory for profiles of the service and of PostgreSQL's statements."`
	Duration   time.Duration `default:"90s" help:"How long the whole run takes, roughly."`
	JSON       bool          `help:"End with one line of JSON."`
	Plain      bool          `help:"Measure only the plain River program: one transaction per step, River's defaults."`
	Plot       string        `placeholder:"DIR" help:"Directory for plots of the cost over clients, wallets, history and processes; takes some minutes more."`
	Preload    int64         `default:"300000" help:"Payments to store before measuring the cost of a history."`
	Processes  int           `default:"1" help:"Number of serving processes."`
	Quick      bool          `help:"Measure settled payments against TPC-B only."`
	Workers    int           `default:"1000" help:"Concurrent charges of each process."`
}

// Run measures, audits the ledgers and prints the report.
func (c *benchCmd) Run(ctx context.Context, a *app) error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := bench.Measure(ctx, bench.Options{
		Challenges: c.Challenges,
		Duration:   c.Duration,
		Executable: executable,
		Now:        a.Now,
		OnlyPlain:  c.Plain,
		PlotDir:    c.Plot,
		Preload:    c.Preload,
		Processes:  c.Processes,
		ProfileDir: c.CPUProfile,
		Progress:   func(line string) { _, _ = fmt.Fprintln(a.Stderr, line) },
		Quick:      c.Quick,
		Workers:    c.Workers,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(report)
	}
	return a.printBench(report)
}

// benchPlainCmd is the program that the bench compares with.
type benchPlainCmd struct{ config.Settings }

// Run serves until the context ends.
func (c *benchPlainCmd) Run(ctx context.Context, a *app) error {
	return plain.Run(ctx, c.Settings, a.Now)
}
