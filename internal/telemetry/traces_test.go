package telemetry

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTracesGoToTheCollector(t *testing.T) {
	t.Parallel()

	type post struct {
		path string
		body []byte
	}
	posts := make(chan post, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- post{r.URL.Path, body}
	}))
	t.Cleanup(collector.Close)
	traces, err := NewTraces(t.Context(), collector.URL)
	require.NoError(t, err)

	_, span := traces.Tracer().Start(t.Context(), "settle payment")
	span.End()
	require.NoError(t, traces.Close(t.Context()), "Close sends the remaining spans")

	got := <-posts
	require.Equal(t, "/v1/traces", got.path)
	require.True(t, bytes.Contains(got.body, []byte("settle payment")))
	require.True(t, bytes.Contains(got.body, []byte("fundrail")), "the service is named")
}
