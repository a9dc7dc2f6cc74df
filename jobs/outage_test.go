package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestOutage takes Stripe down and restores it. The jobs wait for it without failing.
func TestOutage(t *testing.T) {
	t.Parallel()

	w := enginetest.NewWorld(t, func(w *enginetest.World, cfg *stripeapi.Config) {
		cfg.Breaker = stripeapi.NewBreaker(stripeapi.BreakerConfig{Now: w.Clock.Now})
	})
	card := w.Card("pm_card_visa")
	down := w.Sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, HTML: true, Status: 503})
	var ids []wallet.ID
	for range 8 {
		ids = append(ids, w.Fund(card))
	}
	require.Eventually(t, func() bool {
		return w.Engine.BreakerState(wallet.ModeTest) == stripeapi.BreakerOpen
	}, 15*time.Second, 5*time.Millisecond)
	_, outage := w.Engine.Outage(wallet.ModeTest)
	require.True(t, outage)
	_, outage = w.Engine.Outage(wallet.ModeLive)
	require.False(t, outage)
	ids = append(ids, w.Fund(card)) // accepted by another process, say
	attempts := w.Sim.Requests()["POST "+intents]

	w.Sim.RemoveFault(down)

	for _, id := range ids {
		w.Await(id, wallet.PaymentSucceeded)
	}
	require.Equal(t, stripeapi.BreakerClosed, w.Engine.BreakerState(wallet.ModeTest))
	require.LessOrEqual(t, w.Sim.Requests()["POST "+intents]-attempts, int64(len(ids)+5), "the jobs were put off and did not fail")
	w.RequireBooksBalance()
}
