package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// lotBatch is the number of inbound transactions that are read at a time. A wallet may
// have a million, but the first few cover most debits.
const lotBatch = 500

// lotDebit is a debit of a wallet that consumes the remaining amounts of its inbound
// transactions (lots).
type lotDebit struct {
	WalletID   wallet.ID
	OutboundID wallet.ID
	Amount     int64
	// Only restricts the debit to one inbound transaction, unless it is nil.
	Only *wallet.ID
	Now  time.Time
}

var consumeLots = statement("lots.sql", "consume_lots")

// takeFromLots consumes the lots of a wallet until the debit is covered, in the order of
// consumption: by priority, granted before purchased, the oldest first. It stores one
// consumption for each lot and returns the part of the amount that the lots did not cover.
// The caller must hold the wallet's lock.
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

// remainingOf returns the remaining amount of a new lot of the given amount, which has just
// raised the wallet's balance to balance. The part that raised a negative balance to zero is
// not available.
func remainingOf(amount, balance int64) int64 {
	return max(0, min(amount, balance))
}
