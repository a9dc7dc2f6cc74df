// Package demo tells the story of `fundrail demo`: it starts a whole stack, goes through
// what can happen to a payment, one chapter at a time, and checks every statement that it
// prints. Starting the stack is left to package devstack, and flags to the command.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/devstack"
)

// Options configure a demo.
type Options struct {
	// DatabaseURL names a server to create a temporary database on, or, with DataDir or
	// Keep, the database to use and keep. A private PostgreSQL is started when it is
	// empty.
	DatabaseURL config.Secret
	// DataDir keeps the state of the demo. Keep does the same in a new directory.
	// Nothing is kept without either.
	DataDir string
	Keep    bool

	Listen       string
	StripeListen string

	Now   func() time.Time
	Out   io.Writer
	Paint console.Painter
	// Waiting shows that something takes a while, until done is called.
	Waiting func(what string) (done func())
}

// chapters is the story in order. A chapter creates what it needs and measures changes
// from the state that it finds, so it does not depend on the others.
var chapters = []chapter{
	{
		title: "A card that succeeds at once",
		intro: "The everyday case: a job charges the card while the merchant waits for the answer.",
		run:   runCharge,
	},
	{
		title: "A card that requires 3-D Secure",
		intro: "The bank asks the cardholder to authenticate. Nothing is credited before that.",
		run:   runChallenge,
	},
	{
		title: "A challenge that fails",
		intro: "The cardholder does not pass the bank's challenge, so the payment fails.",
		run:   runFailedChallenge,
	},
	{
		title: "Cards that are declined",
		intro: "The bank refuses the charge, and the merchant gets the bank's reason.",
		run:   runDecline,
	},
	{
		title: "A top-up in Lago's dialect",
		intro: "The same wallet and the same books. The answer comes at once, and a job charges the card.",
		run:   runLago,
	},
	{
		title: "The same request twice",
		intro: "A client that lost the answer repeats its request under the same Idempotency-Key.",
		run:   runIdempotency,
	},
	{
		title: "The same webhook ten times",
		intro: "Stripe delivers an event at least once. Here it delivers one event ten times at once.",
		run:   runDuplicates,
	},
	{
		title: "Webhooks out of order",
		intro: "Stripe does not promise to deliver events in order. Here the last event comes first.",
		run:   runDisorder,
	},
	{
		title: "Forged webhooks",
		intro: "An event alone never moves money: its job asks Stripe for the payment's true state.",
		run:   runForgery,
	},
	{
		title: "Webhooks to the merchant",
		intro: "The merchant's endpoint receives each step, signed, at least once and in order.",
		run:   runDeliveries,
	},
	{
		title: "The books",
		intro: "Each transfer names two accounts, so the ledger proves every balance.",
		run:   runBooks,
	},
}

// limits are the defaults of the settings. The environment does not change them, so that
// the story is the same everywhere.
var limits = config.Limits{
	ActionDeadline:     24 * time.Hour,
	FundWait:           20 * time.Second,
	RateLimitPerMinute: 1000,
	WalletsPerCustomer: 6,
	Workers:            20,
}

// Run tells the story. It returns an error unless every check held.
func Run(ctx context.Context, o Options) (err error) {
	if o.Keep && o.DataDir == "" {
		if o.DataDir, err = devstack.NewDataDir(); err != nil {
			return err
		}
	}
	log := &logTail{}
	stack := devstack.Options{
		DatabaseURL:  o.DatabaseURL,
		HTTP:         config.HTTP{ListenAddr: o.Listen},
		Limits:       limits,
		Log:          config.Log{LogFormat: "text", LogLevel: "info"}.Logger(log),
		Now:          o.Now,
		StripeListen: o.StripeListen,
	}
	switch {
	case o.DataDir != "":
		if stack.DataDir, err = devstack.OpenDataDir(o.DataDir); err != nil {
			return err
		}
		defer func() { _ = stack.DataDir.Close() }() // only releases the lock
	case o.DatabaseURL != "":
		temporary, createErr := createDatabase(ctx, string(o.DatabaseURL))
		if createErr != nil {
			return createErr
		}
		stack.DatabaseURL = config.Secret(temporary.url)
		defer func() { err = errors.Join(err, temporary.drop(context.WithoutCancel(ctx))) }()
	}
	err = tell(ctx, o, stack)
	if text := log.String(); err != nil && ctx.Err() == nil && text != "" {
		return fmt.Errorf("the end of the service's log:\n%s\n%w", text, err)
	}
	return err
}

// tell starts the stack, runs the chapters and stops the stack.
func tell(ctx context.Context, o Options, stack devstack.Options) error {
	began := o.Now()
	s := newStory(o)
	s.opening()
	done := o.Waiting("starting PostgreSQL, Stripe and Fundrail")
	running, err := devstack.Start(ctx, stack)
	done()
	if err != nil {
		return err
	}
	if err = s.started(ctx, running, o.Now().Sub(began)); err == nil {
		err = s.tell(ctx, chapters)
	}
	err = errors.Join(err, running.Stop(context.WithoutCancel(ctx)))
	if err != nil {
		return err
	}
	s.closing(o.Now().Sub(began))
	if o.DataDir != "" {
		s.printf("\nEverything is kept. To go on with it:  fundrail dev --data-dir %s\n", o.DataDir)
	}
	return nil
}

// logTail is a log in memory, of which the end is read.
type logTail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns the last 40 lines.
func (l *logTail) String() string {
	const tail = 40
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(l.b.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-tail):], "\n")
}
