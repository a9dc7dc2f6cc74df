package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// organizationAccounts are the kinds of account that exist once per
// organization, mode and currency.
var organizationAccounts = []string{"disputes", "promotions", "refunds", "stripe_clearing", "voids"}

// InsertWallet stores a new, empty wallet with its account, and the
// organization's accounts in its currency where they are missing. It needs a
// transaction.
func InsertWallet(ctx context.Context, tx pgx.Tx, w wallet.Wallet) error {
	if err := ensureAccounts(ctx, tx, w.OrganizationID, w.Mode, w.Currency, w.CreatedAt); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		with account as (
			insert into accounts (id, organization_id, mode, currency, kind, created_at)
			values ($1, $2, $3, $4, 'wallet', $8)
		)
		insert into wallets (id, organization_id, mode, currency, customer_id, rate_amount, is_primary, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $8)`,
		w.ID, w.OrganizationID, w.Mode, w.Currency, w.CustomerID, w.RateAmount, w.IsPrimary, w.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert wallet: %w", err)
	}
	return nil
}

func ensureAccounts(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, currency wallet.Currency, now time.Time) error {
	ids := make([]wallet.ID, len(organizationAccounts))
	for i := range ids {
		ids[i] = wallet.NewID()
	}
	_, err := db.Exec(ctx, `
		insert into accounts (id, organization_id, mode, currency, kind, created_at)
		select a.id, $3, $4, $5, a.kind, $6 from unnest($1::uuid[], $2::text[]) as a (id, kind)
		on conflict do nothing`,
		ids, organizationAccounts, organizationID, mode, currency, now)
	if err != nil {
		return fmt.Errorf("insert accounts: %w", err)
	}
	return nil
}

const walletColumns = `id, organization_id, mode, customer_id, currency, rate_amount, is_primary, balance, credits_balance, created_at`

func scanWallet(row pgx.CollectableRow) (wallet.Wallet, error) {
	var w wallet.Wallet
	err := row.Scan(&w.ID, &w.OrganizationID, &w.Mode, &w.CustomerID, &w.Currency, &w.RateAmount, &w.IsPrimary,
		&w.Balance, &w.CreditsBalance, &w.CreatedAt)
	return w, err
}

// GetWallet finds a wallet by its id. An unknown one is CodeWalletNotFound.
func GetWallet(ctx context.Context, db DB, id wallet.ID) (wallet.Wallet, error) {
	rows, _ := db.Query(ctx, `select `+walletColumns+` from wallets where id = $1`, id)
	w, err := pgx.CollectExactlyOneRow(rows, scanWallet)
	if errors.Is(err, pgx.ErrNoRows) {
		return w, &wallet.Error{Code: wallet.CodeWalletNotFound, Message: "Wallet not found."}
	}
	if err != nil {
		return w, fmt.Errorf("find wallet %s: %w", id, err)
	}
	return w, nil
}
