package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// errNotConfirmed reports that Stripe's answer contradicts an event.
var errNotConfirmed = errors.New("stripe does not confirm it")

// handleMoneyBack handles an event about a refund or a dispute. It retrieves the object
// from Stripe and applies the answer. It returns the status and the note to store with
// the event.
func (e *Engine) handleMoneyBack(ctx context.Context, event postgres.Event) (postgres.EventStatus, string, error) {
	p, err := e.paymentOf(ctx, event)
	if wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return postgres.EventIgnored, noteNoPayment, nil
	}
	if err != nil {
		return "", "", err
	}
	cause := wallet.Cause{Kind: wallet.CauseEvent, ID: event.ID}
	if p, err = e.settleFirst(ctx, p, event.StripePaymentIntentID, cause); err != nil {
		return "", "", err
	}
	switch {
	case p.Status != wallet.PaymentSucceeded:
		return postgres.EventHandled, "nothing was credited: the payment is " + string(p.Status), nil
	case p.StripePaymentIntentID != event.StripePaymentIntentID:
		return postgres.EventIgnored, noteOtherIntent, nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return "", "", err
	}
	err = e.applyMoneyBack(ctx, p, cause, func() (moneyback.Answer, error) { return retrieveMoneyBack(ctx, stripe, event, e.Now()) })
	if _, refused := refusal(err); refused || errors.Is(err, errNotConfirmed) {
		return postgres.EventIgnored, errNotConfirmed.Error(), nil
	}
	return postgres.EventHandled, noteAsStripeSays, err
}

// paymentOf returns the payment that a refund or dispute belongs to. The event may name
// only the intent, and the payment's row may not have the intent's id yet. Then
// paymentOf retrieves the intent, because the intent names its payment.
func (e *Engine) paymentOf(ctx context.Context, event postgres.Event) (wallet.Payment, error) {
	p, err := postgres.FindPayment(ctx, e.Pool, event.Mode, event.StripePaymentIntentID, event.PaymentID)
	if !wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return p, err
	}
	stripe, stripeErr := e.stripe(event.Mode)
	if stripeErr != nil {
		return p, stripeErr
	}
	switch o := stripe.Retrieve(ctx, event.StripePaymentIntentID); {
	case o.Kind == wallet.OutcomeUnavailable:
		return p, e.tryLater(ctx, p, o)
	case o.Kind == wallet.OutcomeUnknown:
		return p, &UnknownOutcomeError{Reason: o.Reason}
	case o.PaymentID == wallet.ID{}:
		return p, err
	default:
		return postgres.FindPayment(ctx, e.Pool, event.Mode, event.StripePaymentIntentID, o.PaymentID)
	}
}

// settleFirst settles a payment that has not succeeded here although Stripe already
// returns its money. The event of its success has not arrived yet. It returns the
// payment after the settlement.
func (e *Engine) settleFirst(ctx context.Context, p wallet.Payment, intentID string, cause wallet.Cause) (wallet.Payment, error) {
	if p.Status == wallet.PaymentSucceeded {
		return p, nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return p, err
	}
	o := stripe.Retrieve(ctx, intentID)
	switch {
	case o.Kind == wallet.OutcomeMissing:
		return p, nil
	case o.Kind == wallet.OutcomeUnknown:
		return p, &UnknownOutcomeError{Reason: o.Reason}
	case unlinked(p, o):
		return p, nil
	}
	if err := e.conclude(ctx, p, o, cause); err != nil {
		return p, err
	}
	return postgres.GetPayment(ctx, e.Pool, p.ID)
}

