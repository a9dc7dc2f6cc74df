package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// lotBatch is how many inbound transactions are looked at together. A wallet may
// have a million, and most debits are covered by the first.
const lotBatch = 500

// lotDebit is money that leaves a wallet, to be taken out of the inbound
// transactions in which it lies.
type lotDebit struct {
	WalletID   wallet.ID
	OutboundID wallet.ID
	Amount     int64
	// Only, unless nil, is the one inbound transaction that it may be taken from;
	// First the one that it is taken from before all others.
	Only  *wallet.ID
	First *wallet.ID
	Now   time.Time
}

// takeFromLots takes a debit out of the inbound transactions, in the wallet's
// order: by priority, granted before purchased, the oldest first. It writes one
// link for each, and returns how much they did not cover. The caller holds the
// wallet's lock.
func takeFromLots(ctx context.Context, tx pgx.Tx, d lotDebit) (int64, error) {
	type lot struct {
		ID        wallet.ID
		Remaining int64
	}
	left := d.Amount
	if d.First != nil {
		own := d
		own.Only, own.First = d.First, nil
		var err error
		if left, err = takeFromLots(ctx, tx, own); err != nil {
			return left, err
		}
	}
	for left > 0 {
		rows, _ := tx.Query(ctx, `
			select id, remaining_amount
			from wallet_transactions
			where wallet_id = $1 and remaining_amount > 0 and ($2::uuid is null or id = $2)
			order by priority, transaction_status, created_at, id
			limit $3`, d.WalletID, d.Only, lotBatch)
		lots, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lot])
		if err != nil {
			return left, fmt.Errorf("look into wallet %s: %w", d.WalletID, err)
		}
		if len(lots) == 0 {
			return left, nil
		}
		var (
			links, inbound []wallet.ID
			amounts        []int64
		)
		for _, l := range lots {
			if left == 0 {
				break
			}
			taken := min(left, l.Remaining)
			left -= taken
			links, inbound, amounts = append(links, wallet.NewID()), append(inbound, l.ID), append(amounts, taken)
		}
		_, err = tx.Exec(ctx, `
			with taken as (
				select * from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as x (id, inbound_id, amount)
			), lots as (
				update wallet_transactions t
				set remaining_amount = t.remaining_amount - x.amount
				from taken x where t.id = x.inbound_id
			)
			insert into wallet_transaction_consumptions (id, inbound_transaction_id, outbound_transaction_id, amount, created_at)
			select id, inbound_id, $4, amount, $5 from taken`, links, inbound, amounts, d.OutboundID, d.Now)
		if err != nil {
			return left, fmt.Errorf("consume credits of wallet %s: %w", d.WalletID, err)
		}
	}
	return left, nil
}

// remainingOf is what is left of money that has just come into a wallet whose
// balance it has brought to balance. A hole swallows it first.
func remainingOf(amount, balance int64) int64 {
	return max(0, min(amount, balance))
}
