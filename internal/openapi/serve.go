package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// Register mounts /openapi.json and /docs, which need no API key.
func Register(e *echo.Echo) {
	for path, load := range map[string]func() *asset{
		// For programs.
		"/openapi.json": sync.OnceValue(func() *asset { return newAsset(echo.MIMEApplicationJSON, JSON()) }),
		// For people.
		"/docs": sync.OnceValue(func() *asset { return newAsset(echo.MIMETextHTMLCharsetUTF8, renderPage()) }),
	} {
		h := func(c echo.Context) error { return load().serve(c) }
		e.GET(path, h)
		e.HEAD(path, h)
	}
}

// asset is a response that never changes while the process runs.
type asset struct {
	contentType string
	tag         string
	body        []byte
	zipped      []byte
}

func newAsset(contentType string, body []byte) *asset {
	sum := sha256.Sum256(body)
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is valid
	_, _ = w.Write(body)                                       // a buffer never fails
	_ = w.Close()
	const digits = 16
	// The tag is weak because it is the same for the plain and the compressed body.
	tag := `W/"` + hex.EncodeToString(sum[:])[:digits] + `"`
	return &asset{contentType: contentType, tag: tag, body: body, zipped: zipped.Bytes()}
}

func (a *asset) serve(c echo.Context) error {
	h := c.Response().Header()
	h.Set("ETag", a.tag)
	h.Set(echo.HeaderCacheControl, "no-cache") // a cache must ask again before it uses its copy
	h.Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if strings.Contains(c.Request().Header.Get("If-None-Match"), a.tag) {
		return c.NoContent(http.StatusNotModified)
	}
	h.Set(echo.HeaderContentSecurityPolicy, policy())
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	body := a.body
	if strings.Contains(c.Request().Header.Get(echo.HeaderAcceptEncoding), "gzip") {
		h.Set(echo.HeaderContentEncoding, "gzip")
		body = a.zipped
	}
	h.Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	return c.Blob(http.StatusOK, a.contentType, body)
}
