package views

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// WalletRow is a wallet in a list, with its organization and customer.
type WalletRow struct {
	ID               wallet.ID
	OrganizationID   wallet.ID
	OrganizationName string
	CustomerID       wallet.ID
	ExternalID       string
	Email            string
	Currency         wallet.Currency
	RateAmount       decimal.Decimal
	IsPrimary        bool
	Balance          int64
	CreditsBalance   decimal.Decimal
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

const walletRowColumns = `w.id, w.organization_id, o.name as organization_name, w.customer_id, c.external_id,
	coalesce(c.email, '') as email, w.currency, w.rate_amount, w.is_primary, w.balance, w.credits_balance, w.created_at, w.updated_at`

const walletRowJoins = `
	join organizations o on o.id = w.organization_id
	join customers c on c.id = w.customer_id`

// OwnerFilter selects wallets, customers or invoices of a mode. Wallets and invoices can be
// restricted to one customer.
type OwnerFilter struct {
	Mode       wallet.Mode
	CustomerID wallet.ID
	Before     wallet.ID // limits the page to smaller ids, zero for the newest page
	Limit      int
}

func (f OwnerFilter) args() pgx.NamedArgs {
	before := f.Before
	if before == (wallet.ID{}) {
		before = paymentsEnd(PaymentFilter{})
	}
	return pgx.NamedArgs{"mode": f.Mode, "customer": f.CustomerID, "before": before, "limit": f.Limit + 1}
}

// pairsOf returns the condition for the rows of @mode with ids below @before. It compares
// pairs, so that the planner uses the index on mode and id. It would otherwise read all
// rows in the order of their ids, and there may be few rows of the mode.
func pairsOf(alias string) string {
	pair := `(` + alias + `.mode, ` + alias + `.id)`
	return pair + ` >= (@mode, '00000000-0000-0000-0000-000000000000'::uuid) and ` + pair + ` < (@mode, @before)`
}

// ListWalletRows returns a page of the wallets that match the filter, the newest first.
func ListWalletRows(ctx context.Context, db postgres.DB, f OwnerFilter) (Page[WalletRow], error) {
	where, order := pairsOf("w"), `order by w.mode desc, w.id desc`
	if f.CustomerID != (wallet.ID{}) {
		where, order = `w.mode = @mode and w.customer_id = @customer and w.id < @before`, `order by w.id desc`
	}
	rows, _ := db.Query(ctx, `
		select `+walletRowColumns+`
		from (select * from wallets w where `+where+` `+order+` limit @limit) w`+walletRowJoins+`
		order by w.id desc`, f.args())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[WalletRow])
	if err != nil {
		return Page[WalletRow]{}, fmt.Errorf("list wallets: %w", err)
	}
	return paged(list, f.Limit, false, func(w WalletRow) string { return w.ID.String() }, nil), nil
}

// GetWalletRow returns a wallet. The error is CodeNotFound if the wallet is unknown or of
// the other mode.
func GetWalletRow(ctx context.Context, db postgres.DB, mode wallet.Mode, id wallet.ID) (WalletRow, error) {
	rows, _ := db.Query(ctx, `
		select `+walletRowColumns+` from wallets w`+walletRowJoins+` where w.mode = $1 and w.id = $2`, mode, id)
	w, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[WalletRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return w, &wallet.Error{Code: wallet.CodeNotFound, Message: "No such wallet."}
	}
	if err != nil {
		return w, fmt.Errorf("find wallet %s: %w", id, err)
	}
	return w, nil
}

// TransactionRow is a transaction of a wallet.
type TransactionRow struct {
	ID           wallet.ID
	Type         string `db:"transaction_type"`   // inbound or outbound
	Kind         string `db:"transaction_status"` // granted, invoiced, purchased or voided
	Status       wallet.TransactionStatus
	Amount       int64
	CreditAmount decimal.Decimal
	// Remaining is what is left of a settled inbound transaction, in minor units. It is
	// nil for others, and for a wallet that is not traceable.
	Remaining *int64     `db:"remaining_amount"`
	PaymentID *wallet.ID // its newest payment, nil if there is none
	CreatedAt time.Time
	SettledAt *time.Time
	FailedAt  *time.Time
}

