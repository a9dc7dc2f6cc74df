package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Customer owns wallets. ExternalID is the merchant's id for the customer.
type Customer struct {
	ID               wallet.ID
	OrganizationID   wallet.ID
	Mode             wallet.Mode
	ExternalID       string
	Email            string
	Name             string
	Firstname        string
	Lastname         string
	Currency         wallet.Currency // of new wallets whose request has no currency; may be empty
	Timezone         string          // for the dates of the customer's invoices
	StripeCustomerID string
	// Profile is a JSON object that the merchant chose. Nothing depends on its contents.
	Profile   json.RawMessage
	CreatedAt time.Time
	UpdatedAt time.Time
}

// InsertCustomer stores a new customer.
func InsertCustomer(ctx context.Context, db DB, c Customer) error {
	_, err := db.Exec(ctx, `
		insert into customers (id, organization_id, mode, external_id, email, name, stripe_customer_id, created_at, updated_at)
		values ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), nullif($7, ''), $8, $8)`,
		c.ID, c.OrganizationID, c.Mode, c.ExternalID, c.Email, c.Name, c.StripeCustomerID, c.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert customer: %w", err)
	}
	return nil
}

// LockOrInsertCustomer returns the customer with an external id and keeps its row locked
// until the transaction ends, so that a change can be worked out from it. If there is none,
// it inserts one without values, with the given id.
func LockOrInsertCustomer(ctx context.Context, tx pgx.Tx, organizationID wallet.ID, mode wallet.Mode, externalID string, id wallet.ID, now time.Time) (Customer, error) {
	// The insert waits for a transaction that is inserting the same customer.
	_, err := tx.Exec(ctx, `
		insert into customers (id, organization_id, mode, external_id, created_at, updated_at)
		values (@id, @organization_id, @mode, @external_id, @now, @now)
		on conflict (organization_id, mode, external_id) do nothing`,
		params{"id": id, "organization_id": organizationID, "mode": mode, "external_id": externalID, "now": now})
	if err != nil {
		return Customer{}, fmt.Errorf("insert customer %s: %w", externalID, err)
	}
	rows, _ := tx.Query(ctx, `
		select `+customerColumns+` from customers c
		where c.organization_id = @organization_id and c.mode = @mode and c.external_id = @external_id
		for no key update`,
		params{"organization_id": organizationID, "mode": mode, "external_id": externalID})
	return collectCustomer(rows, externalID)
}

// CustomerChange is a change of a customer. A nil field stays as it is; an empty string
// removes the value.
type CustomerChange struct {
	// ID is the id that a new customer gets, made here when it is zero.
	ID               wallet.ID
	Email            *string
	Name             *string
	Firstname        *string
	Lastname         *string
	Currency         *string
	Timezone         *string
	StripeCustomerID *string
	// Profile has the keys that change, nil if none does.
	Profile json.RawMessage
}

