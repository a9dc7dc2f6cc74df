package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Applied is what became of a settlement.
type Applied struct {
	// Payment is the payment as it stands now, whether this settlement moved it or
	// an earlier one did.
	Payment wallet.Payment
	// Moved reports whether this settlement moved it.
	Moved bool
	// Announced reports whether merchants' endpoints are told of something, about
	// this payment or another one of the same call.
	Announced bool
}

var (
	lockPayments     = statement("settle.sql", "lock_payments")
	lockWallets      = statement("settle.sql", "lock_wallets")
	readSettleStates = statement("settle.sql", "read_settle_states", "payment_columns", paymentColumns)

	insertSettledTransactions = statement("settle.sql", "insert_settled_transactions")
	updatePayments            = statement("settle.sql", "update_payments")
	updatePurchases           = statement("settle.sql", "update_purchases")
	updateInvoices            = statement("settle.sql", "update_invoices")
	updateBalances            = statement("settle.sql", "update_balances")
	insertTransfers           = statement("settle.sql", "insert_transfers")
	insertMoves               = statement("settle.sql", "insert_moves")
	updateCards               = statement("settle.sql", "update_cards")
	forgiveCards              = statement("settle.sql", "forgive_cards")
	barCards                  = statement("settle.sql", "bar_cards")
	insertDiscrepancies       = statement("settle.sql", "insert_discrepancies")
)

// ApplyOutcomes is the one way in which an outcome becomes state. It locks the
// payments and their wallets, lets wallet.SettleGroup decide what the outcomes
// change, and writes that: the payments, their wallet transactions and invoices,
// the wallets' balances, the ledger, the moves, the discrepancies, and what
// merchants are told of it. All of it is one transaction of two round trips.
//
// The results stand in the order of the list. A payment that does not exist yields
// a zero Applied. No two members of one call may be about the same payment. The
// error is a DoubtError when the outcomes may have been applied; applying them again
// is always safe.
func ApplyOutcomes(ctx context.Context, pool *pgxpool.Pool, list []wallet.Settlement) ([]Applied, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("apply %d outcomes: acquire connection: %w", len(list), err)
	}
	defer conn.Release()
	applied, err := applyOutcomes(ctx, conn, list, true)
	if err != nil {
		rollbackOn(ctx, conn)
		return nil, fmt.Errorf("apply %d outcomes: %w", len(list), err)
	}
	return applied, nil
}

// ApplyOutcomesTx does what ApplyOutcomes does in a transaction of the caller's.
func ApplyOutcomesTx(ctx context.Context, tx pgx.Tx, list []wallet.Settlement) ([]Applied, error) {
	applied, err := applyOutcomes(ctx, tx, list, false)
	if err != nil {
		return nil, fmt.Errorf("apply %d outcomes: %w", len(list), err)
	}
	return applied, nil
}

// applyOutcomes settles on a connection. With own it begins and commits the
// transaction, in the same round trips as the statements.
func applyOutcomes(ctx context.Context, db DB, list []wallet.Settlement, own bool) ([]Applied, error) {
	rows, err := lockAndRead(ctx, db, list, own)
	if err != nil {
		return nil, err
	}
	states := make([]wallet.SettleState, len(list))
	complete := make([]wallet.Settlement, len(list))
	for i, s := range list {
		// The payment that is returned is the one that is stored.
		s.Now, s.ActionDeadline = asStored(s.Now), asStored(s.ActionDeadline)
		if s.CloseIntentAt.IsZero() {
			s.CloseIntentAt = s.Now.Add(CloseIntentAfter)
		}
		s.CloseIntentAt = asStored(s.CloseIntentAt)
		if s.SpareTransactionID == (wallet.ID{}) {
			s.SpareTransactionID = wallet.NewID()
		}
		complete[i], states[i] = s, rows[i].state()
		if breakpoint.Broken(breakpoint.SettleGuard) && rows[i].Status == wallet.PaymentSucceeded {
			states[i].Payment.Status = wallet.PaymentProcessing
		}
	}
	changes := wallet.SettleGroup(states, complete)
	announced, err := writeChanges(ctx, db, rows, changes, own)
	if err != nil {
		return nil, err
	}
	applied := make([]Applied, len(list))
	for i, c := range changes {
		applied[i] = Applied{Payment: c.Payment, Moved: c.Move != nil, Announced: announced && c.Payment.ID != wallet.ID{}}
	}
	return applied, nil
}

// lockAndRead is the first round trip: it locks the rows that a group changes and
// reads the states in the order of the list. The row of an unknown payment is zero.
func lockAndRead(ctx context.Context, db DB, list []wallet.Settlement, begin bool) ([]settleRow, error) {
	ids := make([]wallet.ID, len(list))
	position := make(map[wallet.ID]int, len(list))
	for i, s := range list {
		ids[i], position[s.PaymentID] = s.PaymentID, i
	}
	var b pgx.Batch
	if begin {
		b.Queue("begin")
	}
	args := params{"ids": ids}
	b.Queue(lockPayments, args)
	if !breakpoint.Broken(breakpoint.WalletLock) {
		b.Queue(lockWallets, args)
	}
	b.Queue(readSettleStates, args)
	states := make([]settleRow, len(list))
	err := sendBatch(ctx, db, &b, func(results pgx.BatchResults) error {
		for range b.Len() - 1 {
			if _, err := results.Exec(); err != nil {
				return err
			}
		}
		rows, _ := results.Query()
		found, err := pgx.CollectRows(rows, pgx.RowToStructByName[settleRow])
		for _, r := range found {
			states[position[r.ID]] = r
		}
		return err
	})
	return states, err
}

