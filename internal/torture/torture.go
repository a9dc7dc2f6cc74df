// Package torture proves that each charge is credited exactly once, and each
// credit stands on exactly one charge, by doing everything to a running Fundrail
// that may befall one: it starts real processes on a private PostgreSQL and a
// simulated Stripe, has clients fund wallets, kills, freezes and cuts off whatever
// there is, and lets Stripe answer in every wrong way it knows. Then it lifts the
// faults, lets things drain, and holds the books against what Stripe took.
//
// What a storm does is in plan.go and faults.go, what must hold afterwards in
// judge.go and its neighbours.
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

// Options say what storm to run.
type Options struct {
	// Seed decides the plan. The same seed, duration, rate and number of processes
	// make the same plan.
	Seed     uint64
	Duration time.Duration
	// Drain is how long things may take to come to rest after the storm.
	Drain time.Duration
	// Processes is how many services run. Each third one works jobs only.
	Processes int
	// Rate is how many payments are asked for in a second.
	Rate int
	// Break takes a safeguard away. The proof is then expected to fail.
	Break breakpoint.Switch

	// Program is the path of fundrail, with arguments that come first.
	Program []string
	// Environ is what the processes inherit.
	Environ []string
	// Dir keeps the logs of the processes.
	Dir string
	// Progress hears in a few lines how it goes. Nil keeps quiet.
	Progress io.Writer
	// Log hears of what the private PostgreSQL goes through. Nil keeps quiet.
	Log *slog.Logger
	Now func() time.Time
}

// How the services are set for a storm. The proportions are those of production:
// a call to Stripe ends before its job does, a job before it counts as lost, and
// Stripe keeps its keys for longer than they are relied on, by more than any
// process is ever frozen for.
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

// merchants is how many there are. Each has one wallet, into which the payments
// of all its clients go.
const merchants = 5

// Run runs a storm and returns what came of it. An error means that there was no
// storm to judge; whether the proof held is in the report.
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
	s.rage(ctx)
	if err := s.lift(ctx); err != nil {
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
		return errors.New("a storm takes a second at least")
	case o.Processes < 1:
		return errors.New("a storm needs a process at least")
	case o.Rate < 1:
		return errors.New("a storm needs a payment a second at least")
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
		_, _ = fmt.Fprintf(s.Progress, format+"\n", args...) // nobody may be listening
	}
}
