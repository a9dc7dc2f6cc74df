package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/config"
)

type demoCmd struct {
	Database     config.Secret `name:"database-url" env:"DATABASE_URL" group:"Settings" placeholder:"postgres://…" help:"Server to make a temporary database on, or what to use and keep with --data-dir and --keep; a private one unless given."`
	DataDir      string        `placeholder:"DIR" help:"Keep everything here; nothing is kept unless given."`
	Keep         bool          `help:"Keep everything in a temporary directory, for a look afterwards."`
	Listen       string        `default:"127.0.0.1:0" help:"Host and port to answer on; port 0 picks one."`
	StripeListen string        `default:"127.0.0.1:0" help:"Host and port of the simulated Stripe; port 0 picks one."`
}

// chapters is the demo's story. A chapter stands by itself: it makes what it
// needs, and counts from what it finds.
var chapters = []chapter{
	{
		title: "A card that completes at once",
		intro: "The everyday case. A job charges the card while the merchant waits for the answer.",
		tell:  tellCharge,
	},
	{
		title: "A card that wants 3-D Secure",
		intro: "The bank wants to see its cardholder. Nothing is credited until that has happened.",
		tell:  tellChallenge,
	},
	{
		title: "A challenge that is not passed",
		intro: "The cardholder fails, or somebody else holds the card.",
		tell:  tellFailedChallenge,
	},
	{
		title: "Cards that are declined",
		intro: "A decline is an answer: the bank's, with the bank's reason.",
		tell:  tellDecline,
	},
	{
		title: "A top-up in Lago's dialect",
		intro: "The same wallet and the same books. The answer comes at once, and a job settles what is to be paid.",
		tell:  tellLago,
	},
	{
		title: "The same request twice",
		intro: "A client that lost the answer repeats its request under the same Idempotency-Key.",
		tell:  tellIdempotency,
	},
	{
		title: "The same webhook ten times",
		intro: "Stripe promises to deliver an event at least once. Here it comes ten times at once.",
		tell:  tellDuplicates,
	},
	{
		title: "Webhooks out of order",
		intro: "Nor does Stripe promise an order. Here the last event comes first.",
		tell:  tellDisorder,
	},
	{
		title: "Webhooks that lie",
		intro: "An event is a hint, never money: only what Stripe itself says when asked moves any.",
		tell:  tellForgery,
	},
	{
		title: "The merchant is told",
		intro: "A merchant's endpoint hears of each step, signed, at least once and in order.",
		tell:  tellDeliveries,
	},
	{
		title: "The books",
		intro: "Each transfer names two accounts, so that the books can be proved.",
		tell:  tellBooks,
	},
}

// demoLimits are the defaults, whatever the environment says: the story is the
// same everywhere.
var demoLimits = config.Limits{
	ActionDeadline:     24 * time.Hour,
	FundWait:           20 * time.Second,
	RateLimitPerMinute: 1000,
	WalletsPerCustomer: 6,
	Workers:            20,
}

// Run tells the story, and fails unless every check in it held.
func (c *demoCmd) Run(ctx context.Context, a *app) (err error) {
	if c.Keep && c.DataDir == "" {
		if c.DataDir, err = newDataDir(); err != nil {
			return err
		}
	}
	log := &syncBuffer{}
	o := stackOptions{
		HTTP:         config.HTTP{ListenAddr: c.Listen},
		Limits:       demoLimits,
		Log:          config.Log{LogFormat: "text", LogLevel: "info"}.Logger(log),
		Now:          a.Now,
		StripeListen: c.StripeListen,
	}
	if c.DataDir != "" {
		if o.DataDir, err = openDataDir(c.DataDir); err != nil {
			return err
		}
		defer func() { _ = o.DataDir.close() }() // the end of the process would do
	}
	o.Database.DatabaseURL = c.Database
	if c.Database != "" && c.DataDir == "" {
		drop, err := c.makeDatabase(ctx, &o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, drop()) }()
	}
	err = c.tell(ctx, a, o)
	if text := log.String(); err != nil && ctx.Err() == nil && text != "" {
		a.errorf("what the service logged:\n%s", text)
	}
	return err
}

func (c *demoCmd) tell(ctx context.Context, a *app, o stackOptions) error {
	began := a.Now()
	st := newStory(a)
	st.opening()
	done := a.waiting("starting PostgreSQL, Stripe and Fundrail")
	s, err := startStack(ctx, o)
	done()
	if err != nil {
		return err
	}
	if err = st.started(ctx, s, a.Now().Sub(began)); err == nil {
		err = st.tell(ctx, chapters)
	}
	err = errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	if err == nil {
		st.closing(a.Now().Sub(began))
		if c.DataDir != "" {
			a.printf("\nEverything is kept. Go on from here:  fundrail dev --data-dir %s\n", c.DataDir)
		}
	}
	return err
}

// makeDatabase makes a database for this demo alone: the workers of another
// service on the same one would take its jobs to their own Stripe.
func (c *demoCmd) makeDatabase(ctx context.Context, o *stackOptions) (drop func() error, err error) {
	cfg, err := pgx.ParseConfig(string(c.Database))
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a PostgreSQL address") // the parser's error may show the password
	}
	var suffix [6]byte
	_, _ = rand.Read(suffix[:]) // never fails
	name := "fundrail_demo_" + hex.EncodeToString(suffix[:])
	if err := execute(ctx, cfg, "create database "+name); err != nil {
		return nil, fmt.Errorf("make a database for the demo: %w", err)
	}
	o.Database.DatabaseURL = config.Secret(withDatabase(string(c.Database), name))
	return func() error {
		if err := execute(context.WithoutCancel(ctx), cfg, "drop database "+name+" with (force)"); err != nil {
			return fmt.Errorf("drop the demo's database: %w", err)
		}
		return nil
	}, nil
}

func execute(ctx context.Context, cfg *pgx.ConnConfig, sql string) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the statement's result is what counts
	_, err = conn.Exec(ctx, sql)
	return err
}

// withDatabase names another database on the same server.
func withDatabase(databaseURL, name string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return databaseURL // connecting to it will say what is wrong
	}
	u.Path = "/" + name
	return u.String()
}

// syncBuffer is a log in memory.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is the log's end: some forty lines.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := strings.SplitAfter(b.b.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "")
}
