package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// searchLimit is how many rows of each sort a search finds, at most.
const searchLimit = 20

// SearchPayments finds the newest payments of a mode that an id belongs to: a
// payment's own, its transaction's, its invoice's, one of its refunds', or Stripe's
// id of its intent, charge, checkout session, or of a refund or dispute. Ids that
// are no UUID are given as the zero id.
func SearchPayments(ctx context.Context, db postgres.DB, mode wallet.Mode, id wallet.ID, stripeID string) ([]PaymentRow, error) {
	return searchPayments(ctx, db, `
		select id from payments where id = @id and mode = @mode
		union
		select id from payments where wallet_transaction_id = @id and mode = @mode
		union
		select id from payments where stripe_payment_intent_id = @stripe and mode = @mode
		union
		select id from payments where stripe_charge_id = @stripe and mode = @mode
		union
		select id from payments where stripe_checkout_session_id = @stripe and mode = @mode
		union
		select payment_id from refunds where (id = @id or stripe_refund_id = @stripe) and mode = @mode
		union
		select payment_id from disputes where (id = @id or stripe_dispute_id = @stripe) and mode = @mode
		union
		select p.id from invoices i join payments p on p.wallet_transaction_id = i.wallet_transaction_id
		where i.id = @id and i.mode = @mode`,
		pgx.NamedArgs{"mode": mode, "id": id, "stripe": stripeID})
}

// SearchPaymentsByKey finds the payments that an Idempotency-Key stands for, of any
// organization.
func SearchPaymentsByKey(ctx context.Context, db postgres.DB, mode wallet.Mode, key string) ([]PaymentRow, error) {
	// The primary key begins with organization, mode and operation; there are few
	// of each.
	return searchPayments(ctx, db, `
		with recursive scopes as (
			(select organization_id, mode, operation from idempotency_keys
			order by organization_id, mode, operation limit 1)
			union all
			select n.organization_id, n.mode, n.operation from scopes s
			cross join lateral (
				select organization_id, mode, operation from idempotency_keys
				where (organization_id, mode, operation) > (s.organization_id, s.mode, s.operation)
				order by organization_id, mode, operation limit 1
			) n
		)
		select k.payment_id as id from scopes s
		join idempotency_keys k on k.organization_id = s.organization_id and k.mode = s.mode
			and k.operation = s.operation and k.key = @key
		where s.mode = @mode`, pgx.NamedArgs{"mode": mode, "key": key})
}

// SearchPaymentsByCard finds the newest payments with cards that end in four digits.
func SearchPaymentsByCard(ctx context.Context, db postgres.DB, mode wallet.Mode, last4 string) ([]PaymentRow, error) {
	return searchPayments(ctx, db, `
		with cards as (
			select id, customer_id from payment_methods
			where mode = @mode and last4 = @last4 order by id desc limit 100
		)
		select p.id
		from (select distinct w.id from wallets w join cards c on c.customer_id = w.customer_id) w
		cross join lateral (
			select id, payment_method_id from payments p where p.wallet_id = w.id order by p.id desc limit 20
		) p
		where p.payment_method_id in (select id from cards)`, pgx.NamedArgs{"mode": mode, "last4": last4})
}

// amountWindow is how many payments of a day are looked at for an amount.
const amountWindow = 100_000

// SearchPaymentsByAmount finds the newest payments of one of several amounts, in
// minor units, that were accepted in a period. No index has the amounts: it reads
// the period's newest 100,000 payments, and tells whether that were all of them.
func SearchPaymentsByAmount(
	ctx context.Context, db postgres.DB, mode wallet.Mode, amounts []int64, from, until time.Time,
) (list []PaymentRow, complete bool, err error) {
	args := pgx.NamedArgs{
		"mode": mode, "amounts": amounts, "from": wallet.FirstID(from), "until": wallet.FirstID(until), "window": amountWindow,
	}
	list, err = searchPayments(ctx, db, `
		select id from (
			select id, amount, mode from payments where id >= @from and id < @until order by id desc limit @window
		) p where p.mode = @mode and p.amount = any (@amounts)`, args)
	if err != nil {
		return nil, false, err
	}
	err = db.QueryRow(ctx, `
		select not exists (
			select from payments where id >= @from and id < @until order by id desc offset @window limit 1
		)`, args).Scan(&complete)
	if err != nil {
		return nil, false, fmt.Errorf("search payments: %w", err)
	}
	return list, complete, nil
}

