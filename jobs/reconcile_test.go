package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func TestReconcile(t *testing.T) {
	t.Parallel()

	silence := stripesim.WebhookFault{Kind: stripesim.HookDrop}
	reconcile := func(t *testing.T, w *enginetest.World, repair bool) postgres.Reconciliation {
		t.Helper()
		r, err := w.Engine.Reconcile(t.Context(), jobs.ReconcileOptions{
			Mode: wallet.ModeTest, Since: w.Clock.Now().Add(-24 * time.Hour), Repair: repair, Source: "operator",
		})
		require.NoError(t, err)
		return r
	}
	// requireDrift requires one difference, and none after its repair.
	requireDrift := func(t *testing.T, w *enginetest.World, kind postgres.DriftKind) {
		t.Helper()
		r := reconcile(t, w, false)
		require.Len(t, r.Drift, 1, "%+v", r.Drift)
		require.Equal(t, kind, r.Drift[0].Kind)
		require.False(t, r.Drift[0].Repaired)

		r = reconcile(t, w, true)
		require.Len(t, r.Drift, 1)
		require.True(t, r.Drift[0].Repaired)
		require.Zero(t, r.Left())

		require.Empty(t, reconcile(t, w, false).Drift)
		w.RequireBooksBalance()
	}

	t.Run("NothingDiffers", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Await(w.Fund(w.Card("pm_card_visa_chargeDeclined")), wallet.PaymentFailed)
		_, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
		require.NoError(t, err)
		_, err = w.Sim.OpenDispute(p.StripePaymentIntentID, stripesim.DisputeOptions{})
		require.NoError(t, err)
		w.AwaitBalance(0)
		paidIntent(t, w)
		w.Sim.DrainAll()
		w.AwaitQuiet()

		r := reconcile(t, w, false)

		require.Empty(t, r.Drift)
		require.EqualValues(t, 3, r.Payments, "intents of other systems do not count")
		require.EqualValues(t, 1, r.Refunds)
		require.EqualValues(t, 1, r.Disputes)
		stored, found, err := postgres.LatestReconciliation(t.Context(), w.Pool, wallet.ModeTest, "operator")
		require.NoError(t, err)
		require.True(t, found)
		require.EqualValues(t, 3, stored.Payments)
	})

	t.Run("ChargedNotCredited", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		p := w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		requireDrift(t, w, postgres.DriftChargedNotCredited)
	})

	t.Run("ChargedNotCreditedForAnOldPayment", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		p := w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Clock.Advance(48 * time.Hour)
		w.Sim.Challenge(p.StripePaymentIntentID, true)

		requireDrift(t, w, postgres.DriftChargedNotCredited)
	})

	t.Run("ChargedForAPaymentThatIsGone", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		m := w.Merchant
		m.PaymentMethod = w.Card("pm_card_visa")
		charge(t, w, testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m}))

		r := reconcile(t, w, true)

		require.Len(t, r.Drift, 1)
		require.Equal(t, postgres.DriftChargedNotCredited, r.Drift[0].Kind)
		require.EqualValues(t, 1, r.Left(), "there is nothing to settle")
	})

	t.Run("CreditedNotCharged", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		testfactory.Payment(t, w.Pool, testfactory.PaymentOpts{Merchant: w.Merchant, Status: wallet.PaymentSucceeded, CreatedAt: w.Clock.Now()})

		r := reconcile(t, w, true)

		require.Len(t, r.Drift, 1)
		require.Equal(t, postgres.DriftCreditedNotCharged, r.Drift[0].Kind)
		require.EqualValues(t, 1, r.Left(), "an operator has to decide")
	})

	t.Run("AmountDiffers", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		m := w.Merchant
		m.PaymentMethod = w.Card("pm_card_visa")
		n := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, CreatedAt: w.Clock.Now()})
		o := charge(t, w, n)
		testfactory.Accept(t, w.Pool, n)
		o.AmountReceived = 20_00
		testfactory.Move(t, w.Pool, n.ID, o, w.Clock.Now())

		r := reconcile(t, w, true)

		require.Len(t, r.Drift, 1)
		require.Equal(t, postgres.DriftAmountDiffers, r.Drift[0].Kind)
		require.Equal(t, "25.00 USD, credited 20.00 USD", r.Drift[0].Detail)
	})

	t.Run("OpenTooLong", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(silence)
		w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Clock.Advance(24*time.Hour + 30*time.Minute)
		require.Empty(t, reconcile(t, w, false).Drift, "the check still has time to cancel it")
		w.Clock.Advance(time.Hour)

		requireDrift(t, w, postgres.DriftOpenTooLong)
	})

	t.Run("RefundAndDisputeDiffer", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p, other := succeeded(w, "pm_card_visa"), succeeded(w, "pm_card_visa")
		w.Sim.DrainAll()
		w.Sim.WebhookFault(silence)
		_, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 10_00)
		require.NoError(t, err)
		requireDrift(t, w, postgres.DriftRefundDiffers)

		d, err := w.Sim.OpenDispute(other.StripePaymentIntentID, stripesim.DisputeOptions{})
		require.NoError(t, err)
		requireDrift(t, w, postgres.DriftDisputeDiffers)

		w.Clock.Advance(72 * time.Hour)
		_, err = w.Sim.ResolveDispute(d.ID, true)
		require.NoError(t, err)
		requireDrift(t, w, postgres.DriftDisputeDiffers)
		require.EqualValues(t, 40_00, w.Balance())
	})

	t.Run("RefundThatStripeDoesNotKnow", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		p := succeeded(w, "pm_card_visa")
		testfactory.RequestRefund(t, w.Pool, postgres.NewRefund{PaymentID: p.ID, Amount: 10_00, Now: w.Clock.Now()})
		require.Empty(t, reconcile(t, w, false).Drift, "its job may still run")
		w.Clock.Advance(2 * time.Hour)

		requireDrift(t, w, postgres.DriftRefundDiffers)
	})

	t.Run("OnceADay", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		daily := func() {
			w.Work(jobs.ReconcileArgs{Mode: wallet.ModeTest})
			w.Work(jobs.ReconcileArgs{Mode: wallet.ModeLive}) // not served
		}
		count := func() (n int) {
			require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from reconciliations where source = 'job'`).Scan(&n))
			return n
		}
		daily()
		daily()
		require.Equal(t, 1, count())
		w.Sim.WebhookFault(silence)
		p := w.Await(w.Fund(w.Card("pm_card_authenticationRequired")), wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)
		w.Clock.Advance(24 * time.Hour)

		daily()

		require.Equal(t, 2, count())
		require.Equal(t, wallet.PaymentSucceeded, w.Payment(p.ID).Status)
		last, _, err := postgres.LatestReconciliation(t.Context(), w.Pool, wallet.ModeTest, "")
		require.NoError(t, err)
		require.EqualValues(t, 1, last.Repaired())
	})
}

// charge charges a payment at Stripe without a record here.
func charge(t *testing.T, w *enginetest.World, n postgres.NewPayment) wallet.Outcome {
	t.Helper()

	m := w.Merchant
	card, err := postgres.GetPaymentMethod(t.Context(), w.Pool, m.Customer.ID, n.PaymentMethodID)
	require.NoError(t, err)
	o := w.Stripe.Charge(t.Context(), stripeapi.ChargeRequest{
		Amount: n.Amount, Attempt: 1, Currency: n.Currency, CustomerID: m.Customer.StripeCustomerID,
		OrganizationID: n.OrganizationID, PaymentID: n.ID, PaymentMethodID: card.StripePaymentMethodID, WalletID: n.WalletID,
	})
	require.Equal(t, wallet.OutcomeSucceeded, o.Kind)
	return o
}
