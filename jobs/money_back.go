package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// returned is what Stripe says now of refunds and disputes.
type returned struct {
	refunds  []wallet.RefundState
	disputes []wallet.DisputeState
}

// errNotConfirmed reports that Stripe does not say what an event says.
var errNotConfirmed = errors.New("stripe does not confirm it")

// handleMoneyBack looks after an event about a refund or a dispute. It asks Stripe
// for the object, and applies that.
func (e *Engine) handleMoneyBack(ctx context.Context, event postgres.Event) (postgres.EventStatus, string, error) {
	p, err := e.paymentOf(ctx, event)
	if wallet.HasCode(err, wallet.CodePaymentNotFound) {
		return postgres.EventIgnored, "no payment of ours", nil
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
		return postgres.EventIgnored, "the payment was credited for another intent", nil
	}
	stripe, err := e.stripe(p.Mode)
	if err != nil {
		return "", "", err
	}
	err = e.applyMoneyBack(ctx, p, cause, func() (returned, error) { return askMoneyBack(ctx, stripe, event, e.Now()) })
	refusal, ok := errors.AsType[*stripeapi.Error](err)
	if errors.Is(err, errNotConfirmed) || ok && refusal.Kind == wallet.OutcomeRejected {
		return postgres.EventIgnored, errNotConfirmed.Error(), nil
	}
	return postgres.EventHandled, "as Stripe says", orLater(err)
}

// paymentOf finds the payment that a refund or dispute belongs to. The event may
// name nothing but the intent, and our row may not know that yet; the intent knows
// its payment.
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
		return p, e.later(ctx, p, o)
	case o.Kind == wallet.OutcomeUnknown:
		return p, &UnknownOutcomeError{Reason: o.Reason}
	case o.PaymentID == wallet.ID{}:
		return p, err
	default:
		return postgres.FindPayment(ctx, e.Pool, event.Mode, event.StripePaymentIntentID, o.PaymentID)
	}
}

// settleFirst credits a payment whose money is on its way back before we have
// heard that it came. It returns the payment as it stands then.
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
	case p.StripePaymentIntentID == "" && o.PaymentID != p.ID && o.Kind != wallet.OutcomeUnavailable:
		return p, nil // the intent does not name the payment
	}
	if err := e.conclude(ctx, p, o, cause); err != nil {
		return p, err
	}
	return postgres.GetPayment(ctx, e.Pool, p.ID)
}

// askMoneyBack asks Stripe for what the event is about: one refund, one dispute,
// or for an event about a charge all refunds of its intent.
func askMoneyBack(ctx context.Context, stripe Stripe, event postgres.Event, now time.Time) (returned, error) {
	switch {
	case strings.HasPrefix(event.Type, "charge.dispute."):
		d, err := stripe.GetDispute(ctx, event.ObjectID)
		if err == nil && d.IntentID != event.StripePaymentIntentID {
			err = errNotConfirmed
		}
		return returned{disputes: []wallet.DisputeState{d}}, err
	case event.Type == "charge.refunded":
		return askRefundsOf(ctx, stripe, event, now)
	default:
		r, err := stripe.GetRefund(ctx, event.ObjectID)
		if err == nil && r.IntentID != event.StripePaymentIntentID {
			err = errNotConfirmed
		}
		return returned{refunds: []wallet.RefundState{r}}, err
	}
}

// longestListLag is when a list of Stripe's shows what there is for certain.
const longestListLag = time.Hour

// askRefundsOf lists the refunds of an intent. The charge tells how much they must
// be together, because lists lag behind. A refund that failed gave its amount back
// to the charge, so it must not stand for one that is not listed yet; should Stripe
// count it after all, the list is believed once it is old enough.
func askRefundsOf(ctx context.Context, stripe Stripe, event postgres.Event, now time.Time) (returned, error) {
	refunded, err := stripe.AmountRefunded(ctx, event.ObjectID)
	if err != nil {
		return returned{}, err
	}
	refunds, err := stripe.RefundsOf(ctx, event.StripePaymentIntentID)
	if err != nil {
		return returned{}, err
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
		return returned{}, fmt.Errorf("refunds of %s are not listed yet", event.StripePaymentIntentID)
	}
	return returned{refunds: refunds}, nil
}

// applyMoneyBack asks Stripe and applies the answer, and asks again when another
// answer was applied meanwhile, which may be the newer one.
func (e *Engine) applyMoneyBack(ctx context.Context, p wallet.Payment, cause wallet.Cause, ask func() (returned, error)) error {
	const tries = 10
	var bookings []postgres.Booking
	for range tries {
		version, err := postgres.MoneyBackVersion(ctx, e.Pool, p.ID)
		if err != nil {
			return err
		}
		said, err := ask()
		if err != nil {
			return err
		}
		err = e.inTx(ctx, func(tx pgx.Tx) error {
			bookings, err = postgres.ApplyMoneyBack(ctx, tx, postgres.MoneyBack{
				PaymentID: p.ID, Version: version, Refunds: said.refunds, Disputes: said.disputes, Now: e.Now(),
			})
			return err
		})
		if err == nil {
			e.logBookings(ctx, p, bookings, cause)
			return nil
		}
		if !errors.Is(err, postgres.ErrOvertaken) {
			return err
		}
	}
	return fmt.Errorf("refunds and disputes of payment %s: %w", p.ID, postgres.ErrOvertaken)
}

func (e *Engine) logBookings(ctx context.Context, p wallet.Payment, bookings []postgres.Booking, cause wallet.Cause) {
	for _, b := range bookings {
		e.Log.InfoContext(ctx, "money went back",
			slog.String("payment_id", p.ID.String()),
			slog.String("request_id", p.RequestID),
			slog.String("wallet_id", p.WalletID.String()),
			slog.String("transfer", b.Kind),
			slog.String("id", b.ID.String()),
			slog.String("stripe_id", b.StripeID),
			slog.Int64("amount", b.Amount),
			slog.Int64("balance", b.BalanceAfter),
			slog.String("currency", string(p.Currency)),
			slog.String("cause_kind", string(cause.Kind)),
			slog.String("cause_id", cause.ID))
	}
}
