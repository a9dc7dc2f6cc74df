package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// dialect is what differs between the APIs that are spoken here, where shared
// code has to know it.
type dialect interface {
	// token finds the API key in an Authorization header, empty when there is
	// none.
	token(authorization string) string
	// rateLimitReset is the value of X-RateLimit-Reset for an allowance that is
	// whole again at a time.
	rateLimitReset(at, now time.Time) int64
	// writeError writes an error in the dialect's shape.
	writeError(c echo.Context, e *Error) error
}

// dialectOf gives the dialect that is spoken under the request's path.
func dialectOf(c echo.Context) dialect {
	switch path := c.Request().URL.Path; {
	case under(path, "/v1"):
		return lava{}
	case under(path, "/api/v1"):
		return lago{}
	default:
		return neutral{}
	}
}

// merchantsOnly tells whether the request's path belongs to the API.
func merchantsOnly(c echo.Context) bool {
	_, other := dialectOf(c).(neutral)
	return !other
}

func under(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// lava is the dialect under /v1.
type lava struct{}

func (lava) token(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (lava) rateLimitReset(at, _ time.Time) int64 {
	return at.Add(time.Second - 1).Unix() // whoever comes then does not come too early
}

func (lava) writeError(c echo.Context, e *Error) error {
	return writeJSON(c, e.Status, struct {
		Error lavaError `json:"error"`
	}{newLavaError(e)})
}

// lavaError is the error object of Lava's dialect. DeclineCode and PaymentID are
// additions to it.
type lavaError struct {
	Message     string  `json:"message"`
	Code        string  `json:"code"`
	Status      int     `json:"status"`
	Issues      []Issue `json:"issues,omitempty"`
	DeclineCode string  `json:"decline_code,omitempty"`
	PaymentID   string  `json:"payment_id,omitempty"`
}

func newLavaError(e *Error) lavaError {
	return lavaError{
		Message: e.Message, Code: e.Code, Status: e.Status, Issues: e.Issues,
		DeclineCode: e.DeclineCode, PaymentID: e.PaymentID,
	}
}

// lago is the dialect under /api/v1.
type lago struct{}

// token takes the second word, whatever the first one is, as Lago does.
func (lago) token(authorization string) string {
	words := strings.Fields(authorization)
	if len(words) < 2 {
		return ""
	}
	return words[1]
}

func (lago) rateLimitReset(at, now time.Time) int64 {
	return wholeSeconds(max(0, at.Sub(now)))
}

func (lago) writeError(c echo.Context, e *Error) error {
	body := struct {
		Status  int    `json:"status"`
		Error   string `json:"error"`
		Code    string `json:"code,omitempty"`
		Details any    `json:"error_details,omitempty"`
	}{e.Status, http.StatusText(e.Status), e.Code, e.Details}
	switch e.Code {
	case codeRootMissing:
		body.Error, body.Code = "BadRequest: "+e.Message, ""
	case codeInsufficientScope:
		body.Code = lagoPermission(c)
	case codeUnauthorized:
		body.Code = ""
	case codeRouteNotFound:
		body.Code = "resource_not_found"
	}
	return writeJSON(c, e.Status, body)
}

// lagoResources are the names of resources in Lago's paths.
var lagoResources = map[string]string{
	"customers": "customer", "invoices": "invoice", "payment_methods": "payment_method", "payments": "payment",
	"wallet_transactions": "wallet_transaction", "wallets": "wallet",
}

// lagoPermission is the code of a request that the API key has no permission for:
// what it wanted to do, and with what.
func lagoPermission(c echo.Context) string {
	action := "write"
	if m := c.Request().Method; m == http.MethodGet || m == http.MethodHead {
		action = "read"
	}
	resource := ""
	for segment := range strings.SplitSeq(c.Path(), "/") {
		if name, ok := lagoResources[segment]; ok {
			resource = name // a resource of another one comes behind it
		}
	}
	return action + "_action_not_allowed_for_" + resource
}

// neutral is for the paths that no merchant calls.
type neutral struct{}

func (neutral) token(string) string { return "" }

func (neutral) rateLimitReset(time.Time, time.Time) int64 { return 0 }

func (neutral) writeError(c echo.Context, e *Error) error {
	return c.String(e.Status, fmt.Sprintf("%d %s\n", e.Status, http.StatusText(e.Status)))
}

// writeJSON answers with v as it is: encoding/json would write the & of an
// address as \u0026 unless told not to.
func writeJSON(c echo.Context, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return writeBody(c, status, echo.MIMEApplicationJSON, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// writeBody says how long the body is, so that HEAD says it too.
func writeBody(c echo.Context, status int, contentType string, body []byte) error {
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	return c.Blob(status, contentType, body)
}
