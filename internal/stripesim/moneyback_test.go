package stripesim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

func (b *bundle) refund(intent string, amount int64) (*stripe.Refund, error) {
	p := &stripe.RefundParams{PaymentIntent: &intent}
	if amount != 0 {
		p.Amount = &amount
	}
	return b.client.Refunds.New(p)
}

func TestRefunds(t *testing.T) {
	t.Parallel()

	t.Run("InParts", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa")
		r, err := b.client.Refunds.New(&stripe.RefundParams{
			Amount: stripe.Int64(300), PaymentIntent: &pi.ID, Reason: new("requested_by_customer"),
		})
		require.NoError(t, err)
		require.Equal(t, stripe.RefundStatusSucceeded, r.Status)
		require.EqualValues(t, "requested_by_customer", r.Reason)
		charge, err := b.client.Charges.Get(r.Charge.ID, nil)
		require.NoError(t, err)
		require.EqualValues(t, 300, charge.AmountRefunded)
		require.False(t, charge.Refunded, "true only when all of it went back")

		_, err = b.refund(pi.ID, 701)
		tooMuch := asStripe(t, err)
		require.Equal(t, "amount", tooMuch.Param)
		require.Empty(t, tooMuch.Code)
		_, err = b.refund(pi.ID, 0)
		require.NoError(t, err)
		charge, err = b.client.Charges.Get(r.Charge.ID, &stripe.ChargeParams{Expand: stripe.StringSlice([]string{"refunds"})})
		require.NoError(t, err)
		require.True(t, charge.Refunded)
		require.Len(t, charge.Refunds.Data, 2)
		_, err = b.refund(pi.ID, 0)
		require.EqualValues(t, "charge_already_refunded", asStripe(t, err).Code)
		require.Equal(t, []string{"charge.succeeded", "charge.refunded", "charge.refunded"}, b.types(charge.ID))
	})

	t.Run("MoneyLeavesTheBalance", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa")
		p := &stripe.RefundParams{PaymentIntent: &pi.ID}
		p.AddExpand("balance_transaction")
		r, err := b.client.Refunds.New(p)
		require.NoError(t, err)
		require.EqualValues(t, -1000, r.BalanceTransaction.Amount)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		unpaid := b.inStatus(t, stripesim.StatusRequiresConfirmation)
		_, err := b.refund(unpaid.ID, 0)
		e := asStripe(t, err)
		require.Equal(t, "payment_intent", e.Param)
		require.Empty(t, e.Code)
		_, err = b.client.Refunds.New(&stripe.RefundParams{Charge: new("ch_none")})
		e = asStripe(t, err)
		require.Equal(t, http.StatusNotFound, e.HTTPStatusCode)
		require.Equal(t, "id", e.Param)
		require.EqualValues(t, "resource_missing", e.Code)
		_, err = b.client.Refunds.New(&stripe.RefundParams{Amount: stripe.Int64(1)})
		require.EqualValues(t, "parameter_missing", asStripe(t, err).Code)
		authorised := b.inStatus(t, stripesim.StatusRequiresCapture)
		_, err = b.refund(authorised.ID, 0)
		require.Error(t, err)
	})

	t.Run("PendingThenSucceeded", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_pendingRefund")
		r, err := b.refund(pi.ID, 400)
		require.NoError(t, err)
		require.Equal(t, stripe.RefundStatusPending, r.Status)
		b.sim.Advance(time.Minute)
		r, err = b.client.Refunds.Get(r.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.RefundStatusSucceeded, r.Status)
		require.Equal(t, []string{"charge.refund.updated"}, b.types(r.ID))
	})

	t.Run("SucceededThenFailed", func(t *testing.T) {
		t.Parallel()

		b := setup(t, func(c *stripesim.Config) { c.RefundEvents = true })
		pi := b.paid(t, "pm_card_refundFail")
		r, err := b.refund(pi.ID, 400)
		require.NoError(t, err)
		require.Equal(t, stripe.RefundStatusSucceeded, r.Status)
		b.sim.Advance(time.Minute)
		r, err = b.client.Refunds.Get(r.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.RefundStatusFailed, r.Status)
		require.NotEmpty(t, r.FailureReason)
		require.NotNil(t, r.FailureBalanceTransaction)
		charge, err := b.client.Charges.Get(pi.LatestCharge.ID, nil)
		require.NoError(t, err)
		require.Zero(t, charge.AmountRefunded, "the money is back on the charge")
		require.Equal(t, []string{"refund.created", "charge.refund.updated", "refund.updated", "refund.failed"}, b.types(r.ID))
		require.Zero(t, b.sim.Export(false)[0].AmountRefunded)
	})

	t.Run("CanceledWhilePending", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_pendingRefund")
		r, err := b.refund(pi.ID, 0)
		require.NoError(t, err)
		r, err = b.client.Refunds.Cancel(r.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.RefundStatusCanceled, r.Status)
		b.sim.Advance(time.Minute)
		r, err = b.client.Refunds.Get(r.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.RefundStatusCanceled, r.Status)
		_, err = b.client.Refunds.Cancel(r.ID, nil)
		require.Error(t, err)
	})

	t.Run("ListsByIntentAndMetadata", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, other := b.paid(t, "pm_card_visa"), b.paid(t, "pm_card_visa")
		first, err := b.refund(pi.ID, 100)
		require.NoError(t, err)
		_, err = b.refund(other.ID, 100)
		require.NoError(t, err)
		p := &stripe.RefundParams{}
		p.AddMetadata("refund_id", "r1")
		_, err = b.client.Refunds.Update(first.ID, p)
		require.NoError(t, err)

		list := b.client.Refunds.List(&stripe.RefundListParams{PaymentIntent: &pi.ID})
		require.True(t, list.Next())
		require.Equal(t, "r1", list.Refund().Metadata["refund_id"])
		require.False(t, list.Next())
		require.NoError(t, list.Err())
	})

	t.Run("ByAnOperator", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa")
		r, err := b.sim.CreateRefund(pi.ID, 250)
		require.NoError(t, err)
		require.EqualValues(t, 250, r.Amount)
		r, err = b.sim.EndRefund(r.ID, "failed")
		require.NoError(t, err)
		require.Equal(t, "failed", r.Status)
		_, err = b.sim.CreateRefund(pi.ID, 1001)
		require.Error(t, err)
		_, err = b.sim.CreateRefund("pi_none", 1)
		require.ErrorIs(t, err, stripesim.ErrNotFound)
	})
}

