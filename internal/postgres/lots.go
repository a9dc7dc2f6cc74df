package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// lotBatch is how many inbound transactions are read at a time. A wallet may have
// a million, and the first ones cover most debits.
const lotBatch = 500

// lotDebit is money that leaves a wallet, to be taken out of the inbound
// transactions in which it lies.
type lotDebit struct {
	WalletID   wallet.ID
	OutboundID wallet.ID
	Amount     int64
	// Only, unless nil, is the one inbound transaction that it may be taken from.
	Only *wallet.ID
	Now  time.Time
}

var consumeLots = statement("lots.sql", "consume_lots")

// takeFromLots takes a debit out of the inbound transactions, in the wallet's
// order: by priority, granted before purchased, the oldest first. It writes one
// consumption for each, and returns how much they did not cover. The caller holds
// the wallet's lock.
func takeFromLots(ctx context.Context, tx pgx.Tx, d lotDebit) (int64, error) {
	type lot struct {
		ID        wallet.ID `db:"id"`
		Remaining int64     `db:"remaining_amount"`
	}
	left := d.Amount
	for left > 0 {
		rows, _ := tx.Query(ctx, `
			select id, remaining_amount
			from wallet_transactions
			where wallet_id = @wallet_id and remaining_amount > 0 and (@only::uuid is null or id = @only)
			order by priority, transaction_status, created_at, id
			limit @size`, pgx.StrictNamedArgs{"wallet_id": d.WalletID, "only": d.Only, "size": lotBatch})
		lots, err := pgx.CollectRows(rows, pgx.RowToStructByName[lot])
		if err != nil {
			return left, fmt.Errorf("read lots of wallet %s: %w", d.WalletID, err)
		}
		if len(lots) == 0 {
			return left, nil
		}
		var taken []consumptionRow
		for _, l := range lots {
			if left == 0 {
				break
			}
			amount := min(left, l.Remaining)
			left -= amount
			taken = append(taken, consumptionRow{ID: wallet.NewID(), InboundID: l.ID, OutboundID: d.OutboundID, Amount: amount})
		}
		args := columnsOf(taken)
		args["now"] = d.Now
		if _, err = tx.Exec(ctx, consumeLots, pgx.StrictNamedArgs(args)); err != nil {
			return left, fmt.Errorf("consume credits of wallet %s: %w", d.WalletID, err)
		}
	}
	return left, nil
}

// remainingOf is what is left of an amount that has just brought a wallet's balance
// to balance. The part that was missing before is used up at once.
func remainingOf(amount, balance int64) int64 {
	return max(0, min(amount, balance))
}
