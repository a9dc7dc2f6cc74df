package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	headerPrefer            = "Prefer"
	headerPreferenceApplied = "Preference-Applied"
)

// maxWait is how long a caller may ask to wait.
const maxWait = time.Minute

// preference is what a Prefer header (RFC 7240) says about waiting for the
// outcome.
type preference struct {
	wait  time.Duration
	given bool
	// applied is the value of Preference-Applied.
	applied string
}

// preferredWait reads wait=N, in seconds, and respond-async. Both together mean to
// wait and then to answer without the outcome, which is what wait=N alone does
// here. What cannot be read is ignored, as the RFC wants.
func preferredWait(h http.Header) preference {
	var wait, async preference
	for entry := range strings.SplitSeq(strings.Join(h.Values(headerPrefer), ","), ",") {
		entry, _, _ = strings.Cut(entry, ";") // its parameters
		name, value, _ := strings.Cut(entry, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			async = preference{given: true, applied: "respond-async"}
		case "wait":
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil || wait.given {
				continue
			}
			d := min(time.Duration(seconds)*time.Second, maxWait)
			wait = preference{wait: d, given: true, applied: "wait=" + strconv.FormatInt(int64(d/time.Second), 10)}
		}
	}
	if wait.given {
		return wait
	}
	return async
}

// orElse gives the time to wait, d unless the caller prefers another.
func (p preference) orElse(d time.Duration) time.Duration {
	if p.given {
		return p.wait
	}
	return d
}

// confirm tells the caller which preference was followed.
func (p preference) confirm(c echo.Context) {
	if p.given {
		c.Response().Header().Set(headerPreferenceApplied, p.applied)
	}
}
