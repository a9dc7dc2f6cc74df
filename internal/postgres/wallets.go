package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// OrganizationAccounts are the kinds of account that exist once per
// organization, mode and currency.
var OrganizationAccounts = []string{"disputes", "promotions", "refunds", "stripe_clearing", "voids"}

var (
	insertWallet     = statement("wallets.sql", "insert_wallet")
	updateWallet     = statement("wallets.sql", "update_wallet")
	updateWalletSums = statement("wallets.sql", "update_wallet_sums")
)

// InsertWallet stores a new, empty wallet with its account, and the
// organization's accounts in its currency where they are missing. What the wallet
// leaves empty gets its default; without a code it gets one from its name. A code
// that another active wallet of the customer has is a ValidationError. It needs a
// transaction.
func InsertWallet(ctx context.Context, tx pgx.Tx, w wallet.Wallet) error {
	if err := ensureAccounts(ctx, tx, w.OrganizationID, w.Mode, w.Currency, w.CreatedAt); err != nil {
		return err
	}
	args := walletArgs(w)
	maps.Copy(args, params{
		"organization_id": w.OrganizationID, "mode": w.Mode, "currency": w.Currency, "customer_id": w.CustomerID,
		"rate_amount": w.RateAmount, "is_primary": w.IsPrimary, "created_at": w.CreatedAt, "default_code": wallet.CodeFor(w.Name),
		"billing_entity_code": nullable.From(w.BillingEntityCode),
	})
	if _, err := tx.Exec(ctx, insertWallet, args); err != nil {
		return walletError(err, "insert wallet")
	}
	return nil
}

// walletArgs are the values of a wallet that can change, and its id.
func walletArgs(w wallet.Wallet) params {
	return params{
		"id": w.ID, "code": nullable.From(w.Code), "name": nullable.From(w.Name), "priority": w.Priority,
		"purchase_order_number":               nullable.From(w.PurchaseOrderNumber),
		"invoice_requires_successful_payment": w.InvoiceRequiresSuccessfulPayment,
		"paid_top_up_min_amount":              w.PaidTopUpMinAmount, "paid_top_up_max_amount": w.PaidTopUpMaxAmount,
		"payment_method_type": w.PaymentMethod.OrProvider(), "payment_method_id": w.PaymentMethod.ID,
		"applies_to": w.AppliesTo, "recurring_transaction_rules": w.RecurringTransactionRules,
		"skip_invoice_custom_sections": w.Sections.Skip, "invoice_custom_sections": sectionsOrNull(w.Sections),
		"metadata": w.Metadata, "expiration_at": w.ExpirationAt,
	}
}

// walletError turns the error of a code that is taken into a ValidationError.
func walletError(err error, doing string) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "wallets_code" {
		return wallet.Invalid(wallet.FieldCode, wallet.ProblemTaken)
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
		select unnest(@ids::uuid[]), @organization_id, @mode, @currency, unnest(@kinds::text[]), @now
		on conflict do nothing`,
		params{
			"ids": ids, "kinds": OrganizationAccounts, "organization_id": organizationID, "mode": mode, "currency": currency, "now": now,
		})
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

	// selectWallet finds a wallet of an organization by its id. With lockingWallet behind
	// it the wallet's row is locked until the transaction ends.
	selectWallet = `select ` + walletColumns + ` from ` + walletTables + `
		where w.id = @id and w.organization_id = @organization_id and w.mode = @mode`
	lockingWallet = ` for no key update of w`
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
