package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// TestChargeJobOfYesterday runs a charge job after Stripe has deleted the payment's key.
// That happens when the workers were stopped for a day, or when the job was put off all
// the time because Stripe refused the credentials.
func TestChargeJobOfYesterday(t *testing.T) {
	t.Parallel()

	w := enginetest.NewWorld(t)
	w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
	w.Sim.Fault(stripesim.Fault{Kind: stripesim.FaultReset, Match: createIntent, When: stripesim.After})
	id := w.Fund(w.Card("pm_card_visa"))
	w.Await(id, wallet.PaymentProcessing)
	require.Len(t, w.Sim.IntentsWith("payment_id", id.String()), 1, "charged, and the answer was lost")
	w.Clock.Advance(25 * time.Hour)
	w.Sim.ClearFaults()

	w.Work(jobs.ChargePaymentsArgs{PaymentIDs: []wallet.ID{id}})

	require.Len(t, w.Sim.IntentsWith("payment_id", id.String()), 1, "charged once")
	w.Work(jobs.CheckPaymentArgs{PaymentID: id})
	w.Await(id, wallet.PaymentSucceeded)
	w.RequireBooksBalance()
}
