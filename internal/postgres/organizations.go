package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Organization is a merchant's account.
type Organization struct {
	ID           wallet.ID
	Name         string
	PrimaryEmail string // payments are refused while it is empty
	CreatedAt    time.Time
}

// InsertOrganization stores a new organization.
func InsertOrganization(ctx context.Context, db DB, o Organization) error {
	_, err := db.Exec(ctx, `
		insert into organizations (id, name, primary_email, created_at)
		values ($1, $2, nullif($3, ''), $4)`,
		o.ID, o.Name, o.PrimaryEmail, o.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert organization: %w", err)
	}
	return nil
}

// Caller is the holder of an API key, with the primary wallet that the key represents in
// the Lava dialect.
type Caller struct {
	APIKeyID       wallet.ID
	OrganizationID wallet.ID
	Mode           wallet.Mode
	PrimaryEmail   string // empty if the organization has none
	Suspended      bool
	// Scopes are the operations that the key allows.
	Scopes []wallet.Scope
	// WalletID and CustomerID are the primary wallet and its customer, zero if the
	// organization has no primary wallet in this mode.
	WalletID   wallet.ID
	CustomerID wallet.ID
	Currency   wallet.Currency
	// RateAmount is the price of one credit of the wallet, in major units of Currency.
	RateAmount decimal.Decimal
	// Balance and CreditsBalance are the wallet's, in minor units and in credits.
	Balance        int64
	CreditsBalance decimal.Decimal
	// WalletEnded reports whether the wallet is terminated or has expired. It can be read,
	// but not topped up.
	WalletEnded bool
}

// GetCaller returns the holder of an API key. The error is CodeNotFound if the key is
// unknown, revoked or expired.
func GetCaller(ctx context.Context, db DB, key string, now time.Time) (Caller, error) {
	list, err := GetCallers(ctx, db, []string{key}, now)
	if err == nil && list[0] == nil {
		err = &wallet.Error{Code: wallet.CodeNotFound, Message: "No such API key."}
	}
	if err != nil {
		return Caller{}, err
	}
	return *list[0], nil
}

// GetCallers returns the holders of API keys, in the order of the keys. It returns nil for
// a key that is unknown, revoked or expired.
func GetCallers(ctx context.Context, db DB, keys []string, now time.Time) ([]*Caller, error) {
	hashes := make([][]byte, len(keys))
	for i, key := range keys {
		hash := sha256.Sum256([]byte(key))
		hashes[i] = hash[:]
	}
	rows, _ := db.Query(ctx, `
		select i.position, k.id as api_key_id, k.organization_id, k.mode, coalesce(o.primary_email, '') as primary_email,
			o.suspended_at is not null as suspended, k.scopes,
			coalesce(w.id, '00000000-0000-0000-0000-000000000000') as wallet_id,
			coalesce(w.customer_id, '00000000-0000-0000-0000-000000000000') as customer_id,
			coalesce(w.currency, '') as currency, coalesce(w.rate_amount, 0) as rate_amount,
			coalesce(w.balance, 0) as balance, coalesce(w.credits_balance, 0) as credits_balance,
			coalesce(w.status <> 'active' or w.expiration_at <= $2, false) as wallet_ended
		from unnest($1::bytea[]) with ordinality as i (hash, position)
		join api_keys k on k.key_hash = i.hash
		join organizations o on o.id = k.organization_id
		left join wallets w on w.organization_id = k.organization_id and w.mode = k.mode and w.is_primary
		where k.revoked_at is null and (k.expires_at is null or k.expires_at > $2)`, hashes, now)
	type callerRow struct {
		Position int
		Caller
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[callerRow])
	if err != nil {
		return nil, fmt.Errorf("find %d API keys: %w", len(keys), err)
	}
	list := make([]*Caller, len(keys))
	for i := range found {
		list[found[i].Position-1] = &found[i].Caller
	}
	return list, nil
}
