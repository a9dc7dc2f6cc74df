package config

import (
	"errors"
	"fmt"
	"time"
)

// Stopping is how a process ends when it is told to.
type Stopping struct {
	// StopDelay is for load balancers that go on sending for a while: the process
	// says at /readyz that it is about to leave, and serves as before meanwhile.
	StopDelay time.Duration `name:"stop-delay" env:"STOP_DELAY" group:"Settings" default:"0s" help:"How long to go on serving after SIGTERM, with /readyz saying no."`
	// StopWithin comes after StopDelay. Supervisors kill what takes longer than they
	// are willing to wait, so it should be below that.
	StopWithin time.Duration `name:"stop-within" env:"STOP_WITHIN" group:"Settings" default:"9s" help:"How long requests and jobs that are under way may take to end after that; what is cut off goes on elsewhere."`
}

// leastStop is what a process needs to end at all.
const leastStop = time.Second

// Check reports a delay below zero, and a limit that nothing can be ended within.
func (s Stopping) Check() error {
	var problems []error
	if s.StopDelay < 0 {
		problems = append(problems, errors.New("STOP_DELAY must not be below zero"))
	}
	if s.StopWithin < leastStop {
		problems = append(problems, fmt.Errorf("STOP_WITHIN must be at least %s", leastStop))
	}
	return errors.Join(problems...)
}