func searchPayments(ctx context.Context, db postgres.DB, ids string, args pgx.NamedArgs) ([]PaymentRow, error) {
	args["limit"] = searchLimit
	rows, _ := db.Query(ctx, `
		select `+paymentRowColumns+`
		from (select id from (`+ids+`) f order by id desc limit @limit) found
		join payments p on p.id = found.id`+paymentRowJoins+`
		order by p.id desc`, args)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PaymentRow])
	if err != nil {
		return nil, fmt.Errorf("search payments: %w", err)
	}
	return list, nil
}

// SearchCustomers finds the newest customers of a mode by the id of theirs that is
// given: ours, the merchant's, Stripe's, that of a saved card in either spelling, or
// an e-mail address in any case.
func SearchCustomers(ctx context.Context, db postgres.DB, mode wallet.Mode, id wallet.ID, text, email string) ([]CustomerRow, error) {
	rows, _ := db.Query(ctx, `
		with found as (
			select id from customers where id = $2 and mode = $1
			union
			select c.id from organizations o
			cross join lateral (
				select id from customers c where c.organization_id = o.id and c.mode = $1 and c.external_id = $3
			) c
			union
			select id from customers where mode = $1 and stripe_customer_id = $3
			union
			select customer_id from payment_methods where mode = $1 and (id = $2 or stripe_payment_method_id = $3)
			union
			(select id from customers where mode = $1 and lower(email) = lower($4) order by id desc limit $5)
		)
		select `+customerRowColumns+`
		from (select id from found order by id desc limit $5) f
		join customers c on c.id = f.id
		join organizations o on o.id = c.organization_id
		order by c.id desc`, mode, id, text, email, searchLimit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[CustomerRow])
	if err != nil {
		return nil, fmt.Errorf("search customers: %w", err)
	}
	return list, nil
}

// SearchEvents finds stored events of a mode by their own id, or by that of the
// object they are about, among the newest ListWindow.
func SearchEvents(ctx context.Context, db postgres.DB, mode wallet.Mode, id string) ([]EventRow, error) {
	rows, _ := db.Query(ctx, `
		with recent as (
			select id, object_id from stripe_events where mode = $1 order by received_at desc, id limit $3
		)
		select `+eventRowColumns+`
		from stripe_events e
		where e.mode = $1 and e.id in (select $2 union select id from recent where object_id = $2)
		order by e.received_at desc
		limit $4`, mode, id, ListWindow, searchLimit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[EventRow])
	if err != nil {
		return nil, fmt.Errorf("search events: %w", err)
	}
	return list, nil
}

// Whereabouts is what an id names.
type Whereabouts struct {
	Kind string // payment, wallet, customer, transaction, card or event
	Mode wallet.Mode
}

// Locate tells what an id names, in whichever mode. It is how a search knows to
// propose the other mode; nothing else of that row is shown.
func Locate(ctx context.Context, db postgres.DB, id wallet.ID, stripeID string) ([]Whereabouts, error) {
	rows, _ := db.Query(ctx, `
		select 'payment', mode from payments where id = $1
		union select 'payment', mode from payments where wallet_transaction_id = $1
		union select 'payment', mode from payments where stripe_payment_intent_id = $2
		union select 'payment', mode from payments where stripe_charge_id = $2
		union select 'payment', mode from refunds where id = $1 or stripe_refund_id = $2
		union select 'payment', mode from disputes where id = $1 or stripe_dispute_id = $2
		union select 'payment', mode from invoices where id = $1
		union select 'wallet', mode from wallets where id = $1
		union select 'customer', mode from customers where id = $1
		union select 'customer', mode from customers where mode in ('live', 'test') and stripe_customer_id = $2
		union select 'card', mode from payment_methods where id = $1
		union select 'event', mode from stripe_events where id = $2`, id, stripeID)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Whereabouts])
	if err != nil {
		return nil, fmt.Errorf("locate %s: %w", id, err)
	}
	return list, nil
}

// Day is the range of time of a day in UTC.
func Day(at time.Time) (from, until time.Time) {
	from = at.UTC().Truncate(24 * time.Hour)
	return from, from.Add(24 * time.Hour)
}
