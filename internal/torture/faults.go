package torture

import (
	"net/http"
	"time"

	"github.com/fundrail/fundrail/internal/stripesim"
)

const intentsPath = "/v1/payment_intents"

// The requests to Stripe to which faults apply.
var (
	anyCharge = stripesim.Match{Method: http.MethodPost, Path: intentsPath}
	anyLook   = stripesim.Match{Method: http.MethodGet}
	anyCancel = stripesim.Match{Method: http.MethodPost, Path: intentsPath + "/*/cancel"}
)

// apiFaults returns the rules that apply during the whole storm: every fault of the
// simulator's API, each with a probability. Their ids name them in the report.
func apiFaults() []stripesim.Fault {
	const slow, hang = stripesim.Duration(800 * time.Millisecond), stripesim.Duration(2 * time.Second)
	status := func(id string, code int, when string, stored bool) stripesim.Fault {
		return stripesim.Fault{ID: id, Kind: stripesim.FaultStatus, Status: code, When: when, Stored: stored}
	}
	kinds := []stripesim.Fault{
		status("500 before the effect", 500, stripesim.Before, false),
		status("500 after the effect", 500, stripesim.After, false),
		status("500 before the effect, stored", 500, stripesim.Before, true),
		status("500 after the effect, stored", 500, stripesim.After, true),
		status("429 rate limit", http.StatusTooManyRequests, stripesim.Before, false),
		status("409 key in use", http.StatusConflict, stripesim.Before, false),
		status("401", http.StatusUnauthorized, stripesim.Before, false),
		{ID: "429 lock timeout", Kind: stripesim.FaultStatus, Status: http.StatusTooManyRequests, Code: "lock_timeout"},
		{ID: "502 page after the effect", Kind: stripesim.FaultStatus, Status: http.StatusBadGateway, HTML: true, When: stripesim.After},
		{ID: "503 page before the effect", Kind: stripesim.FaultStatus, Status: http.StatusServiceUnavailable, HTML: true},
		{ID: "effect, then no answer", Kind: stripesim.FaultHang, Delay: hang},
		{ID: "reset before the effect", Kind: stripesim.FaultReset, When: stripesim.Before},
		{ID: "reset after the effect", Kind: stripesim.FaultReset, When: stripesim.After},
		{ID: "slow before the effect", Kind: stripesim.FaultLatency, Delay: slow},
		{ID: "slow after the effect", Kind: stripesim.FaultLatency, Delay: slow, When: stripesim.After},
		{ID: "body cut off", Kind: stripesim.FaultBody, Body: stripesim.BodyCut},
		{ID: "body empty", Kind: stripesim.FaultBody, Body: stripesim.BodyEmpty},
		{ID: "body not JSON", Kind: stripesim.FaultBody, Body: stripesim.BodyInvalid},
		{ID: "body truncated", Kind: stripesim.FaultBody, Body: stripesim.BodyTruncated},
	}
	var rules []stripesim.Fault
	for _, target := range []struct {
		name   string
		match  stripesim.Match
		chance float64
	}{{"charge", anyCharge, 0.016}, {"look", anyLook, 0.008}, {"cancel", anyCancel, 0.015}} {
		for _, f := range kinds {
			f.ID = target.name + ": " + f.ID
			f.Match, f.Probability = target.match, target.chance
			rules = append(rules, f)
		}
	}
	unlucky := anyCharge
	unlucky.Amount = lostAnswerAmount
	return append(
		rules,
		stripesim.Fault{
			ID: "charge: processing for a while", Kind: stripesim.FaultProcessing, Delay: hang,
			Match: anyCharge, Dice: stripesim.Dice{Probability: 0.03},
		},
		stripesim.Fault{
			ID: "charge: answer lost for good", Kind: stripesim.FaultStatus, Status: 500, Stored: true, When: stripesim.After,
			Match: unlucky,
		},
	)
}

// webhookFaults returns rules for every fault of the simulator's webhooks.
func webhookFaults() []stripesim.WebhookFault {
	rules := []stripesim.WebhookFault{
		{ID: "webhook: another API version", Kind: stripesim.HookAPIVersion},
		{ID: "webhook: before the answer", Kind: stripesim.HookBeforeAnswer},
		{ID: "webhook: late", Kind: stripesim.HookDelay, Delay: stripesim.Duration(4 * time.Second)},
		{ID: "webhook: dropped", Kind: stripesim.HookDrop},
		{ID: "webhook: doubled", Kind: stripesim.HookDuplicate},
		{ID: "webhook: tripled at once", Kind: stripesim.HookDuplicate, Times: 2, Concurrent: true},
		{ID: "webhook: the other mode", Kind: stripesim.HookLivemode},
		{ID: "webhook: oversized", Kind: stripesim.HookOversize},
		{ID: "webhook: reordered", Kind: stripesim.HookReorder},
		{ID: "webhook: signed long ago", Kind: stripesim.HookStale},
		{ID: "webhook: tampered with", Kind: stripesim.HookTamper},
		{ID: "webhook: of unknown type", Kind: stripesim.HookUnknownType},
		{ID: "webhook: wrongly signed", Kind: stripesim.HookWrongSecret},
	}
	chances := map[string]float64{
		stripesim.HookBeforeAnswer: 0.1, stripesim.HookDrop: 0.08, stripesim.HookDuplicate: 0.06,
		stripesim.HookDelay: 0.06, stripesim.HookReorder: 0.1,
	}
	for i := range rules {
		// Stripe sends an event unchanged each time, so an event received with
		// another type is stored with that type and not acted on. This is harmless
		// for payments, because the service also checks them by other means.
		// Refunds and disputes are learned of from events only.
		if rules[i].Kind == stripesim.HookUnknownType {
			rules[i].Match.Event = "payment_intent.*"
		}
		if rules[i].Probability = chances[rules[i].Kind]; rules[i].Probability == 0 {
			rules[i].Probability = 0.02
		}
	}
	return append(rules, stripesim.WebhookFault{
		ID: "webhook: dropped, of a lost answer", Kind: stripesim.HookDrop, Match: stripesim.Match{Amount: lostAnswerAmount},
	})
}

// webhookRetry returns the waits between the simulator's deliveries: short enough
// to matter in a storm, and over before the drain ends.
func webhookRetry() []time.Duration {
	return []time.Duration{
		200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
	}
}
