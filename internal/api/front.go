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

// NewEcho makes the Echo to which every part of the service adds its routes. It sets
// a request id on each answer and the headers that keep browsers from sniffing and
// caching, and turns errors and panics, 404 and 405 included, into answers in the
// dialect of the path: see Server.Mount. It does not limit bodies: see BodyLimit. It
// does not trust the headers of proxies: see TrustProxies. The outermost middleware
// is around all of that, and sees each answer as it is sent.
func NewEcho(log *slog.Logger, outermost ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = errorHandler(log)
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(outermost...)
	e.Use(prepareAnswer, recoverPanics, limitHeaders)
	return e
}

// lockedDown are headers that keep browsers from using an answer as a page or a part
// of one. A page overrides what it needs.
var lockedDown = http.Header{
	echo.HeaderContentSecurityPolicy: {"default-src 'none'; frame-ancestors 'none'"},
	echo.HeaderReferrerPolicy:        {"no-referrer"},
	echo.HeaderXFrameOptions:         {"DENY"},
	"Cross-Origin-Resource-Policy":   {"same-origin"},
}

// prepareAnswer sets the headers of every answer.
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

// KeyPaymentID is the key of the id of the request's payment in its context. The
// access log shows it.
const KeyPaymentID = "payment_id"

// RequestID returns the id of the request, which its sender or NewEcho chose.
func RequestID(c echo.Context) string {
	return c.Response().Header().Get(echo.HeaderXRequestID)
}

// validRequestID reports whether a sender's id can go into logs and headers as it
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
				panic(v) // the handler wants the connection dropped
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

// NewHTTPServer makes a server for h. It drops a request that is not sent within 30
// seconds, and an idle connection or an answer that is not read within two minutes.
// That is longer than MaxWait. A handler that answers for longer moves its own
// deadline.
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