// UpsertCustomer changes the customer with an external id, or creates it. The error is a
// ValidationError if PostgreSQL does not know the time zone, or if the Stripe customer
// belongs to another customer.
func UpsertCustomer(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, externalID string, change CustomerChange, now time.Time) (Customer, error) {
	rows, _ := db.Query(ctx, `
		insert into customers as c (id, organization_id, mode, external_id, email, name, firstname, lastname, currency,
			timezone, stripe_customer_id, profile, created_at, updated_at)
		values ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), nullif($7, ''), nullif($8, ''), nullif($9, ''),
			-- The conversion fails for an unknown time zone.
			case when ($13::timestamptz at time zone coalesce(nullif($10::text, ''), 'UTC')) is not null
				then coalesce(nullif($10::text, ''), 'UTC') end,
			nullif($11, ''), coalesce($12::jsonb, '{}'), $13, $13)
		on conflict (organization_id, mode, external_id) do update
		set email = case when $5 is null then c.email else excluded.email end,
			name = case when $6 is null then c.name else excluded.name end,
			firstname = case when $7 is null then c.firstname else excluded.firstname end,
			lastname = case when $8 is null then c.lastname else excluded.lastname end,
			currency = case when $9 is null then c.currency else excluded.currency end,
			timezone = case when $10 is null then c.timezone else excluded.timezone end,
			stripe_customer_id = case when $11 is null then c.stripe_customer_id else excluded.stripe_customer_id end,
			profile = c.profile || excluded.profile,
			updated_at = excluded.updated_at
		returning `+customerColumns,
		idOrNew(change.ID), organizationID, mode, externalID, change.Email, change.Name, change.Firstname, change.Lastname,
		change.Currency, change.Timezone, change.StripeCustomerID, change.Profile, now)
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Customer])
	const invalidParameter = "22023"
	switch pgErr, ok := errors.AsType[*pgconn.PgError](err); {
	case ok && pgErr.Code == invalidParameter:
		return c, wallet.Invalid(wallet.FieldTimezone, wallet.ProblemInvalid)
	case ok && pgErr.ConstraintName == "customers_currency_check":
		return c, wallet.Invalid(wallet.FieldCurrency, wallet.ProblemInvalid)
	case ok && pgErr.ConstraintName == "customers_mode_stripe_customer_id_key":
		return c, wallet.Invalid(wallet.FieldStripeCustomer, wallet.ProblemTaken)
	}
	if err != nil {
		return c, fmt.Errorf("store customer %s: %w", externalID, err)
	}
	return c, nil
}

const customerColumns = `c.id, c.organization_id, c.mode, c.external_id, coalesce(c.email, '') as email,
	coalesce(c.name, '') as name, coalesce(c.firstname, '') as firstname, coalesce(c.lastname, '') as lastname,
	coalesce(c.currency, '') as currency, c.timezone, coalesce(c.stripe_customer_id, '') as stripe_customer_id, c.profile, c.created_at, c.updated_at`

// GetCustomer returns a customer. The error is CodeCustomerNotFound for an unknown one.
func GetCustomer(ctx context.Context, db DB, id wallet.ID) (Customer, error) {
	rows, _ := db.Query(ctx, `select `+customerColumns+` from customers c where c.id = $1`, id)
	return collectCustomer(rows, id.String())
}

// FindCustomer returns the customer with an external id. The error is CodeCustomerNotFound
// for an unknown one.
func FindCustomer(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, externalID string) (Customer, error) {
	rows, _ := db.Query(ctx, `
		select `+customerColumns+` from customers c where c.organization_id = $1 and c.mode = $2 and c.external_id = $3`,
		organizationID, mode, externalID)
	return collectCustomer(rows, externalID)
}

func collectCustomer(rows pgx.Rows, name string) (Customer, error) {
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Customer])
	if errors.Is(err, pgx.ErrNoRows) {
		return c, &wallet.Error{Code: wallet.CodeCustomerNotFound, Message: "No such customer."}
	}
	if err != nil {
		return c, fmt.Errorf("find customer %s: %w", name, err)
	}
	return c, nil
}

// ListCustomers returns a page of an organization's customers, newest first, and the
// number of customers on all pages.
func ListCustomers(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, page wallet.Page) ([]Customer, int, error) {
	return listPage(ctx, db, listQuery{
		columns: customerColumns,
		from:    `customers c`,
		where:   `c.organization_id = $1 and c.mode = $2`,
		order:   `c.created_at desc, c.id`,
		args:    []any{organizationID, mode},
	}, page, pgx.RowToStructByName[Customer])
}

// LinkStripeCustomer stores the Stripe customer of a customer unless it has one already.
// It returns the id of the stored Stripe customer.
func LinkStripeCustomer(ctx context.Context, db DB, id wallet.ID, stripeCustomerID string, now time.Time) (string, error) {
	var linked string
	err := db.QueryRow(ctx, `
		update customers
		set stripe_customer_id = coalesce(stripe_customer_id, $2),
			updated_at = case when stripe_customer_id is null then $3 else updated_at end
		where id = $1
		returning stripe_customer_id`, id, stripeCustomerID, now).Scan(&linked)
	if err != nil {
		return "", fmt.Errorf("link customer %s to Stripe: %w", id, err)
	}
	return linked, nil
}