func TestDisputes(t *testing.T) {
	t.Parallel()

	// disputed returns a payment whose card disputed it.
	disputed := func(t *testing.T, card string) (*bundle, *stripe.PaymentIntent, *stripe.Dispute) {
		t.Helper()
		b := setup(t)
		pi := b.paid(t, card)
		require.Empty(t, b.sim.Disputes(false))
		b.sim.Advance(30 * time.Second)
		list := b.client.Disputes.List(&stripe.DisputeListParams{PaymentIntent: &pi.ID})
		require.True(t, list.Next(), "within 30 s")
		return b, pi, list.Dispute()
	}

	t.Run("ChargebackWithdrawsTheFunds", func(t *testing.T) {
		t.Parallel()

		b, pi, d := disputed(t, "pm_card_createDispute")
		require.Equal(t, stripe.DisputeStatusNeedsResponse, d.Status)
		require.EqualValues(t, "fraudulent", d.Reason)
		require.EqualValues(t, 1000, d.Amount)
		require.False(t, d.IsChargeRefundable)
		require.Len(t, d.BalanceTransactions, 1)
		require.EqualValues(t, -1000, d.BalanceTransactions[0].Amount)
		require.EqualValues(t, -2500, d.BalanceTransactions[0].Net, "and a fee")
		require.Equal(t, []string{"charge.dispute.created", "charge.dispute.funds_withdrawn"}, b.types(d.ID))
		charge, err := b.client.Charges.Get(d.Charge.ID, nil)
		require.NoError(t, err)
		require.True(t, charge.Disputed)
		_, err = b.refund(pi.ID, 0)
		require.EqualValues(t, "charge_disputed", asStripe(t, err).Code)
	})

	t.Run("Reasons", func(t *testing.T) {
		t.Parallel()

		_, _, d := disputed(t, "pm_card_createDisputeProductNotReceived")
		require.EqualValues(t, "product_not_received", d.Reason)
	})

	t.Run("InquiryMovesNoMoney", func(t *testing.T) {
		t.Parallel()

		b, pi, d := disputed(t, "pm_card_createDisputeInquiry")
		require.Equal(t, stripe.DisputeStatusWarningNeedsResponse, d.Status)
		require.True(t, d.IsChargeRefundable)
		require.Empty(t, d.BalanceTransactions)
		require.Equal(t, []string{"charge.dispute.created"}, b.types(d.ID))
		_, err := b.refund(pi.ID, 0)
		require.NoError(t, err)
		b.sim.Advance(121 * 24 * time.Hour)
		d, err = b.client.Disputes.Get(d.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusWarningClosed, d.Status)
	})

	t.Run("Won", func(t *testing.T) {
		t.Parallel()

		b, _, d := disputed(t, "pm_card_createDispute")
		d, err := b.client.Disputes.Update(d.ID, &stripe.DisputeParams{
			Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: new("winning_evidence")}, Submit: new(true),
		})
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusUnderReview, d.Status)
		require.EqualValues(t, 1, d.EvidenceDetails.SubmissionCount)
		_, err = b.client.Disputes.Update(d.ID, &stripe.DisputeParams{
			Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: new("losing_evidence")},
		})
		require.Error(t, err, "submitted is final")
		b.sim.Advance(time.Minute)
		d, err = b.client.Disputes.Get(d.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusWon, d.Status)
		require.Len(t, d.BalanceTransactions, 2)
		require.Zero(t, d.BalanceTransactions[0].Net+d.BalanceTransactions[1].Net)
		require.Equal(t, []string{
			"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.updated", "charge.dispute.closed",
			"charge.dispute.funds_reinstated",
		}, b.types(d.ID))
	})

	t.Run("Lost", func(t *testing.T) {
		t.Parallel()

		b, _, d := disputed(t, "pm_card_createDispute")
		_, err := b.client.Disputes.Update(d.ID, &stripe.DisputeParams{
			Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: new("losing_evidence")},
		})
		require.NoError(t, err, "evidence is submitted by default")
		b.sim.Advance(time.Minute)
		d, err = b.client.Disputes.Get(d.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusLost, d.Status)
		require.Len(t, d.BalanceTransactions, 1)
	})

	t.Run("EvidenceIsStagedUntilSubmitted", func(t *testing.T) {
		t.Parallel()

		b, _, d := disputed(t, "pm_card_createDispute")
		d, err := b.client.Disputes.Update(d.ID, &stripe.DisputeParams{
			Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: new("winning_evidence")}, Submit: new(false),
		})
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusNeedsResponse, d.Status)
		require.True(t, d.EvidenceDetails.HasEvidence)
		b.sim.Advance(21 * 24 * time.Hour)
		d, err = b.client.Disputes.Get(d.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusLost, d.Status, "its deadline passed")
	})

	t.Run("EscalatedInquiry", func(t *testing.T) {
		t.Parallel()

		b, _, d := disputed(t, "pm_card_createDisputeInquiry")
		b.sim.Advance(110 * 24 * time.Hour)
		d, err := b.client.Disputes.Update(d.ID, &stripe.DisputeParams{
			Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: new("escalate_inquiry_evidence")}, Submit: new(true),
		})
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusNeedsResponse, d.Status)
		require.Len(t, d.BalanceTransactions, 1)
		require.Contains(t, b.types(d.ID), "charge.dispute.funds_withdrawn")
		b.sim.Advance(15 * 24 * time.Hour)
		d, err = b.client.Disputes.Get(d.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusNeedsResponse, d.Status, "the inquiry's own deadline no longer counts")
		b.sim.Advance(10 * 24 * time.Hour)
		d, err = b.client.Disputes.Get(d.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusLost, d.Status)
	})

	t.Run("ClosingAccepts", func(t *testing.T) {
		t.Parallel()

		b, _, d := disputed(t, "pm_card_createDispute")
		d, err := b.client.Disputes.Close(d.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripe.DisputeStatusLost, d.Status)
		_, err = b.client.Disputes.Close(d.ID, nil)
		require.Error(t, err)
	})

	t.Run("OnDemand", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_visa")
		d, err := b.sim.OpenDispute(pi.ID, stripesim.DisputeOptions{Amount: 600, Reason: "duplicate"})
		require.NoError(t, err)
		require.EqualValues(t, 600, d.Amount)
		_, err = b.sim.OpenDispute(pi.ID, stripesim.DisputeOptions{})
		require.ErrorIs(t, err, stripesim.ErrNotFound, "a charge has one open dispute")
		d, err = b.sim.ResolveDispute(d.ID, true)
		require.NoError(t, err)
		require.Equal(t, stripesim.DisputeWon, d.Status)
		_, err = b.sim.ResolveDispute(d.ID, false)
		require.ErrorIs(t, err, stripesim.ErrNotFound)
	})

	t.Run("FraudWarning", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.paid(t, "pm_card_createIssuerFraudRecord")
		b.sim.Advance(time.Minute)
		require.Len(t, b.sim.Events(false, "radar.early_fraud_warning.created"), 1)
		list := b.client.RadarEarlyFraudWarnings.List(&stripe.RadarEarlyFraudWarningListParams{Charge: &pi.LatestCharge.ID})
		require.True(t, list.Next())
		require.Equal(t, pi.ID, list.RadarEarlyFraudWarning().PaymentIntent.ID)
		require.Empty(t, b.sim.Disputes(false))
	})
}
