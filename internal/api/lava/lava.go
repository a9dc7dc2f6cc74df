// Package lava is the API under /v1, in Lava's dialect: a fund request charges a
// saved card and is answered with the outcome. What this dialect shares with Lago's
// is left to package api.
package lava

import (
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Dialect is Lava's dialect. Its fields do not change after Register.
type Dialect struct {
	*api.Server
	// PublicURL begins the addresses that are handed out, without a slash at the
	// end.
	PublicURL string
	// FundWait is how long a fund request waits for its outcome, unless the caller
	// prefers another time.
	FundWait time.Duration
	// WebhookLimit is how many webhook endpoints an organization may have in a mode,
	// postgres.DefaultEndpointLimit unless given.
	WebhookLimit int
	// WebhookAllowPrivate allows webhook endpoints in private networks.
	WebhookAllowPrivate bool
}

// Root implements api.Dialect.
func (*Dialect) Root() string { return "/v1" }

// Register implements api.Dialect.
func (d *Dialect) Register(g *echo.Group) {
	// Charges a card; a second call does so again unless it carries the same
	// Idempotency-Key.
	g.POST("/wallet/fund", d.Funds(d.fundWallet))
	// Sends money back; a second call does so again, as far as any is left, unless
	// it carries the same Idempotency-Key.
	g.POST("/payments/:id/refund", d.Refunds(d.refundPayment))
	api.Get(g, "/wallet", d.Reads(d.showWallet))
	api.Get(g, "/payment_methods", d.Reads(d.listPaymentMethods))
	api.Get(g, "/payments", d.Reads(d.listPayments))
	api.Get(g, "/payments/:id", d.Reads(d.showPayment))
	// A cardholder's browser comes here after the challenge; it has no key.
	api.Get(g, "/payments/:id/return", d.showReturnPage)

	g.POST("/webhooks", d.Administers(d.createWebhook))
	api.Get(g, "/webhooks", d.Reads(d.listWebhooks))
	api.Get(g, "/webhooks/:id", d.Reads(d.showWebhook))
	g.PATCH("/webhooks/:id", d.Administers(d.changeWebhook))
	g.DELETE("/webhooks/:id", d.Administers(d.deleteWebhook))
	g.POST("/webhooks/:id/rotate_secret", d.Administers(d.rotateWebhookSecret))
	api.Get(g, "/webhooks/:id/deliveries", d.Reads(d.listDeliveries))
	g.POST("/webhooks/:id/redeliver", d.Administers(d.redeliver))
}

// Token implements api.Dialect. It returns what follows the scheme Bearer.
func (*Dialect) Token(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// SpellID returns an id in a path as answers show it. It may be sent as a UUID too, and
// in small letters.
func (*Dialect) SpellID(route string, mode wallet.Mode, id string) string {
	prefix := wallet.PrefixPayment
	if strings.HasPrefix(route, "/v1/webhooks/") {
		prefix = wallet.PrefixWebhook
	}
	parsed, err := wallet.ParseID(prefix, mode, id)
	if err != nil {
		return id
	}
	return wallet.Spell(prefix, mode, parsed)
}

// RateLimitReset implements api.Dialect. It is a Unix time, rounded up so that a
// caller who waits for it is not too early.
func (*Dialect) RateLimitReset(at, _ time.Time) int64 {
	return at.Add(time.Second - 1).Unix()
}

// WriteError implements api.Dialect.
func (*Dialect) WriteError(c echo.Context, e *api.Error) error {
	return api.WriteJSON(c, e.Status, struct {
		Error errorBody `json:"error"`
	}{errorBody{
		Message: e.Message, Code: e.Code, Status: e.Status, Issues: e.Issues,
		DeclineCode: e.DeclineCode, PaymentID: e.PaymentID, RefundID: e.RefundID,
	}})
}

// errorBody is the error object of Lava's dialect. DeclineCode, PaymentID and RefundID
// are additions to it.
type errorBody struct {
	Message     string      `json:"message"`
	Code        string      `json:"code"`
	Status      int         `json:"status"`
	Issues      []api.Issue `json:"issues,omitempty"`
	DeclineCode string      `json:"decline_code,omitempty"`
	PaymentID   string      `json:"payment_id,omitempty"`
	RefundID    string      `json:"refund_id,omitempty"`
}
