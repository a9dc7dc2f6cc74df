package telemetry

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Requests is a middleware that counts and logs requests. It must be the outermost
// middleware, so that it sees the final answer. It shows only the method and the
// route of a request, because addresses may contain confidential data.
func (m *Metrics) Requests() echo.MiddlewareFunc {
	routes := &routes{}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			began := m.Now()
			if err := next(c); err != nil {
				c.Error(err) // writes the answer, so that its status is known below
			}
			took := m.Now().Sub(began)
			method, route, status := methodLabel(c.Request().Method), routes.label(c), c.Response().Status
			m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
			m.requestDuration.WithLabelValues(method, route).Observe(max(0, took.Seconds()))
			m.logRequest(c, method, route, status, took)
			return nil
		}
	}
}

func (m *Metrics) logRequest(c echo.Context, method, route string, status int, took time.Duration) {
	level := slog.LevelInfo
	switch route {
	case "/healthz", "/metrics", "/readyz":
		level = slog.LevelDebug // monitoring requests them all the time
	}
	attrs := []slog.Attr{
		slog.String("method", method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Duration("duration", took),
		slog.Int64("bytes", c.Response().Size),
		slog.String("request_id", c.Response().Header().Get(echo.HeaderXRequestID)),
	}
	if id, ok := c.Get("payment_id").(string); ok { // set by the handler
		attrs = append(attrs, slog.String("payment_id", id))
	}
	m.Log.LogAttrs(c.Request().Context(), level, "request", attrs...)
}

func methodLabel(method string) string {
	switch method {
	case http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut:
		return method
	default:
		return "other"
	}
}

// routes holds the paths of the registered routes. All other paths are labeled
// "other", because clients can invent any number of them.
type routes struct {
	once  sync.Once
	known map[string]bool
}

func (r *routes) label(c echo.Context) string {
	r.once.Do(func() {
		r.known = map[string]bool{}
		for _, route := range c.Echo().Routes() {
			r.known[route.Path] = true
		}
	})
	if path := c.Path(); r.known[path] {
		return path
	}
	return "other"
}
