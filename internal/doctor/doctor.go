// Package doctor looks at a set-up from outside: settings, database, Stripe,
// webhook endpoint, clocks and workers. It says in one sentence each what has to be
// mended, and mends nothing but a webhook endpoint that is missing, if asked.
package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Status is what came of a check.
type Status string

// The statuses. A note is worth knowing and stops nothing.
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
	// Detail says how things are, Mend what to do about it.
	Detail string `json:"detail"`
	Mend   string `json:"mend,omitempty"`
	// WebhookSecret is that of an endpoint that was just created. Stripe tells it
	// only then.
	WebhookSecret string `json:"webhook_secret,omitempty"`
}

// Options say what is looked at. All but CreateWebhook are required.
type Options struct {
	Settings config.Settings
	Now      func() time.Time
	// CreateWebhook has an endpoint made at Stripe where there is none.
	CreateWebhook bool
}

// within bounds each group of checks.
const within = 20 * time.Second

// Examine makes every check that can be made.
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

// Healthy tells whether nothing has to be mended.
func Healthy(list []Finding) bool {
	for _, f := range list {
		if f.Status == Mend {
			return false
		}
	}
	return true
}

// examination gathers findings.
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

// connect opens the database without showing its password when it cannot.
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
