package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Transfer is an entry of the ledger: an amount that moved from one account to another.
type Transfer struct {
	ID int64
	// DebitKind and CreditKind are the kinds of the two accounts, such as
	// stripe_clearing and wallet.
	DebitKind  string
	CreditKind string
	Amount     int64 // minor units of Currency
	Currency   wallet.Currency
	Kind       string
	PaymentID  *wallet.ID // nil if the transfer is of no payment
	CreatedAt  time.Time
}

// ListTransfers returns the transfers of an organization in one mode with ids above after,
// the oldest first.
func ListTransfers(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, after int64) ([]Transfer, error) {
	rows, _ := db.Query(ctx, `
		select t.id, d.kind as debit_kind, c.kind as credit_kind, t.amount, t.currency, t.kind, t.payment_id, t.created_at
		from transfers t
		join accounts d on d.id = t.debit_account
		join accounts c on c.id = t.credit_account
		where c.organization_id = $1 and c.mode = $2 and t.id > $3
		order by t.id`, organizationID, mode, after)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Transfer])
	if err != nil {
		return nil, fmt.Errorf("list transfers of organization %s: %w", organizationID, err)
	}
	return nonNil(list), nil
}

// AccountTotals are the sums of an account's credits and debits, in minor units.
type AccountTotals struct {
	ID       wallet.ID
	Kind     string
	Currency wallet.Currency
	Credits  int64
	Debits   int64
}

// SumAccounts returns the totals of an organization's accounts in one mode.
func SumAccounts(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode) ([]AccountTotals, error) {
	rows, _ := db.Query(ctx, `
		select a.id, a.kind, a.currency,
			(select coalesce(sum(amount), 0)::bigint from transfers t where t.credit_account = a.id) as credits,
			(select coalesce(sum(amount), 0)::bigint from transfers t where t.debit_account = a.id) as debits
		from accounts a
		where a.organization_id = $1 and a.mode = $2
		order by a.currency, a.kind, a.id`, organizationID, mode)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[AccountTotals])
	if err != nil {
		return nil, fmt.Errorf("sum accounts of organization %s: %w", organizationID, err)
	}
	return nonNil(list), nil
}
