// Command fundrail runs the service, prepares what it needs, and proves what it
// did. Each command is a file of its own; what they do is done by the packages
// that they put together.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], &app{
		Getenv: os.Getenv,
		Now:    time.Now,
		Stderr: os.Stderr,
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
	}))
}
