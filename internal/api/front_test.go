package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lago"
	"github.com/fundrail/fundrail/internal/api/lava"
	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// errorsOnly is a dialect without routes.
type errorsOnly struct{ api.Dialect }

func (errorsOnly) Register(*echo.Group) {}

// newEcho makes an Echo that writes errors in both dialects and has no routes.
func newEcho(log *slog.Logger) *echo.Echo {
	e := api.NewEcho(log)
	s := &api.Server{Log: log, Now: func() time.Time { return testfactory.Now }}
	s.Mount(e, errorsOnly{&lava.Dialect{}}, errorsOnly{&lago.Dialect{}})
	return e
}

func TestNewEcho(t *testing.T) {
	t.Parallel()

	setup := func() (*echo.Echo, *apitest.Log) {
		var log apitest.Log
		return newEcho(slog.New(slog.NewTextHandler(&log, nil))), &log
	}

	t.Run("EveryAnswerKeepsBrowsersFromGuessingAndCaching", func(t *testing.T) {
		t.Parallel()

		e, _ := setup()
		e.GET("/healthz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
		for _, path := range []string{"/healthz", "/nowhere", "/v1/nowhere"} {
			h := apitest.Request(t, e, http.MethodGet, path, nil).Header()
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
			require.Equal(t, "no-store", h.Get("Cache-Control"), path)
			require.NotEmpty(t, h.Get("X-Request-Id"), path)
		}
	})

	t.Run("SaneRequestIDIsEchoed", func(t *testing.T) {
		t.Parallel()

		e, _ := setup()
		for _, id := range []string{"a", "req-1", "Root=1-67891233-abcdef012345678912345678", strings.Repeat("x", 128)} {
			rec := apitest.Request(t, e, http.MethodGet, "/", http.Header{"X-Request-Id": {id}})
			require.Equal(t, id, rec.Header().Get("X-Request-Id"))
		}
	})

	t.Run("OtherRequestIDIsReplaced", func(t *testing.T) {
		t.Parallel()

		e, _ := setup()
		for _, id := range []string{"", "a b", "a\tb", "a\"b", "ü", "<script>", strings.Repeat("x", 129)} {
			rec := apitest.Request(t, e, http.MethodGet, "/", http.Header{"X-Request-Id": {id}})
			require.NotEqual(t, id, rec.Header().Get("X-Request-Id"))
			require.Len(t, rec.Header().Get("X-Request-Id"), 36)
		}
	})

	t.Run("UnknownRouteIsSaidInTheDialectOfItsPath", func(t *testing.T) {
		t.Parallel()

		e, _ := setup()
		for path, body := range map[string]string{
			"/v1/nowhere":     `{"error":{"message":"Route not found.","code":"route_not_found","status":404}}`,
			"/v1":             `{"error":{"message":"Route not found.","code":"route_not_found","status":404}}`,
			"/api/v1/nowhere": `{"status":404,"error":"Not Found","code":"resource_not_found"}`,
			"/v1x":            "404 Not Found\n",
			"/api":            "404 Not Found\n",
		} {
			rec := apitest.Request(t, e, http.MethodGet, path, nil)
			require.Equal(t, http.StatusNotFound, rec.Code)
			require.Equal(t, body, rec.Body.String(), path)
		}
	})

	t.Run("UnknownMethodNamesTheKnownOnes", func(t *testing.T) {
		t.Parallel()

		e, _ := setup()
		api.Get(e.Group("/v1"), "/wallet", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
		rec := apitest.Request(t, e, http.MethodPut, "/v1/wallet", nil)
		require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
		require.Equal(t, "OPTIONS, GET, HEAD", rec.Header().Get("Allow"))
		requireBytes(t, `{"error":{"message":"Method not allowed.","code":"method_not_allowed","status":405}}`, rec.Body.String())
	})

	t.Run("PanicIsAnsweredInShapeAndLoggedWithTheRequestID", func(t *testing.T) {
		t.Parallel()

		e, log := setup()
		e.GET("/v1/wallet", func(echo.Context) error { panic("the till is empty") })
		rec := apitest.Request(t, e, http.MethodGet, "/v1/wallet", http.Header{"X-Request-Id": {"req-7"}})
		require.Equal(t, http.StatusInternalServerError, rec.Code)
		requireBytes(t, `{"error":{"message":"An internal error occurred.","code":"internal_error","status":500}}`, rec.Body.String())
		require.Contains(t, log.String(), "level=ERROR")
		require.Contains(t, log.String(), "request_id=req-7")
		require.Contains(t, log.String(), "the till is empty")
		require.Contains(t, log.String(), "front_test.go", "the stack")
	})

	t.Run("AbortedHandlerDropsTheConnection", func(t *testing.T) {
		t.Parallel()

		e, log := setup()
		e.GET("/v1/wallet", func(echo.Context) error { panic(http.ErrAbortHandler) })
		require.PanicsWithValue(t, http.ErrAbortHandler, func() { apitest.Request(t, e, http.MethodGet, "/v1/wallet", nil) })
		require.Empty(t, log.String())
	})

	t.Run("UnexpectedErrorIsNotShown", func(t *testing.T) {
		t.Parallel()

		e, log := setup()
		e.GET("/api/v1/wallets", func(echo.Context) error { return errors.New("column \"x\" is secret") })
		rec := apitest.Request(t, e, http.MethodGet, "/api/v1/wallets", nil)
		require.Equal(t, http.StatusInternalServerError, rec.Code)
		requireBytes(t, `{"status":500,"error":"Internal Server Error","code":"internal_error"}`, rec.Body.String())
		require.Contains(t, log.String(), "is secret")
	})

	t.Run("DatabaseAwayIsTemporary", func(t *testing.T) {
		t.Parallel()

		e, log := setup()
		e.GET("/v1/wallet", func(echo.Context) error {
			return fmt.Errorf("find wallet: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")})
		})
		rec := apitest.Request(t, e, http.MethodGet, "/v1/wallet", nil)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.NotEmpty(t, rec.Header().Get("Retry-After"))
		require.Contains(t, rec.Body.String(), `"code":"payment_provider_unavailable"`)
		require.NotContains(t, log.String(), "level=ERROR")
	})

	t.Run("ErrorsOfTheDomainKeepTheirCode", func(t *testing.T) {
		t.Parallel()

		for code, status := range map[wallet.Code]int{
			wallet.CodeFundingEmailRequired:  http.StatusBadRequest,
			wallet.CodeIdempotencyKeyInUse:   http.StatusConflict,
			wallet.CodeIdempotencyKeyReused:  http.StatusUnprocessableEntity,
			wallet.CodeNotFound:              http.StatusNotFound,
			wallet.CodePaymentMethodNotFound: http.StatusNotFound,
			wallet.CodePaymentNotFound:       http.StatusNotFound,
			wallet.CodeWalletNotFound:        http.StatusNotFound,
		} {
			e := api.AsError(fmt.Errorf("look: %w", &wallet.Error{Code: code}))
			require.Equal(t, status, e.Status, code)
			require.Equal(t, string(code), e.Code)
		}
		require.Equal(t, http.StatusInternalServerError, api.AsError(&wallet.Error{Code: "news"}).Status)
	})

	t.Run("ErrorsOfEchoKeepTheirStatus", func(t *testing.T) {
		t.Parallel()

		for status, code := range map[int]string{
			http.StatusForbidden:             "forbidden",
			http.StatusInternalServerError:   "internal_error",
			http.StatusMethodNotAllowed:      "method_not_allowed",
			http.StatusNotFound:              "route_not_found",
			http.StatusRequestEntityTooLarge: "body_too_large",
			http.StatusUnsupportedMediaType:  "unsupported_media_type",
		} {
			e := api.AsError(echo.NewHTTPError(status, "because"))
			require.Equal(t, status, e.Status)
			require.Equal(t, code, e.Code)
		}
	})

	t.Run("FloodOfHeadersIsRefusedInShape", func(t *testing.T) {
		t.Parallel()

		e, _ := setup()
		e.GET("/v1/wallet", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
		many, large := http.Header{}, http.Header{"X-Large": {strings.Repeat("x", 17<<10)}}
		for i := range 200 {
			many.Set(fmt.Sprintf("X-Many-%d", i), "x")
		}
		for _, header := range []http.Header{many, large} {
			rec := apitest.Request(t, e, http.MethodGet, "/v1/wallet", header)
			require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, rec.Code)
			require.Contains(t, rec.Body.String(), `"code":"request_headers_too_large"`)
		}
		require.Equal(t, http.StatusOK, apitest.Request(t, e, http.MethodGet, "/v1/wallet", http.Header{"X-Small": {"x"}}).Code)
	})

	t.Run("BodyBeyondAGroupsLimitIsRefused", func(t *testing.T) {
		t.Parallel()

		e, _ := setup()
		e.POST("/v1/notes", func(c echo.Context) error {
			_, err := io.ReadAll(c.Request().Body)
			if err != nil {
				return err
			}
			return c.NoContent(http.StatusOK)
		}, api.BodyLimit(8))
		for body, status := range map[string]int{
			"12345678": http.StatusOK, "123456789": http.StatusRequestEntityTooLarge,
		} {
			for _, chunked := range []bool{false, true} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/notes", strings.NewReader(body))
				if chunked {
					r.ContentLength = -1
				}
				rec := httptest.NewRecorder()
				e.ServeHTTP(rec, r)
				require.Equal(t, status, rec.Code, "%s, chunked: %t", body, chunked)
			}
		}
	})
}

