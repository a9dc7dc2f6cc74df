package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/breakpoint"
)

const (
	headerIdempotencyKey    = "Idempotency-Key"
	headerReplayed          = "Idempotent-Replayed"
	headerPrefer            = "Prefer"
	headerPreferenceApplied = "Preference-Applied"
)

// MaxWait is how long a caller may ask to wait.
const MaxWait = time.Minute

// Preference is what a Prefer header (RFC 7240) says about waiting for the
// outcome.
type Preference struct {
	// Wait is how long the caller wants to wait. It is 0 when Given is false.
	Wait time.Duration
	// Given reports whether the header says anything about waiting.
	Given   bool
	applied string // the value of Preference-Applied
}

// PreferredWait reads wait=N, in seconds, and respond-async. Both together mean to
// wait and then to answer without the outcome, which is what wait=N alone does
// here. What cannot be read is ignored, as the RFC wants.
func PreferredWait(h http.Header) Preference {
	var wait, async Preference
	for entry := range strings.SplitSeq(strings.Join(h.Values(headerPrefer), ","), ",") {
		entry, _, _ = strings.Cut(entry, ";") // its parameters
		name, value, _ := strings.Cut(entry, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			async = Preference{Given: true, applied: "respond-async"}
		case "wait":
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil || wait.Given {
				continue
			}
			d := min(time.Duration(seconds)*time.Second, MaxWait)
			wait = Preference{Wait: d, Given: true, applied: "wait=" + strconv.FormatInt(int64(d/time.Second), 10)}
		}
	}
	if wait.Given {
		return wait
	}
	return async
}

// OrElse returns the time to wait: the caller's if it is given, else d.
func (p Preference) OrElse(d time.Duration) time.Duration {
	if p.Given {
		return p.Wait
	}
	return d
}

// Confirm sets Preference-Applied if the caller gave a preference.
func (p Preference) Confirm(c echo.Context) {
	if p.Given {
		c.Response().Header().Set(headerPreferenceApplied, p.applied)
	}
}

// SetReplayed marks an answer as the repetition of an earlier one.
func SetReplayed(c echo.Context) { c.Response().Header().Set(headerReplayed, "true") }

// IdempotencyKey reads the Idempotency-Key header: bare or as a quoted string,
// once, and 1 to 255 visible ASCII characters. It is empty when there is none.
func IdempotencyKey(h http.Header) (string, error) {
	sent := h.Values(headerIdempotencyKey)
	if len(sent) == 0 || breakpoint.Broken(breakpoint.IdempotencyKey) {
		return "", nil
	}
	if len(sent) > 1 {
		return "", errIdempotencyKeyInvalid()
	}
	key, ok := strings.TrimSpace(sent[0]), true
	if strings.HasPrefix(key, `"`) {
		key, ok = unquote(key)
	}
	if !ok || !visibleASCII(key) || len(key) < 1 || len(key) > 255 {
		return "", errIdempotencyKeyInvalid()
	}
	return key, nil
}

// unquote reads a string of structured fields (RFC 8941), in which a backslash may
// stand before a quote or another backslash.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			i++
			if i == len(s) || (s[i] != '"' && s[i] != '\\') {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false
}

func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
