package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// returnKind is how a booking appears: the transfer's kind, the account on the
// other side of the wallet, and the line on the wallet's statement.
type returnKind struct{ transfer, account, name string }

func (r *moneyReturn) kind(back bool) returnKind {
	switch {
	case r.refund != nil && !back:
		return returnKind{"refund", "refunds", "Refund"}
	case r.refund != nil:
		return returnKind{"refund_reversal", "refunds", "Refund reversed"}
	case !back:
		return returnKind{"dispute", "disputes", "Dispute"}
	default:
		return returnKind{"dispute_reversal", "disputes", "Dispute reversed"}
	}
}

// transfer moves the difference out of the wallet, or back into it when it is
// below zero: a line on the statement, a line in the ledger, and what is left of
// the wallet's inbound transactions.
func (b *moneyBack) transfer(ctx context.Context, tx pgx.Tx, r *moneyReturn, difference int64) (Booking, error) {
	back := difference < 0
	kind := r.kind(back)
	credits := b.creditsFor(difference)
	b.balance -= difference
	b.creditsBalance = b.creditsBalance.Sub(credits)
	amount := max(difference, -difference)
	line := statementLine{
		id: wallet.NewID(), kind: kind, amount: amount, credits: credits.Abs(),
		direction: wallet.TransactionOutbound, status: wallet.TransactionVoided,
	}
	if back {
		line.direction, line.status = wallet.TransactionInbound, wallet.TransactionPurchased
		if b.traceable {
			left := remainingOf(amount, b.balance)
			line.remaining = &left
		}
	} else {
		b.consumed = b.consumed.Add(line.credits)
	}
	if err := b.insertLine(ctx, tx, r, line); err != nil {
		return Booking{}, err
	}
	if !back && b.traceable {
		// The money that the payment brought goes first. What it lacks is taken from
		// the rest, and what that lacks is a hole.
		_, err := takeFromLots(ctx, tx, lotDebit{
			WalletID: b.payment.WalletID, OutboundID: line.id, Amount: amount, First: &b.lot, Now: b.now,
		})
		if err != nil {
			return Booking{}, err
		}
	}
	booking := Booking{Kind: kind.transfer, Amount: amount, BalanceAfter: b.balance}
	if r.refund != nil {
		booking.ID, booking.StripeID = r.refund.ID, r.refund.StripeRefundID
	} else {
		booking.ID, booking.StripeID = r.dispute.ID, r.dispute.StripeDisputeID
	}
	return booking, nil
}

// creditsFor is how many credits the difference stands for, at the rate of the
// purchase. It is worked out from the sums, so that parts which are rounded add up
// to the whole. It also moves the sums.
func (b *moneyBack) creditsFor(difference int64) decimal.Decimal {
	before := wallet.CreditsOf(b.gone, b.credited, b.credits)
	b.gone += difference
	return wallet.CreditsOf(b.gone, b.credited, b.credits).Sub(before)
}

type statementLine struct {
	id        wallet.ID
	kind      returnKind
	amount    int64
	credits   decimal.Decimal
	direction wallet.TransactionType
	status    wallet.TransactionKind
	remaining *int64
}

func (b *moneyBack) insertLine(ctx context.Context, tx pgx.Tx, r *moneyReturn, l statementLine) error {
	b.lines = append(b.lines, l.id)
	p := b.payment
	var refundID, disputeID *wallet.ID
	if r.refund != nil {
		refundID = &r.refund.ID
	} else {
		disputeID = &r.dispute.ID
	}
	_, err := tx.Exec(ctx, `
		with line as (
			insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status,
				amount, credit_amount, remaining_amount, created_at, settled_at, name, priority)
			values ($1, $2, $3, $4, $5, $6, 'settled', $7, $8, $9, $10, $10, $11, $12)
		)
		insert into transfers (debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id,
			refund_id, dispute_id, created_at)
		select case when $5 = 'outbound' then $4 else a.id end, case when $5 = 'outbound' then a.id else $4 end,
			$7, $13, $14, $15, $1, $16, $17, $10
		from (select) one
		left join accounts a on a.organization_id = $2 and a.mode = $3 and a.currency = $13 and a.kind = $18`,
		l.id, p.OrganizationID, string(p.Mode), p.WalletID, string(l.direction), string(l.status),
		l.amount, l.credits, l.remaining, b.now, l.kind.name, b.priority,
		string(p.Currency), l.kind.transfer, p.ID, refundID, disputeID, l.kind.account)
	if err != nil {
		return fmt.Errorf("book %s of payment %s: %w", l.kind.transfer, p.ID, err)
	}
	return nil
}
