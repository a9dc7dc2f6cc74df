package config

import (
	"errors"
	"fmt"
	"time"
)

// Stopping configures how a process shuts down.
type Stopping struct {
	// StopDelay is for load balancers that go on sending requests for a while: the
	// process fails /readyz and serves as before meanwhile.
	StopDelay time.Duration `name:"stop-delay" env:"STOP_DELAY" group:"Settings" default:"0s" help:"How long to go on serving after SIGTERM, while /readyz fails."`
	// StopWithin comes after StopDelay. It should be shorter than the time after which
	// a supervisor kills the process.
	StopWithin time.Duration `name:"stop-within" env:"STOP_WITHIN" group:"Settings" default:"9s" help:"How long current requests and jobs may take to end after that. Other processes continue the jobs that are cut off."`
}

// leastStop is the time that a process needs to shut down at all.
const leastStop = time.Second

// Check reports a negative delay and a limit that is too short.
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
