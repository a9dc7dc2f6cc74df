//go:build storm

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStormMissesNoBrokenSafeguard runs storms in which a safeguard is missing. Each
// must say so. These switches are the quickest to show; `fundrail torture --break`
// knows more.
//
// The storms run one after another and behind a build tag, because they need the
// machine for themselves: on a busy one, a storm of a few seconds does too little.
func TestStormMissesNoBrokenSafeguard(t *testing.T) { //nolint:paralleltest // see above
	binary := buildBinary(t)
	for broken, check := range map[string]string{ //nolint:paralleltest // see above
		"delivery-order":   "events_of_an_object_come_in_order",
		"delivery-retry":   "event_reaches_its_merchant",
		"idempotency-key":  "accepted_request_has_its_answer",
		"new-key-on-retry": "payment_is_charged_once",
		"open-intent":      "intent_of_a_payment_that_is_over_is_closed",
		"settle-guard":     "credit_stands_on_a_charge",
	} {
		t.Run(pascal(broken), func(t *testing.T) {
			p := startProcess(t, binary, "", "torture", "--duration=12s", "--drain=10s", "--rate=12", "--processes=2", "--seed=5", "--json", "--break="+broken)

			require.Error(t, p.wait(t, stormWithin), p.output)
			var checks []string
			for _, f := range report(t, p).Findings {
				checks = append(checks, f.Check)
			}
			require.Contains(t, checks, check, p.output)
		})
	}
}
