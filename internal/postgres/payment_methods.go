package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// InsertPaymentMethod stores a saved card.
func InsertPaymentMethod(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, m wallet.PaymentMethod, fingerprint string) error {
	_, err := db.Exec(ctx, `
		insert into payment_methods (id, organization_id, mode, customer_id, stripe_payment_method_id, brand, last4,
			expiry_month, expiry_year, fingerprint, is_default, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''), $11, $12)`,
		m.ID, organizationID, mode, m.CustomerID, m.StripePaymentMethodID, m.Brand, m.Last4,
		m.ExpiryMonth, m.ExpiryYear, fingerprint, m.IsDefault, m.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert payment method: %w", err)
	}
	return nil
}

const paymentMethodColumns = `id, customer_id, stripe_payment_method_id, brand, last4, expiry_month, expiry_year,
	is_default, coalesce(error_code, '') as error_code, coalesce(error_message, '') as error_message, error_at, created_at`

// ListPaymentMethods returns a customer's saved cards, the default first and then the
// newest first.
func ListPaymentMethods(ctx context.Context, db DB, customerID wallet.ID) ([]wallet.PaymentMethod, error) {
	rows, _ := db.Query(ctx, `
		select `+paymentMethodColumns+`
		from payment_methods
		where customer_id = $1 and deleted_at is null
		order by is_default desc, id desc`, customerID)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[wallet.PaymentMethod])
	if err != nil {
		return nil, fmt.Errorf("list payment methods of customer %s: %w", customerID, err)
	}
	return nonNil(list), nil
}

// GetPaymentMethod returns a saved card of a customer. The error is
// CodePaymentMethodNotFound if the card is unknown, was removed, or is another customer's.
// Callers cannot distinguish these cases, so that they do not learn of other customers'
// cards.
func GetPaymentMethod(ctx context.Context, db DB, customerID, id wallet.ID) (wallet.PaymentMethod, error) {
	rows, _ := db.Query(ctx, `
		select `+paymentMethodColumns+`
		from payment_methods
		where id = $1 and customer_id = $2 and deleted_at is null`, id, customerID)
	return collectPaymentMethod(rows, id)
}

// FindPaymentMethod returns a saved card of a customer, also one that was removed.
func FindPaymentMethod(ctx context.Context, db DB, customerID, id wallet.ID) (wallet.PaymentMethod, error) {
	rows, _ := db.Query(ctx, `
		select `+paymentMethodColumns+`
		from payment_methods
		where id = $1 and customer_id = $2`, id, customerID)
	return collectPaymentMethod(rows, id)
}

// CardOf is a question to OwnCards: whether a saved card belongs to a customer.
type CardOf struct {
	CustomerID      wallet.ID
	PaymentMethodID wallet.ID
}

// OwnCards reports for each question whether GetPaymentMethod would find the card.
func OwnCards(ctx context.Context, db DB, questions []CardOf) ([]bool, error) {
	customers, ids := make([]wallet.ID, len(questions)), make([]wallet.ID, len(questions))
	for i, q := range questions {
		customers[i], ids[i] = q.CustomerID, q.PaymentMethodID
	}
	rows, _ := db.Query(ctx, `
		select i.position
		from unnest($1::uuid[], $2::uuid[]) with ordinality as i (customer_id, id, position)
		join payment_methods m on m.id = i.id and m.customer_id = i.customer_id
		where m.deleted_at is null`, customers, ids)
	own := make([]bool, len(questions))
	var position int
	_, err := pgx.ForEachRow(rows, []any{&position}, func() error {
		own[position-1] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find %d payment methods: %w", len(questions), err)
	}
	return own, nil
}

func collectPaymentMethod(rows pgx.Rows, id wallet.ID) (wallet.PaymentMethod, error) {
	m, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[wallet.PaymentMethod])
	if errors.Is(err, pgx.ErrNoRows) {
		return m, &wallet.Error{
			Code:    wallet.CodePaymentMethodNotFound,
			Message: "Payment method not found or does not belong to this wallet.",
		}
	}
	if err != nil {
		return m, fmt.Errorf("find payment method %s: %w", id, err)
	}
	return m, nil
}

// SetDefaultPaymentMethod makes a saved card the customer's default, which is charged if a
// request names no card. The error is CodePaymentMethodNotFound as for GetPaymentMethod.
func SetDefaultPaymentMethod(ctx context.Context, tx pgx.Tx, customerID, id wallet.ID) (wallet.PaymentMethod, error) {
	// Without the lock two concurrent requests could each set a default.
	if _, err := tx.Exec(ctx, `select from customers where id = $1 for no key update`, customerID); err != nil {
		return wallet.PaymentMethod{}, fmt.Errorf("lock customer %s: %w", customerID, err)
	}
	m, err := GetPaymentMethod(ctx, tx, customerID, id)
	if err != nil {
		return m, err
	}
	_, err = tx.Exec(ctx, `update payment_methods set is_default = false where customer_id = $1 and id <> $2 and is_default`, customerID, id)
	if err != nil {
		return m, fmt.Errorf("make payment method %s the default: %w", id, err)
	}
	// The card may have been removed since it was read.
	rows, _ := tx.Query(ctx, `
		update payment_methods set is_default = true
		where customer_id = $1 and id = $2 and deleted_at is null
		returning `+paymentMethodColumns, customerID, id)
	return collectPaymentMethod(rows, id)
}

// RemovePaymentMethod removes a saved card from its customer. Its payments stay. If it was
// the default, the customer has no default afterwards. The error is
// CodePaymentMethodNotFound as for GetPaymentMethod.
func RemovePaymentMethod(ctx context.Context, db DB, customerID, id wallet.ID, now time.Time) (wallet.PaymentMethod, error) {
	rows, _ := db.Query(ctx, `
		update payment_methods
		set deleted_at = $3, is_default = false
		where id = $1 and customer_id = $2 and deleted_at is null
		returning `+paymentMethodColumns, id, customerID, now)
	return collectPaymentMethod(rows, id)
}

// KeepCard stores a card that was found at Stripe, unless it is stored already or was
// removed. The first card of a customer becomes its default. The result reports whether
// the card was stored.
func KeepCard(ctx context.Context, tx pgx.Tx, c Customer, m wallet.PaymentMethod, fingerprint string) (bool, error) {
	// Without the lock two concurrent calls could each store a default.
	if _, err := tx.Exec(ctx, `select from customers where id = $1 for no key update`, c.ID); err != nil {
		return false, fmt.Errorf("lock customer %s: %w", c.ID, err)
	}
	tag, err := tx.Exec(ctx, `
		insert into payment_methods (id, organization_id, mode, customer_id, stripe_payment_method_id, brand, last4,
			expiry_month, expiry_year, fingerprint, is_default, created_at)
		select $1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''), not exists (select from payment_methods where customer_id = $4), $11
		on conflict (mode, stripe_payment_method_id) do nothing`,
		m.ID, c.OrganizationID, c.Mode, c.ID, m.StripePaymentMethodID, m.Brand, m.Last4,
		m.ExpiryMonth, m.ExpiryYear, fingerprint, m.CreatedAt)
	if err != nil {
		return false, fmt.Errorf("keep card of customer %s: %w", c.ID, err)
	}
	return tag.RowsAffected() == 1, nil
}
