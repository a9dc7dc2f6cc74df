package jobs

import (
	"context"
	"fmt"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// refunds compares Stripe's refunds with the stored ones. It makes suspects of those
// that differ, and of the stored ones that Stripe did not list.
func (r *reconciler) refunds(ctx context.Context) error {
	for state, err := range r.stripe.ListRefunds(ctx, stripeapi.Window{Since: r.options.Since}) {
		if err != nil {
			return err
		}
		p, err := r.paymentOf(ctx, state.IntentID)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		r.seen[state.ID] = true
		r.result.Refunds++
		ours, err := postgres.FindRefund(ctx, r.engine.Pool, state.ID)
		if err != nil && !wallet.HasCode(err, wallet.CodeRefundNotFound) {
			return err
		}
		if refundDetail(&ours, state) != "" {
			r.suspects[suspect{payment: p.ID, stripeRefund: state.ID}] = true
		}
	}
	list, err := postgres.RefundsToReconcile(ctx, r.engine.Pool, r.options.Mode, r.options.Since)
	if err != nil {
		return err
	}
	for _, ours := range list {
		if r.seen[ours.StripeRefundID] || ours.StripeRefundID == "" && !ours.Status.Open() {
			continue // listed, or refused by Stripe
		}
		r.result.Refunds++
		r.suspects[suspect{payment: ours.PaymentID, refund: ours.ID, stripeRefund: ours.StripeRefundID}] = true
	}
	return nil
}

// paymentOf returns the payment that has an intent. It returns nil when there is none.
func (r *reconciler) paymentOf(ctx context.Context, intentID string) (*wallet.Payment, error) {
	if intentID == "" {
		return nil, nil //nolint:nilnil // Fundrail makes no refunds without an intent
	}
	p, err := postgres.FindPayment(ctx, r.engine.Pool, r.options.Mode, intentID, wallet.ID{})
	if wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return nil, nil //nolint:nilnil // another system made it
	}
	return &p, err
}

// refundDetail describes how a refund's row differs from Stripe's refund. It is empty
// when they agree. A row without Stripe's id means that there is no row.
func refundDetail(ours *wallet.Refund, state wallet.RefundState) string {
	switch {
	case ours.StripeRefundID == "":
		return "not known here, " + string(state.Status) + " at Stripe"
	case ours.Status != state.Status || ours.Amount != state.Amount:
		return fmt.Sprintf("%s of %d here, %s of %d at Stripe", ours.Status, ours.Amount, state.Status, state.Amount)
	default:
		return ""
	}
}

// examineRefund compares a suspect refund again, because it may have changed since it
// was listed. It returns nil when both sides agree.
func (r *reconciler) examineRefund(ctx context.Context, s suspect) (*postgres.Drift, error) {
	drift := &postgres.Drift{Kind: postgres.DriftRefundDiffers, PaymentID: s.payment, StripeID: s.stripeRefund}
	if s.stripeRefund == "" {
		ours, err := postgres.GetRefund(ctx, r.engine.Pool, s.refund)
		if err != nil || ours.Answered() || r.engine.Now().Sub(ours.CreatedAt) < tooLong {
			return nil, err
		}
		drift.Detail = "asked for and not known at Stripe"
		return drift, nil
	}
	state, err := r.stripe.GetRefund(ctx, s.stripeRefund)
	if stripeapi.IsNotFound(err) {
		drift.Detail = "Stripe does not have it"
		return drift, nil
	}
	if err != nil {
		return nil, err
	}
	ours, err := postgres.FindRefund(ctx, r.engine.Pool, s.stripeRefund)
	if err != nil && !wallet.HasCode(err, wallet.CodeRefundNotFound) {
		return nil, err
	}
	if drift.Detail = refundDetail(&ours, state); drift.Detail == "" {
		return nil, nil //nolint:nilnil // nothing differs
	}
	return drift, nil
}

// disputes compares Stripe's disputes with the stored ones, as refunds does.
func (r *reconciler) disputes(ctx context.Context) error {
	for state, err := range r.stripe.ListDisputes(ctx, stripeapi.Window{Since: r.options.Since}) {
		if err != nil {
			return err
		}
		p, err := r.paymentOf(ctx, state.IntentID)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		r.seen[state.ID] = true
		r.result.Disputes++
		detail, err := r.disputeDetail(ctx, state)
		if err != nil {
			return err
		}
		if detail != "" {
			r.suspects[suspect{payment: p.ID, dispute: state.ID}] = true
		}
	}
	list, err := postgres.DisputesToReconcile(ctx, r.engine.Pool, r.options.Mode, r.options.Since)
	if err != nil {
		return err
	}
	for _, ours := range list {
		if !r.seen[ours.StripeDisputeID] {
			r.result.Disputes++
			r.suspects[suspect{payment: ours.PaymentID, dispute: ours.StripeDisputeID}] = true
		}
	}
	return nil
}

// disputeDetail describes how a dispute's row differs from Stripe's dispute. It is empty
// when they agree.
func (r *reconciler) disputeDetail(ctx context.Context, state wallet.DisputeState) (string, error) {
	ours, known, err := postgres.FindDispute(ctx, r.engine.Pool, state.ID)
	switch {
	case err != nil:
		return "", err
	case !known:
		return "not known here, " + string(state.Status) + " at Stripe", nil
	case ours.Status != state.Status || ours.Wanted() != state.Debit():
		return fmt.Sprintf("%s for %d here, %s for %d at Stripe", ours.Status, ours.Wanted(), state.Status, state.Debit()), nil
	default:
		return "", nil
	}
}

// examineDispute compares a suspect dispute again, as examineRefund does.
func (r *reconciler) examineDispute(ctx context.Context, s suspect) (*postgres.Drift, error) {
	drift := &postgres.Drift{Kind: postgres.DriftDisputeDiffers, PaymentID: s.payment, StripeID: s.dispute}
	state, err := r.stripe.GetDispute(ctx, s.dispute)
	if stripeapi.IsNotFound(err) {
		drift.Detail = "Stripe does not have it"
		return drift, nil
	}
	if err != nil {
		return nil, err
	}
	if drift.Detail, err = r.disputeDetail(ctx, state); err != nil || drift.Detail == "" {
		return nil, err
	}
	return drift, nil
}

// repairMoneyBack applies Stripe's answer about a suspect refund or dispute. It first
// settles a payment that was not credited yet.
func (r *reconciler) repairMoneyBack(ctx context.Context, p wallet.Payment, s suspect, cause wallet.Cause) error {
	e := r.engine
	p, err := e.settleFirst(ctx, p, p.StripePaymentIntentID, cause)
	if err != nil {
		return err
	}
	if s.stripeRefund == "" && s.dispute == "" {
		refund, err := postgres.GetRefund(ctx, e.Pool, s.refund)
		if err != nil {
			return err
		}
		return e.makeRefund(ctx, p, refund, cause)
	}
	return e.applyMoneyBack(ctx, p, cause, func() (moneyback.Answer, error) {
		if s.dispute != "" {
			state, err := r.stripe.GetDispute(ctx, s.dispute)
			return moneyback.Answer{Disputes: []wallet.DisputeState{state}}, err
		}
		state, err := r.stripe.GetRefund(ctx, s.stripeRefund)
		return moneyback.Answer{Refunds: []wallet.RefundState{state}}, err
	})
}
