package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// moveCredits settles the grant and the void of a top-up. The wallet's row is
// locked from the beginning, as settling a payment locks it, so what is left in
// the wallet and in its transactions stays put while it is looked at.
func (p *PreparedTopUp) moveCredits(ctx context.Context, tx pgx.Tx) error {
	w, err := lockWallet(ctx, tx, WalletRef{OrganizationID: p.OrganizationID, Mode: p.Mode, ID: p.WalletID}, p.Now)
	switch {
	case err != nil:
		return err
	case w.Status != wallet.WalletActive:
		return wallet.Invalid(wallet.FieldWalletID, wallet.InvalidWalletTerminated)
	case p.Voided.GreaterThan(w.CreditsBalance):
		// Before this request's own grant, as when the request was looked at.
		return wallet.Invalid(wallet.FieldVoidedCredits, wallet.InvalidInsufficientCredits)
	}
	if p.grant != nil {
		if p.grant.amount > math.MaxInt64-max(w.Balance, 0) {
			return wallet.Invalid(wallet.FieldGrantedCredits, wallet.InvalidGrantedCredits, wallet.InvalidAmount)
		}
		if err := p.insertMovement(ctx, tx, w, *p.grant, wallet.TransactionGranted); err != nil {
			return err
		}
		w.Balance += p.grant.amount
		w.CreditsBalance = w.CreditsBalance.Add(p.grant.credits)
		p.grant.made = &Movement{p.grant.id, wallet.TransactionGranted, p.grant.amount, p.grant.credits}
	}
	if p.void != nil {
		void, err := p.makeVoid(ctx, tx, w)
		if err != nil {
			return err
		}
		w.Balance -= void.amount
		w.CreditsBalance = w.CreditsBalance.Sub(void.credits)
		w.ConsumedCredits = w.ConsumedCredits.Add(void.credits)
		w.LastConsumedCreditAt = &p.Now
		p.void.made = &Movement{void.id, wallet.TransactionVoided, void.amount, void.credits}
	}
	_, err = tx.Exec(ctx, `
		update wallets
		set balance = $2, credits_balance = $3, consumed_credits = $4, last_consumed_credit_at = $5,
			last_balance_sync_at = $6, updated_at = $6
		where id = $1`,
		w.ID, w.Balance, w.CreditsBalance, w.ConsumedCredits, w.LastConsumedCreditAt, p.Now)
	if err != nil {
		return fmt.Errorf("move credits of wallet %s: %w", w.ID, err)
	}
	moved := p.TransactionIDs()
	if p.Purchase != nil {
		moved = moved[1:] // announced when it was accepted
	}
	var list []wallet.Announcement
	for _, id := range moved {
		list = append(list, wallet.AnnounceTransaction(wallet.EventTransactionCreated, id, w, p.Now))
	}
	return announce(ctx, tx, append(list, wallet.AnnounceWallet(wallet.EventWalletBalanceUpdated, w, p.Now))...)
}

// makeVoid takes credits out of the wallet and says how many.
func (p *PreparedTopUp) makeVoid(ctx context.Context, tx pgx.Tx, w wallet.Wallet) (movement, error) {
	void := *p.void
	if p.VoidedTransactionID != nil {
		var left int64
		err := tx.QueryRow(ctx, `select coalesce(remaining_amount, 0) from wallet_transactions where id = $1`,
			*p.VoidedTransactionID).Scan(&left)
		switch {
		case err != nil:
			return void, fmt.Errorf("void wallet transaction %s: %w", *p.VoidedTransactionID, err)
		case left == 0:
			return void, wallet.Invalid(wallet.FieldVoidedTransactionID, wallet.InvalidNoRemainingAmount)
		case void.amount > left:
			return void, wallet.Invalid(wallet.FieldAmountCents, wallet.InvalidExceedsRemaining)
		case void.credits.IsZero():
			// Money and credits drift apart by what voids round, so that the last of
			// the money may stand for more credits than there are.
			void.amount = left
			void.credits = decimal.Min(wallet.CreditsFor(left, w.RateAmount, w.Currency), w.CreditsBalance)
			void.credits = decimal.Max(void.credits, decimal.Zero)
		}
	}
	if void.amount > w.Balance {
		return void, wallet.Invalid(wallet.FieldAmountCents, wallet.InvalidExceedsAvailable)
	}
	if err := p.insertMovement(ctx, tx, w, void, wallet.TransactionVoided); err != nil {
		return void, err
	}
	if !w.Traceable {
		return void, nil
	}
	return void, p.consume(ctx, tx, void)
}

// insertMovement stores a grant or a void, settled, and its transfer. A void that
// is worth less than half a minor unit moves credits and no money.
func (p *PreparedTopUp) insertMovement(ctx context.Context, tx pgx.Tx, w wallet.Wallet, m movement, kind wallet.TransactionKind) error {
	sections, err := p.sections(ctx, tx)
	if err != nil {
		return err
	}
	var (
		direction = wallet.TransactionOutbound
		order     = ""
		transfer  = "void"
		debit     = `$4`
		credit    = `(select id from accounts where organization_id = $2 and mode = $3 and currency = $17 and kind = 'voids')`
		remaining *int64
		metadata  any
	)
	if kind == wallet.TransactionGranted {
		direction, order, transfer = wallet.TransactionInbound, p.PurchaseOrderNumber, "grant"
		debit = `(select id from accounts where organization_id = $2 and mode = $3 and currency = $17 and kind = 'promotions')`
		credit = `$4`
		if w.Traceable {
			left := remainingOf(m.amount, w.Balance+m.amount)
			remaining = &left
		}
	}
	if len(p.Metadata) > 0 {
		metadata = p.Metadata
	}
	_, err = tx.Exec(ctx, `
		with stored as (
			insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status,
				amount, credit_amount, remaining_amount, created_at, settled_at, name, priority, source, purchase_order_number,
				metadata, skip_invoice_custom_sections, invoice_custom_sections)
			values ($1, $2, $3, $4, $5, $6, 'settled', $7, $8, $9, $10, $10, nullif($11, ''), $12, $13, nullif($14, ''), $15, $16, $18)
		)
		insert into transfers (debit_account, credit_account, amount, currency, kind, wallet_transaction_id, created_at)
		select `+debit+`, `+credit+`, $7, $17, $19, $1, $10 where $7::bigint > 0`,
		m.id, p.OrganizationID, p.Mode, w.ID, direction, kind, m.amount, m.credits, remaining, p.Now,
		p.Name, p.priority(), p.source(), order, metadata, sections.Skip, w.Currency, sectionsOrNull(sections), transfer)
	if err != nil {
		return fmt.Errorf("insert %s wallet transaction: %w", kind, err)
	}
	return nil
}

// consume takes the money of a void out of the inbound transactions in which it
// lies, in the wallet's order or out of the one that was named. When there is not
// enough, nothing has happened but in a transaction that the caller rolls back.
func (p *PreparedTopUp) consume(ctx context.Context, tx pgx.Tx, void movement) error {
	left, err := takeFromLots(ctx, tx, lotDebit{
		WalletID: p.WalletID, OutboundID: void.id, Amount: void.amount, Only: p.VoidedTransactionID, Now: p.Now,
	})
	if err == nil && left > 0 {
		return wallet.Invalid(wallet.FieldAmountCents, wallet.InvalidExceedsAvailable)
	}
	return err
}
