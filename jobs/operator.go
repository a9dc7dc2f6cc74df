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

// CheckPaymentTx inserts a job that compares a payment with Stripe now, before its next
// check is due. It returns the job's id.
func (e *Engine) CheckPaymentTx(ctx context.Context, tx pgx.Tx, id wallet.ID) (int64, error) {
	res, err := e.river.InsertTx(ctx, tx, CheckPaymentArgs{PaymentID: id}, nil)
	if err != nil {
		return 0, fmt.Errorf("insert check of payment %s: %w", id, err)
	}
	return res.Job.ID, nil
}

// ReplayEventTx makes a stored event pending again, whatever its status, and inserts
// the job that handles it. It returns the job's id. The error of an unknown event has
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

// EventPreview describes the effect of handling an event again.
type EventPreview struct {
	// Status and Note would be stored with the event.
	Status postgres.EventStatus
	Note   string
	// Payment is the event's payment, nil when there is none.
	Payment *wallet.Payment
	// After is the payment after the event, nil when it would not change.
	After *wallet.Payment
	// BalanceBefore and BalanceAfter are the wallet's balances in minor units.
	BalanceBefore, BalanceAfter int64
	// Confirms reports whether the charge would be confirmed again, on-session. The
	// result of that call cannot be previewed.
	Confirms bool
	// Bookings are the bookings for refunds and disputes.
	Bookings []moneyback.Booking
}

// Moves reports whether the payment's state or any money would change.
func (p EventPreview) Moves() bool { return p.After != nil || len(p.Bookings) > 0 }

// PreviewEvent returns the effect of handling a stored event again, without changing
// anything. It retrieves the object from Stripe as the event's job does, applies the
// answer with the same function, reads the result and rolls back. The error of an
// unknown event has CodeNotFound.
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
	cause := wallet.Cause{Kind: wallet.CauseEvent, ID: event.ID}
	err = e.inRolledBackTx(ctx, &preview, func(tx pgx.Tx) error {
		if x.outcome == nil || !preview.settles(*x.outcome) {
			return nil
		}
		applied, err := postgres.ApplyOutcomesTx(ctx, tx, []wallet.Settlement{e.settlement(x.payment.ID, *x.outcome, cause)})
		if err != nil || !applied[0].Moved {
			return err
		}
		preview.After = &applied[0].Payment
		w, err := postgres.GetWallet(ctx, tx, x.payment.WalletID)
		preview.BalanceAfter = w.Balance
		return err
	})
	return preview, err
}

// settles reports whether an outcome of the preview's payment would be settled. If not,
// it adds the reason to the preview.
func (p *EventPreview) settles(o wallet.Outcome) bool {
	switch conclusionOf(*p.Payment, o) {
	case concludeSettle:
		return true
	case concludeTryLater:
		p.Note = "stripe cannot be asked now; the job would be tried again later"
	case concludeRefuse:
		p.Note = "the intent names another payment"
	case concludeConfirmOnSession:
		p.Note += "; the bank wants the cardholder"
		p.Confirms = true
	case concludeLeavePageOpen:
		p.Note += "; the payment page is still open, and another card may be tried on it"
	}
	return false
}

// inRolledBackTx sets the preview's balances, runs do in the same transaction, and rolls
// the transaction back.
func (e *Engine) inRolledBackTx(ctx context.Context, preview *EventPreview, do func(tx pgx.Tx) error) error {
	tx, err := e.Pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("preview of payment %s: %w", preview.Payment.ID, err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // in every case, because a preview changes nothing
	w, err := postgres.GetWallet(ctx, tx, preview.Payment.WalletID)
	if err != nil {
		return err
	}
	preview.BalanceBefore, preview.BalanceAfter = w.Balance, w.Balance
	return do(tx)
}

// previewMoneyBack is PreviewEvent for an event about a refund or a dispute.
func (e *Engine) previewMoneyBack(ctx context.Context, event postgres.Event) (EventPreview, error) {
	p, err := e.paymentOf(ctx, event)
	if wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return EventPreview{Status: postgres.EventIgnored, Note: noteNoPayment}, nil
	}
	if err != nil {
		return EventPreview{}, err
	}
	preview := EventPreview{Status: postgres.EventHandled, Note: noteAsStripeSays, Payment: &p}
	switch {
	case p.Status != wallet.PaymentSucceeded:
		preview.Note = "the payment is " + string(p.Status) + "; what Stripe took is settled first"
		return preview, nil
	case p.StripePaymentIntentID != event.StripePaymentIntentID:
		preview.Status, preview.Note = postgres.EventIgnored, noteOtherIntent
		return preview, nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return preview, err
	}
	answer, err := retrieveMoneyBack(ctx, stripe, event, e.Now())
	if errors.Is(err, errNotConfirmed) {
		preview.Status, preview.Note = postgres.EventIgnored, errNotConfirmed.Error()
		return preview, nil
	}
	if err != nil {
		return preview, err
	}
	err = e.inRolledBackTx(ctx, &preview, func(tx pgx.Tx) error { return e.previewBookings(ctx, tx, &preview, answer) })
	return preview, err
}

// previewBookings applies Stripe's answer about refunds and disputes, and adds the
// bookings to the preview.
func (e *Engine) previewBookings(ctx context.Context, tx pgx.Tx, preview *EventPreview, answer moneyback.Answer) error {
	version, err := postgres.MoneyBackVersion(ctx, tx, preview.Payment.ID)
	if err != nil {
		return err
	}
	preview.Bookings, err = postgres.ApplyMoneyBack(ctx, tx, postgres.MoneyBack{
		Disputes: answer.Disputes, Now: e.Now(), PaymentID: preview.Payment.ID, Refunds: answer.Refunds, Version: version,
	})
	if err != nil {
		return err
	}
	if n := len(preview.Bookings); n > 0 {
		preview.BalanceAfter = preview.Bookings[n-1].BalanceAfter
	}
	return nil
}