func TestNewHTTPServer(t *testing.T) {
	t.Parallel()

	t.Run("LimitsAreBelowAMinute", func(t *testing.T) {
		t.Parallel()

		srv := api.NewHTTPServer(http.NotFoundHandler())
		require.Positive(t, srv.ReadHeaderTimeout)
		require.Less(t, srv.ReadHeaderTimeout, time.Minute)
		require.Positive(t, srv.ReadTimeout)
		require.Less(t, srv.ReadTimeout, time.Minute)
		require.Positive(t, srv.IdleTimeout)
		require.Positive(t, srv.MaxHeaderBytes)
	})

	shorten := func(srv *http.Server) {
		srv.ReadHeaderTimeout, srv.ReadTimeout = 100*time.Millisecond, 200*time.Millisecond
	}
	reader := func() *echo.Echo {
		e := newEcho(slog.New(slog.DiscardHandler))
		e.POST("/v1/notes", func(c echo.Context) error {
			_, err := api.ReadBody(c)
			return err
		})
		return e
	}

	t.Run("HalfSentHeaderIsDropped", func(t *testing.T) {
		t.Parallel()

		conn := dial(t, apitest.Serve(t, reader(), shorten))
		_, err := io.WriteString(conn, "POST /v1/notes HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		require.NoError(t, err)
		_, err = io.ReadAll(conn)
		require.NoError(t, err, "the server closes")
	})

	t.Run("HalfSentBodyIsDropped", func(t *testing.T) {
		t.Parallel()

		conn := dial(t, apitest.Serve(t, reader(), shorten))
		_, err := io.WriteString(conn, "POST /v1/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
		require.NoError(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusRequestTimeout, answer.StatusCode)
		requireBytes(t, `{"error":{"message":"The request was not sent in time.","code":"request_timeout","status":408}}`, string(body))
		_, err = io.ReadAll(conn)
		require.NoError(t, err, "the server closes")
	})

	t.Run("AnswerMayTakeLongerThanTheRequest", func(t *testing.T) {
		t.Parallel()

		for _, method := range []string{http.MethodGet, http.MethodPost} {
			e := newEcho(slog.New(slog.DiscardHandler))
			e.Add(method, "/v1/slow", func(c echo.Context) error {
				if c.Request().Method == http.MethodPost {
					if _, err := api.ReadBody(c); err != nil {
						return err
					}
				}
				select {
				case <-c.Request().Context().Done():
					return c.Request().Context().Err()
				case <-time.After(500 * time.Millisecond):
					return c.NoContent(http.StatusOK)
				}
			})
			url := "http://" + apitest.Serve(t, e, shorten) + "/v1/slow"
			var body io.Reader
			if method == http.MethodPost {
				body = strings.NewReader("{}")
			}
			r, err := http.NewRequestWithContext(t.Context(), method, url, body)
			require.NoError(t, err)
			answer, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusOK, answer.StatusCode, method)
		}
	})
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()

	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}

// requireBytes expects an answer to the byte: order, spaces and escapes included.
func requireBytes(t *testing.T, want, got string) {
	t.Helper()

	require.Equal(t, want, got)
}
