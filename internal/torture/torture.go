// Package torture tests that each charge is credited exactly once, and that each
// credit has exactly one charge. It starts real processes on a private PostgreSQL
// and a simulated Stripe, and lets clients fund wallets. Meanwhile it kills and
// freezes processes, breaks their connections to the database in every way that
// pgproxy has, restarts the database, and makes Stripe fail in every way that the
// simulator has. Such a run is called a storm. Then it removes the faults, waits until
// everything has settled, and compares the books with what Stripe took.
//
// The files plan.go and faults.go define what a storm does, and judge.go and the files next
// to it what must hold afterwards.
package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/fundrail/fundrail/internal/breakpoint"
)

// Options configures a storm.
type Options struct {
	// Seed determines the plan, together with the duration, the rate and the number
	// of processes.
	Seed     uint64
	Duration time.Duration
	// Drain limits the time in which everything must settle after the storm.
	Drain time.Duration
	// Processes is the number of services. Every third one only works jobs.
	Processes int
	// Rate is the number of payments per second.
	Rate int
	// Break disables a safeguard. The storm is then expected to find violations.
	Break breakpoint.Switch

	// Program is the path of fundrail, followed by its first arguments.
	Program []string
	// Environ is the environment of the processes.
	Environ []string
	// Dir is the directory of the processes' logs.
	Dir string
	// Progress receives a few lines about the progress. Nil means none.
	Progress io.Writer
	// Log receives the log of the private PostgreSQL. Nil means none.
	Log *slog.Logger
	Now func() time.Time
}

// The settings of the services in a storm. The durations have the same order as in
// production: a call to Stripe ends before its job does, and a job before it is
// considered lost. Stripe keeps keys longer than the service relies on them, by
// more than the longest freeze.
const (
	actionDeadline = 6 * time.Second
	fundWait       = 3 * time.Second
	rescueAfter    = 9 * time.Second
	checkScale     = 120
	keyLife        = 30 * time.Second
	keysKept       = 46 * time.Second
	listLag        = 90 * time.Second
	workers        = 20
)

// merchants is the number of merchants. Each has one wallet, which all its clients
// fund.
const merchants = 5

// Run runs a storm and returns its report. The report says whether the checks
// passed. An error means that the storm could not be run.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	s := &storm{Options: o, plan: NewPlan(o)}
	s.say("seed %d, plan %s: %d payments and %d actions in %s on %d processes",
		o.Seed, s.plan.Digest(), len(s.plan.Payments), len(s.plan.Actions), o.Duration, o.Processes)
	defer func() { err = errors.Join(err, s.stop(context.WithoutCancel(ctx))) }()
	if err := s.start(ctx); err != nil {
		return Report{}, err
	}
	s.play(ctx)
	if err := s.stopFaults(ctx); err != nil {
		return Report{}, err
	}
	drained, took := s.drain(ctx)
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	return s.judge(ctx, drained, took)
}

func (o *Options) check() error {
	switch {
	case o.Duration < time.Second:
		return errors.New("a storm must last at least a second")
	case o.Processes < 1:
		return errors.New("a storm needs at least one process")
	case o.Rate < 1:
		return errors.New("a storm needs at least one payment per second")
	case o.Break != "" && !slices.Contains(breakpoint.Switches, o.Break):
		return fmt.Errorf("there is no switch called %q", o.Break)
	case len(o.Program) == 0 || o.Now == nil || o.Dir == "":
		return errors.New("torture: Program, Dir and Now are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (s *storm) say(format string, args ...any) {
	if s.Progress != nil {
		_, _ = fmt.Fprintf(s.Progress, format+"\n", args...) // progress is optional, so errors are ignored
	}
}
