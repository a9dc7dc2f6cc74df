package openapi_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/openapi"
	"github.com/fundrail/fundrail/internal/openapitest"
)

// ask sends a request to a server that serves the document and nothing else.
func ask(t *testing.T, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	e := api.NewEcho(slog.New(slog.DiscardHandler))
	openapi.Register(e)
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	rec := httptest.NewRecorder()
	openapitest.Handler(t, e).ServeHTTP(rec, r)
	return rec
}

func TestServe(t *testing.T) {
	t.Parallel()

	for path, contentType := range map[string]string{
		"/docs": "text/html; charset=UTF-8", "/openapi.json": "application/json",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()

			whole := ask(t, http.MethodGet, path)
			require.Equal(t, http.StatusOK, whole.Code)
			require.Equal(t, contentType, whole.Header().Get("Content-Type"))
			require.Equal(t, "no-cache", whole.Header().Get("Cache-Control"))
			require.Regexp(t, `^default-src 'none'; style-src 'sha256-[^']+'; base-uri`, whole.Header().Get("Content-Security-Policy"))
			require.NotEmpty(t, whole.Body.String())
			tag := whole.Header().Get("ETag")

			for _, known := range []string{tag, `"other", ` + tag} {
				again := ask(t, http.MethodGet, path, "If-None-Match", known)
				require.Equal(t, http.StatusNotModified, again.Code)
				require.Empty(t, again.Body.String())
				require.Equal(t, tag, again.Header().Get("ETag"))
			}
			require.Equal(t, http.StatusOK, ask(t, http.MethodGet, path, "If-None-Match", `W/"other"`).Code)

			zipped := ask(t, http.MethodGet, path, "Accept-Encoding", "br, gzip")
			require.Equal(t, "gzip", zipped.Header().Get("Content-Encoding"))
			require.Less(t, zipped.Body.Len(), whole.Body.Len()/4)

			head := ask(t, http.MethodHead, path)
			require.Equal(t, whole.Header().Get("Content-Length"), head.Header().Get("Content-Length"))
		})
	}

	t.Run("ZippedIsTheSame", func(t *testing.T) {
		t.Parallel()

		e := api.NewEcho(slog.New(slog.DiscardHandler))
		openapi.Register(e)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, r)
		unzip, err := gzip.NewReader(rec.Body)
		require.NoError(t, err)
		body, err := io.ReadAll(unzip)
		require.NoError(t, err)
		require.Equal(t, string(openapi.JSON()), string(body))
	})
}

func TestDocs(t *testing.T) {
	t.Parallel()

	html := ask(t, http.MethodGet, "/docs").Body.String()

	t.Run("LoadsNothingElse", func(t *testing.T) {
		t.Parallel()

		require.NotContains(t, html, "<script")
		require.NotRegexp(t, `(?:src|href|action)="(?:https?:)?//`, html)
		require.NotContains(t, html, "@import")
		require.NotContains(t, html, "url(")
		require.NotContains(t, html, "ZgotmplZ") // html/template writes this in place of unsafe content
	})

	t.Run("ShowsEveryOperationAndSchema", func(t *testing.T) {
		t.Parallel()

		doc, _ := load(t)
		for _, item := range doc["paths"].(map[string]any) {
			for method, op := range item.(map[string]any) {
				if method != "parameters" {
					require.Contains(t, html, `<article id="`+op.(map[string]any)["operationId"].(string)+`">`)
				}
			}
		}
		for name := range doc["components"].(map[string]any)["schemas"].(map[string]any) {
			require.Contains(t, html, `id="schema-`+name+`"`)
		}
	})

	t.Run("LinksLeadSomewhere", func(t *testing.T) {
		t.Parallel()

		ids := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(html, -1) {
			require.False(t, ids[m[1]], "%s is there twice", m[1])
			ids[m[1]] = true
		}
		links := regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1)
		require.Greater(t, len(links), 100)
		for _, m := range links {
			require.True(t, ids[m[1]], "nothing is at #%s", m[1])
		}
	})
}
