package stripesim_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// TestFaults lists, for each fault, what the client sees, whether the request took
// effect, and what the same key gets next.
func TestFaults(t *testing.T) {
	t.Parallel()

	once := stripesim.Dice{Count: 1}
	long := stripesim.Duration(20 * time.Second)
	tests := map[string]struct {
		fault   stripesim.Fault
		status  int  // of the first answer; 0 means no readable answer
		effect  bool // whether the first request took effect
		then    int  // the status of the second answer
		replays bool // whether the second answer is a replay
		intents int  // the number of intents in the end
	}{
		"500BeforeStored": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 500, Stored: true}, 500, false, 500, true, 0,
		},
		"500BeforeForgotten": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 500}, 500, false, 200, false, 1,
		},
		"503PageBefore": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 503, HTML: true}, 503, false, 200, false, 1,
		},
		"500AfterStored": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 500, When: stripesim.After, Stored: true}, 500, true, 500, true, 1,
		},
		"502PageAfter": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 502, When: stripesim.After, HTML: true}, 502, true, 200, true, 1,
		},
		"429": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 429, ShouldRetry: "true"}, 429, false, 200, false, 1,
		},
		"429Lock": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 429, Code: "lock_timeout"}, 429, false, 200, false, 1,
		},
		"409": {
			stripesim.Fault{Kind: stripesim.FaultStatus, Status: 409, ShouldRetry: "false"}, 409, false, 200, false, 1,
		},
		"ResetBefore":   {stripesim.Fault{Kind: stripesim.FaultReset}, 0, false, 200, false, 1},
		"ResetAfter":    {stripesim.Fault{Kind: stripesim.FaultReset, When: stripesim.After}, 0, true, 200, true, 1},
		"Hang":          {stripesim.Fault{Kind: stripesim.FaultHang, Delay: long}, 0, true, 200, true, 1},
		"LateAnswer":    {stripesim.Fault{Kind: stripesim.FaultLatency, Delay: long, When: stripesim.After}, 0, true, 200, true, 1},
		"TruncatedBody": {stripesim.Fault{Kind: stripesim.FaultBody, Body: stripesim.BodyTruncated}, 200, true, 200, true, 1},
		"InvalidBody":   {stripesim.Fault{Kind: stripesim.FaultBody, Body: stripesim.BodyInvalid}, 200, true, 200, true, 1},
		"EmptyBody":     {stripesim.Fault{Kind: stripesim.FaultBody, Body: stripesim.BodyEmpty}, 200, true, 200, true, 1},
		"CutBody":       {stripesim.Fault{Kind: stripesim.FaultBody, Body: stripesim.BodyCut}, 0, true, 200, true, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			tt.fault.Dice = once
			id := b.sim.Fault(tt.fault)
			body := form("amount", "1000", "currency", "usd", "payment_method_types[]", "card")
			first := b.within(t, 300*time.Millisecond, body)

			require.Equal(t, 1, b.sim.Applied(id))
			if tt.status == 0 {
				require.Nil(t, first)
			} else {
				require.NotNil(t, first)
				require.Equal(t, tt.status, first.status)
				require.Equal(t, tt.fault.ShouldRetry, first.header.Get("Stripe-Should-Retry")[:len(tt.fault.ShouldRetry)])
				require.Equal(t, tt.fault.HTML, first.header.Get("Content-Type") != "application/json")
			}
			require.Equal(t, tt.effect, len(b.sim.Intents(false)) == 1)
			require.Equal(t, tt.effect, len(b.sim.Events(false, "payment_intent.created")) == 1, "events flow with the effect")

			again := b.within(t, 5*time.Second, body)
			require.NotNil(t, again)
			require.Equal(t, tt.then, again.status)
			require.Equal(t, tt.replays, again.header.Get("Idempotent-Replayed") == "true")
			require.Len(t, b.sim.Intents(false), tt.intents)
		})
	}
}

// within sends a create request with a key and gives up after d. It returns nil if
// it got no complete answer.
func (b *bundle) within(t *testing.T, d time.Duration, body string) *answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	a, err := b.tryContext(ctx, http.MethodPost, "/v1/payment_intents", body, "Idempotency-Key", "k")
	if err != nil {
		return nil
	}
	return a
}

