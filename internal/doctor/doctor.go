// Package doctor examines an installation from outside: settings, database, Stripe,
// webhook endpoint, clocks and workers. It says in one sentence each what to mend. It
// changes nothing itself, except that it creates a missing webhook endpoint on request.
package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Status is the result of a check.
type Status string

// The statuses. A note needs no action.
const (
	OK   Status = "ok"
	Note Status = "note"
	Mend Status = "mend"
)

// Finding is what a check found.
type Finding struct {
	Check  string      `json:"check"`
	Mode   wallet.Mode `json:"mode,omitempty"`
	Status Status      `json:"status"`
	// Detail describes the state, and Mend what to do about it.
	Detail string `json:"detail"`
	Mend   string `json:"mend,omitempty"`
	// WebhookSecret is the secret of an endpoint that was just created. Stripe shows it
	// only then.
	WebhookSecret string `json:"webhook_secret,omitempty"`
}

// Options configure an examination. All but CreateWebhook are required.
type Options struct {
	Settings config.Settings
	Now      func() time.Time
	// CreateWebhook creates a missing endpoint at Stripe.
	CreateWebhook bool
}

// within limits the time of each group of checks.
const within = 20 * time.Second

// Examine runs every check that can be run.
func Examine(ctx context.Context, o Options) []Finding {
	e := &examination{Options: o}
	e.settings()
	pool := e.database(ctx)
	if pool != nil {
		defer pool.Close()
	}
	for _, mode := range wallet.Modes {
		if o.Settings.SecretKey(mode) != "" {
			e.stripe(ctx, mode, pool)
		}
	}
	if pool != nil {
		e.work(ctx, pool)
	}
	return e.findings
}

// Healthy reports whether nothing has to be mended.
func Healthy(list []Finding) bool {
	for _, f := range list {
		if f.Status == Mend {
			return false
		}
	}
	return true
}

// examination collects findings.
type examination struct {
	Options
	findings []Finding
}

func (e *examination) ok(check string, mode wallet.Mode, detail string) {
	e.findings = append(e.findings, Finding{Check: check, Mode: mode, Status: OK, Detail: detail})
}

func (e *examination) note(check string, mode wallet.Mode, detail, mend string) {
	e.findings = append(e.findings, Finding{Check: check, Mode: mode, Status: Note, Detail: detail, Mend: mend})
}

func (e *examination) mend(check string, mode wallet.Mode, detail, mend string) {
	e.findings = append(e.findings, Finding{Check: check, Mode: mode, Status: Mend, Detail: detail, Mend: mend})
}

// settings reports each problem that would keep the service from starting.
func (e *examination) settings() {
	err := e.Settings.Check()
	if err == nil {
		e.ok("settings", "", "complete and well formed")
		return
	}
	for problem := range strings.Lines(err.Error()) {
		e.mend("settings", "", strings.TrimSpace(problem), "Correct the setting; fundrail serve --help lists them all.")
	}
}

// connect opens the database. Its error does not show the password.
func connect(ctx context.Context, s config.Settings) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, string(s.DatabaseURL))
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}
