// Package openapitest holds answers to the API's description: in a test, every
// answer that goes through it must be described, with its path, method and status,
// and have the headers and the body that the description gives it.
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

// Handler is h, with a test that fails when one of its answers is not as described.
// It holds an answer back until it is whole.
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

// Transport is base, with a test that fails when one of its answers is not as
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

// report marks the test as failed; it may be another goroutine than the test's.
func report(tb testing.TB, r *http.Request, answer *http.Response, body []byte) {
	tb.Helper()

	if err := Check(r.Method, r.URL.EscapedPath(), answer.StatusCode, answer.Header, body); err != nil {
		tb.Errorf("%s %s was answered with %d, which is not as described: %v\n%s", r.Method, r.URL, answer.StatusCode, err, body)
	}
}
