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
	CPUProfile string        `name:"cpuprofile" placeholder:"DIR" help:"Where to leave profiles of the service and of PostgreSQL's statements."`
	Duration   time.Duration `default:"90s" help:"How long everything takes, roughly."`
	JSON       bool          `help:"End with one line of JSON."`
	Plain      bool          `help:"Measure the plain River program alone: one transaction per step, River's defaults."`
	Plot       string        `placeholder:"DIR" help:"Where to draw how the cost grows with clients, wallets, history and processes; takes minutes more."`
	Preload    int64         `default:"300000" help:"Payments to store before it is measured what a history costs."`
	Processes  int           `default:"1" help:"How many processes serve."`
	Quick      bool          `help:"Measure nothing but settled payments against TPC-B."`
	Workers    int           `default:"1000" help:"Charges that each process has under way at once."`
}

// Run measures, proves the books and prints what came out.
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
