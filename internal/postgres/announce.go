package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// announceChanges takes the parameters of announcementArgs and counts the
// deliveries that it made.
var announceChanges = statement("announce.sql", "announce_changes", "new_id", newIDAt)

// newIDAt makes an id of version 7 for the time c.at.
const newIDAt = `overlay(overlay(encode(uuid_send(gen_random_uuid()), 'hex')
            placing lpad(to_hex((extract(epoch from c.at) * 1000)::bigint), 12, '0') from 1 for 12)
            placing '7' from 13 for 1)::uuid`

type announcementRow struct {
	Position       int64               `db:"position"`
	Type           wallet.DeliveryType `db:"type"`
	ObjectID       wallet.ID           `db:"object_id"`
	OrganizationID wallet.ID           `db:"organization_id"`
	Mode           wallet.Mode         `db:"mode"`
	PaymentID      *wallet.ID          `db:"payment_id"`
	TransactionID  *wallet.ID          `db:"transaction_id"`
	WalletID       *wallet.ID          `db:"wallet_id"`
	Amount         *int64              `db:"amount"`
	Traceparent    *string             `db:"traceparent"`
	At             time.Time           `db:"at"`
}

func announcementArgs(list []wallet.Announcement) params {
	rows := make([]announcementRow, len(list))
	for i, a := range list {
		rows[i] = announcementRow{
			Position: int64(i), Type: a.Type, ObjectID: a.ObjectID, OrganizationID: a.OrganizationID, Mode: a.Mode,
			PaymentID: a.PaymentID, TransactionID: a.TransactionID, WalletID: a.WalletID, Amount: a.Amount,
			Traceparent: nullable.From(a.Traceparent), At: a.At,
		}
	}
	args := columnsOf(rows)
	args["created"] = wallet.DeliveryTransactionCreated
	return args
}

// announce inserts the deliveries of changes that were just written, in the
// transaction that wrote them.
func announce(ctx context.Context, tx pgx.Tx, list ...wallet.Announcement) error {
	if len(list) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, announceChanges, announcementArgs(list)); err != nil {
		return fmt.Errorf("announce %s: %w", list[0].Type, err)
	}
	return nil
}