// retrieveMoneyBack retrieves the object of an event from Stripe: one refund, one
// dispute, or all refunds of an intent if the object is a charge.
func retrieveMoneyBack(ctx context.Context, stripe Stripe, event postgres.Event, now time.Time) (moneyback.Answer, error) {
	switch {
	case strings.HasPrefix(event.Type, "charge.dispute."):
		d, err := stripe.GetDispute(ctx, event.ObjectID)
		if err == nil && d.IntentID != event.StripePaymentIntentID {
			err = errNotConfirmed
		}
		return moneyback.Answer{Disputes: []wallet.DisputeState{d}}, err
	case event.Type == "charge.refunded":
		return retrieveRefundsOf(ctx, stripe, event, now)
	default:
		r, err := stripe.GetRefund(ctx, event.ObjectID)
		if err == nil && r.IntentID != event.StripePaymentIntentID {
			err = errNotConfirmed
		}
		return moneyback.Answer{Refunds: []wallet.RefundState{r}}, err
	}
}

// longestListLag is how long Stripe's lists may omit a new object at most.
const longestListLag = time.Hour

// retrieveRefundsOf lists the refunds of an intent. It returns an error if the list is
// incomplete, which happens because lists lag behind. The list is complete when its
// refunds add up to the amount that the charge says was refunded.
//
// Failed refunds do not count, because they gave their amount back to the charge. In
// case Stripe's amount includes them, they count once longestListLag is over.
func retrieveRefundsOf(ctx context.Context, stripe Stripe, event postgres.Event, now time.Time) (moneyback.Answer, error) {
	refunded, err := stripe.AmountRefunded(ctx, event.ObjectID)
	if err != nil {
		return moneyback.Answer{}, err
	}
	refunds, err := stripe.RefundsOf(ctx, event.StripePaymentIntentID)
	if err != nil {
		return moneyback.Answer{}, err
	}
	failed := int64(0)
	for _, r := range refunds {
		if r.Status == wallet.RefundFailed || r.Status == wallet.RefundCanceled {
			failed += r.Amount
		} else {
			refunded -= r.Amount
		}
	}
	if refunded > failed || (refunded > 0 && now.Sub(event.CreatedAt) < longestListLag) {
		return moneyback.Answer{}, fmt.Errorf("refunds of %s are not listed yet", event.StripePaymentIntentID)
	}
	return moneyback.Answer{Refunds: refunds}, nil
}

// applyMoneyBack calls retrieve and applies its answer. It starts again when another
// answer was applied in the meantime, because that one may be newer.
func (e *Engine) applyMoneyBack(ctx context.Context, p wallet.Payment, cause wallet.Cause, retrieve func() (moneyback.Answer, error)) error {
	const tries = 10
	var bookings []moneyback.Booking
	for range tries {
		version, err := postgres.MoneyBackVersion(ctx, e.Pool, p.ID)
		if err != nil {
			return err
		}
		answer, err := retrieve()
		if err != nil {
			return err
		}
		err = e.inTx(ctx, func(tx pgx.Tx) error {
			bookings, err = postgres.ApplyMoneyBack(ctx, tx, postgres.MoneyBack{
				PaymentID: p.ID, Version: version, Refunds: answer.Refunds, Disputes: answer.Disputes, Now: e.Now(),
			})
			return err
		})
		if err == nil {
			e.logBookings(ctx, p, bookings, cause)
			return nil
		}
		if !errors.Is(err, moneyback.ErrOvertaken) {
			return err
		}
	}
	return fmt.Errorf("refunds and disputes of payment %s: %w", p.ID, moneyback.ErrOvertaken)
}

// logBookings logs each movement of money.
func (e *Engine) logBookings(ctx context.Context, p wallet.Payment, bookings []moneyback.Booking, cause wallet.Cause) {
	for _, b := range bookings {
		e.Log.InfoContext(ctx, "money went back",
			slog.String("payment_id", p.ID.String()),
			slog.String("request_id", p.RequestID),
			slog.String("wallet_id", p.WalletID.String()),
			slog.String("transfer", string(b.Kind)),
			slog.String("id", b.ID.String()),
			slog.String("stripe_id", b.StripeID),
			slog.Int64("amount", b.Amount),
			slog.Int64("balance", b.BalanceAfter),
			slog.String("currency", string(p.Currency)),
			slog.String("cause_kind", string(cause.Kind)),
			slog.String("cause_id", cause.ID))
	}
}
