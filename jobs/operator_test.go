package jobs_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestReplay previews and replays an event that was handled before Stripe received the
// money.
func TestReplay(t *testing.T) {
	t.Parallel()

	// lost makes a payment that has succeeded at Stripe while its row still waits for the
	// challenge. It returns the id of an event that was handled before the success.
	lost := func(t *testing.T) (*enginetest.World, wallet.ID, string) {
		t.Helper()
		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		w.Sim.DrainAll()
		var eventID string
		require.NoError(t, w.Pool.QueryRow(t.Context(), `
			select id from stripe_events where type = 'payment_intent.requires_action'`).Scan(&eventID))
		require.Eventually(t, func() bool { // no event that is handled later may settle it
			var pending int
			err := w.Pool.QueryRow(t.Context(), `select count(*) from stripe_events where status = 'pending'`).Scan(&pending)
			return err == nil && pending == 0
		}, 10*time.Second, 5*time.Millisecond)
		w.Sim.SetWebhook("", enginetest.WebhookSecret) // further events are lost
		w.Sim.Challenge(p.StripePaymentIntentID, true)
		return w, id, eventID
	}

	t.Run("PreviewChangesNothing", func(t *testing.T) {
		t.Parallel()

		w, id, eventID := lost(t)

		preview, err := w.Engine.PreviewEvent(t.Context(), eventID)

		require.NoError(t, err)
		require.Equal(t, postgres.EventHandled, preview.Status)
		require.Equal(t, "stripe says succeeded", preview.Note)
		require.Equal(t, wallet.PaymentRequiresAction, preview.Payment.Status)
		require.Equal(t, wallet.PaymentSucceeded, preview.After.Status)
		require.EqualValues(t, 0, preview.BalanceBefore)
		require.EqualValues(t, 2500, preview.BalanceAfter)
		require.Equal(t, wallet.PaymentRequiresAction, w.Payment(id).Status)
		require.EqualValues(t, 0, w.Balance())
	})

	t.Run("ReplayDoesWhatThePreviewShows", func(t *testing.T) {
		t.Parallel()

		w, id, eventID := lost(t)
		var jobID int64
		require.NoError(t, pgx.BeginFunc(t.Context(), w.Pool, func(tx pgx.Tx) (err error) {
			jobID, err = w.Engine.ReplayEventTx(t.Context(), tx, eventID)
			return err
		}))

		w.AwaitJob(jobID)

		require.Equal(t, wallet.PaymentSucceeded, w.Payment(id).Status)
		require.EqualValues(t, 2500, w.Balance())
		preview, err := w.Engine.PreviewEvent(t.Context(), eventID)
		require.NoError(t, err)
		require.Nil(t, preview.After, "the second replay would change nothing")
		require.Equal(t, "the payment was succeeded already", preview.Note)
		w.RequireBooksBalance()
	})

	t.Run("CheckRetrievesTheIntentNow", func(t *testing.T) {
		t.Parallel()

		w, id, _ := lost(t)
		var jobID int64
		require.NoError(t, pgx.BeginFunc(t.Context(), w.Pool, func(tx pgx.Tx) (err error) {
			jobID, err = w.Engine.CheckPaymentTx(t.Context(), tx, id)
			return err
		}))

		w.AwaitJob(jobID)

		require.Equal(t, wallet.PaymentSucceeded, w.Payment(id).Status)
	})

	t.Run("RefundIsPreviewedToo", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		id := w.Fund(w.Card("pm_card_visa"))
		p := w.Await(id, wallet.PaymentSucceeded)
		w.Sim.DrainAll()
		refund := func(amount int64) {
			t.Helper()
			_, err := w.Sim.CreateRefund(p.StripeChargeID, amount)
			require.NoError(t, err)
		}
		refund(5_00)
		require.Eventually(t, func() bool { return w.Balance() == 20_00 }, 10*time.Second, 5*time.Millisecond)
		w.Sim.DrainAll()
		var eventID string
		require.NoError(t, w.Pool.QueryRow(t.Context(), `
			select id from stripe_events where type = 'charge.refunded' order by received_at desc limit 1`).Scan(&eventID))
		w.Sim.SetWebhook("", enginetest.WebhookSecret) // further events are lost
		refund(7_00)

		preview, err := w.Engine.PreviewEvent(t.Context(), eventID)

		require.NoError(t, err)
		require.True(t, preview.Moves())
		require.Len(t, preview.Bookings, 1)
		require.Equal(t, moneyback.KindRefund, preview.Bookings[0].Kind)
		require.EqualValues(t, 20_00, preview.BalanceBefore)
		require.EqualValues(t, 13_00, preview.BalanceAfter)
		require.EqualValues(t, 20_00, w.Balance(), "a preview changes nothing")
	})

	t.Run("UnknownEventIsNotFound", func(t *testing.T) {
		t.Parallel()

		b := enginetest.New(t, enginetest.Options{})

		_, err := b.Engine.PreviewEvent(t.Context(), "evt_none")

		require.True(t, wallet.HasCode(err, wallet.CodeNotFound))
		err = pgx.BeginFunc(t.Context(), b.Pool, func(tx pgx.Tx) error {
			_, err := b.Engine.ReplayEventTx(t.Context(), tx, "evt_none")
			return err
		})
		require.True(t, wallet.HasCode(err, wallet.CodeNotFound))
	})
}
