package jobs_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func TestChargePayments(t *testing.T) {
	t.Parallel()

	t.Run("ConcurrentPaymentsShareJobsAndTheirEventsNeedNone", func(t *testing.T) {
		t.Parallel()

		const payments = 60
		w := enginetest.NewWorld(t)
		visa, declined := w.Card("pm_card_visa"), w.Card("pm_card_visa_chargeDeclined")
		var wg sync.WaitGroup
		ids := make([]wallet.ID, payments)
		for i := range ids {
			card := visa
			if i%10 == 9 {
				card = declined
			}
			wg.Go(func() { ids[i] = w.Fund(card) })
		}
		wg.Wait()
		for i, id := range ids {
			want := wallet.PaymentSucceeded
			if i%10 == 9 {
				want = wallet.PaymentFailed
			}
			w.Await(id, want)
		}
		w.Sim.DrainAll()

		count := func(kind string) (n int) {
			require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from river_job where kind = $1`, kind).Scan(&n))
			return n
		}
		require.Less(t, count("charge_payments"), payments/2, "payments that arrive during a write share the next job")
		require.Less(t, count("handle_event"), payments/3, "an event after its charge needs no job")
		require.Len(t, w.Sim.Intents(false), payments)
		w.RequireBooksBalance()
	})

	t.Run("LostAnswerDelaysNoOtherPayment", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		m := w.Merchant
		m.PaymentMethod = w.Card("pm_card_visa")
		var args jobs.ChargePaymentsArgs
		for range 5 {
			p := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, CreatedAt: w.Clock.Now()})
			p.ReturnURL = "https://fundrail.example/return"
			testfactory.Accept(t, w.Pool, p)
			args.PaymentIDs = append(args.PaymentIDs, p.ID)
		}
		w.Sim.Fault(stripesim.Fault{
			Dice: stripesim.Dice{Count: 1}, Kind: stripesim.FaultHang, When: stripesim.After,
			Delay: stripesim.Duration(2 * enginetest.Timeout), Match: createIntent,
		})

		job, err := w.River.Insert(t.Context(), args, nil)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.Balance() == 4*2500 }, 10*time.Second, time.Millisecond)

		for _, id := range args.PaymentIDs {
			w.Await(id, wallet.PaymentSucceeded)
		}
		row, err := w.River.JobGet(t.Context(), job.Job.ID)
		require.NoError(t, err)
		require.NotEmpty(t, row.Errors, "the job had another attempt")
		w.RequireBooksBalance()
	})
}
