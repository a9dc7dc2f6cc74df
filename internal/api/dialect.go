package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Dialect is one of the APIs that merchants call. The server finds the dialect of
// a request by its path, and leaves to it what differs from the other ones.
type Dialect interface {
	// Root is the path under which all routes of the dialect are, such as /v1.
	Root() string
	// Register adds the dialect's routes to the group at its root.
	Register(g *echo.Group)
	// Token returns the API key in an Authorization header, or an empty string when
	// there is none.
	Token(authorization string) string
	// RateLimitReset returns the value of X-RateLimit-Reset for an allowance that is
	// whole again at a time.
	RateLimitReset(at, now time.Time) int64
	// WriteError writes an error in the dialect's shape.
	WriteError(c echo.Context, e *Error) error
}

// keyDialect is the key of the request's Dialect in its context.
const keyDialect = "dialect"

// setDialect notes which dialect a request is in.
func setDialect(dialects []Dialect) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			for _, d := range dialects {
				if Under(c.Request().URL.Path, d.Root()) {
					c.Set(keyDialect, d)
				}
			}
			return next(c)
		}
	}
}

// dialectOf returns the dialect of a request. The second result is false, and the
// dialect is neutral, when its path belongs to no dialect.
func dialectOf(c echo.Context) (Dialect, bool) {
	if d, ok := c.Get(keyDialect).(Dialect); ok {
		return d, true
	}
	return neutral{}, false
}

// Under reports whether a path is the root or lies below it.
func Under(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/')
}

// neutral answers on the paths that no merchant calls.
type neutral struct{}

func (neutral) Root() string { return "" }

func (neutral) Register(*echo.Group) {}

func (neutral) Token(string) string { return "" }

func (neutral) RateLimitReset(time.Time, time.Time) int64 { return 0 }

func (neutral) WriteError(c echo.Context, e *Error) error {
	return c.String(e.Status, fmt.Sprintf("%d %s\n", e.Status, http.StatusText(e.Status)))
}
