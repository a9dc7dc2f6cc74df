package views

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// searchLimit is the largest number of rows of each kind that a search returns.
const searchLimit = 20

// SearchPayments finds the newest payments of a mode by an id. id is the id of the payment,
// its transaction, its invoice, or one of its refunds or disputes; zero if the text that
// the user entered is no such id. stripeID is Stripe's id of its intent, charge, checkout
// session, or one of its refunds or disputes.
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

// SearchPaymentsByKey finds the payments of an Idempotency-Key, in all organizations.
func SearchPaymentsByKey(ctx context.Context, db postgres.DB, mode wallet.Mode, key string) ([]PaymentRow, error) {
	// The primary key begins with organization, mode and operation. There are few
	// combinations, so the query skips through them and looks up the key in each.
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

// amountWindow is the largest number of payments that a search by amount reads.
const amountWindow = 100_000

// SearchPaymentsByAmount finds the newest payments with one of the amounts, in minor units,
// that were accepted in a period. No index has the amounts, so it reads the newest 100,000
// payments of the period. complete reports whether that were all.
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
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[PaymentRow])
	if err != nil {
		return nil, fmt.Errorf("search payments: %w", err)
	}
	return list, nil
}

// SearchCustomers finds the newest customers of a mode by an id or an e-mail address. id is
// the id of the customer or of a saved card. text is the merchant's or Stripe's id of the
// customer, or Stripe's id of a card. The e-mail address matches in any case.
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
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[CustomerRow])
	if err != nil {
		return nil, fmt.Errorf("search customers: %w", err)
	}
	return list, nil
}

// SearchEvents finds stored events of a mode by their id. Among the newest ListWindow events
// it also finds those about the object with the id.
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
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[EventRow])
	if err != nil {
		return nil, fmt.Errorf("search events: %w", err)
	}
	return list, nil
}

// Location is the kind and mode of a row that has an id.
type Location struct {
	Kind string // card, customer, event, payment or wallet
	Mode wallet.Mode
}

// Locate finds the rows that have an id, in both modes. A search uses it to propose the
// other mode, and shows nothing else of such a row.
func Locate(ctx context.Context, db postgres.DB, id wallet.ID, stripeID string) ([]Location, error) {
	rows, _ := db.Query(ctx, `
		select 'payment' as kind, mode from payments where id = $1
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
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Location])
	if err != nil {
		return nil, fmt.Errorf("locate %s: %w", id, err)
	}
	return list, nil
}

// Day returns the beginning and the end of the day of at, in UTC.
func Day(at time.Time) (from, until time.Time) {
	from = at.UTC().Truncate(24 * time.Hour)
	return from, from.Add(24 * time.Hour)
}
