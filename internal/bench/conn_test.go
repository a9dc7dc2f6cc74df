package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConn(t *testing.T) {
	t.Parallel()

	serve := func(t *testing.T, h http.HandlerFunc) string {
		t.Helper()
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}

	t.Run("ReusesTheConnection", func(t *testing.T) {
		t.Parallel()

		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, r.URL.Path+" "+string(body)) //nolint:gosec // not shown in a browser
		})
		c, err := dial(t.Context(), addr)
		require.NoError(t, err)
		defer c.close()

		for _, body := range []string{"one", "", strings.Repeat("x", 1000)} {
			status, answer, err := c.do(appendPost(nil, addr, "/fund", "text/plain", []byte(body)))

			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, status)
			require.Equal(t, "/fund "+body, string(answer))
		}
	})

	t.Run("RefusesAnswersWithoutLength", func(t *testing.T) {
		t.Parallel()

		addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("part"))
			w.(http.Flusher).Flush() // flushing makes net/http send chunks
		})
		c, err := dial(t.Context(), addr)
		require.NoError(t, err)
		defer c.close()

		_, _, err = c.do(appendPost(nil, addr, "/", "text/plain", nil))

		require.ErrorIs(t, err, errAnswerForm)
	})

	t.Run("EndsWithTheContext", func(t *testing.T) {
		t.Parallel()

		asked, done := make(chan struct{}), make(chan struct{})
		addr := serve(t, func(http.ResponseWriter, *http.Request) {
			close(asked)
			<-done
		})
		t.Cleanup(func() { close(done) })
		ctx, cancel := context.WithCancel(t.Context())
		c, err := dial(ctx, addr)
		require.NoError(t, err)
		defer c.close()
		go func() {
			<-asked
			cancel()
		}()

		_, _, err = c.do(appendPost(nil, addr, "/", "text/plain", nil))

		require.Error(t, err)
	})
}

func TestLatency(t *testing.T) {
	t.Parallel()

	var all []time.Duration
	for i := 100; i > 0; i-- {
		all = append(all, time.Duration(i)*time.Millisecond)
	}

	require.Equal(t, Latency{Count: 100, P50: 50, P99: 99, Max: 100}, newLatency(all))
	require.Equal(t, Latency{Count: 1, P50: 100, P99: 100, Max: 100}, newLatency(all[:1]))
	require.Equal(t, Latency{}, newLatency(nil))
	require.InDelta(t, 2.5, median([]float64{4, 1, 3, 2}), 0)
	require.InDelta(t, 3, median([]float64{9, 1, 3}), 0)
}
