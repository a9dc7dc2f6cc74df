// Package api is the HTTP API that merchants call. It holds what its dialects
// share: the server and its limits, authentication, errors, request bodies,
// headers, waiting for an outcome, and doing a thing once. The routes and the
// shapes of a dialect are in packages lava and lago below it, which import this
// package and not each other. What becomes of a payment after it was accepted is
// left to package jobs, and what its states mean to package wallet.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Payments is the set of payment operations that the API calls.
type Payments interface {
	// Accept stores a payment together with the job that charges it, both or
	// neither. It returns false, and stores nothing, when the payment's
	// idempotency key is taken. The same payment may be sent again after an error
	// that leaves open whether it was stored.
	Accept(ctx context.Context, p postgres.NewPayment) (bool, error)
	// TopUp stores a prepared top-up together with the job that charges its
	// purchase, all or nothing. It returns false, and stores nothing, when the
	// top-up's idempotency key is taken.
	TopUp(ctx context.Context, p postgres.PreparedTopUp) (bool, error)
	// CreateWallet stores a wallet with its opening top-up, all or nothing. The
	// second result is false, and nothing is stored, when the key is taken.
	CreateWallet(ctx context.Context, n postgres.NewWallet, opening topup.Request, key *postgres.IdempotencyRecord, v *wallet.ValidationError) (wallet.Wallet, bool, error)
	// PaymentPage returns the payment in which the cardholder can pay for a purchase
	// at its RedirectURL, and makes one if there is none. It returns one of the
	// errors of package jobs when there cannot be such a page.
	PaymentPage(ctx context.Context, t wallet.Transaction, stripeCustomerID string) (wallet.Payment, error)
	// SyncCustomer creates a customer at Stripe, and reads its cards, as soon as the
	// transaction is committed.
	SyncCustomer(ctx context.Context, tx pgx.Tx, customerID wallet.ID) error
	// Wait returns the payment as soon as its status is Answered, or as it
	// stands when d is over or ctx ends.
	Wait(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Payment, error)
	// RequestRefund stores a refund together with the job that makes it. It returns
	// false, and stores nothing, when the refund's idempotency key is taken. A
	// refund that is not possible is a *wallet.Error.
	RequestRefund(ctx context.Context, n postgres.NewRefund) (wallet.Refund, bool, error)
	// WaitRefund returns the refund as soon as it is Answered, or as it stands when
	// d is over or ctx ends.
	WaitRefund(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Refund, error)
	// Outage reports whether Stripe is known to be down in a mode, and how long a
	// caller should wait before trying again.
	Outage(mode wallet.Mode) (retryAfter time.Duration, down bool)
}

// Server is what the dialects share. Its exported fields are set before Mount and
// do not change afterwards.
type Server struct {
	DB *pgxpool.Pool
	// LookUpPool is the pool of the look-ups, so that they do not wait for writes that
	// wait for a locked row. It is DB unless given.
	LookUpPool *pgxpool.Pool
	Payments   Payments
	Log        *slog.Logger
	Now        func() time.Time
	// Patience is how long a caller waits while it is not known whether its write was
	// stored; DefaultPatience unless given.
	Patience time.Duration
	// RateLimit is how many requests a minute an API key may make, over all
	// processes; DefaultRateLimit unless given.
	RateLimit int
	// FundRateLimit is how many of them may be fund requests. 0 sets no limit of
	// their own.
	FundRateLimit int

	doubts    *doubts
	slots     *slots
	lookups   lookups
	requests  *sharedLimiter
	fundings  *sharedLimiter // nil without a limit of their own
	strangers *limiter       // by address
	uses      *keyUses
}

// DefaultRateLimit is how many requests a minute an API key may make unless
// Server.RateLimit says otherwise.
const DefaultRateLimit = 1000

// Handler returns a handler for the dialects' routes alone. It calls Mount.
func (s *Server) Handler(dialects ...Dialect) http.Handler {
	e := NewEcho(s.Log)
	s.Mount(e, dialects...)
	return e
}

// Mount adds the dialects' routes to an Echo made by NewEcho, and has the errors
// under their roots written in their shapes. It is called once, before the first
// request.
func (s *Server) Mount(e *echo.Echo, dialects ...Dialect) {
	limit := s.RateLimit
	if limit == 0 {
		limit = DefaultRateLimit
	}
	s.doubts, s.slots = newDoubts(), newSlots(s.DB)
	s.lookups = s.newLookups()
	s.uses = newKeyUses(s.DB, s.Log)
	s.requests = newSharedLimiter("requests", limit, s.lookups.spendings, s.Log)
	s.strangers = newLimiter(limit)
	if s.FundRateLimit > 0 {
		s.fundings = newSharedLimiter("fundings", s.FundRateLimit, s.lookups.spendings, s.Log)
	}
	// Errors of the router and of every middleware need the dialect, so it is found
	// before them.
	e.Pre(setDialect(dialects))
	e.Use(s.setRateLimitOfStrangers)
	for _, d := range dialects {
		d.Register(e.Group(d.Root()))
	}
}

// LookUps returns the database for look-ups, each of which has a limit.
func (s *Server) LookUps() postgres.DB { return postgres.LookUps(s.lookUpPool()) }

func (s *Server) lookUpPool() *pgxpool.Pool {
	if s.LookUpPool == nil {
		return s.DB
	}
	return s.LookUpPool
}

// Drain has the callers whose writes are in doubt, or wait for a locked row, answered
// now, because the process stops.
func (s *Server) Drain() { s.doubts.drain() }

// Close waits until ctx ends for writes whose answers are in doubt.
func (s *Server) Close(ctx context.Context) { s.doubts.close(ctx) }

// Get adds a handler for GET and for HEAD, from whose answers the server leaves
// out the body.
func Get(g *echo.Group, path string, h echo.HandlerFunc) {
	g.GET(path, h)
	g.HEAD(path, h)
}
