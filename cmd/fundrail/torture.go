package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/torture"
)

type tortureCmd struct {
	Duration  time.Duration `default:"60s" help:"How long faults and payments continue."`
	Drain     time.Duration `default:"120s" help:"How long open work may take to finish afterwards."`
	Processes int           `default:"3" help:"Number of service processes; every third one only works on jobs."`
	Rate      int           `default:"8" help:"Payments that clients request per second."`
	Seed      uint64        `help:"Seed of the plan, to repeat an earlier run; 0 draws one."`
	Break     string        `placeholder:"SWITCH" help:"Remove a safeguard, to see the proof fail: ${switches}."`
	Keep      bool          `help:"Keep the services' logs even if the proof holds."`
	JSON      bool          `help:"Print one JSON object."`
}

// Run injects faults into processes of this program. It fails unless every charge was
// credited exactly once.
func (c *tortureCmd) Run(ctx context.Context, a *app) (err error) {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fundrail-torture-")
	if err != nil {
		return err
	}
	held := false
	defer func() {
		if held && !c.Keep {
			err = errors.Join(err, os.RemoveAll(dir))
			return
		}
		a.errorf("the logs of the services are in %s", dir)
	}()
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1_000_000_000) + 1 //nolint:gosec // a seed, not a secret
	}
	report, err := torture.Run(ctx, torture.Options{
		Break:     breakpoint.Switch(c.Break),
		Dir:       dir,
		Drain:     c.Drain,
		Duration:  c.Duration,
		Environ:   os.Environ(),
		Now:       a.Now,
		Processes: c.Processes,
		Program:   []string{program},
		Progress:  a.Stderr,
		Rate:      c.Rate,
		Seed:      c.Seed,
	})
	if err != nil {
		return fmt.Errorf("the torture run did not finish: %w", err)
	}
	held = report.Held()
	if c.JSON {
		err = a.printJSON(report)
	} else {
		err = report.Print(a.Stdout)
	}
	if err == nil && !held {
		return errReported
	}
	return err
}

// switches lists the safeguards that can be removed.
func switches() string {
	names := make([]string, len(breakpoint.Switches))
	for i, s := range breakpoint.Switches {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
