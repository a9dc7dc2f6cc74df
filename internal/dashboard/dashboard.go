package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// Payments are the operations on payments and events that the dashboard calls.
// *jobs.Engine implements it.
type Payments interface {
	// BreakerState returns the state of this process's circuit breaker for Stripe.
	BreakerState(mode wallet.Mode) stripeapi.BreakerState
	// CheckPaymentTx inserts the job that compares a payment with Stripe and returns
	// the job's id.
	CheckPaymentTx(ctx context.Context, tx pgx.Tx, id wallet.ID) (int64, error)
	// PreviewEvent returns what handling a stored event again would change. It changes
	// nothing.
	PreviewEvent(ctx context.Context, id string) (jobs.EventPreview, error)
	// ReplayEventTx makes a stored event pending again, inserts the job that handles
	// it, and returns the job's id.
	ReplayEventTx(ctx context.Context, tx pgx.Tx, id string) (int64, error)
}

// River are the operations of River's client that the dashboard calls.
// *river.Client[pgx.Tx] implements it.
type River interface {
	JobCancelTx(ctx context.Context, tx pgx.Tx, id int64) (*rivertype.JobRow, error)
	JobDeleteTx(ctx context.Context, tx pgx.Tx, id int64) (*rivertype.JobRow, error)
	JobRetryTx(ctx context.Context, tx pgx.Tx, id int64) (*rivertype.JobRow, error)
	QueuePauseTx(ctx context.Context, tx pgx.Tx, name string, opts *river.QueuePauseOpts) error
	QueueResumeTx(ctx context.Context, tx pgx.Tx, name string, opts *river.QueuePauseOpts) error
}

// Periodic is a job that is inserted at a fixed interval.
type Periodic struct {
	Kind  string
	Every time.Duration
}

// Config configures a dashboard. All fields but Periodic and PeriodicQueue are required.
type Config struct {
	Pool     *pgxpool.Pool
	Payments Payments
	River    River
	Log      *slog.Logger
	Now      func() time.Time
	// PublicURL is the address at which browsers reach this service, without a trailing
	// slash. With https, cookies are sent over https only.
	PublicURL string
	// Periodic are the periodic jobs, and PeriodicQueue is the queue that they run on.
	Periodic      []Periodic
	PeriodicQueue string
}

// Dashboard serves the pages under /admin.
type Dashboard struct {
	Config
	origins  *http.CrossOriginProtection
	sessions *scs.SessionManager
	hashing  chan struct{} // limits the passwords hashed at once, because each takes memory
	pulses   pulseCache

	streams chan struct{} // limits the open streams
	closing chan struct{}
	closed  sync.Once
}

// maxStreams is the largest number of pages that a process keeps up to date at once.
const maxStreams = 200

// New returns a dashboard. Close ends its open streams.
func New(c Config) *Dashboard {
	const passwordsAtOnce = 2
	d := &Dashboard{
		Config:  c,
		origins: http.NewCrossOriginProtection(),
		hashing: make(chan struct{}, passwordsAtOnce),
		streams: make(chan struct{}, maxStreams),
		closing: make(chan struct{}),
	}
	// An invalid origin is ignored, because no browser sends one.
	_ = d.origins.AddTrustedOrigin(c.PublicURL)
	d.sessions = newSessions(c.Pool, d.secure())
	return d
}

// Close ends the streams to open pages, so that a server can shut down. It may be
// called more than once.
func (d *Dashboard) Close() { d.closed.Do(func() { close(d.closing) }) }

// secure reports whether browsers use https.
func (d *Dashboard) secure() bool { return strings.HasPrefix(d.PublicURL, "https://") }

