// Package lago is the API under /api/v1, in Lago's dialect: a top-up is answered at
// once and settles later. What this dialect shares with Lava's is left to package
// api, and the shapes that webhooks have too to package lagojson.
package lago

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Dialect is Lago's dialect. Its fields do not change after Register.
type Dialect struct {
	*api.Server
	// WalletLimit is how many active wallets a customer may have,
	// wallet.DefaultWalletLimit unless given.
	WalletLimit int
}

func (d *Dialect) walletLimit() int {
	if d.WalletLimit == 0 {
		return wallet.DefaultWalletLimit
	}
	return d.WalletLimit
}

// Root implements api.Dialect.
func (*Dialect) Root() string { return "/api/v1" }

// Register implements api.Dialect. Each POST does what it does once for an
// Idempotency-Key; without one, a second call does it again.
func (d *Dialect) Register(g *echo.Group) {
	// Charges a card, grants, voids.
	g.POST("/wallet_transactions", d.Funds(d.topUpWallet))
	api.Get(g, "/wallet_transactions/:id", d.Reads(d.showTransaction))
	api.Get(g, "/wallet_transactions/:id/consumptions", d.Reads(d.listConsumptions))
	api.Get(g, "/wallet_transactions/:id/fundings", d.Reads(d.listFundings))
	// Returns the same page until it closes, so a second call does no harm.
	g.POST("/wallet_transactions/:id/payment_url", d.Funds(d.linkPayment))

	g.POST("/wallets", d.Funds(d.createWallet))
	api.Get(g, "/wallets", d.Reads(d.listWallets))
	api.Get(g, "/wallets/:id/wallet_transactions", d.Reads(d.listTransactions))
	// The same wallets, by their id and by the customer and their code.
	g.POST("/customers/:external_id/wallets", d.Funds(d.createWallet))
	api.Get(g, "/customers/:external_id/wallets", d.Reads(d.listWallets))
	for _, path := range []string{"/wallets/:id", "/customers/:external_id/wallets/:code"} {
		api.Get(g, path, d.Reads(d.showWallet))
		g.PUT(path, d.Administers(d.updateWallet))
		g.DELETE(path, d.Administers(d.terminateWallet))
		g.POST(path+"/metadata", d.Administers(d.replaceMetadata))
		g.PATCH(path+"/metadata", d.Administers(d.mergeMetadata))
		g.PUT(path+"/metadata", d.Administers(d.mergeMetadata))
		g.DELETE(path+"/metadata", d.Administers(d.dropMetadata))
		g.DELETE(path+"/metadata/:key", d.Administers(d.dropMetadataKey))
	}

	g.POST("/customers", d.Administers(d.storeCustomer))
	api.Get(g, "/customers", d.Reads(d.listCustomers))
	api.Get(g, "/customers/:external_id", d.Reads(d.showCustomer))
	api.Get(g, "/customers/:external_id/payment_methods", d.Reads(d.listPaymentMethods))
	g.PUT("/customers/:external_id/payment_methods/:id/set_as_default", d.Administers(d.setDefaultMethod))
	g.DELETE("/customers/:external_id/payment_methods/:id", d.Administers(d.removeMethod))

	api.Get(g, "/payments/:id", d.Reads(d.showPayment))
	api.Get(g, "/invoices", d.Reads(d.listInvoices))
	api.Get(g, "/invoices/:id", d.Reads(d.showInvoice))
	// A page for people, to be printed.
	api.Get(g, "/invoices/:id/page", d.Reads(d.showInvoicePage))
}

// Token implements api.Dialect. It returns the second word, whatever the first one
// is, as Lago does.
func (*Dialect) Token(authorization string) string {
	words := strings.Fields(authorization)
	if len(words) < 2 {
		return ""
	}
	return words[1]
}

// SpellID returns an id in a path as answers show it. It may be sent in capital letters
// too.
func (*Dialect) SpellID(_ string, _ wallet.Mode, id string) string {
	parsed := parseUUID(id)
	if parsed == (wallet.ID{}) {
		return id
	}
	return parsed.String()
}

// RateLimitReset implements api.Dialect. It is a number of seconds from now.
func (*Dialect) RateLimitReset(at, now time.Time) int64 {
	return api.WholeSeconds(max(0, at.Sub(now)))
}

// WriteError implements api.Dialect.
func (*Dialect) WriteError(c echo.Context, e *api.Error) error {
	body := struct {
		Status  int    `json:"status"`
		Error   string `json:"error"`
		Code    string `json:"code,omitempty"`
		Details any    `json:"error_details,omitempty"`
	}{e.Status, http.StatusText(e.Status), e.Code, errorDetails(e)}
	switch e.Code {
	case codeRootMissing:
		body.Error, body.Code = "BadRequest: "+e.Message, ""
	case api.CodeInsufficientScope:
		body.Code = permission(c)
	case api.CodeRequestInvalid:
		body.Code = codeValidation
	case api.CodeUnauthorized:
		body.Code = ""
	case api.CodeRouteNotFound:
		body.Code = "resource_not_found"
	}
	return api.WriteJSON(c, e.Status, body)
}

// resources are the names of resources in Lago's paths.
var resources = map[string]string{
	"customers": "customer", "invoices": "invoice", "payment_methods": "payment_method", "payments": "payment",
	"wallet_transactions": "wallet_transaction", "wallets": "wallet",
}

// permission returns the code of a request that the API key has no permission for:
// what it wanted to do, and with what.
func permission(c echo.Context) string {
	action := "write"
	if m := c.Request().Method; m == http.MethodGet || m == http.MethodHead {
		action = "read"
	}
	resource := ""
	for segment := range strings.SplitSeq(c.Path(), "/") {
		if name, ok := resources[segment]; ok {
			resource = name // a resource of another one comes behind it
		}
	}
	return action + "_action_not_allowed_for_" + resource
}
