// Package api is what merchants call: an HTTP server that speaks Lava's dialect
// under /v1 and Lago's under /api/v1. It decides who calls, reads what they ask for, accepts it, waits
// for the outcome and says it in the dialect's words. What becomes of a payment
// after it was accepted is package jobs' business, and what its states mean is
// package wallet's.
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
	"github.com/fundrail/fundrail/internal/wallet"
)

// Payments takes payments in and tells how they went.
type Payments interface {
	// Accept stores a payment together with the job that charges it, both or
	// neither. It returns false, and stores nothing, when the payment's
	// idempotency key is taken. The same payment may be sent again after an error
	// that leaves open whether it was stored.
	Accept(ctx context.Context, p postgres.NewPayment) (bool, error)
	// TopUp makes a prepared top-up together with the job that charges its
	// purchase, all or nothing. It returns false, and makes nothing, when the
	// top-up's idempotency key is taken.
	TopUp(ctx context.Context, p postgres.PreparedTopUp) (bool, error)
	// CreateWallet makes a wallet with its opening top-up, all or nothing. The
	// second result is false, and nothing is made, when the key is taken.
	CreateWallet(ctx context.Context, n postgres.NewWallet, opening postgres.TopUp, key *postgres.IdempotencyRecord, v *wallet.ValidationError) (wallet.Wallet, bool, error)
	// PaymentPage gives the payment in which the cardholder can pay for a purchase
	// at its RedirectURL, and makes one if there is none. Why there cannot be one is
	// one of the errors of package jobs.
	PaymentPage(ctx context.Context, t wallet.Transaction, stripeCustomerID string) (wallet.Payment, error)
	// SyncCustomer has a customer made known at Stripe, and its cards here, as soon
	// as the transaction is committed.
	SyncCustomer(ctx context.Context, tx pgx.Tx, customerID wallet.ID) error
	// Wait returns the payment as soon as its status is Answered, or as it
	// stands when d is over or ctx ends.
	Wait(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Payment, error)
	// RequestRefund stores a refund together with the job that makes it. It returns
	// false, and stores nothing, when the refund's idempotency key is taken. What
	// speaks against the refund is a *wallet.Error.
	RequestRefund(ctx context.Context, n postgres.NewRefund) (wallet.Refund, bool, error)
	// WaitRefund returns the refund as soon as it is Answered, or as it stands when
	// d is over or ctx ends.
	WaitRefund(ctx context.Context, id wallet.ID, d time.Duration) (wallet.Refund, error)
}

// Server answers merchants. Its exported fields are what it needs, and do not
// change once Register was called.
type Server struct {
	DB       *pgxpool.Pool
	Payments Payments
	Log      *slog.Logger
	Now      func() time.Time
	// PublicURL begins the addresses that are handed out, without a slash at the
	// end.
	PublicURL string
	// FundWait is how long a fund request waits for its outcome, unless the
	// caller prefers otherwise.
	FundWait time.Duration
	// WalletLimit is how many active wallets a customer may have,
	// wallet.DefaultWalletLimit unless given.
	WalletLimit int
	// WebhookLimit is how many webhook endpoints an organization may have in a mode,
	// postgres.DefaultEndpointLimit unless given, and WebhookAllowPrivate whether
	// they may be in private networks.
	WebhookLimit        int
	WebhookAllowPrivate bool
	// RateLimit is how many requests a minute an API key may make at all processes
	// together, 1,000 unless given.
	RateLimit int
	// FundRateLimit is how many of them may be fund requests; 0 sets no limit of
	// their own.
	FundRateLimit int

	lookups   lookups
	requests  *sharedLimiter
	fundings  *sharedLimiter // nil without a limit of their own
	strangers *limiter       // by address
	uses      *keyUses
}

// DefaultRateLimit is how many requests a minute an API key may make unless
// Server.RateLimit says otherwise.
const DefaultRateLimit = 1000

// Handler answers merchants and nobody else, for a server of its own.
func (s *Server) Handler() http.Handler {
	e := NewEcho(s.Log)
	s.Register(e)
	return e
}

// Register mounts the routes of the API on an Echo made by NewEcho. It is called
// once, before the first request.
func (s *Server) Register(e *echo.Echo) {
	limit := s.RateLimit
	if limit == 0 {
		limit = DefaultRateLimit
	}
	s.lookups = s.newLookups()
	s.uses = newKeyUses(s.DB, s.Log)
	s.requests = newSharedLimiter("requests", limit, s.lookups.spendings, s.Log)
	s.strangers = newLimiter(limit)
	if s.FundRateLimit > 0 {
		s.fundings = newSharedLimiter("fundings", s.FundRateLimit, s.lookups.spendings, s.Log)
	}
	e.Use(s.stateRateLimit)
	s.registerLava(e)
	s.registerWebhooks(e)
	s.registerLago(e)
}

// registerLava mounts Lava's dialect.
func (s *Server) registerLava(e *echo.Echo) {
	// Charges a card; a second call does so again unless it carries the same
	// Idempotency-Key.
	e.POST("/v1/wallet/fund", s.funds(s.fundWallet))
	// Sends money back; a second call does so again, as far as any is left, unless
	// it carries the same Idempotency-Key.
	e.POST("/v1/payments/:id/refund", s.administers(s.refundPayment, s.fundings))
	// The rest reads.
	get(e, "/v1/wallet", s.reads(s.showWallet))
	get(e, "/v1/payment_methods", s.reads(s.listPaymentMethods))
	get(e, "/v1/payments", s.reads(s.listPayments))
	get(e, "/v1/payments/:id", s.reads(s.showPayment))
	// Where a cardholder's browser lands after the challenge; it has no key.
	get(e, "/v1/payments/:id/return", s.showReturnPage)
}

// walletLimit is WalletLimit or its default.
func (s *Server) walletLimit() int {
	if s.WalletLimit == 0 {
		return wallet.DefaultWalletLimit
	}
	return s.WalletLimit
}

// get mounts a handler for GET and for HEAD, from whose answers the server
// leaves out the body.
func get(e *echo.Echo, path string, h echo.HandlerFunc) {
	e.GET(path, h)
	e.HEAD(path, h)
}
