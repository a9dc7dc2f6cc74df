package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// SyncCustomerArgs asks for a customer to be known at Stripe, and for the cards
// that Stripe has of it to be known here.
type SyncCustomerArgs struct {
	CustomerID wallet.ID `json:"customer_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (SyncCustomerArgs) Kind() string { return "sync_customer" }

// InsertOpts puts the job where no charge waits for it.
func (SyncCustomerArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 8, Queue: QueueCheck}
}

// SyncCustomerWorker makes a customer at Stripe, unless there is one, and takes
// over its cards.
type SyncCustomerWorker struct {
	river.WorkerDefaults[SyncCustomerArgs]
	Engine *Engine
}

// Work is safe to run twice: Stripe gives the same customer for the same request,
// and a card that is known stays as it is, also one that was removed here.
func (w *SyncCustomerWorker) Work(ctx context.Context, job *river.Job[SyncCustomerArgs]) error {
	e := w.Engine
	customer, err := postgres.GetCustomer(ctx, e.Pool, job.Args.CustomerID)
	if wallet.HasCode(err, wallet.CodeCustomerNotFound) {
		return river.JobCancel(err)
	}
	if err != nil {
		return err
	}
	stripe, err := e.stripe(customer.Mode)
	if err != nil {
		return err
	}
	if customer.StripeCustomerID == "" {
		if customer.StripeCustomerID, err = e.makeCustomer(ctx, stripe, customer); err != nil {
			return refusedOrLater(err)
		}
	}
	cards, err := stripe.ListPaymentMethods(ctx, customer.StripeCustomerID)
	if err != nil {
		return refusedOrLater(err)
	}
	return e.keepCards(ctx, customer, cards)
}

func (e *Engine) makeCustomer(ctx context.Context, stripe Stripe, customer postgres.Customer) (string, error) {
	id, err := stripe.CreateCustomer(ctx, stripeapi.CustomerRequest{
		CustomerID: customer.ID, OrganizationID: customer.OrganizationID, ExternalID: customer.ExternalID,
		Email: customer.Email, Name: customer.Name,
	})
	if err != nil {
		return "", err
	}
	return postgres.LinkStripeCustomer(ctx, e.Pool, customer.ID, id, e.Now())
}

func (e *Engine) keepCards(ctx context.Context, customer postgres.Customer, cards []stripeapi.PaymentMethod) error {
	return e.inTx(ctx, func(tx pgx.Tx) error {
		for _, card := range cards {
			kept, err := postgres.KeepCard(ctx, tx, customer, wallet.PaymentMethod{
				ID: wallet.NewID(), StripePaymentMethodID: card.ID, Brand: card.Brand, Last4: card.Last4,
				ExpiryMonth: card.ExpiryMonth, ExpiryYear: card.ExpiryYear, CreatedAt: e.Now(),
			}, card.Fingerprint)
			if err != nil {
				return err
			}
			if kept {
				e.Log.InfoContext(ctx, "card saved", slog.String("customer_id", customer.ID.String()))
			}
		}
		return nil
	})
}

// refusedOrLater gives up what Stripe refuses, because a repetition cannot help.
func refusedOrLater(err error) error {
	if refused, ok := errors.AsType[*stripeapi.Error](err); ok && refused.Kind == wallet.OutcomeRejected {
		return river.JobCancel(err)
	}
	return orLater(err)
}

// SyncCustomer has a customer made known at Stripe, and its cards here, as soon as
// the transaction is committed.
func (e *Engine) SyncCustomer(ctx context.Context, tx pgx.Tx, customerID wallet.ID) error {
	err := e.insertJobs(ctx, tx, []river.InsertManyParams{{Args: SyncCustomerArgs{CustomerID: customerID}}})
	if err == nil {
		e.wakes.wake(QueueCheck)
	}
	return err
}

// saveCardOf takes over the card with which somebody has paid on a page.
func (e *Engine) saveCardOf(ctx context.Context, p wallet.Payment) error {
	w, err := postgres.GetWallet(ctx, e.Pool, p.WalletID)
	if err != nil {
		return err
	}
	err = e.inTx(ctx, func(tx pgx.Tx) error { return e.SyncCustomer(ctx, tx, w.CustomerID) })
	if err != nil {
		return fmt.Errorf("save card of payment %s: %w", p.ID, err)
	}
	return nil
}
