package jobs

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// CheckPaymentTx inserts the job that compares a payment with Stripe now, whenever
// its next check is due, and returns the job's id.
func (e *Engine) CheckPaymentTx(ctx context.Context, tx pgx.Tx, id wallet.ID) (int64, error) {
	res, err := e.river.InsertTx(ctx, tx, CheckPaymentArgs{PaymentID: id}, nil)
	if err != nil {
		return 0, fmt.Errorf("insert check of payment %s: %w", id, err)
	}
	return res.Job.ID, nil
}

// ReplayEventTx makes a stored event pending again, whatever became of it before,
// and inserts the job that handles it, whose id it returns. An unknown event is
// CodeNotFound.
func (e *Engine) ReplayEventTx(ctx context.Context, tx pgx.Tx, id string) (int64, error) {
	if err := postgres.ReplayEvent(ctx, tx, id, e.Now()); err != nil {
		return 0, err
	}
	res, err := e.river.InsertTx(ctx, tx, HandleEventArgs{EventID: id}, nil)
	if err != nil {
		return 0, fmt.Errorf("insert replay of event %s: %w", id, err)
	}
	return res.Job.ID, nil
}

// EventPreview is what handling an event again would do.
type EventPreview struct {
	// Status and Note are what the event would be finished with.
	Status postgres.EventStatus
	Note   string
	// Payment is the payment that the event is about, nil when there is none.
	Payment *wallet.Payment
	// After is the payment as it would stand then, nil when it would stay as it is.
	After *wallet.Payment
	// BalanceBefore and BalanceAfter are the wallet's, in minor units.
	BalanceBefore, BalanceAfter int64
}

// PreviewEvent tells what handling a stored event again would change, and changes
// nothing: it asks Stripe as the event's job does, applies the answer through the
// function that the job uses, looks at the result and takes it back. An unknown
// event is CodeNotFound.
func (e *Engine) PreviewEvent(ctx context.Context, id string) (EventPreview, error) {
	event, err := postgres.GetEvent(ctx, e.Pool, id)
	if err != nil {
		return EventPreview{}, err
	}
	x, err := e.examine(ctx, event)
	preview := EventPreview{Status: x.status, Note: x.note, Payment: x.payment}
	if err != nil || x.payment == nil {
		return preview, err
	}
	tx, err := e.Pool.Begin(ctx)
	if err != nil {
		return preview, fmt.Errorf("preview event %s: %w", id, err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // which is the point of it
	w, err := postgres.GetWallet(ctx, tx, x.payment.WalletID)
	if err != nil {
		return preview, err
	}
	preview.BalanceBefore, preview.BalanceAfter = w.Balance, w.Balance
	if x.outcome == nil || x.outcome.Kind == wallet.OutcomeUnavailable || !namesPayment(*x.outcome, x.payment.ID) {
		return preview, nil
	}
	applied, err := postgres.ApplyOutcomes(ctx, tx, []postgres.Settlement{{
		ActionDeadline: e.Now().Add(e.ActionDeadline),
		Cause:          wallet.Cause{Kind: wallet.CauseEvent, ID: event.ID},
		Now:            e.Now(),
		Outcome:        *x.outcome,
		PaymentID:      x.payment.ID,
	}})
	if err != nil {
		return preview, err
	}
	if !applied[0].Moved {
		return preview, nil
	}
	preview.After = &applied[0].Payment
	if w, err = postgres.GetWallet(ctx, tx, x.payment.WalletID); err != nil {
		return preview, err
	}
	preview.BalanceAfter = w.Balance
	return preview, nil
}
