// Package telemetry makes a running service observable: it provides metrics for
// Prometheus, an access log, and traces. It does not affect what other packages do.
package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Config configures the metrics. All fields are required.
type Config struct {
	Log  *slog.Logger
	Now  func() time.Time
	Pool *pgxpool.Pool
	// Modes are the modes that the service serves.
	Modes []wallet.Mode
}

// Metrics holds a process's metrics in their own registry. The values of each label
// come from a bounded set. Its methods are safe for concurrent use.
type Metrics struct {
	Config
	registry *prometheus.Registry

	requests        *prometheus.CounterVec
	requestDuration *prometheus.HistogramVec
	jobs            *prometheus.CounterVec
	jobDuration     *prometheus.HistogramVec
	jobWait         *prometheus.HistogramVec
	jobRetries      *prometheus.CounterVec
	stripeCalls     *prometheus.CounterVec
	stripeDuration  *prometheus.HistogramVec
	stripeDown      *prometheus.GaugeVec
	eventLag        *prometheus.HistogramVec
	moves           *prometheus.CounterVec
	moved           *prometheus.CounterVec
	settleLatency   *prometheus.HistogramVec
	declines        *prometheus.CounterVec
	deliveries      *prometheus.CounterVec
	deliveryTime    *prometheus.HistogramVec
}

// Histogram buckets, in seconds.
var (
	short = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30}
	long  = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600}
)

// NewMetrics returns the metrics of one process.
func NewMetrics(c Config) *Metrics {
	m := &Metrics{Config: c, registry: prometheus.NewRegistry()}
	m.requests = m.counter("fundrail_http_requests_total", "Requests answered.", "method", "route", "status")
	m.requestDuration = m.histogram("fundrail_http_request_duration_seconds", "Time to answer, waiting for the outcome of a payment included.", short, "method", "route")
	m.jobs = m.counter("fundrail_jobs_total", "Attempts at jobs.", "kind", "outcome")
	m.jobDuration = m.histogram("fundrail_job_duration_seconds", "Time that an attempt at a job takes.", short, "kind")
	m.jobWait = m.histogram("fundrail_job_wait_seconds", "Time from when a job may be worked to when it is.", short, "kind")
	m.jobRetries = m.counter("fundrail_job_retries_total", "Attempts at jobs that were tried before.", "kind")
	m.stripeCalls = m.counter("fundrail_stripe_calls_total", "Calls to Stripe, by operation and outcome.", "mode", "op", "outcome")
	m.stripeDuration = m.histogram("fundrail_stripe_call_duration_seconds", "Time that a call to Stripe takes.", short, "mode", "op")
	m.stripeDown = m.gauge("fundrail_stripe_down", "1 while calls to Stripe are stopped because it is down.", "mode")
	m.eventLag = m.histogram("fundrail_event_lag_seconds", "Time from when Stripe created an event to when it was stored.", long, "mode", "source")
	m.moves = m.counter("fundrail_payment_moves_total", "Payments that entered a state.", "mode", "currency", "status")
	m.moved = m.counter("fundrail_payment_moves_amount_total", "Their amounts, in minor units.", "mode", "currency", "status")
	m.settleLatency = m.histogram("fundrail_settle_latency_seconds", "Time from when a payment was accepted to when it was credited.", long, "mode")
	m.declines = m.counter("fundrail_declines_total", "Declined payments, by the issuer's reason.", "mode", "code")
	m.deliveries = m.counter("fundrail_deliveries_total", "Attempts to deliver to merchants.", "signature", "outcome")
	m.deliveryTime = m.histogram("fundrail_delivery_duration_seconds", "Time that a merchant's endpoint takes to answer.", short, "signature")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newBooks(c), poolCollector{c.Pool})
	for _, mode := range c.Modes {
		m.stripeDown.WithLabelValues(string(mode)).Set(0)
	}
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // metrics that need no database are shown even if it is unavailable
		ErrorLog:      promLog{m.Log},
	})
}

// promLog logs errors of gathering metrics.
type promLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l promLog) Println(v ...any) {
	l.log.WarnContext(context.Background(), "metrics not gathered", slog.Any("error", v))
}

// StripeCall counts a call to Stripe.
func (m *Metrics) StripeCall(mode wallet.Mode, c stripeapi.Call) {
	m.stripeCalls.WithLabelValues(string(mode), c.Op, string(c.Kind)).Inc()
	m.stripeDuration.WithLabelValues(string(mode), c.Op).Observe(c.Took.Seconds())
}

// StripeDown records whether calls to Stripe are stopped.
func (m *Metrics) StripeDown(mode wallet.Mode, down bool) {
	value := 0.0
	if down {
		value = 1
	}
	m.stripeDown.WithLabelValues(string(mode)).Set(value)
}

// EventTakenIn records how old an event was when it was stored, and its source.
func (m *Metrics) EventTakenIn(mode wallet.Mode, source string, lag time.Duration) {
	m.eventLag.WithLabelValues(string(mode), source).Observe(max(0, lag.Seconds()))
}

// PaymentMoved counts a payment's change of state.
func (m *Metrics) PaymentMoved(p wallet.Payment) {
	mode := string(p.Mode)
	m.moves.WithLabelValues(mode, string(p.Currency), string(p.Status)).Inc()
	m.moved.WithLabelValues(mode, string(p.Currency), string(p.Status)).Add(float64(p.Amount))
	switch p.Status {
	case wallet.PaymentSucceeded:
		m.settleLatency.WithLabelValues(mode).Observe(max(0, p.UpdatedAt.Sub(p.CreatedAt).Seconds()))
	case wallet.PaymentFailed:
		m.declines.WithLabelValues(mode, declineLabel(p.Failure)).Inc()
	default:
	}
}

// declineLabel returns the issuer's reason, or else Stripe's code. Unknown values
// are labeled "other", because Stripe may add any number of them.
func declineLabel(f wallet.Failure) string {
	code := f.DeclineCode
	if code == "" {
		code = f.Code
	}
	if wallet.KnownDecline(code) {
		return code
	}
	return "other"
}

// Delivered counts an attempt to deliver to a merchant.
func (m *Metrics) Delivered(k wallet.SignatureKind, outcome string, took time.Duration) {
	m.deliveries.WithLabelValues(string(k), outcome).Inc()
	m.deliveryTime.WithLabelValues(string(k)).Observe(took.Seconds())
}
