// Package openapitest compares answers with the API's description. In a test, the path,
// method and status of every answer that goes through it must be described, and its
// headers and body must be as described.
//
// Schemas, headers and media types are validated by pb33f/libopenapi-validator. Code of
// our own does what the library does not: it matches paths exactly, describes refusals
// that belong to no operation, and rejects repeated headers, null bodies and bodies where
// none is described.
package openapitest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Handler returns h for a test that fails when one of its answers is not as described. It
// sends an answer only when it is complete.
func Handler(tb testing.TB, h http.Handler) http.Handler {
	tb.Helper()

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		var sent bytes.Buffer
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &sent), r.Body}
		h.ServeHTTP(rec, r)
		answer := rec.Result()
		body := rec.Body.Bytes()
		report(tb, r, answer, body)
		if err := CheckRequest(r.Method, r.URL.EscapedPath(), rec.Code, sent.Bytes()); err != nil {
			tb.Errorf("%s %s was accepted with %d, and is not as described: %v\n%s", r.Method, r.URL, rec.Code, err, sent.String())
		}
		maps.Copy(w.Header(), answer.Header)
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	})
}

// Transport returns base for a test that fails when one of its answers is not as
// described. It is for clients of a server that runs elsewhere.
func Transport(tb testing.TB, base http.RoundTripper) http.RoundTripper {
	tb.Helper()

	return transport{tb: tb, base: base}
}

type transport struct {
	tb   testing.TB
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close() // it was read
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	report(t.tb, r, answer, body)
	return answer, nil
}

// report fails the test if an answer is not as described. It may run on any goroutine.
func report(tb testing.TB, r *http.Request, answer *http.Response, body []byte) {
	tb.Helper()

	if err := Check(r.Method, r.URL.EscapedPath(), answer.StatusCode, answer.Header, body); err != nil {
		tb.Errorf("%s %s was answered with %d, which is not as described: %v\n%s", r.Method, r.URL, answer.StatusCode, err, body)
	}
}
