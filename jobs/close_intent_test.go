package jobs_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// TestIntentOfAFailedPaymentIsClosed makes the first attempt to close an intent fail. The
// job that failed the payment has ended then, so a check has to close the intent.
func TestIntentOfAFailedPaymentIsClosed(t *testing.T) {
	t.Parallel()

	const closing = "POST " + intents + "/{id}/cancel"
	cancel := stripesim.Match{Method: http.MethodPost, Path: intents + "/*/cancel"}
	for name, fault := range map[string]stripesim.Fault{
		"RateLimit":  {Kind: stripesim.FaultStatus, Status: http.StatusTooManyRequests},
		"LostAnswer": {Kind: stripesim.FaultReset, When: stripesim.Before},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := enginetest.NewWorld(t)
			fault.Match, fault.Count = cancel, 1
			rule := w.Sim.Fault(fault)
			id := w.Fund(w.Card("pm_card_authenticationRequired"))
			p := w.Await(id, wallet.PaymentRequiresAction)
			w.Sim.Challenge(p.StripePaymentIntentID, false)
			w.Await(id, wallet.PaymentFailed)
			require.Eventually(t, func() bool { return w.Sim.Applied(rule) == 1 }, 15*time.Second, 5*time.Millisecond)

			w.Clock.Advance(postgres.CloseIntentAfter)
			w.Work(jobs.EnqueueChecksArgs{})

			w.AwaitIntent(p.StripePaymentIntentID, "canceled")
		})
	}

	t.Run("ClosedIntentIsNotClosedAgain", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := w.Await(w.Fund(w.Card("pm_card_visa_chargeDeclined")), wallet.PaymentFailed)
		w.AwaitIntent(p.StripePaymentIntentID, "canceled")
		require.Eventually(t, func() bool {
			var due bool
			err := w.Pool.QueryRow(t.Context(), `select close_due_at is not null from payments where id = $1`, p.ID).Scan(&due)
			return err == nil && !due
		}, 15*time.Second, 5*time.Millisecond, "it is known to be closed")
		closings := w.Sim.Requests()[closing]

		w.Clock.Advance(postgres.CloseIntentAfter)
		w.Work(jobs.EnqueueChecksArgs{})

		var checks int
		require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from river_job where kind = 'check_payment'`).Scan(&checks))
		require.Zero(t, checks)
		require.Equal(t, closings, w.Sim.Requests()[closing])
	})
}
