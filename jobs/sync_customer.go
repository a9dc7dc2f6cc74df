package jobs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// SyncCustomerArgs names a customer to create at Stripe, and whose cards at Stripe are to
// be stored here.
type SyncCustomerArgs struct {
	CustomerID wallet.ID `json:"customer_id"`
}

// Kind is stored with every job. Renaming it strands the jobs in flight.
func (SyncCustomerArgs) Kind() string { return "sync_customer" }

// InsertOpts puts the job on a queue where it delays no charge.
func (SyncCustomerArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 8, Queue: QueueCheck}
}

// SyncCustomerWorker creates a customer at Stripe, unless it exists, and stores its
// cards.
type SyncCustomerWorker struct {
	river.WorkerDefaults[SyncCustomerArgs]
	Engine *Engine
}

// Work is safe to run twice. Stripe returns the same customer for the same request, and
// a stored card stays as it is, even one that was removed.
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
		if customer.StripeCustomerID, err = e.createCustomer(ctx, stripe, customer); err != nil {
			return cancelIfRefused(err)
		}
	}
	cards, err := stripe.ListPaymentMethods(ctx, customer.StripeCustomerID)
	if err != nil {
		return cancelIfRefused(err)
	}
	return e.storeCards(ctx, customer, cards)
}

func (e *Engine) createCustomer(ctx context.Context, stripe Stripe, customer postgres.Customer) (string, error) {
	id, err := stripe.CreateCustomer(ctx, stripeapi.CustomerRequest{
		CustomerID: customer.ID, OrganizationID: customer.OrganizationID, ExternalID: customer.ExternalID,
		Email: customer.Email, Name: customer.Name,
	})
	if err != nil {
		return "", err
	}
	return postgres.LinkStripeCustomer(ctx, e.Pool, customer.ID, id, e.Now())
}

func (e *Engine) storeCards(ctx context.Context, customer postgres.Customer, cards []stripeapi.PaymentMethod) error {
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

// cancelIfRefused cancels the job if Stripe refused the request, because a repetition
// cannot help.
func cancelIfRefused(err error) error {
	if _, refused := refusal(err); refused {
		return river.JobCancel(err)
	}
	return err
}

// SyncCustomer inserts the job that syncs a customer, in the caller's transaction.
func (e *Engine) SyncCustomer(ctx context.Context, tx pgx.Tx, customerID wallet.ID) error {
	err := e.insertJobs(ctx, tx, []river.InsertManyParams{{Args: SyncCustomerArgs{CustomerID: customerID}}})
	if err == nil {
		e.wakes.wake(QueueCheck)
	}
	return err
}

// saveCardOf inserts the job that stores the card which the cardholder used on a
// payment page.
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
