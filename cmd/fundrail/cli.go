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
	// exitFailed: it did not work, or what was checked is not as it should be.
	exitFailed = 1
	// exitUsage: the flags or settings make no sense.
	exitUsage = 2
)

// cli is every command with its flags.
type cli struct {
	Version kong.VersionFlag `help:"Print the version and leave."`

	Demo      demoCmd      `cmd:"" help:"Tell the whole story on a private PostgreSQL and a simulated Stripe."`
	Dev       devCmd       `cmd:"" set:"log_format=text" help:"The same, left running with a seeded organization."`
	Serve     serveCmd     `cmd:"" help:"Answer the API, webhooks and dashboard, and work on jobs."`
	Worker    workerCmd    `cmd:"" help:"Work on jobs alone."`
	Stripesim stripesimCmd `cmd:"" set:"log_format=text" help:"Run the simulated Stripe alone."`

	Torture tortureCmd `cmd:"" help:"Prove, under every fault there is, that each charge is credited exactly once."`

	Migrate   migrateCmd   `cmd:"" help:"Bring the database to the schema this program knows, or back."`
	Doctor    doctorCmd    `cmd:"" help:"Look at settings, database, Stripe and workers, and say what to mend."`
	Audit     auditCmd     `cmd:"" help:"Prove every wallet against the ledger."`
	Bench     benchCmd     `cmd:"" help:"Measure what a payment costs, against pgbench on the same server."`
	Reconcile reconcileCmd `cmd:"" help:"Compare payments, refunds and disputes with Stripe's."`
	Events    eventsCmd    `cmd:"" help:"Look at the events that Stripe sent."`

	Org           orgCmd           `cmd:"" help:"Merchants' accounts."`
	Key           keyCmd           `cmd:"" help:"Merchants' API keys."`
	Customer      customerCmd      `cmd:"" help:"Merchants' customers."`
	Wallet        walletCmd        `cmd:"" help:"Customers' wallets."`
	PaymentMethod paymentMethodCmd `cmd:"" help:"Customers' saved cards."`
	User          userCmd          `cmd:"" help:"Who may log in to the dashboard."`
	Webhook       webhookCmd       `cmd:"" help:"Where merchants are told what happens."`

	Seed seedCmd `cmd:"" help:"Fill a database with made-up payments and jobs, to measure with."`

	Completion completionCmd `cmd:"" help:"Print the script with which a shell completes commands."`

	BenchPlain benchPlainCmd `cmd:"" hidden:"" help:"The program that the bench compares with."`
	Complete   completeCmd   `cmd:"" name:"__complete" hidden:"" passthrough:"" help:"What may come next, for a shell."`
	Supervised supervisedCmd `cmd:"" hidden:"" help:"Run a command until the input ends."`
}

const description = `Charges saved cards for prepaid wallets at Stripe, and credits each charge exactly once.

  fundrail demo    tells the whole story on a private PostgreSQL and a simulated Stripe
  fundrail dev     leaves the same running, with a seeded organization
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

// parse reads flags and settings. The second result tells that there is nothing
// left to do, because help or the version was asked for and has been printed.
func parse(ctx context.Context, args []string, a *app) (command *kong.Context, done bool, err error) {
	type leave struct{}
	defer func() {
		// Kong leaves the program after help and version, unless it is thrown out.
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

// version is what the Go tool wrote into the program: a release, or a commit.
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
