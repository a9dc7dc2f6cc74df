package jobs_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func TestSweepEvents(t *testing.T) {
	t.Parallel()

	silence := stripesim.WebhookFault{Kind: stripesim.HookDrop}
	sweep := jobs.SweepEventsArgs{Mode: wallet.ModeTest}
	sweptUntil := func(t *testing.T, w *enginetest.World) time.Time {
		t.Helper()
		last, swept, err := postgres.LastSweep(t.Context(), w.Pool, wallet.ModeTest)
		require.NoError(t, err)
		require.True(t, swept)
		return last.Until
	}

	t.Run("SettlesWithoutAWebhook", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		w.Work(sweep)

		w.Await(id, wallet.PaymentSucceeded)
		event := w.AwaitEvent(w.Sim.Events(false, "payment_intent.succeeded")[0].ID)
		require.Equal(t, "sweep", event.Source)
		require.Equal(t, postgres.EventHandled, event.Status)
		require.NotEmpty(t, event.Body)
		require.False(t, sweptUntil(t, w).After(w.Clock.Now().Add(-time.Minute)), "newer events may not be listed yet")
		w.RequireBooksBalance()
	})

	t.Run("ReachesTheEndOfALongList", func(t *testing.T) {
		t.Parallel()

		// There are more events than one sweep can read, all within the overlap of the
		// next one.
		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		const events = 250
		for range events {
			paidIntent(t, w)
		}
		sweeps := 0
		for whole := false; !whole; sweeps++ {
			require.Less(t, sweeps, 10, "each sweep continues where the previous one ended")
			var err error
			whole, err = w.Engine.SweepEvents(t.Context(), wallet.ModeTest, -time.Second)
			require.NoError(t, err)
		}
		require.Equal(t, 3, sweeps)
		var stored int
		require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from stripe_events`).Scan(&stored))
		require.Equal(t, events, stored)
	})

	t.Run("TakesEventsInOnce", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Await(w.Fund(w.Card("pm_card_visa")), wallet.PaymentSucceeded)
		w.Sim.DrainAll()

		w.Work(sweep)
		w.Work(sweep)

		for _, e := range w.Sim.Events(false, "payment_intent.succeeded") {
			stored, err := postgres.GetEvent(t.Context(), w.Pool, e.ID)
			require.NoError(t, err)
			require.Equal(t, 1, stored.Deliveries)
			require.Equal(t, "webhook", stored.Source)
		}
	})

	t.Run("ReadsPagesAndEventsOfOtherSystems", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		p := w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		for range 210 {
			paidIntent(t, w)
		}
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		w.Work(sweep)

		w.Await(p.ID, wallet.PaymentSucceeded)
		var stored int
		require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from stripe_events where source = 'sweep'`).Scan(&stored))
		require.Equal(t, 212, stored, "the successes and the one challenge, and no event that needs nothing")
		w.Clock.Advance(time.Hour)
		w.Work(sweep)
		w.Clock.Advance(time.Hour)
		lists := w.Sim.Requests()["GET /v1/events"]
		w.Work(sweep)
		require.EqualValues(t, 1, w.Sim.Requests()["GET /v1/events"]-lists, "later sweeps begin where the last one ended")
	})

	t.Run("CursorThatStripeHasDeleted", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		body, err := json.Marshal(map[string]any{
			"id": "evt_forgotten", "object": "event", "type": "payment_intent.succeeded",
			"created": w.Clock.Now().Add(-time.Hour).Unix(), "data": map[string]any{"object": map[string]any{"id": "pi_old", "object": "payment_intent"}},
		})
		require.NoError(t, err)
		status, err := w.Sim.Forge(t.Context(), stripesim.Forgery{Body: body, Secret: enginetest.WebhookSecret})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		w.Work(sweep)
		w.Sim.WebhookFault(silence)
		w.Clock.Advance(time.Hour)
		p := w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		w.Work(sweep)

		w.Await(p.ID, wallet.PaymentSucceeded)
	})

	t.Run("KeepsItsPositionWhenStripeFails", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		w.Work(sweep)
		before := sweptUntil(t, w)
		w.Clock.Advance(time.Hour)
		p := w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)
		w.Sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Match: stripesim.Match{Path: "/v1/events"}, Status: 500})

		job := w.Work(sweep)

		require.Equal(t, rivertype.JobStateDiscarded, job.State)
		require.Equal(t, before.UTC(), sweptUntil(t, w).UTC())
		w.Sim.ClearFaults()
		w.Work(sweep)
		w.Await(p.ID, wallet.PaymentSucceeded)
	})

	t.Run("EventThatIsListedLate", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		p := w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Sim.SetListLag(5 * time.Minute)
		w.Sim.Challenge(p.StripePaymentIntentID, true)
		w.Work(sweep)
		w.Clock.Advance(3 * time.Minute)
		w.Work(sweep)
		require.Equal(t, wallet.PaymentRequiresAction, w.Payment(p.ID).Status)

		w.Clock.Advance(3 * time.Minute)
		w.Work(sweep)

		w.Await(p.ID, wallet.PaymentSucceeded)
	})
}
