package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// CheckPaymentTx inserts a job that compares a payment with Stripe at once, before
// its next check is due. It returns the job's id.
func (e *Engine) CheckPaymentTx(ctx context.Context, tx pgx.Tx, id wallet.ID) (int64, error) {
	res, err := e.river.InsertTx(ctx, tx, CheckPaymentArgs{PaymentID: id}, nil)
	if err != nil {
		return 0, fmt.Errorf("insert check of payment %s: %w", id, err)
	}
	return res.Job.ID, nil
}

// ReplayEventTx makes a stored event pending again, whatever its status, and inserts
// the job that handles it. It returns the job's id. An unknown event is
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
	// After is the payment as it would stand afterwards, nil when it would not
	// change.
	After *wallet.Payment
	// BalanceBefore and BalanceAfter are the wallet's, in minor units.
	BalanceBefore, BalanceAfter int64
	// Confirms reports whether the charge would be confirmed once more, on-session.
	// The result of that cannot be known before.
	Confirms bool
	// Bookings are what would be booked for refunds and disputes.
	Bookings []moneyback.Booking
}

// Moves reports whether the payment's state or any money would move.
func (p EventPreview) Moves() bool { return p.After != nil || len(p.Bookings) > 0 }

// PreviewEvent returns what handling a stored event again would change, without
// changing it. It asks Stripe as the event's job does, applies the answer with the
// same function, reads the result and rolls back. An unknown event is CodeNotFound.
func (e *Engine) PreviewEvent(ctx context.Context, id string) (EventPreview, error) {
	found, err := postgres.FindEvents(ctx, e.Pool, []string{id})
	if err != nil {
		return EventPreview{}, err
	}
	event := found[0]
	if !event.Found {
		return EventPreview{}, &wallet.Error{Code: wallet.CodeNotFound, Message: "Event not found."}
	}
	if isMoneyBack(event.Type) {
		return e.previewMoneyBack(ctx, event.Event)
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
	defer func() { _ = tx.Rollback(ctx) }() // always: nothing may change
	w, err := postgres.GetWallet(ctx, tx, x.payment.WalletID)
	if err != nil {
		return preview, err
	}
	preview.BalanceBefore, preview.BalanceAfter = w.Balance, w.Balance
	if !e.applies(x, &preview) {
		return preview, nil
	}
	applied, err := postgres.ApplyOutcomesTx(ctx, tx, []wallet.Settlement{{
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

// applies reports whether an outcome would be applied as it is, and notes in the
// preview why not. The cases are those of conclude.
func (e *Engine) applies(x examination, preview *EventPreview) bool {
	switch o := x.outcome; {
	case o == nil:
		return false
	case o.Kind == wallet.OutcomeUnavailable:
		preview.Note = "stripe cannot be asked now; the job would be tried again later"
		return false
	case !namesPayment(*o, x.payment.ID):
		preview.Note = "the intent names another payment"
		return false
	case atCheckout(*x.payment) && (o.Kind == wallet.OutcomeDeclined || o.Kind == wallet.OutcomeRequiresAction):
		preview.Note += "; the payment page is still open, and another card may be tried on it"
		return false
	case wantsCardholder(*x.payment, *o):
		preview.Note += "; the bank wants the cardholder"
		preview.Confirms = true
		return false
	}
	return true
}

// previewMoneyBack is PreviewEvent for an event about a refund or a dispute.
func (e *Engine) previewMoneyBack(ctx context.Context, event postgres.Event) (EventPreview, error) {
	p, err := e.paymentOf(ctx, event)
	if wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return EventPreview{Status: postgres.EventIgnored, Note: "no payment of ours"}, nil
	}
	if err != nil {
		return EventPreview{}, err
	}
	preview := EventPreview{Status: postgres.EventHandled, Note: "as Stripe says", Payment: &p}
	switch {
	case p.Status != wallet.PaymentSucceeded:
		preview.Note = "the payment is " + string(p.Status) + "; what Stripe took is settled first"
		return preview, nil
	case p.StripePaymentIntentID != event.StripePaymentIntentID:
		preview.Status, preview.Note = postgres.EventIgnored, "the payment was credited for another intent"
		return preview, nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return preview, err
	}
	answer, err := askMoneyBack(ctx, stripe, event, e.Now())
	if errors.Is(err, errNotConfirmed) {
		preview.Status, preview.Note = postgres.EventIgnored, errNotConfirmed.Error()
		return preview, nil
	}
	if err != nil {
		return preview, err
	}
	err = e.bookAndRollBack(ctx, &preview, answer)
	return preview, err
}

// bookAndRollBack applies what Stripe says of refunds and disputes, notes in the
// preview what was booked, and rolls the transaction back.
func (e *Engine) bookAndRollBack(ctx context.Context, preview *EventPreview, answer moneyback.Answer) error {
	p := preview.Payment
	tx, err := e.Pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("preview what goes back of payment %s: %w", p.ID, err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // always: nothing may change
	w, err := postgres.GetWallet(ctx, tx, p.WalletID)
	if err != nil {
		return err
	}
	preview.BalanceBefore, preview.BalanceAfter = w.Balance, w.Balance
	version, err := postgres.MoneyBackVersion(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	preview.Bookings, err = postgres.ApplyMoneyBack(ctx, tx, postgres.MoneyBack{
		Disputes: answer.Disputes, Now: e.Now(), PaymentID: p.ID, Refunds: answer.Refunds, Version: version,
	})
	if err != nil {
		return err
	}
	if n := len(preview.Bookings); n > 0 {
		preview.BalanceAfter = preview.Bookings[n-1].BalanceAfter
	}
	return nil
}