func TestFaultBodiesAreUnreadableToStripeGo(t *testing.T) {
	t.Parallel()

	for _, body := range []string{
		stripesim.BodyTruncated, stripesim.BodyInvalid, stripesim.BodyEmpty, stripesim.BodyCut,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			b.sim.Fault(stripesim.Fault{Kind: stripesim.FaultBody, Body: body})
			_, err := b.client.PaymentIntents.New(b.params("pm_card_visa"))
			require.Error(t, err)
			var stripeErr *stripe.Error
			require.NotErrorAs(t, err, &stripeErr)
			require.Len(t, b.sim.Intents(false), 1)
		})
	}
}

func TestFaultsOnReplays(t *testing.T) {
	t.Parallel()

	const body = "amount=1000&currency=usd"
	for name, tt := range map[string]struct {
		fault  stripesim.Fault
		status int // 0 means no answer
	}{
		"ResetBefore":  {stripesim.Fault{Kind: stripesim.FaultReset}, 0},
		"ResetAfter":   {stripesim.Fault{Kind: stripesim.FaultReset, When: stripesim.After}, 0},
		"Gateway":      {stripesim.Fault{Kind: stripesim.FaultStatus, Status: 502}, 502},
		"StoredBefore": {stripesim.Fault{Kind: stripesim.FaultStatus, Status: 500, Stored: true}, 200},
		"StoredAfter":  {stripesim.Fault{Kind: stripesim.FaultStatus, Status: 500, Stored: true, When: stripesim.After}, 200},
		"RateLimit":    {stripesim.Fault{Kind: stripesim.FaultStatus, Status: 429}, 429},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			first := b.within(t, 5*time.Second, body)
			id := b.sim.Fault(tt.fault)
			second := b.within(t, 5*time.Second, body)
			if tt.status == 0 {
				require.Nil(t, second)
			} else {
				require.Equal(t, tt.status, second.status)
			}
			b.sim.RemoveFault(id)
			third := b.within(t, 5*time.Second, body)
			require.Equal(t, string(first.body), string(third.body), "what is stored stays")
		})
	}
}

func TestFaultPrunesKey(t *testing.T) {
	t.Parallel()

	b := setup(t)
	first := b.paid(t, "pm_card_visa", withKey("k"), func(p *stripe.PaymentIntentParams) { p.PaymentMethod = new("pm_card_visa") })
	b.sim.Fault(stripesim.Fault{Kind: stripesim.FaultPruneKey})
	second := b.paid(t, "pm_card_visa", withKey("k"), func(p *stripe.PaymentIntentParams) { p.PaymentMethod = new("pm_card_visa") })
	require.NotEqual(t, first.ID, second.ID)
}

func TestFaultProcessing(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.sim.Fault(stripesim.Fault{Kind: stripesim.FaultProcessing, Delay: stripesim.Duration(time.Hour)})
	pi, err := b.pay(t, "pm_card_visa")
	require.Nil(t, err)
	require.Equal(t, stripe.PaymentIntentStatusProcessing, pi.Status)
	b.sim.Advance(time.Hour)
	require.Equal(t, stripe.PaymentIntentStatusSucceeded, b.retrieve(t, pi.ID).Status)
}

func TestFaultMatching(t *testing.T) {
	t.Parallel()

	live := true
	tests := map[string]struct {
		match stripesim.Match
		hit   bool
	}{
		"Everything":         {stripesim.Match{}, true},
		"Method":             {stripesim.Match{Method: "post"}, true},
		"OtherMethod":        {stripesim.Match{Method: "GET"}, false},
		"Path":               {stripesim.Match{Path: "/v1/payment_intents/*/confirm"}, true},
		"PathBelow":          {stripesim.Match{Path: "/v1/payment_intents/**"}, true},
		"OtherPath":          {stripesim.Match{Path: "/v1/payment_intents"}, false},
		"AmountOfTheIntent":  {stripesim.Match{Amount: 1000}, true},
		"OtherAmount":        {stripesim.Match{Amount: 1001}, false},
		"Metadata":           {stripesim.Match{Metadata: map[string]string{"payment_id": "p1"}}, true},
		"MetadataOfAnyValue": {stripesim.Match{Metadata: map[string]string{"payment_id": "*"}}, true},
		"OtherMetadata":      {stripesim.Match{Metadata: map[string]string{"payment_id": "p2"}}, false},
		"Card":               {stripesim.Match{PaymentMethod: "pm_card_visa"}, true},
		"OtherCard":          {stripesim.Match{PaymentMethod: "pm_card_amex"}, false},
		"Key":                {stripesim.Match{IdemKey: "confirm:*"}, true},
		"OtherKey":           {stripesim.Match{IdemKey: "create:*"}, false},
		"OtherMode":          {stripesim.Match{Live: &live}, false},
		"OtherCustomer":      {stripesim.Match{Customer: "cus_other"}, false},
		"OtherObject":        {stripesim.Match{Object: "pi_other"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			pi := b.paidLater(t)
			id := b.sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Status: 503, Match: tt.match})
			_, err := b.client.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{
				Params: stripe.Params{IdempotencyKey: new("confirm:1")}, ReturnURL: new(returnURL),
			})
			require.Equal(t, tt.hit, err != nil)
			require.Equal(t, tt.hit, b.sim.Applied(id) == 1)
		})
	}
}

