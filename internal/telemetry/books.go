package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fundrail/fundrail/internal/postgres"
)

const (
	// booksFor is how long the values are reused. Scrapes by several servers then
	// query the database no more often than this.
	booksFor = 5 * time.Second
	// booksWithin limits the time of the queries.
	booksWithin = 2 * time.Second
)

// books collects metrics that only the database knows: what is open, how old it is,
// and what differs from Stripe. The queries use small partial indexes, so their
// cost does not depend on the number of payments.
type books struct {
	Config
	open, openAmount, oldestOpen     *prometheus.Desc
	events, oldestEvent              *prometheus.Desc
	lanes, oldestLane, held          *prometheus.Desc
	jobs, oldestJob                  *prometheus.Desc
	drift, reconciled, discrepancies *prometheus.Desc
	readable                         *prometheus.Desc

	mu     sync.Mutex
	readAt time.Time
	last   postgres.Gauges
	ok     bool
}

func newBooks(c Config) *books {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &books{
		Config:        c,
		open:          desc("fundrail_open_payments", "Payments that have not ended.", "mode", "currency", "status"),
		openAmount:    desc("fundrail_open_payments_amount", "Their amounts, in minor units.", "mode", "currency", "status"),
		oldestOpen:    desc("fundrail_oldest_open_payment_age_seconds", "Age of the oldest open payment of a state, 0 without one.", "mode", "status"),
		events:        desc("fundrail_unhandled_events", "Stripe events that have not been handled.", "mode"),
		oldestEvent:   desc("fundrail_oldest_unhandled_event_age_seconds", "Age of the oldest of them, 0 without one.", "mode"),
		lanes:         desc("fundrail_delivery_lanes", "Objects with events that have not been delivered to an endpoint."),
		oldestLane:    desc("fundrail_oldest_due_delivery_age_seconds", "For how long the oldest due delivery to an endpoint that is not held has been due, 0 without one."),
		held:          desc("fundrail_held_webhook_endpoints", "Merchants' endpoints that keep failing."),
		jobs:          desc("fundrail_available_jobs", "Jobs that may be worked now, by queue; at most 10,000 are counted.", "queue"),
		oldestJob:     desc("fundrail_oldest_available_job_age_seconds", "For how long the oldest of them has been waiting.", "queue"),
		drift:         desc("fundrail_drift", "Payments, refunds and disputes that differed from Stripe's at the last reconciliation and were not repaired.", "mode"),
		reconciled:    desc("fundrail_last_reconciliation_age_seconds", "Time since the last reconciliation.", "mode"),
		discrepancies: desc("fundrail_unresolved_discrepancies", "Unresolved differences between Stripe and our books, for an operator."),
		readable:      desc("fundrail_books_readable", "1 if these metrics could be read from the database, 0 if not."),
	}
}

// Describe implements prometheus.Collector.
func (b *books) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		b.open, b.openAmount, b.oldestOpen, b.events, b.oldestEvent, b.lanes, b.oldestLane, b.held, b.jobs, b.oldestJob,
		b.drift, b.reconciled, b.discrepancies, b.readable,
	} {
		ch <- d
	}
}

// read queries the database, unless the last values are recent enough.
func (b *books) read() (postgres.Gauges, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.Now()
	if age := now.Sub(b.readAt); age >= 0 && age < booksFor {
		return b.last, b.ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), booksWithin)
	defer cancel()
	g, err := postgres.ReadGauges(ctx, b.Pool, b.Modes, now)
	if err != nil {
		b.Log.WarnContext(ctx, "metrics not read", slog.Any("error", err))
	}
	b.last, b.ok, b.readAt = g, err == nil, now
	return b.last, b.ok
}

// Collect implements prometheus.Collector.
func (b *books) Collect(ch chan<- prometheus.Metric) {
	g, ok := b.read()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if !ok {
		gauge(b.readable, 0) // without outdated values
		return
	}
	gauge(b.readable, 1)
	for _, o := range g.Open {
		gauge(b.open, float64(o.Payments), string(o.Mode), string(o.Currency), string(o.Status))
		gauge(b.openAmount, float64(o.Amount), string(o.Mode), string(o.Currency), string(o.Status))
	}
	for _, o := range g.OldestOpen {
		gauge(b.oldestOpen, o.Age.Seconds(), string(o.Mode), string(o.Status))
	}
	for _, m := range g.Modes {
		gauge(b.events, float64(m.Events), string(m.Mode))
		gauge(b.oldestEvent, m.OldestEvent.Seconds(), string(m.Mode))
		if m.Reconciled {
			gauge(b.drift, float64(m.Drift), string(m.Mode))
			gauge(b.reconciled, m.SinceReconciled.Seconds(), string(m.Mode))
		}
	}
	for _, q := range g.Queues {
		gauge(b.jobs, float64(q.Jobs), q.Queue)
		gauge(b.oldestJob, q.Oldest.Seconds(), q.Queue)
	}
	gauge(b.lanes, float64(g.Lanes))
	gauge(b.oldestLane, g.OldestLane.Seconds())
	gauge(b.held, float64(g.Held))
	gauge(b.discrepancies, float64(g.Discrepancies))
}

// poolCollector collects metrics of the connections to the database.
type poolCollector struct{ pool *pgxpool.Pool }

var (
	connections    = prometheus.NewDesc("fundrail_db_connections", "Connections to the database, by what they do.", []string{"state"}, nil)
	maxConnections = prometheus.NewDesc("fundrail_db_max_connections", "Connections that the process may open.", nil, nil)
	acquireWait    = prometheus.NewDesc("fundrail_db_acquire_wait_seconds_total", "Time spent on waiting for a connection.", nil, nil)
)

// Describe implements prometheus.Collector.
func (poolCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- connections
	ch <- maxConnections
	ch <- acquireWait
}

// Collect implements prometheus.Collector.
func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.pool.Stat()
	ch <- prometheus.MustNewConstMetric(connections, prometheus.GaugeValue, float64(s.AcquiredConns()), "in_use")
	ch <- prometheus.MustNewConstMetric(connections, prometheus.GaugeValue, float64(s.IdleConns()), "idle")
	ch <- prometheus.MustNewConstMetric(maxConnections, prometheus.GaugeValue, float64(s.MaxConns()))
	ch <- prometheus.MustNewConstMetric(acquireWait, prometheus.CounterValue, s.AcquireDuration().Seconds())
}
