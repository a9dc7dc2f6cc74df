package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// WalletRef names a wallet of an organization: by its id, or by the customer's
// external id and the code. A code names the active wallet that has it, or else
// the newest terminated one.
type WalletRef struct {
	OrganizationID wallet.ID
	Mode           wallet.Mode

	ID wallet.ID // or both of:

	ExternalCustomerID string
	Code               string
}

func (r WalletRef) String() string {
	if r.ID != (wallet.ID{}) {
		return r.ID.String()
	}
	return r.ExternalCustomerID + "/" + r.Code
}

// FindWallet returns a wallet as it stands at now. An unknown customer is
// CodeCustomerNotFound, an unknown wallet CodeWalletNotFound.
func FindWallet(ctx context.Context, db DB, ref WalletRef, now time.Time) (wallet.Wallet, error) {
	return findWallet(ctx, db, ref, now, "")
}

// lockWallet is FindWallet with the row locked until the transaction ends.
func lockWallet(ctx context.Context, tx pgx.Tx, ref WalletRef, now time.Time) (wallet.Wallet, error) {
	return findWallet(ctx, tx, ref, now, lockingWallet)
}

func findWallet(ctx context.Context, db DB, ref WalletRef, now time.Time, lock string) (wallet.Wallet, error) {
	statement, args := selectWallet, params{"organization_id": ref.OrganizationID, "mode": ref.Mode, "id": ref.ID}
	if ref.ID == (wallet.ID{}) && ref.ExternalCustomerID != "" {
		customer, err := FindCustomer(ctx, db, ref.OrganizationID, ref.Mode, ref.ExternalCustomerID)
		if err != nil {
			return wallet.Wallet{}, err
		}
		statement, args = selectWalletByCode, params{"customer_id": customer.ID, "code": ref.Code}
	}
	rows, _ := db.Query(ctx, statement+lock, args)
	w, err := collectWallet(rows, ref.String())
	return w.At(now), err
}

// selectWalletByCode finds the active wallet that has the code, or else the newest
// terminated one.
const selectWalletByCode = `select ` + walletColumns + ` from ` + walletTables + `
	where w.customer_id = @customer_id and w.code = @code
	order by w.status, w.created_at desc, w.id
	limit 1`

// WalletFilter selects wallets of an organization.
type WalletFilter struct {
	OrganizationID wallet.ID
	Mode           wallet.Mode
	CustomerID     wallet.ID       // zero for all
	Currency       wallet.Currency // empty for all
}

// ListWallets returns a page of wallets as they stand at now, newest first, and how
// many there are in all. Terminated ones are among them.
func ListWallets(ctx context.Context, db DB, f WalletFilter, page wallet.Page, now time.Time) ([]wallet.Wallet, int, error) {
	list, total, err := listPage(ctx, db, listQuery{
		columns: walletColumns,
		from:    `wallets w`,
		extra:   `join customers c on c.id = w.customer_id`,
		where: `w.organization_id = $1 and w.mode = $2
			and ($3::uuid is null or w.customer_id = $3) and ($4::text is null or w.currency = $4)`,
		order: `w.created_at desc, w.id`,
		args:  []any{f.OrganizationID, f.Mode, nullable.From(f.CustomerID), nullable.From(string(f.Currency))},
	}, page, scanWallet)
	if err != nil {
		return nil, 0, fmt.Errorf("wallets: %w", err)
	}
	for i := range list {
		list[i] = list[i].At(now)
	}
	return list, total, nil
}
