package worker

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestInnerListenersHaveLimits(t *testing.T) {
	t.Parallel()

	s := &service{Options: Options{Log: slog.New(slog.DiscardHandler)}}
	server := newInnerServer(s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "answer")
	}), time.Minute)

	require.NotZero(t, server.IdleTimeout)
	require.NotZero(t, server.MaxHeaderBytes)
	require.NotZero(t, server.ReadHeaderTimeout)
	require.NotZero(t, server.ReadTimeout)
	require.Equal(t, time.Minute, server.WriteTimeout)
	rec := httptest.NewRecorder()
	server.Handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	require.Equal(t, "answer", rec.Body.String())
	require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	require.NotEmpty(t, rec.Header().Get("Content-Security-Policy"))
}
