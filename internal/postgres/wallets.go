package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fundrail/fundrail/internal/wallet"
)

// OrganizationAccounts are the kinds of account that exist once per
// organization, mode and currency.
var OrganizationAccounts = []string{"disputes", "promotions", "refunds", "stripe_clearing", "voids"}

// InsertWallet stores a new, empty wallet with its account, and the
// organization's accounts in its currency where they are missing. What the wallet
// leaves empty gets its default; without a code it is named after its name. A code
// that another active wallet of the customer has is a ValidationError. It needs a
// transaction.
func InsertWallet(ctx context.Context, tx pgx.Tx, w wallet.Wallet) error {
	if err := ensureAccounts(ctx, tx, w.OrganizationID, w.Mode, w.Currency, w.CreatedAt); err != nil {
		return err
	}
	var code *string
	if w.Code != "" {
		code = &w.Code
	}
	_, err := tx.Exec(ctx, `
		with account as (
			insert into accounts (id, organization_id, mode, currency, kind, created_at)
			values ($1, $2, $3, $4, 'wallet', $8)
		), free as (
			-- The name's own code, or else the one with the seconds behind it, or the next.
			select candidate from (
				select 0 as position, $10::text as candidate
				union all
				select n, $10::text || '_' || (extract(epoch from $8::timestamptz)::bigint + n - 1) from generate_series(1, 100) as n
			) candidates
			where not exists (select from wallets where customer_id = $5 and code = candidate and status = 'active')
			order by position limit 1
		)
		insert into wallets (id, organization_id, mode, currency, customer_id, rate_amount, is_primary, created_at, updated_at,
			code, name, priority, billing_entity_code, purchase_order_number, invoice_requires_successful_payment,
			paid_top_up_min_amount, paid_top_up_max_amount, payment_method_type, payment_method_id,
			applies_to, recurring_transaction_rules, skip_invoice_custom_sections, invoice_custom_sections, metadata, expiration_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $8,
			coalesce($9, (select candidate from free)), nullif($11, ''), coalesce(nullif($12::smallint, 0), 50),
			coalesce(nullif($13, ''), 'default'), nullif($14, ''), $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)`,
		w.ID, w.OrganizationID, w.Mode, w.Currency, w.CustomerID, w.RateAmount, w.IsPrimary, w.CreatedAt,
		code, wallet.CodeFor(w.Name), w.Name, w.Priority, w.BillingEntityCode, w.PurchaseOrderNumber,
		w.InvoiceRequiresSuccessfulPayment, w.PaidTopUpMinAmount, w.PaidTopUpMaxAmount, w.PaymentMethod.OrProvider(),
		w.PaymentMethod.ID, w.AppliesTo, w.RecurringTransactionRules, w.Sections.Skip, sectionsOrNull(w.Sections), w.Metadata,
		w.ExpirationAt)
	if err != nil {
		return walletError(err, "insert wallet")
	}
	return nil
}

// walletError tells a code that is taken from what a caller can do nothing about.
func walletError(err error, doing string) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "wallets_code" {
		return wallet.Invalid(wallet.FieldCode, wallet.InvalidTaken)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// sectionsOrNull keeps rows without sections small.
func sectionsOrNull(s wallet.AppliedSections) any {
	if len(s.List) == 0 {
		return nil
	}
	return s.List
}

func ensureAccounts(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, currency wallet.Currency, now time.Time) error {
	ids := make([]wallet.ID, len(OrganizationAccounts))
	for i := range ids {
		ids[i] = wallet.NewID()
	}
	_, err := db.Exec(ctx, `
		insert into accounts (id, organization_id, mode, currency, kind, created_at)
		select a.id, $3, $4, $5, a.kind, $6 from unnest($1::uuid[], $2::text[]) as a (id, kind)
		on conflict do nothing`,
		ids, OrganizationAccounts, organizationID, mode, currency, now)
	if err != nil {
		return fmt.Errorf("insert accounts: %w", err)
	}
	return nil
}

const (
	walletColumns = `w.id, w.organization_id, w.mode, w.customer_id, c.external_id as external_customer_id, w.code,
		coalesce(w.name, '') as name, w.currency, w.rate_amount, w.is_primary, w.status, w.priority, w.billing_entity_code,
		coalesce(w.purchase_order_number, '') as purchase_order_number, w.balance, w.credits_balance, w.consumed_credits, w.invoice_requires_successful_payment,
		w.paid_top_up_min_amount, w.paid_top_up_max_amount, w.traceable, w.payment_method_type, w.payment_method_id,
		w.skip_invoice_custom_sections, w.invoice_custom_sections, w.applies_to, w.recurring_transaction_rules, w.metadata,
		w.created_at, w.expiration_at, w.last_balance_sync_at, w.last_consumed_credit_at, w.terminated_at`
	walletTables = `wallets w join customers c on c.id = w.customer_id`
)

// walletRow is a wallet with the columns of its nested structs.
type walletRow struct {
	wallet.Wallet
	PaymentMethodType         wallet.PaymentMethodType
	PaymentMethodID           *wallet.ID
	SkipInvoiceCustomSections bool
	InvoiceCustomSections     []wallet.AppliedSection
}

func scanWallet(row pgx.CollectableRow) (wallet.Wallet, error) {
	r, err := pgx.RowToStructByName[walletRow](row)
	w := r.Wallet
	w.PaymentMethod = wallet.MethodChoice{Type: r.PaymentMethodType, ID: r.PaymentMethodID}
	w.Sections = wallet.AppliedSections{Skip: r.SkipInvoiceCustomSections, List: r.InvoiceCustomSections}
	return w, err
}

func collectWallet(rows pgx.Rows, name string) (wallet.Wallet, error) {
	w, err := pgx.CollectExactlyOneRow(rows, scanWallet)
	if errors.Is(err, pgx.ErrNoRows) {
		return w, &wallet.Error{Code: wallet.CodeWalletNotFound, Message: "Wallet not found."}
	}
	if err != nil {
		return w, fmt.Errorf("find wallet %s: %w", name, err)
	}
	return w, nil
}

// GetWallet finds a wallet by its id. An unknown one is CodeWalletNotFound.
func GetWallet(ctx context.Context, db DB, id wallet.ID) (wallet.Wallet, error) {
	rows, _ := db.Query(ctx, `select `+walletColumns+` from `+walletTables+` where w.id = $1`, id)
	return collectWallet(rows, id.String())
}
