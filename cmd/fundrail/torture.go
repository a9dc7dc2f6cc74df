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
	Duration  time.Duration `default:"60s" help:"How long the storm lasts."`
	Drain     time.Duration `default:"120s" help:"How long things may take to come to rest after it."`
	Processes int           `default:"3" help:"How many services run; each third works jobs only."`
	Rate      int           `default:"8" help:"Payments that clients ask for in a second."`
	Seed      uint64        `help:"Plays the plan of an earlier storm again; 0 draws one."`
	Break     string        `placeholder:"SWITCH" help:"Take a safeguard away, to see that it is missed: ${switches}."`
	Keep      bool          `help:"Keep the logs of the services even if the proof held."`
	JSON      bool          `help:"Print one JSON object."`
}

// Run plays a storm on processes of this very program, and fails unless every
// charge was credited exactly once.
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
		c.Seed = rand.Uint64N(1_000_000_000) + 1 //nolint:gosec // a number to play a storm again by
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
		return fmt.Errorf("no storm to judge: %w", err)
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

// switches names every safeguard that can be taken away.
func switches() string {
	names := make([]string, len(breakpoint.Switches))
	for i, s := range breakpoint.Switches {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