// settleRow is a row of read_settle_states.
type settleRow struct {
	paymentRow
	TransactionStatus          wallet.TransactionStatus     `db:"transaction_status"`
	TransactionAmount          int64                        `db:"transaction_amount"`
	TransactionCreditAmount    decimal.Decimal              `db:"transaction_credit_amount"`
	TransactionRemainingAmount *int64                       `db:"transaction_remaining_amount"`
	TransactionSettledAt       *time.Time                   `db:"transaction_settled_at"`
	TransactionFailedAt        *time.Time                   `db:"transaction_failed_at"`
	WalletBalance              int64                        `db:"wallet_balance"`
	WalletCreditsBalance       decimal.Decimal              `db:"wallet_credits_balance"`
	WalletTraceable            bool                         `db:"wallet_traceable"`
	WalletUpdatedAt            time.Time                    `db:"wallet_updated_at"`
	InvoiceID                  *wallet.ID                   `db:"invoice_id"`
	InvoiceStatus              *wallet.InvoiceStatus        `db:"invoice_status"`
	InvoicePaymentStatus       *wallet.InvoicePaymentStatus `db:"invoice_payment_status"`
	InvoicePaidAmount          *int64                       `db:"invoice_paid_amount"`
	InvoiceFinalizedAt         *time.Time                   `db:"invoice_finalized_at"`
	CardFingerprint            *string                      `db:"card_fingerprint"`
	CardErrorCode              *string                      `db:"card_error_code"`
	CardErrorMessage           *string                      `db:"card_error_message"`
	CardErrorAt                *time.Time                   `db:"card_error_at"`
	BarredClass                *wallet.DeclineClass         `db:"barred_class"`
	BarredCode                 *string                      `db:"barred_code"`
	BarredPaymentID            *wallet.ID                   `db:"barred_payment_id"`
	BarredDeclinedAt           *time.Time                   `db:"barred_declined_at"`
	ClearingAccount            *wallet.ID                   `db:"clearing_account"`
	// ListenedTo reports whether an endpoint may want to be told of the payment.
	ListenedTo bool `db:"listened_to"`
}

// state is the row as the domain looks at it.
func (r settleRow) state() wallet.SettleState {
	if r.ID == (wallet.ID{}) {
		return wallet.SettleState{}
	}
	s := wallet.SettleState{
		Payment: r.payment(),
		Purchase: wallet.PurchaseState{
			ID: r.WalletTransactionID, Status: r.TransactionStatus, Amount: r.TransactionAmount,
			CreditAmount: r.TransactionCreditAmount, RemainingAmount: r.TransactionRemainingAmount,
			SettledAt: r.TransactionSettledAt, FailedAt: r.TransactionFailedAt,
		},
		Wallet: wallet.BalanceState{
			ID: r.WalletID, Balance: r.WalletBalance, CreditsBalance: r.WalletCreditsBalance,
			Traceable: r.WalletTraceable, UpdatedAt: r.WalletUpdatedAt,
		},
	}
	if r.InvoiceID != nil {
		s.Invoice = &wallet.InvoiceState{
			ID: *r.InvoiceID, Status: orZero(r.InvoiceStatus), PaymentStatus: orZero(r.InvoicePaymentStatus),
			PaidAmount: orZero(r.InvoicePaidAmount), FinalizedAt: r.InvoiceFinalizedAt,
		}
	}
	if r.PaymentMethodID != nil {
		s.Card = &wallet.CardState{
			ID: *r.PaymentMethodID, Fingerprint: orZero(r.CardFingerprint),
			Error: wallet.CardError{Code: orZero(r.CardErrorCode), Message: orZero(r.CardErrorMessage), At: orZero(r.CardErrorAt)},
		}
	}
	if r.BarredClass != nil {
		s.Card.Barred = &wallet.CardDecline{
			Class: *r.BarredClass, Code: orZero(r.BarredCode), PaymentID: orZero(r.BarredPaymentID), DeclinedAt: orZero(r.BarredDeclinedAt),
		}
	}
	return s
}

var findFreePayments = statement("settle.sql", "find_free_payments")

// FreePayments reports for each payment whether it could be settled now: whether no
// other transaction holds a row that settling it may change or refer to. An unknown
// payment is not free.
func FreePayments(ctx context.Context, db DB, ids []wallet.ID) ([]bool, error) {
	rows, _ := db.Query(ctx, findFreePayments, params{"ids": ids})
	found, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, fmt.Errorf("find free payments: %w", err)
	}
	free := make([]bool, len(ids))
	for i, id := range ids {
		free[i] = slices.Contains(found, id)
	}
	return free, nil
}