// ListTransactionRows returns a page of a wallet's transactions, the newest first. With
// lotsOnly it returns only those of which something is left.
func ListTransactionRows(ctx context.Context, db postgres.DB, walletID wallet.ID, lotsOnly bool, cursor string, limit int) (Page[TransactionRow], error) {
	afterAt, afterID := farFuture, wallet.ID{}.String()
	if cursor != "" {
		var err error
		if afterAt, afterID, err = parseTimeCursor(cursor); err != nil {
			return Page[TransactionRow]{}, err
		}
	}
	id, err := uuid.Parse(afterID)
	if err != nil {
		return Page[TransactionRow]{}, errCursor
	}
	rows, _ := db.Query(ctx, `
		select t.id, t.transaction_type, t.transaction_status, t.status, t.amount, t.credit_amount, t.remaining_amount,
			(select p.id from payments p where p.wallet_transaction_id = t.id order by p.id desc limit 1) as payment_id,
			t.created_at, t.settled_at, t.failed_at
		from wallet_transactions t
		where t.wallet_id = $1 and t.created_at <= $2 and (t.created_at < $2 or t.id > $3)
			and (not $4 or t.remaining_amount > 0)
		order by t.created_at desc, t.id
		limit $5`, walletID, afterAt, id, lotsOnly, limit+1)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[TransactionRow])
	if err != nil {
		return Page[TransactionRow]{}, fmt.Errorf("list transactions of wallet %s: %w", walletID, err)
	}
	return paged(list, limit, false, func(t TransactionRow) string { return timeCursor(t.CreatedAt, t.ID.String()) }, nil), nil
}

// LedgerRow is a transfer from the view of one of its two accounts.
type LedgerRow struct {
	ID            int64
	Kind          string
	Amount        int64  // positive into the account, negative out of it
	Balance       int64  // of the account after the transfer
	CounterKind   string // the kind of the other account
	Currency      wallet.Currency
	PaymentID     *wallet.ID
	TransactionID *wallet.ID `db:"wallet_transaction_id"`
	CreatedAt     time.Time
}

// ListLedger returns a page of the transfers of a wallet's account with the running balance,
// the newest first. Transfers are only ever appended, so the balance after a transfer never
// changes and the cursor can carry it to the next page.
func ListLedger(ctx context.Context, db postgres.DB, walletID wallet.ID, cursor string, limit int) (Page[LedgerRow], error) {
	before, balance, err := parseLedgerCursor(cursor)
	if err != nil {
		return Page[LedgerRow]{}, err
	}
	// It is one statement, so that the balance and the transfers are of one snapshot.
	rows, _ := db.Query(ctx, `
		with lines as (
			(select id, kind, amount, debit_account as counter, currency, payment_id, wallet_transaction_id, created_at
			from transfers where credit_account = $1 and id < $2 order by id desc limit $4)
			union all
			(select id, kind, -amount, credit_account, currency, payment_id, wallet_transaction_id, created_at
			from transfers where debit_account = $1 and id < $2 order by id desc limit $4)
			order by id desc
			limit $4
		)
		select l.id, l.kind, l.amount,
			coalesce($3, w.balance) - (sum(l.amount) over (order by l.id desc) - l.amount)::bigint as balance,
			a.kind as counter_kind, l.currency, l.payment_id, l.wallet_transaction_id, l.created_at
		from lines l
		join wallets w on w.id = $1
		join accounts a on a.id = l.counter
		order by l.id desc`, walletID, before, balance, limit+1)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[LedgerRow])
	if err != nil {
		return Page[LedgerRow]{}, fmt.Errorf("list ledger of wallet %s: %w", walletID, err)
	}
	return paged(list, limit, false, func(l LedgerRow) string {
		return strconv.FormatInt(l.ID, 10) + "~" + strconv.FormatInt(l.Balance-l.Amount, 10)
	}, nil), nil
}

func parseLedgerCursor(cursor string) (before int64, balance *int64, err error) {
	const end = 1<<63 - 1
	if cursor == "" {
		return end, nil, nil
	}
	var after int64
	at, rest, err := parseTimeCursor(cursor)
	if err != nil {
		return 0, nil, err
	}
	if after, err = strconv.ParseInt(rest, 10, 64); err != nil {
		return 0, nil, errCursor
	}
	return at.UnixMicro(), &after, nil
}
