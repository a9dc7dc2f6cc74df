package config

import (
	"errors"
	"net"
	"net/url"
	"time"
)

// Test holds settings that only tests and `fundrail torture` may use. A service refuses to start with any of it unless its database and
// its Stripe are on the loopback interface, it has no live key, and its database
// carries the marker: see postgres.PlaceTestMarker. Zero values change nothing.
type Test struct {
	// TestMarker must equal the marker of the database.
	TestMarker string `name:"test-marker" env:"FUNDRAIL_TEST_MARKER" hidden:""`
	// TestCheckScale divides the waits before a job checks on a payment or an event that
	// has made no progress.
	TestCheckScale int `name:"test-check-scale" env:"FUNDRAIL_TEST_CHECK_SCALE" hidden:""`
	// TestKeyLife is how long the service relies on Stripe's idempotency keys.
	TestKeyLife time.Duration `name:"test-key-life" env:"FUNDRAIL_TEST_KEY_LIFE" hidden:""`
	// TestRescueAfter is when a job counts as lost with its process. A job may
	// take half of it, and a call to Stripe a third.
	TestRescueAfter time.Duration `name:"test-rescue-after" env:"FUNDRAIL_TEST_RESCUE_AFTER" hidden:""`
	// TestBreak takes a safeguard away; see package breakpoint.
	TestBreak string `name:"test-break" env:"FUNDRAIL_TEST_BREAK" hidden:""`
	// TestCrash kills the process at a step; see package breakpoint.
	TestCrash string `name:"test-crash" env:"FUNDRAIL_TEST_CRASH" hidden:""`
}

// InUse reports whether any of the settings is used.
func (t Test) InUse() bool { return t != Test{} }

// checkTest reports test settings in a service whose database or Stripe may be real.
func (s Settings) checkTest() error {
	if !s.InUse() {
		return nil
	}
	var problems []error
	if s.TestMarker == "" {
		problems = append(problems, errors.New("FUNDRAIL_TEST_… settings need FUNDRAIL_TEST_MARKER"))
	}
	if !onLoopback(string(s.DatabaseURL)) {
		problems = append(problems, errors.New("FUNDRAIL_TEST_… settings need a DATABASE_URL on the loopback interface"))
	}
	if !onLoopback(s.StripeAPIURL) {
		problems = append(problems, errors.New("FUNDRAIL_TEST_… settings need a STRIPE_API_URL on the loopback interface"))
	}
	if s.StripeLiveSecretKey != "" {
		problems = append(problems, errors.New("FUNDRAIL_TEST_… settings do not go with STRIPE_LIVE_SECRET_KEY"))
	}
	if s.TestCheckScale < 0 || s.TestKeyLife < 0 || s.TestRescueAfter < 0 {
		problems = append(problems, errors.New("FUNDRAIL_TEST_… settings must not be negative"))
	}
	return errors.Join(problems...)
}

// onLoopback reports whether a URL has a loopback address. A name does not count, because
// it may resolve to another address.
func onLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Query().Has("host") || u.Query().Has("service") {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}
