package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/wallet"
)

// idSpeller is a Dialect in whose paths one id has several spellings.
type idSpeller interface {
	// SpellID returns the one spelling of an id in the path of a route, such as
	// /v1/webhooks/:id. It returns what is no id unchanged.
	SpellID(route string, mode wallet.Mode, id string) string
}

// maxOperation is how many bytes an operation may have. It is part of a row of an index,
// together with the key.
const maxOperation = 512

// Operation returns what a request does, for its idempotency record: the method and the
// path, in which each parameter has its one spelling. So an Idempotency-Key is the same
// key however the client writes an id, or escapes it. A long operation is the route and a
// hash in the place of its parameters.
//
// The spelling is that of the service's own answers, with the escapes of url.PathEscape.
// For a client that sends these it is the path as it was sent, which is what the records
// had before there was Operation.
func Operation(c echo.Context, mode wallet.Mode) string {
	d, _ := dialectOf(c)
	speller, _ := d.(idSpeller)
	route := c.Path()
	params := make(map[string]string)
	for _, name := range c.ParamNames() {
		value := pathParam(c, name)
		if name == "id" && speller != nil {
			value = speller.SpellID(route, mode, value)
		}
		params[":"+name] = url.PathEscape(value)
	}
	segments := strings.Split(route, "/")
	for i, s := range segments {
		if value, ok := params[s]; ok {
			segments[i] = value
		}
	}
	method := c.Request().Method + " "
	operation := method + strings.Join(segments, "/")
	if len(operation) > maxOperation {
		sum := sha256.Sum256([]byte(operation))
		return method + route + " " + hex.EncodeToString(sum[:])
	}
	return operation
}

// pathParam returns a parameter of the path, unescaped.
func pathParam(c echo.Context, name string) string {
	text := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return text // the router has matched the plain path
	}
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
