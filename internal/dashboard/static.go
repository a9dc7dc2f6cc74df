package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed static
var staticFiles embed.FS

// assets are the static files. Their names contain a hash of their content, so browsers may
// cache them forever: a new version has a new name.
var assets = loadAssets()

type asset struct {
	body, gzipped []byte
	contentType   string
}

type assetSet struct {
	byName map[string]string // plain name to hashed name
	files  map[string]asset  // by hashed name
}

func loadAssets() assetSet {
	s := assetSet{byName: make(map[string]string), files: make(map[string]asset)}
	list, _ := staticFiles.ReadDir("static") // it is embedded, so there is no error
	for _, f := range list {
		body, _ := staticFiles.ReadFile(path.Join("static", f.Name()))
		const hashLength = 12
		sum := sha256.Sum256(body)
		ext := path.Ext(f.Name())
		hashed := strings.TrimSuffix(f.Name(), ext) + "." + hex.EncodeToString(sum[:])[:hashLength] + ext
		s.byName[f.Name()] = hashed
		s.files[hashed] = asset{body: body, gzipped: gzipped(body), contentType: contentType(ext)}
	}
	return s
}

func contentType(ext string) string {
	if ext == ".js" {
		return "text/javascript; charset=utf-8"
	}
	return mime.TypeByExtension(ext)
}

func gzipped(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = w.Write(body)                                  // to memory, so there is no error
	_ = w.Close()
	return b.Bytes()
}

func (s assetSet) path(name string) string { return "/admin/static/" + s.byName[name] }

// static answers GET /admin/static/{name}.
func (d *Dashboard) static(c echo.Context) error {
	f, ok := assets.files[c.Param("name")]
	if !ok {
		return echo.NewHTTPError(http.StatusNotFound, "There is no such file.")
	}
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	h.Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if strings.Contains(c.Request().Header.Get(echo.HeaderAcceptEncoding), "gzip") {
		h.Set(echo.HeaderContentEncoding, "gzip")
		return c.Blob(http.StatusOK, f.contentType, f.gzipped)
	}
	return c.Blob(http.StatusOK, f.contentType, f.body)
}
