package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

var (
	insertRefunds            = statement("money_back.sql", "insert_refunds")
	updateRefunds            = statement("money_back.sql", "update_refunds")
	insertDisputes           = statement("money_back.sql", "insert_disputes")
	updateDisputes           = statement("money_back.sql", "update_disputes")
	insertMoneyBackLines     = statement("money_back.sql", "insert_lines")
	insertMoneyBackTransfers = statement("money_back.sql", "insert_transfers")
)

// The version guards: it is the one that the decision was made from.
const updateMoneyBackPayment = `
	update payments
	set money_back_version = @version,
		refunded = @refunded,
		disputed = @disputed,
		updated_at = case when @moved then @now else updated_at end
	where id = @id and money_back_version = @version_before`

// writeMoneyBack writes what was decided, in one round trip, with one statement
// for each kind of row that there is something to write of. It fails when a
// statement does not write every one of its rows, so that the caller's transaction
// is rolled back.
func writeMoneyBack(ctx context.Context, tx pgx.Tx, c moneyback.Changes) error {
	w := &writes{}
	// 1. Refunds and disputes, which transfers refer to.
	w.queue("new refunds", insertRefunds, len(c.NewRefunds), withPayment(c, columnsOf(newRefundRows(c.NewRefunds))))
	w.queue("refunds", updateRefunds, len(c.Refunds), columnsOf(refundRows(c.Refunds)))
	w.queue("new disputes", insertDisputes, len(c.NewDisputes), withPayment(c, columnsOf(newDisputeRows(c.NewDisputes))))
	w.queue("disputes", updateDisputes, len(c.Disputes), columnsOf(disputeRows(c.Disputes)))
	// 2. The bookings: lines on the wallet's statement, then the transfers of the
	// ledger, which refer to them.
	w.queue("lines", insertMoneyBackLines, len(c.Bookings), withLine(c, columnsOf(lineRows(c.Bookings))))
	w.queue("transfers", insertMoneyBackTransfers, len(c.Bookings), withTransfer(c, columnsOf(returnTransferRows(c.Bookings))))
	// 3. What the bookings took from other lines, some of which may be new.
	w.queue("lots", updateLots, len(c.Lots), columnsOf(lotRows(c.Lots)))
	w.queue("consumptions", insertConsumptions, len(c.Consumptions), withTime(c.Now, columnsOf(consumptionRows(c.Consumptions))))
	// 4. The sums.
	if c.Moved() || c.Payment.Version != c.VersionBefore {
		w.queue("payment", updateMoneyBackPayment, 1, params{
			"id": c.Payment.ID, "version": c.Payment.Version, "version_before": c.VersionBefore,
			"refunded": c.Payment.Refunded, "disputed": c.Payment.Disputed, "moved": c.Moved(), "now": c.Now,
		})
	}
	if c.Moved() {
		w.queue("wallet", updateWalletSums, 1, params{
			"id": c.Wallet.ID, "balance": c.Wallet.Balance, "balance_before": c.BalanceBefore,
			"credits_balance": c.Wallet.CreditsBalance, "consumed_credits": c.Wallet.ConsumedCredits,
			"last_consumed_credit_at": c.Wallet.LastConsumedCreditAt, "now": c.Now,
		})
	}
	// 5. The deliveries come last, because they show the rows as they are now.
	w.announce(c.Announcements)
	if w.batch.Len() == 0 {
		return nil
	}
	if err := sendBatch(ctx, tx, &w.batch, w.check); err != nil {
		return fmt.Errorf("write what goes back of payment %s: %w", c.Payment.ID, err)
	}
	return nil
}

// The parameters that all rows of a statement share.

func withPayment(c moneyback.Changes, args params) params {
	args["organization_id"], args["mode"], args["wallet_id"] = c.Payment.OrganizationID, c.Payment.Mode, c.Payment.WalletID
	args["payment_id"], args["currency"] = c.Payment.ID, c.Payment.Currency
	return args
}

func withLine(c moneyback.Changes, args params) params {
	args["organization_id"], args["mode"], args["wallet_id"] = c.Payment.OrganizationID, c.Payment.Mode, c.Payment.WalletID
	args["priority"] = c.Purchase.Priority
	return withTime(c.Now, args)
}

func withTransfer(c moneyback.Changes, args params) params {
	return withTime(c.Now, withPayment(c, args))
}

// The rows of the statements, one field a column.

// refundRow is what may change of a refund.
type refundRow struct {
	ID             wallet.ID           `db:"id"`
	StripeRefundID *string             `db:"stripe_refund_id"`
	Status         wallet.RefundStatus `db:"status"`
	FailureReason  *string             `db:"failure_reason"`
	Debited        int64               `db:"debited"`
	NextCheckAt    *time.Time          `db:"next_check_at"`
	UpdatedAt      time.Time           `db:"updated_at"`
}

