package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The locks are the weak ones: the strong one would wait for every statement that
// inserts a row which refers to the payment or the wallet. Both statements also
// read their row, because a locking select returns its newest version.
const (
	lockMoneyBackPayment = `
		select id, organization_id, mode, wallet_id, currency, status, money_back_version as version, refunded, disputed,
			coalesce(traceparent, '') as traceparent
		from payments
		where id = @payment_id
		for no key update`

	lockMoneyBackWallet = `
		select id, balance, credits_balance, consumed_credits, last_consumed_credit_at, traceable
		from wallets
		where id = (select wallet_id from payments where id = @payment_id)
		for no key update`

	selectMoneyBackPurchase = `
		select id, priority, transaction_status as kind, created_at, coalesce(remaining_amount, 0) as remaining,
			amount as credited, credit_amount as credits
		from wallet_transactions
		where id = (select wallet_transaction_id from payments where id = @payment_id)`
)

var readLots = statement("money_back.sql", "read_lots")

// lockMoneyBack locks a payment, then its wallet, and reads everything that a
// decision about the payment's refunds and disputes depends on, in one round trip.
// An unknown payment is CodePaymentNotFound.
func lockMoneyBack(ctx context.Context, tx pgx.Tx, paymentID wallet.ID) (moneyback.State, error) {
	var (
		s       moneyback.State
		b       pgx.Batch
		payment = params{"payment_id": paymentID}
	)
	// 1. The locks, payments before wallets, as settling takes them.
	b.Queue(lockMoneyBackPayment, payment).Query(oneRow(&s.Payment))
	b.Queue(lockMoneyBackWallet, payment).Query(oneRow(&s.Wallet))
	// 2. What the locks protect. These are statements of their own, because a
	// statement that waits for a lock goes on to read other rows as they were before
	// it waited.
	b.Queue(selectMoneyBackPurchase, payment).Query(oneRow(&s.Purchase))
	b.Queue(readLots, lotPage(paymentID, 0)).Query(allRows(&s.Lots))
	b.Queue(selectRefundsOf, payment).Query(allRows(&s.Refunds))
	b.Queue(selectDisputesOf, payment).Query(allRows(&s.Disputes))
	err := tx.SendBatch(ctx, &b).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return s, errPaymentNotFound()
	}
	if err == nil {
		err = readMoreLots(ctx, tx, &s)
	}
	if err != nil {
		return s, fmt.Errorf("lock payment %s: %w", paymentID, err)
	}
	return s, nil
}

// readMoreLots reads on while the lots may not suffice. Most payments need one
// page: a wallet has to have hundreds of lots with less left than the payment.
func readMoreLots(ctx context.Context, tx pgx.Tx, s *moneyback.State) error {
	left := s.Purchase.Remaining
	for _, l := range s.Lots {
		left += l.Remaining
	}
	for read := len(s.Lots); read == lotBatch && left < s.Purchase.Credited; {
		rows, _ := tx.Query(ctx, readLots, lotPage(s.Payment.ID, len(s.Lots)))
		page, err := pgx.CollectRows(rows, pgx.RowToStructByName[wallet.Lot])
		if err != nil {
			return fmt.Errorf("read lots of wallet %s: %w", s.Wallet.ID, err)
		}
		for _, l := range page {
			left += l.Remaining
		}
		s.Lots = append(s.Lots, page...)
		read = len(page)
	}
	return nil
}

func lotPage(paymentID wallet.ID, skip int) params {
	return params{"payment_id": paymentID, "size": lotBatch, "skip": skip}
}

// oneRow and allRows read the result of a statement of a batch, by the names of
// its columns.
func oneRow[T any](row *T) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
		return err
	}
}

func allRows[T any](list *[]T) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*list, err = pgx.CollectRows(rows, pgx.RowToStructByName[T])
		return err
	}
}

func errPaymentNotFound() error {
	return &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
}
