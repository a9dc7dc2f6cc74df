package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/fundrail/fundrail/internal/config"
)

// The exit codes of every command.
const (
	exitOK = 0
	// exitFailed: the command failed, or what it checked does not hold.
	exitFailed = 1
	// exitUsage: the flags or settings are invalid.
	exitUsage = 2
)

// cli is every command with its flags.
type cli struct {
	Version kong.VersionFlag `help:"Print the version and exit."`

	Demo      demoCmd      `cmd:"" help:"Tell the whole story on a private PostgreSQL and a simulated Stripe."`
	Dev       devCmd       `cmd:"" set:"log_format=text" help:"Run the demo's servers with a seeded organization until interrupted."`
	Serve     serveCmd     `cmd:"" help:"Answer the API, webhooks and dashboard, and work on jobs."`
	Worker    workerCmd    `cmd:"" help:"Only work on jobs."`
	Stripesim stripesimCmd `cmd:"" set:"log_format=text" help:"Only run the simulated Stripe."`

	Torture tortureCmd `cmd:"" help:"Prove under injected faults that each charge is credited exactly once."`

	Migrate   migrateCmd   `cmd:"" help:"Migrate the database to this program's schema, or revert a migration."`
	Doctor    doctorCmd    `cmd:"" help:"Check settings, database, Stripe and workers, and report problems."`
	Audit     auditCmd     `cmd:"" help:"Check every wallet against the ledger."`
	Bench     benchCmd     `cmd:"" help:"Measure what a payment costs, against pgbench on the same server."`
	Reconcile reconcileCmd `cmd:"" help:"Compare payments, refunds and disputes with Stripe."`
	Events    eventsCmd    `cmd:"" help:"List and replay the events that Stripe sent."`

	Org           orgCmd           `cmd:"" help:"Merchants' accounts."`
	Key           keyCmd           `cmd:"" help:"Merchants' API keys."`
	Customer      customerCmd      `cmd:"" help:"Merchants' customers."`
	Wallet        walletCmd        `cmd:"" help:"Customers' wallets."`
	PaymentMethod paymentMethodCmd `cmd:"" help:"Customers' saved cards."`
	User          userCmd          `cmd:"" help:"Users of the dashboard."`
	Webhook       webhookCmd       `cmd:"" help:"Merchants' webhook endpoints."`

	Seed seedCmd `cmd:"" help:"Fill a database with generated payments and jobs for measurements."`

	Completion completionCmd `cmd:"" help:"Print a shell's completion script."`

	BenchPlain benchPlainCmd `cmd:"" hidden:"" help:"The program that the bench compares with."`
	Complete   completeCmd   `cmd:"" name:"__complete" hidden:"" passthrough:"" help:"Print completions for a shell."`
	Supervised supervisedCmd `cmd:"" hidden:"" help:"Run a command until the input ends."`
}

const description = `Charges saved cards for prepaid wallets at Stripe, and credits each charge exactly once.

  fundrail demo    tells the whole story on a private PostgreSQL and a simulated Stripe
  fundrail dev     keeps the same running, with a seeded organization
  fundrail serve   is the service itself`

// run parses the arguments, runs the command and returns the exit code.
func run(ctx context.Context, args []string, a *app) int {
	command, done, err := parse(ctx, args, a)
	code := exitUsage
	if err == nil && !done {
		err = command.Run(a)
		code = exitFailed
	}
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errReported) {
		a.errorf("%v", err)
	}
	return code
}

// parse reads flags and settings. done reports that help or the version was requested
// and has been printed, so that nothing is left to do.
func parse(ctx context.Context, args []string, a *app) (command *kong.Context, done bool, err error) {
	type leave struct{}
	defer func() {
		// Kong calls Exit after it has printed help or the version. The panic below
		// returns from it without ending the process.
		switch r := recover().(type) {
		case nil:
		case leave:
			done = true
		default:
			panic(r)
		}
	}()
	parser, err := kong.New(&cli{},
		kong.Name("fundrail"),
		kong.Description(description),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(int) { panic(leave{}) }),
		kong.ExplicitGroups([]kong.Group{{Key: "Settings", Title: "Settings, from flags or the environment:"}}),
		kong.Vars{"switches": switches(), "version": version()},
		kong.Writers(a.Stdout, a.Stderr),
		config.Environment(a.Getenv),
	)
	if err != nil {
		return nil, false, err
	}
	command, err = parser.Parse(args)
	return command, false, err
}

// version returns the release or the commit that the Go tool recorded in the program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			version = s.Value
		}
	}
	return fmt.Sprintf("fundrail %s %s", cmp.Or(version, "(devel)"), info.GoVersion)
}