func refundRows(list []wallet.Refund) []refundRow {
	rows := make([]refundRow, len(list))
	for i, r := range list {
		rows[i] = refundRow{
			ID: r.ID, StripeRefundID: nullable.From(r.StripeRefundID), Status: r.Status, FailureReason: nullable.From(r.FailureReason),
			Debited: r.Debited, UpdatedAt: r.UpdatedAt,
		}
		if r.Status.Open() {
			check := r.UpdatedAt.Add(refundCheckAfter)
			rows[i].NextCheckAt = &check
		}
	}
	return rows
}

type newRefundRow struct {
	refundRow
	Amount    int64     `db:"amount"`
	Reason    *string   `db:"reason"`
	CreatedAt time.Time `db:"created_at"`
}

func newRefundRows(list []wallet.Refund) []newRefundRow {
	rows := make([]newRefundRow, len(list))
	for i, row := range refundRows(list) {
		r := list[i]
		rows[i] = newRefundRow{refundRow: row, Amount: r.Amount, Reason: nullable.From(r.Reason), CreatedAt: r.CreatedAt}
	}
	return rows
}

// disputeRow is what may change of a dispute.
type disputeRow struct {
	ID            wallet.ID            `db:"id"`
	Amount        int64                `db:"amount"`
	Status        wallet.DisputeStatus `db:"status"`
	Reason        *string              `db:"reason"`
	Withdrawn     int64                `db:"withdrawn"`
	Reinstated    int64                `db:"reinstated"`
	FundsCurrency *string              `db:"funds_currency"`
	Debited       int64                `db:"debited"`
	UpdatedAt     time.Time            `db:"updated_at"`
}

func disputeRows(list []wallet.Dispute) []disputeRow {
	rows := make([]disputeRow, len(list))
	for i, d := range list {
		rows[i] = disputeRow{
			ID: d.ID, Amount: d.Amount, Status: d.Status, Reason: nullable.From(d.Reason), Withdrawn: d.Withdrawn, Reinstated: d.Reinstated,
			FundsCurrency: nullable.From(string(d.FundsCurrency)), Debited: d.Debited, UpdatedAt: d.UpdatedAt,
		}
	}
	return rows
}

type newDisputeRow struct {
	disputeRow
	StripeDisputeID string    `db:"stripe_dispute_id"`
	CreatedAt       time.Time `db:"created_at"`
}

func newDisputeRows(list []wallet.Dispute) []newDisputeRow {
	rows := make([]newDisputeRow, len(list))
	for i, row := range disputeRows(list) {
		rows[i] = newDisputeRow{disputeRow: row, StripeDisputeID: list[i].StripeDisputeID, CreatedAt: list[i].CreatedAt}
	}
	return rows
}

type lineRow struct {
	ID        wallet.ID              `db:"id"`
	Name      string                 `db:"name"`
	Type      wallet.TransactionType `db:"transaction_type"`
	Kind      wallet.TransactionKind `db:"transaction_status"`
	Amount    int64                  `db:"amount"`
	Credits   decimal.Decimal        `db:"credit_amount"`
	Remaining *int64                 `db:"remaining_amount"`
}

func lineRows(list []moneyback.Booking) []lineRow {
	rows := make([]lineRow, len(list))
	for i, b := range list {
		l := b.Line
		rows[i] = lineRow{ID: l.ID, Name: l.Name, Type: l.Type, Kind: l.Kind, Amount: b.Amount, Credits: l.Credits, Remaining: l.Remaining}
	}
	return rows
}

type returnTransferRow struct {
	Position      int            `db:"position"`
	Kind          moneyback.Kind `db:"kind"`
	IntoWallet    bool           `db:"into_wallet"`
	Account       string         `db:"account"`
	Amount        int64          `db:"amount"`
	TransactionID wallet.ID      `db:"wallet_transaction_id"`
	RefundID      *wallet.ID     `db:"refund_id"`
	DisputeID     *wallet.ID     `db:"dispute_id"`
}

func returnTransferRows(list []moneyback.Booking) []returnTransferRow {
	rows := make([]returnTransferRow, len(list))
	for i, b := range list {
		rows[i] = returnTransferRow{
			Position: i, Kind: b.Kind, IntoWallet: b.Kind.Reverses(), Account: b.Kind.Account(), Amount: b.Amount,
			TransactionID: b.Line.ID, RefundID: b.RefundID(), DisputeID: b.DisputeID(),
		}
	}
	return rows
}
