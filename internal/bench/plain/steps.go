package plain

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

// accept stores a payment with the job that charges it.
func (p *program) accept(ctx context.Context, key string, method wallet.ID, amount int64) (wallet.ID, error) {
	payment, transaction, now := wallet.NewID(), wallet.NewID(), p.now()
	hash := sha256.Sum256([]byte(key))
	var organization, into wallet.ID
	err := p.pool.QueryRow(ctx, `
		select k.organization_id, w.id
		from api_keys k
		join wallets w on w.organization_id = k.organization_id and w.mode = k.mode and w.is_primary
		join payment_methods m on m.customer_id = w.customer_id and m.id = $2 and m.deleted_at is null
		where k.key_hash = $1 and k.revoked_at is null`, hash[:], method).Scan(&organization, &into)
	if err != nil {
		return payment, err
	}
	return payment, pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status,
				amount, credit_amount, created_at)
			values ($1, $2, 'test', $3, 'inbound', 'purchased', 'pending', $4, $4::bigint / 100.0, $5)`,
			transaction, organization, into, amount, now)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
				return_url, status, next_check_at, created_at, updated_at)
			values ($1, $2, 'test', $3, $4, $5, $6, 'USD', $7, 'created', $8, $9, $9)`,
			payment, organization, into, transaction, method, amount, p.publicURL+"/return", now.Add(time.Minute), now)
		if err != nil {
			return err
		}
		_, err = p.river.InsertTx(ctx, tx, chargeArgs{PaymentID: payment}, nil)
		return err
	})
}

type chargeArgs struct {
	PaymentID wallet.ID `json:"payment_id"`
}

// Kind implements river.JobArgs.
func (chargeArgs) Kind() string { return "plain_charge" }

type chargeWorker struct {
	river.WorkerDefaults[chargeArgs]
	program *program
}

