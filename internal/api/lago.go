package api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/wallet"
)

// registerLago mounts Lago's dialect. Each of its POSTs does what it does once for
// an Idempotency-Key; without one, a second call does it again.
func (s *Server) registerLago(e *echo.Echo) {
	const root = "/api/v1"
	// Charges a card, grants, voids.
	e.POST(root+"/wallet_transactions", s.funds(s.topUpWallet))
	get(e, root+"/wallet_transactions/:id", s.reads(s.showTransaction))
	get(e, root+"/wallet_transactions/:id/consumptions", s.reads(s.listConsumptions))
	get(e, root+"/wallet_transactions/:id/fundings", s.reads(s.listFundings))
	// Gives the same page until it closes, so a second call does no harm.
	e.POST(root+"/wallet_transactions/:id/payment_url", s.funds(s.linkPayment))

	e.POST(root+"/wallets", s.funds(s.createWallet))
	get(e, root+"/wallets", s.reads(s.listWallets))
	get(e, root+"/wallets/:id/wallet_transactions", s.reads(s.listTransactions))
	// The same wallets, by their id and by the customer and their code.
	e.POST(root+"/customers/:external_id/wallets", s.funds(s.createWallet))
	get(e, root+"/customers/:external_id/wallets", s.reads(s.listWallets))
	for _, path := range []string{root + "/wallets/:id", root + "/customers/:external_id/wallets/:code"} {
		get(e, path, s.reads(s.showLagoWallet))
		e.PUT(path, s.administers(s.updateWallet))
		e.DELETE(path, s.administers(s.terminateWallet))
		e.POST(path+"/metadata", s.administers(s.replaceMetadata))
		e.PATCH(path+"/metadata", s.administers(s.mergeMetadata))
		e.PUT(path+"/metadata", s.administers(s.mergeMetadata))
		e.DELETE(path+"/metadata", s.administers(s.dropMetadata))
		e.DELETE(path+"/metadata/:key", s.administers(s.dropMetadataKey))
	}

	e.POST(root+"/customers", s.administers(s.storeCustomer))
	get(e, root+"/customers", s.reads(s.listCustomers))
	get(e, root+"/customers/:external_id", s.reads(s.showCustomer))
	get(e, root+"/customers/:external_id/payment_methods", s.reads(s.listLagoMethods))
	e.PUT(root+"/customers/:external_id/payment_methods/:id/set_as_default", s.administers(s.setDefaultMethod))
	e.DELETE(root+"/customers/:external_id/payment_methods/:id", s.administers(s.removeMethod))

	get(e, root+"/payments/:id", s.reads(s.showLagoPayment))
	get(e, root+"/invoices", s.reads(s.listInvoices))
	get(e, root+"/invoices/:id", s.reads(s.showInvoice))
	// A page for people, to be printed.
	get(e, root+"/invoices/:id/page", s.reads(s.showInvoicePage))
}

// pathID reads the id of the path. One that is none is the zero id, which belongs
// to nothing.
func pathID(c echo.Context) wallet.ID { return parseUUID(c.Param("id")) }

// parseUUID reads an id as this dialect writes it; anything else is the zero id.
func parseUUID(s string) wallet.ID {
	const length = 36 // the parser takes other spellings too
	id, err := uuid.Parse(s)
	if err != nil || len(s) != length {
		return wallet.ID{}
	}
	return id
}

// pathText reads a name that a merchant gave from the path. What the database
// could not have stored is empty, which no name is.
func pathText(c echo.Context, name string) string {
	text := c.Param(name)
	if c.Request().URL.RawPath != "" { // then the router saw it escaped
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
	}
	return storable(text)
}

// storable is the text, or nothing if the database cannot hold it.
func storable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return ""
	}
	return text
}

// pageOf reads which page of a list is asked for. What cannot be read counts as
// not given.
func pageOf(c echo.Context) wallet.Page {
	number, _ := strconv.Atoi(c.QueryParam("page"))
	size, _ := strconv.Atoi(c.QueryParam("per_page"))
	return wallet.Page{Number: number, Size: size}
}

// writeList answers with a page of a list under its name.
func writeList[T any](c echo.Context, name string, list []T, total int) error {
	meta := pageOf(c).Meta(total)
	return writeJSON(c, http.StatusOK, named{{name, list}, {"meta", meta}})
}

// writeOne answers with one thing under its name.
func writeOne(c echo.Context, name string, value any) error {
	return writeJSON(c, http.StatusOK, named{{name, value}})
}