// paidLater returns an intent that waits for its confirmation.
func (b *bundle) paidLater(t *testing.T) *stripe.PaymentIntent {
	t.Helper()
	p := b.params("pm_card_visa")
	p.Confirm, p.ReturnURL = nil, nil
	p.AddMetadata("payment_id", "p1")
	pi, err := b.client.PaymentIntents.New(p)
	require.NoError(t, err)
	return pi
}

func TestFaultDice(t *testing.T) {
	t.Parallel()

	hits := func(t *testing.T, dice stripesim.Dice, n int) string {
		t.Helper()
		b := setup(t)
		b.sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Status: 503, Dice: dice})
		pattern := ""
		for range n {
			a := b.raw(t, http.MethodGet, "/v1/customers", "")
			pattern += strconv.Itoa(a.status / 500)
		}
		return pattern
	}

	t.Run("Every", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "001001001", hits(t, stripesim.Dice{Every: 3}, 9))
	})

	t.Run("SkipAndCount", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "00110000", hits(t, stripesim.Dice{Skip: 2, Count: 2}, 8))
	})

	t.Run("ProbabilityRepeatsWithItsSeed", func(t *testing.T) {
		t.Parallel()
		first := hits(t, stripesim.Dice{Probability: 0.5}, 40)
		require.Equal(t, first, hits(t, stripesim.Dice{Probability: 0.5}, 40))
		require.Contains(t, first, "0")
		require.Contains(t, first, "1")
	})
}

func TestFaultRules(t *testing.T) {
	t.Parallel()

	t.Run("InvalidInputIsRefused", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		for _, f := range []stripesim.Fault{
			{},
			{Kind: "explode"},
			{Kind: stripesim.FaultStatus, Status: 200},
			{Kind: stripesim.FaultLatency},
			{Kind: stripesim.FaultBody, Body: "purple"},
			{Kind: stripesim.FaultReset, When: "during"},
			{Kind: stripesim.FaultReset, Dice: stripesim.Dice{Probability: 2}},
		} {
			_, err := b.sim.AddFault(f)
			require.Error(t, err, "%+v", f)
		}
		_, err := b.sim.AddWebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDelay})
		require.Error(t, err)
	})

	t.Run("RemovedRulesStop", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		id := b.sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Status: 503})
		require.Equal(t, 503, b.raw(t, http.MethodGet, "/v1/customers", "").status)
		require.True(t, b.sim.RemoveFault(id))
		require.False(t, b.sim.RemoveFault(id))
		require.Equal(t, 200, b.raw(t, http.MethodGet, "/v1/customers", "").status)
	})

	t.Run("RuleReplacesOneWithItsID", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.sim.Fault(stripesim.Fault{ID: "f", Kind: stripesim.FaultStatus, Status: 503})
		b.sim.Fault(stripesim.Fault{ID: "f", Kind: stripesim.FaultStatus, Status: 500})
		require.Len(t, b.sim.Faults(), 1)
		require.Equal(t, 500, b.raw(t, http.MethodGet, "/v1/customers", "").status)
	})

	t.Run("LatencyIsForBothSides", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.sim.SetRequestLatency(30 * time.Millisecond)
		start := time.Now()
		b.paid(t, "pm_card_visa")
		require.GreaterOrEqual(t, time.Since(start), 30*time.Millisecond)
	})
}
