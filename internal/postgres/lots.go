package postgres

import (
	"github.com/fundrail/fundrail/internal/wallet"
)

// lotBatch is how many lots are read at a time. A wallet may have a million, and the
// first ones cover most debits.
const lotBatch = 500

var (
	readWalletLots     = statement("lots.sql", "read_wallet_lots")
	updateLots         = statement("lots.sql", "update_lots")
	insertConsumptions = statement("lots.sql", "insert_consumptions")
)

type lotRow struct {
	ID     wallet.ID `db:"id"`
	Before int64     `db:"before"`
	After  int64     `db:"after"`
}

func lotRows(list []wallet.LotChange) []lotRow {
	rows := make([]lotRow, len(list))
	for i, l := range list {
		rows[i] = lotRow(l)
	}
	return rows
}

type consumptionRow struct {
	ID         wallet.ID `db:"id"`
	InboundID  wallet.ID `db:"inbound_transaction_id"`
	OutboundID wallet.ID `db:"outbound_transaction_id"`
	Amount     int64     `db:"amount"`
}

func consumptionRows(list []wallet.LotDebit) []consumptionRow {
	rows := make([]consumptionRow, len(list))
	for i, d := range list {
		rows[i] = consumptionRow(d)
	}
	return rows
}