// Work charges the card and stores the intent's id. The webhook settles the
// payment.
func (w *chargeWorker) Work(ctx context.Context, job *river.Job[chargeArgs]) error {
	p := w.program
	request := stripeapi.ChargeRequest{PaymentID: job.Args.PaymentID, Attempt: 1}
	err := p.pool.QueryRow(ctx, `
		select p.wallet_id, p.organization_id, p.amount, p.currency, p.return_url, m.stripe_payment_method_id, c.stripe_customer_id
		from payments p
		join payment_methods m on m.id = p.payment_method_id
		join customers c on c.id = m.customer_id
		where p.id = $1`, job.Args.PaymentID).Scan(&request.WalletID, &request.OrganizationID, &request.Amount, &request.Currency,
		&request.ReturnURL, &request.PaymentMethodID, &request.CustomerID)
	if err != nil {
		return err
	}
	o := p.stripe.Charge(ctx, request)
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		switch o.Kind {
		case wallet.OutcomeSucceeded:
			_, err = tx.Exec(ctx, `
				update payments set stripe_payment_intent_id = $2, updated_at = $3 where id = $1 and status = 'created'`,
				job.Args.PaymentID, o.IntentID, p.now())
		case wallet.OutcomeRequiresAction:
			err = p.challenge(ctx, tx, job, o)
		default:
			return fmt.Errorf("stripe says %s: %s", o.Kind, o.Reason)
		}
		if err != nil {
			return err
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
}

func (p *program) challenge(ctx context.Context, tx pgx.Tx, job *river.Job[chargeArgs], o wallet.Outcome) error {
	now := p.now()
	_, err := tx.Exec(ctx, `
		update payments
		set status = 'requires_action', stripe_payment_intent_id = $2, redirect_url = $3, action_deadline_at = $4, updated_at = $5
		where id = $1 and status = 'created'`, job.Args.PaymentID, o.IntentID, o.RedirectURL, now.Add(time.Hour), now)
	if err != nil {
		return err
	}
	return move(ctx, tx, job.Args.PaymentID, "created", "requires_action", job.ID, now)
}

func move(ctx context.Context, tx pgx.Tx, payment wallet.ID, from, to string, job int64, now time.Time) error {
	_, err := tx.Exec(ctx, `
		insert into payment_moves (payment_id, from_status, to_status, cause_kind, cause_id, moved_at)
		values ($1, $2, $3, 'job', $4::bigint::text, $5)`, payment, from, to, job, now)
	return err
}

// storeEvent stores an event with the job that settles its payment. A repeated
// event has no effect.
func (p *program) storeEvent(ctx context.Context, e postgres.Event) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			insert into stripe_events (id, mode, type, api_version, object_id, stripe_payment_intent_id, payment_id, status, source,
				body, created_at, received_at, due_at, handled_at)
			values ($1, 'test', $2, $3, $4, $5, $6, 'handled', 'webhook', $7, $8, $9, $9, $9)
			on conflict do nothing`,
			e.ID, e.Type, e.APIVersion, e.ObjectID, e.StripePaymentIntentID, e.PaymentID, e.Body, e.CreatedAt, p.now())
		if err != nil || tag.RowsAffected() == 0 || e.Type != "payment_intent.succeeded" {
			return err
		}
		args := settleArgs{IntentID: e.StripePaymentIntentID, PaymentID: e.PaymentID}
		var event struct {
			Data struct {
				Object struct {
					AmountReceived int64 `json:"amount_received"`
				} `json:"object"`
			} `json:"data"`
		}
		if err := json.Unmarshal(e.Body, &event); err != nil {
			return err
		}
		args.Received = event.Data.Object.AmountReceived
		_, err = p.river.InsertTx(ctx, tx, args, nil)
		return err
	})
}

type settleArgs struct {
	IntentID  string    `json:"intent_id"`
	PaymentID wallet.ID `json:"payment_id"`
	Received  int64     `json:"received"`
}

// Kind implements river.JobArgs.
func (settleArgs) Kind() string { return "plain_settle" }

type settleWorker struct {
	river.WorkerDefaults[settleArgs]
	program *program
}

// Work credits the wallet, with one statement per table.
func (w *settleWorker) Work(ctx context.Context, job *river.Job[settleArgs]) error {
	return pgx.BeginFunc(ctx, w.program.pool, func(tx pgx.Tx) error {
		if err := w.program.settle(ctx, tx, job); err != nil {
			return err
		}
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
}

func (p *program) settle(ctx context.Context, tx pgx.Tx, job *river.Job[settleArgs]) error {
	a, now := job.Args, p.now()
	var (
		into, organization, transaction wallet.ID
		status                          string
		balance                         int64
	)
	err := tx.QueryRow(ctx, `
		select wallet_id, organization_id, wallet_transaction_id, status from payments where id = $1 for no key update`, a.PaymentID).
		Scan(&into, &organization, &transaction, &status)
	if err != nil || status == "succeeded" {
		return err
	}
	err = tx.QueryRow(ctx, `
		update wallets set balance = balance + $2, credits_balance = credits_balance + $2::bigint / 100.0, updated_at = $3
		where id = $1 returning balance`, into, a.Received, now).Scan(&balance)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		update payments
		set status = 'succeeded', stripe_payment_intent_id = $2, amount_received = $3, balance_after = $4, next_check_at = null,
			succeeded_at = $5, updated_at = $5
		where id = $1`, a.PaymentID, a.IntentID, a.Received, balance, now)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		update wallet_transactions set status = 'settled', remaining_amount = amount, settled_at = $2 where id = $1`, transaction, now)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into transfers (debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id, created_at)
		select id, $2, $3, 'USD', 'settlement', $4, $5, $6
		from accounts where organization_id = $1 and mode = 'test' and currency = 'USD' and kind = 'stripe_clearing'`,
		organization, into, a.Received, a.PaymentID, transaction, now)
	if err != nil {
		return err
	}
	return move(ctx, tx, a.PaymentID, status, "succeeded", job.ID, now)
}