// Register adds the routes of the dashboard to e.
func (d *Dashboard) Register(e *echo.Echo) {
	g := e.Group("/admin", d.guard)
	g.GET("/static/:name", d.static)

	// These need no session.
	g.GET("/login", d.showLogin)
	g.POST("/login", d.login)
	g.POST("/logout", d.page(postgres.RoleViewer, d.logout))
	g.GET("", d.page(postgres.RoleViewer, d.home))
	g.GET("/", d.page(postgres.RoleViewer, d.home))

	// These routes read. Every role may use them.
	read := func(path string, h handler) { g.GET("/:mode"+path, d.page(postgres.RoleViewer, h)) }
	read("", d.overview)
	read("/attention", d.attention)
	read("/search", d.search)
	read("/payments", d.listPayments)
	read("/payments/:id", d.showPayment)
	read("/wallets", d.listWallets)
	read("/wallets/:id", d.showWallet)
	read("/customers", d.listCustomers)
	read("/customers/:id", d.showCustomer)
	read("/invoices", d.listInvoices)
	read("/jobs", d.listJobs)
	read("/jobs/:id", d.showJob)
	read("/queues", d.listQueues)
	read("/events", d.listEvents)
	read("/events/:id", d.showEvent)
	read("/audit", d.listActions)
	read("/audit/:id", d.showAction)
	read("/stream", d.stream)

	// These routes write. Each requires a reason and writes an audit row.
	write := func(path string, least postgres.Role, h handler) { g.POST("/:mode"+path, d.page(least, h)) }
	write("/payments/:id/check", postgres.RoleSupport, d.checkPayment)
	write("/jobs/:id/retry", postgres.RoleOperator, d.retryJob)
	write("/jobs/:id/cancel", postgres.RoleOperator, d.cancelJob)
	write("/jobs/:id/snooze", postgres.RoleOperator, d.snoozeJob)
	write("/jobs/:id/delete", postgres.RoleAdmin, d.deleteJob)
	write("/jobs/bulk", postgres.RoleOperator, d.bulkJobs)
	write("/queues/:name/pause", postgres.RoleOperator, d.pauseQueue)
	write("/queues/:name/resume", postgres.RoleOperator, d.resumeQueue)
	write("/events/:id/replay", postgres.RoleOperator, d.replayEvent)
	// These two show what the write would do, and need the role of the write.
	g.GET("/:mode/jobs/bulk", d.page(postgres.RoleOperator, d.previewBulk))
	g.GET("/:mode/events/:id/replay", d.page(postgres.RoleOperator, d.previewReplay))

	g.Any("/*", d.page(postgres.RoleViewer, func(*request) error { return errNotFound }))
}

var errNotFound = &wallet.Error{Code: wallet.CodeNotFound, Message: "There is no such page."}

// guard sets the headers of every response and turns errors into pages.
func (d *Dashboard) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderContentSecurityPolicy, contentSecurityPolicy)
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderXFrameOptions, "DENY")
		h.Set(echo.HeaderReferrerPolicy, "same-origin")
		h.Set(echo.HeaderCacheControl, "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if err := next(c); err != nil {
			return d.fail(c, err)
		}
		return nil
	}
}

// contentSecurityPolicy allows only what the dashboard itself serves, and no inline script
// or style.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// fail answers with a page that describes the error.
func (d *Dashboard) fail(c echo.Context, err error) error {
	if c.Response().Committed {
		return nil // a stream or a download had begun
	}
	f := failure{Status: http.StatusInternalServerError, Title: "Something went wrong", Text: "The error has been logged. Please try again."}
	httpErr, isHTTP := errors.AsType[*echo.HTTPError](err)
	known, isKnown := errors.AsType[*wallet.Error](err)
	refused, isRefused := errors.AsType[*refusal](err)
	switch {
	case isRefused:
		f = failure{Status: refused.status, Title: refused.title, Text: refused.text}
	case isKnown:
		f = failure{Status: http.StatusNotFound, Title: "Not found", Text: known.Message}
	case isHTTP:
		f = failure{Status: httpErr.Code, Title: http.StatusText(httpErr.Code), Text: fmt.Sprint(httpErr.Message)}
	case postgres.InDoubt(err):
		// Not an error's status: with that it would be safe to try again.
		f = failure{
			Status: http.StatusAccepted, Title: "The action may have been carried out",
			Text: "The database's answer was lost. Look at the object and at the audit log before you try again.",
		}
		d.Log.WarnContext(c.Request().Context(), "operator action in doubt",
			slog.String("route", c.Path()), slog.String("request_id", requestID(c)), slog.Any("error", err))
	case postgres.Unavailable(err):
		f = failure{Status: http.StatusServiceUnavailable, Title: "The database is unavailable", Text: "Nothing was changed. Please try again in a moment."}
		c.Response().Header().Set(echo.HeaderRetryAfter, "5")
	}
	if f.Status >= http.StatusInternalServerError && c.Request().Context().Err() == nil {
		d.Log.ErrorContext(c.Request().Context(), "dashboard request failed",
			slog.String("route", c.Path()), slog.String("request_id", requestID(c)), slog.Any("error", err))
	}
	v := &view{Title: f.Title, Data: f, request: &request{Context: c, dashboard: d, now: d.Now()}}
	if r, ok := c.Get(requestKey).(*request); ok {
		v.request = r
	}
	return v.render(f.Status, "failure")
}

type failure struct {
	Status      int
	Title, Text string
}

// refusal is an error that is shown to the user as it is.
type refusal struct {
	status      int
	title, text string
}

// Error implements error.
func (r *refusal) Error() string { return r.title + ": " + r.text }

func refuse(status int, title, text string) error {
	return &refusal{status: status, title: title, text: text}
}

func requestID(c echo.Context) string {
	return c.Response().Header().Get(echo.HeaderXRequestID)
}
