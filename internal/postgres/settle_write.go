package postgres

import (
	"context"
	"time"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// writeChanges is the second round trip: it writes what was decided, each table by
// one statement and only if it has rows, and checks that each statement changed the
// rows that it was given. It reports whether something is announced.
func writeChanges(ctx context.Context, db DB, rows []settleRow, changes []wallet.SettleChanges, commit bool) (bool, error) {
	w := &writes{}
	queueRows(w, "settled transactions", insertSettledTransactions, settledTransactionRows(changes))
	queueRows(w, "payments", updatePayments, movedPaymentRows(rows, changes))
	queueRows(w, "purchases", updatePurchases, purchaseRows(changes))
	queueRows(w, "invoices", updateInvoices, invoiceRows(changes))
	queueRows(w, "balances", updateBalances, balanceRows(rows, changes))
	queueRows(w, "transfers", insertTransfers, transferRows(rows, changes))
	queueRows(w, "moves", insertMoves, moveRows(changes))
	queueRows(w, "cards", updateCards, cardRows(changes))
	forgiven, barred := declineRows(rows, changes)
	queueSomeRows(w, "forgiven cards", forgiveCards, forgiven)
	queueRows(w, "barred cards", barCards, barred)
	queueSomeRows(w, "discrepancies", insertDiscrepancies, discrepancyRows(changes))
	w.announce(wallet.AnnounceSettlements(listenedTo(rows, changes)))
	if commit {
		w.batch.Queue("commit")
	}
	err := sendBatch(ctx, db, &w.batch, w.check)
	if commit {
		err = sent(err)
	}
	return w.deliveries > 0, err
}

// Numbers with decimals go to the database as text: pgx would first try what it knows
// of each, and fail.

// settledTransactionRow is a purchase that was paid for a second time.
type settledTransactionRow struct {
	ID              wallet.ID   `db:"id"`
	OrganizationID  wallet.ID   `db:"organization_id"`
	Mode            wallet.Mode `db:"mode"`
	WalletID        wallet.ID   `db:"wallet_id"`
	Amount          int64       `db:"amount"`
	CreditAmount    string      `db:"credit_amount"`
	RemainingAmount *int64      `db:"remaining_amount"`
	SettledAt       time.Time   `db:"settled_at"`
}

func settledTransactionRows(changes []wallet.SettleChanges) []settledTransactionRow {
	var list []settledTransactionRow
	for _, c := range changes {
		if t := c.Spare; t != nil {
			list = append(list, settledTransactionRow{
				ID: t.ID, OrganizationID: c.Payment.OrganizationID, Mode: c.Payment.Mode, WalletID: c.Payment.WalletID,
				Amount: t.Amount, CreditAmount: t.CreditAmount.String(), RemainingAmount: t.RemainingAmount, SettledAt: *t.SettledAt,
			})
		}
	}
	return list
}

// movedPaymentRow is a payment that moved, or learned its intent.
type movedPaymentRow struct {
	ID                      wallet.ID            `db:"id"`
	FromStatus              wallet.PaymentStatus `db:"from_status"`
	Status                  wallet.PaymentStatus `db:"status"`
	WalletTransactionID     wallet.ID            `db:"wallet_transaction_id"`
	StripePaymentIntentID   *string              `db:"stripe_payment_intent_id"`
	StripeChargeID          *string              `db:"stripe_charge_id"`
	StripeCheckoutSessionID *string              `db:"stripe_checkout_session_id"`
	AmountReceived          *int64               `db:"amount_received"`
	BalanceAfter            *int64               `db:"balance_after"`
	RedirectURL             *string              `db:"redirect_url"`
	FailureCode             *string              `db:"failure_code"`
	FailureDeclineCode      *string              `db:"failure_decline_code"`
	FailureMessage          *string              `db:"failure_message"`
	ActionDeadlineAt        *time.Time           `db:"action_deadline_at"`
	CloseDueAt              *time.Time           `db:"close_due_at"`
	NextCheckAt             *time.Time           `db:"next_check_at"`
	UpdatedAt               time.Time            `db:"updated_at"`
	// The time of the move, at the state that it leads to; the others stay.
	CanceledAt  *time.Time `db:"canceled_at"`
	FailedAt    *time.Time `db:"failed_at"`
	SucceededAt *time.Time `db:"succeeded_at"`
}

func movedPaymentRows(rows []settleRow, changes []wallet.SettleChanges) []movedPaymentRow {
	var list []movedPaymentRow
	for i, c := range changes {
		if c.Move == nil && !c.Identified {
			continue
		}
		p := c.Payment
		r := movedPaymentRow{
			ID: p.ID, FromStatus: rows[i].Status, Status: p.Status, WalletTransactionID: p.WalletTransactionID,
			StripePaymentIntentID: nullable.From(p.StripePaymentIntentID), StripeChargeID: nullable.From(p.StripeChargeID),
			StripeCheckoutSessionID: nullable.From(p.StripeCheckoutSessionID), BalanceAfter: p.BalanceAfter,
			RedirectURL: nullable.From(p.RedirectURL), FailureCode: nullable.From(p.Failure.Code),
			FailureDeclineCode: nullable.From(p.Failure.DeclineCode), FailureMessage: nullable.From(p.Failure.Message),
			ActionDeadlineAt: p.ActionDeadlineAt, CloseDueAt: p.CloseDueAt, NextCheckAt: p.NextCheckAt, UpdatedAt: p.UpdatedAt,
		}
		if p.AmountReceived > 0 {
			r.AmountReceived = &p.AmountReceived
		}
		if c.Move != nil {
			at := c.Move.MovedAt
			switch c.Move.To {
			case wallet.PaymentCanceled:
				r.CanceledAt = &at
			case wallet.PaymentFailed:
				r.FailedAt = &at
			case wallet.PaymentSucceeded:
				r.SucceededAt = &at
			case wallet.PaymentCreated, wallet.PaymentProcessing, wallet.PaymentRequiresAction:
			}
		}
		list = append(list, r)
	}
	return list
}

type purchaseRow struct {
	ID              wallet.ID                `db:"id"`
	Status          wallet.TransactionStatus `db:"status"`
	Amount          int64                    `db:"amount"`
	CreditAmount    string                   `db:"credit_amount"`
	RemainingAmount *int64                   `db:"remaining_amount"`
	SettledAt       *time.Time               `db:"settled_at"`
	FailedAt        *time.Time               `db:"failed_at"`
}

func purchaseRows(changes []wallet.SettleChanges) []purchaseRow {
	var list []purchaseRow
	last := newest(changes, func(c wallet.SettleChanges) *wallet.PurchaseState { return c.Purchase },
		func(t wallet.PurchaseState) wallet.ID { return t.ID })
	for _, t := range last {
		list = append(list, purchaseRow{
			ID: t.ID, Status: t.Status, Amount: t.Amount, CreditAmount: t.CreditAmount.String(),
			RemainingAmount: t.RemainingAmount, SettledAt: t.SettledAt, FailedAt: t.FailedAt,
		})
	}
	return list
}

// newest lists rows that several changes may share, each as the last change leaves
// it.
func newest[T any](changes []wallet.SettleChanges, pick func(wallet.SettleChanges) *T, id func(T) wallet.ID) []T {
	var list []T
	position := make(map[wallet.ID]int)
	for _, c := range changes {
		row := pick(c)
		if row == nil {
			continue
		}
		if i, ok := position[id(*row)]; ok {
			list[i] = *row
			continue
		}
		position[id(*row)] = len(list)
		list = append(list, *row)
	}
	return list
}

type invoiceRow struct {
	ID            wallet.ID                   `db:"id"`
	Status        wallet.InvoiceStatus        `db:"status"`
	PaymentStatus wallet.InvoicePaymentStatus `db:"payment_status"`
	PaidAmount    int64                       `db:"paid_amount"`
	FinalizedAt   *time.Time                  `db:"finalized_at"`
	IssuedAt      *time.Time                  `db:"issued_at"`
	UpdatedAt     time.Time                   `db:"updated_at"`
}

func invoiceRows(changes []wallet.SettleChanges) []invoiceRow {
	var list []invoiceRow
	last := newest(changes, func(c wallet.SettleChanges) *wallet.InvoiceState { return c.Invoice },
		func(i wallet.InvoiceState) wallet.ID { return i.ID })
	for _, i := range last {
		r := invoiceRow{
			ID: i.ID, Status: i.Status, PaymentStatus: i.PaymentStatus, PaidAmount: i.PaidAmount,
			FinalizedAt: i.FinalizedAt, UpdatedAt: i.UpdatedAt,
		}
		if !i.IssuedAt.IsZero() {
			r.IssuedAt = &i.IssuedAt
		}
		list = append(list, r)
	}
	return list
}

type balanceRow struct {
	ID             wallet.ID `db:"id"`
	BalanceBefore  *int64    `db:"balance_before"` // null: whatever it is
	Balance        int64     `db:"balance"`
	CreditsBalance string    `db:"credits_balance"`
	UpdatedAt      time.Time `db:"updated_at"`
}

func balanceRows(rows []settleRow, changes []wallet.SettleChanges) []balanceRow {
	before := make(map[wallet.ID]*int64, len(rows))
	for _, r := range rows {
		before[r.WalletID] = &r.WalletBalance
	}
	var list []balanceRow
	last := newest(changes, func(c wallet.SettleChanges) *wallet.BalanceState { return c.Wallet },
		func(w wallet.BalanceState) wallet.ID { return w.ID })
	for _, w := range last {
		r := balanceRow{ID: w.ID, BalanceBefore: before[w.ID], Balance: w.Balance, CreditsBalance: w.CreditsBalance.String(), UpdatedAt: w.UpdatedAt}
		if breakpoint.Broken(breakpoint.WalletLock) {
			r.BalanceBefore = nil
		}
		list = append(list, r)
	}
	return list
}

// transferRow is a settlement: money that Stripe holds for the organization and
// that the wallet's owner may spend.
type transferRow struct {
	DebitAccount        *wallet.ID      `db:"debit_account"`
	CreditAccount       wallet.ID       `db:"credit_account"`
	Amount              int64           `db:"amount"`
	Currency            wallet.Currency `db:"currency"`
	PaymentID           wallet.ID       `db:"payment_id"`
	WalletTransactionID wallet.ID       `db:"wallet_transaction_id"`
	CreatedAt           time.Time       `db:"created_at"`
}

func transferRows(rows []settleRow, changes []wallet.SettleChanges) []transferRow {
	var list []transferRow
	for i, c := range changes {
		if c.Credit != nil {
			list = append(list, transferRow{
				DebitAccount: rows[i].ClearingAccount, CreditAccount: c.Payment.WalletID, Amount: c.Credit.Amount,
				Currency: c.Payment.Currency, PaymentID: c.Payment.ID, WalletTransactionID: c.Credit.TransactionID,
				CreatedAt: c.Move.MovedAt,
			})
		}
	}
	return list
}

type moveRow struct {
	PaymentID       wallet.ID            `db:"payment_id"`
	FromStatus      wallet.PaymentStatus `db:"from_status"`
	ToStatus        wallet.PaymentStatus `db:"to_status"`
	CauseKind       wallet.CauseKind     `db:"cause_kind"`
	CauseID         string               `db:"cause_id"`
	StripeRequestID *string              `db:"stripe_request_id"`
	MovedAt         time.Time            `db:"moved_at"`
}

func moveRows(changes []wallet.SettleChanges) []moveRow {
	var list []moveRow
	for _, c := range changes {
		if m := c.Move; m != nil {
			list = append(list, moveRow{
				PaymentID: m.PaymentID, FromStatus: m.From, ToStatus: m.To, CauseKind: m.Cause.Kind, CauseID: m.Cause.ID,
				StripeRequestID: nullable.From(m.StripeRequestID), MovedAt: m.MovedAt,
			})
		}
	}
	return list
}

type cardRow struct {
	ID           wallet.ID  `db:"id"`
	ErrorCode    *string    `db:"error_code"`
	ErrorMessage *string    `db:"error_message"`
	ErrorAt      *time.Time `db:"error_at"`
}

func cardRows(changes []wallet.SettleChanges) []cardRow {
	var list []cardRow
	last := newest(changes, func(c wallet.SettleChanges) *wallet.CardState { return c.Card },
		func(c wallet.CardState) wallet.ID { return c.ID })
	for _, c := range last {
		r := cardRow{ID: c.ID}
		if c.Error.Code != "" {
			r.ErrorCode, r.ErrorMessage, r.ErrorAt = &c.Error.Code, nullable.From(c.Error.Message), &c.Error.At
		}
		list = append(list, r)
	}
	return list
}

// fingerprintRow names a card by its number.
type fingerprintRow struct {
	OrganizationID wallet.ID   `db:"organization_id"`
	Mode           wallet.Mode `db:"mode"`
	Fingerprint    string      `db:"fingerprint"`
}

type barredRow struct {
	fingerprintRow
	Class      wallet.DeclineClass `db:"class"`
	Code       string              `db:"code"`
	PaymentID  wallet.ID           `db:"payment_id"`
	DeclinedAt time.Time           `db:"declined_at"`
}

// declineRows lists the cards that a success forgives and those that a decline
// bars, each as the last change leaves it.
func declineRows(rows []settleRow, changes []wallet.SettleChanges) ([]fingerprintRow, []barredRow) {
	known := make(map[fingerprintRow]bool) // whether a decline is stored
	last := make(map[fingerprintRow]*wallet.CardDecline)
	var order []fingerprintRow
	for i, c := range changes {
		if c.Card == nil || c.Card.Fingerprint == "" {
			continue
		}
		key := fingerprintRow{OrganizationID: c.Payment.OrganizationID, Mode: c.Payment.Mode, Fingerprint: c.Card.Fingerprint}
		if _, ok := last[key]; !ok {
			order = append(order, key)
		}
		known[key], last[key] = known[key] || rows[i].BarredClass != nil, c.Card.Barred
	}
	var forgiven []fingerprintRow
	var barred []barredRow
	for _, key := range order {
		switch d := last[key]; {
		case d != nil:
			barred = append(barred, barredRow{
				fingerprintRow: key, Class: d.Class, Code: d.Code, PaymentID: d.PaymentID, DeclinedAt: d.DeclinedAt,
			})
		case known[key]:
			forgiven = append(forgiven, key)
		}
	}
	return forgiven, barred
}

type discrepancyRow struct {
	PaymentID             wallet.ID              `db:"payment_id"`
	Kind                  wallet.DiscrepancyKind `db:"kind"`
	StripePaymentIntentID string                 `db:"stripe_payment_intent_id"`
	ExpectedAmount        int64                  `db:"expected_amount"`
	ExpectedCurrency      wallet.Currency        `db:"expected_currency"`
	ReceivedAmount        int64                  `db:"received_amount"`
	ReceivedCurrency      wallet.Currency        `db:"received_currency"`
	CauseKind             wallet.CauseKind       `db:"cause_kind"`
	CauseID               string                 `db:"cause_id"`
	FoundAt               time.Time              `db:"found_at"`
}

func discrepancyRows(changes []wallet.SettleChanges) []discrepancyRow {
	var list []discrepancyRow
	for _, c := range changes {
		for _, d := range c.Discrepancies {
			list = append(list, discrepancyRow{
				PaymentID: d.PaymentID, Kind: d.Kind, StripePaymentIntentID: d.IntentID,
				ExpectedAmount: d.ExpectedAmount, ExpectedCurrency: d.ExpectedCurrency,
				ReceivedAmount: d.ReceivedAmount, ReceivedCurrency: d.ReceivedCurrency,
				CauseKind: d.Cause.Kind, CauseID: d.Cause.ID, FoundAt: d.FoundAt,
			})
		}
	}
	return list
}

// listenedTo leaves out the changes that no endpoint asks for.
func listenedTo(rows []settleRow, changes []wallet.SettleChanges) []wallet.SettleChanges {
	var list []wallet.SettleChanges
	for i, c := range changes {
		if rows[i].ListenedTo {
			list = append(list, c)
		}
	}
	return list
}
