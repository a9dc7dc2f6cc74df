package dashboard

import (
	"context"
	"html/template"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/migrations"
)

// period is a length of time that the overview can show. It consists of equal parts.
type period struct {
	Name  string
	Title string
	// Says is the period in a sentence.
	Says  string
	part  time.Duration
	parts int
}

// periods are in the order of the menu. The first is the default.
var periods = []period{
	{"today", "Today", "today", time.Hour, 24},
	{"1h", "Last hour", "in the last hour", 2 * time.Minute, 30},
	{"24h", "Last 24 hours", "in the last 24 hours", time.Hour, 24},
	{"7d", "Last 7 days", "in the last 7 days", 6 * time.Hour, 28},
}

// until returns the end of the period: the end of the current part, or of the current day
// for today.
func (p period) until(now time.Time) time.Time {
	if p.Name == "today" {
		return now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	}
	return now.UTC().Truncate(p.part).Add(p.part)
}

func (p period) from(now time.Time) time.Time {
	return p.until(now).Add(-time.Duration(p.parts) * p.part)
}

type overviewPage struct {
	Periods []period
	Period  period
	Pulse   views.Pulse
	// FromText is the beginning of the period in the form that filters take.
	FromText string
	InFlight []views.InFlight
	// Challenges counts the challenges that began or ended in the period.
	Challenges postgres.Challenges
	Lag        views.EventLag
	Types      []views.EventTypeRow
	Queues     []views.QueueRow
	Workers    []postgres.Worker
	Counts     map[string]views.Count
	Attention  int
	// Reconciled is the last reconciliation, nil if there was none.
	Reconciled *postgres.Reconciliation
	// Latencies has the queues that had jobs in the last hour.
	Latencies map[string]*views.QueueLatency
	// Breaker is the state of this process's circuit breaker for Stripe.
	Breaker stripeapi.BreakerState
	// Schema is the version of the database, and Wanted the newest that this program knows.
	Schema, Wanted int64
	Chart          template.HTML
}

// SuccessRate returns the share of succeeded payments; see Rate.
func (p overviewPage) SuccessRate() string {
	return p.Rate(p.Settled())
}

// Settled, Declined and Canceled return the numbers of payments of the period.
func (p overviewPage) Settled() int64  { return p.Pulse.ByStatus[wallet.PaymentSucceeded] }
func (p overviewPage) Declined() int64 { return p.Pulse.ByStatus[wallet.PaymentFailed] }
func (p overviewPage) Canceled() int64 { return p.Pulse.ByStatus[wallet.PaymentCanceled] }

// Rate returns n as a percentage of the payments that have an outcome, with one decimal. It
// is empty if there are none.
func (p overviewPage) Rate(n int64) string {
	return percent(n, p.Settled()+p.Declined()+p.Canceled())
}

// Paused returns the number of paused queues.
func (p overviewPage) Paused() int {
	n := 0
	for _, q := range p.Queues {
		if q.PausedAt != nil {
			n++
		}
	}
	return n
}

// Alive returns the number of workers that took a job within two minutes. A periodic job
// runs four times a minute, so at least one running worker always has.
func (p overviewPage) Alive(now time.Time) int {
	const recent = 2 * time.Minute
	n := 0
	for _, w := range p.Workers {
		if now.Sub(w.SeenAt) < recent {
			n++
		}
	}
	return n
}

// percent returns a part of a whole as a percentage, rounded to a tenth. It is empty if the
// whole is 0.
func percent(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	const thousand = 1000
	tenths := (part*thousand*2 + whole) / (whole * 2)
	return strconv.FormatInt(tenths/10, 10) + "." + strconv.FormatInt(tenths%10, 10) + " %"
}

// overview answers GET /admin/{mode}.
func (d *Dashboard) overview(r *request) error {
	page := overviewPage{Periods: periods, Period: periods[0], Breaker: d.Payments.BreakerState(r.mode), Wanted: migrations.Latest()}
	for _, p := range periods {
		if p.Name == r.QueryParam("period") {
			page.Period = p
		}
	}
	var err error
	if page.Pulse, page.Challenges, err = d.pulses.get(r.ctx(), d, r.mode, page.Period, r.now); err != nil {
		return err
	}
	page.FromText = page.Pulse.From.UTC().Format(time.RFC3339)
	if page.InFlight, err = views.ListInFlight(r.ctx(), d.Pool, r.mode); err != nil {
		return err
	}
	if page.Lag, err = views.GetEventLag(r.ctx(), d.Pool, r.mode); err != nil {
		return err
	}
	if page.Types, err = views.ListEventTypes(r.ctx(), d.Pool, r.mode); err != nil {
		return err
	}
	if page.Queues, err = views.ListQueues(r.ctx(), d.Pool); err != nil {
		return err
	}
	if page.Latencies, err = views.QueueLatencies(r.ctx(), d.Pool, r.now); err != nil {
		return err
	}
	if page.Schema, err = migrations.Version(r.ctx(), d.Pool); err != nil {
		return err
	}
	if page.Workers, err = postgres.ListWorkers(r.ctx(), d.Pool); err != nil {
		return err
	}
	if page.Counts, err = views.CountJobs(r.ctx(), d.Pool); err != nil {
		return err
	}
	last, found, err := postgres.LatestReconciliation(r.ctx(), d.Pool, r.mode, "")
	if err != nil {
		return err
	}
	if found {
		page.Reconciled = &last
	}
	a, err := d.findAttention(r, attentionLimit)
	if err != nil {
		return err
	}
	page.Attention = a.Len()
	page.Chart = pulseChart(page.Pulse, r.now, func(from, until time.Time) string {
		q := url.Values{"from": {from.UTC().Format(time.RFC3339)}, "until": {until.UTC().Format(time.RFC3339)}}
		return withQuery(r.path("/payments"), q)
	})
	return r.view("Overview", "overview", page).live("overview", "").ok("overview")
}

// pulseCache caches the figures of each period, because computing them reads every payment
// of the period. Users of the same mode share them.
type pulseCache struct {
	mu      sync.Mutex
	entries map[string]*pulseEntry
}

type pulseEntry struct {
	mu         sync.Mutex
	at         time.Time
	pulse      views.Pulse
	challenges postgres.Challenges
}

// pulseLife returns how long figures are cached. Figures of longer periods change more
// slowly.
func (p period) pulseLife() time.Duration {
	if p.Name == "7d" {
		return time.Minute
	}
	return 5 * time.Second
}

func (c *pulseCache) get(ctx context.Context, d *Dashboard, mode wallet.Mode, p period, now time.Time) (views.Pulse, postgres.Challenges, error) {
	key := string(mode) + p.Name
	c.mu.Lock()
	if c.entries == nil {
		c.entries = make(map[string]*pulseEntry)
	}
	e := c.entries[key]
	if e == nil {
		e = &pulseEntry{}
		c.entries[key] = e
	}
	c.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.at.IsZero() && now.Sub(e.at) < p.pulseLife() {
		return e.pulse, e.challenges, nil
	}
	pulse, err := views.GetPulse(ctx, d.Pool, mode, p.from(now), p.until(now), p.parts)
	if err != nil {
		return pulse, postgres.Challenges{}, err
	}
	challenges, err := postgres.ChallengeCounts(ctx, d.Pool, mode, pulse.From)
	if err != nil {
		return pulse, challenges, err
	}
	e.at, e.pulse, e.challenges = now, pulse, challenges
	return pulse, challenges, nil
}
