package jobs

import (
	"context"
	"log/slog"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Settle applies an outcome to its payment and wakes the callers that wait for the
// payment. It is the only way in which an outcome changes a payment.
func (e *Engine) Settle(ctx context.Context, s wallet.Settlement) (postgres.Applied, error) {
	ctx, end := e.trace(ctx, "settle payment", "")
	applied, err := e.settles.Do(ctx, s)
	end(err)
	return applied, err
}

func (e *Engine) writeSettlements(ctx context.Context, list []wallet.Settlement) ([]postgres.Applied, error) {
	applied, err := postgres.ApplyOutcomes(ctx, e.Pool, list)
	if err != nil {
		return nil, err
	}
	for i, a := range applied {
		if a.Moved {
			e.logMove(ctx, list[i], a.Payment)
			e.Watch.PaymentMoved(a.Payment)
		}
		if a.Announced {
			e.announce()
		}
		if a.Payment.Status.Answered() {
			e.waiters.resolve(a.Payment)
		}
	}
	return applied, nil
}

func (e *Engine) logMove(ctx context.Context, s wallet.Settlement, p wallet.Payment) {
	e.Log.InfoContext(ctx, "payment moved",
		slog.String("payment_id", p.ID.String()),
		slog.String("request_id", p.RequestID),
		slog.String("wallet_id", p.WalletID.String()),
		slog.String("status", string(p.Status)),
		slog.Int64("amount", p.Amount),
		slog.String("currency", string(p.Currency)),
		slog.String("failure_code", p.Failure.Code),
		slog.String("payment_intent_id", p.StripePaymentIntentID),
		slog.String("stripe_request_id", s.Outcome.RequestID),
		slog.String("cause_kind", string(s.Cause.Kind)),
		slog.String("cause_id", s.Cause.ID))
}
