package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// endSupervised is how long a supervised command may take to end.
const endSupervised = 12 * time.Second

// supervisedCmd runs another command of this program until its standard input ends. The
// parent process holds the other end of that pipe, so the command never outlives it, even
// if the parent is killed.
type supervisedCmd struct {
	Args []string `arg:"" passthrough:"" help:"The command and its flags."`
}

// Run runs the command until ctx or the input ends.
func (c *supervisedCmd) Run(ctx context.Context, a *app) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an error ends the input as well
		cancel()
		time.AfterFunc(endSupervised, func() { os.Exit(exitFailed) }) // the parent can no longer kill this process
	}()
	args := c.Args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("supervised: no command")
	}
	if run(ctx, args, a) != exitOK {
		return errReported
	}
	return nil
}
