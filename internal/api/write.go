package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// WriteJSON answers with v. The & of an address stays as it is: encoding/json
// would write it as \u0026.
func WriteJSON(c echo.Context, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return writeBody(c, status, echo.MIMEApplicationJSON, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// WritePage answers with an HTML page that has one style and nothing else: no
// script, no address to load from or to send to.
func WritePage(c echo.Context, status int, style string, html []byte) error {
	sum := sha256.Sum256([]byte(style))
	c.Response().Header().Set(echo.HeaderContentSecurityPolicy, fmt.Sprintf(
		"default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:])))
	return writeBody(c, status, echo.MIMETextHTMLCharsetUTF8, html)
}

// writeBody sets Content-Length, so that the answer to HEAD has it too.
func writeBody(c echo.Context, status int, contentType string, body []byte) error {
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	return c.Blob(status, contentType, body)
}

// Timestamp formats a time as both dialects do: UTC, to the second.
func Timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
