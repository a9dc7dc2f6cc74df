package api

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/requestid"
	"github.com/fundrail/fundrail/internal/wallet"
)

// NewEcho makes the Echo that every part of the service mounts its routes on. It
// gives each answer a request id and the headers that keep browsers from
// guessing and caching, turns errors and panics into answers in the dialect of
// the path, and says 404 and 405 in it too. Body limits belong to the routes:
// see BodyLimit. What proxies say of where a request comes from is not believed: see
// TrustProxies. What is outermost is around all of that, and sees each answer as
// it is given.
func NewEcho(log *slog.Logger, outermost ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = errorHandler(log)
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(outermost...)
	e.Use(prepareAnswer, recoverPanics, limitHeaders)
	return e
}

// lockedDown is what keeps browsers out of answers. A page says itself what it needs.
var lockedDown = http.Header{
	echo.HeaderContentSecurityPolicy: {"default-src 'none'; frame-ancestors 'none'"},
	echo.HeaderReferrerPolicy:        {"no-referrer"},
	echo.HeaderXFrameOptions:         {"DENY"},
	"Cross-Origin-Resource-Policy":   {"same-origin"},
}

// prepareAnswer sets what every answer says.
func prepareAnswer(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !validRequestID(id) {
			id = wallet.NewID().String()
		}
		c.SetRequest(c.Request().WithContext(requestid.With(c.Request().Context(), id)))
		h := c.Response().Header()
		h.Set(echo.HeaderXRequestID, id)
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderCacheControl, "no-store") // a route that may be cached says so itself
		maps.Copy(h, lockedDown)
		if overTLS(c) {
			h.Set(echo.HeaderStrictTransportSecurity, "max-age=31536000")
		}
		return next(c)
	}
}

// KeyPaymentID is what the id of the payment that a request is about is kept under
// in its context, so that the log shows it with the request's own.
const KeyPaymentID = "payment_id"

// RequestID is the id of the request, its sender's or ours.
func RequestID(c echo.Context) string {
	return c.Response().Header().Get(echo.HeaderXRequestID)
}

// validRequestID tells whether a sender's id can go into logs and headers as it
// is.
func validRequestID(id string) bool {
	const maxLen = 128
	if id == "" || len(id) > maxLen {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=':
		default:
			return false
		}
	}
	return true
}

// panicError is a panic on its way to the error handler.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v) // somebody asks for the connection to be dropped
			default:
				err = &panicError{value: v, stack: debug.Stack()}
			}
		}()
		return next(c)
	}
}

// limitHeaders refuses floods of headers in the dialect of the path. What is
// larger still never gets here: the server itself refuses it.
func limitHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	const maxBytes, maxFields = 16 << 10, 128
	return func(c echo.Context) error {
		size, fields := len(c.Request().RequestURI), 0
		for name, values := range c.Request().Header {
			fields += len(values)
			for _, v := range values {
				size += len(name) + len(v)
			}
		}
		if size > maxBytes || fields > maxFields {
			return errHeadersTooLarge()
		}
		return next(c)
	}
}

// NewHTTPServer makes the server that h is served by. A request that is sent by
// halves is dropped within 30 seconds, and a connection that nobody uses, or an
// answer that nobody reads, within two minutes. That is longer than a caller may
// ask to wait; what stays connected moves its own deadline.
func NewHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
