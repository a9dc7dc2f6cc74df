package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// TopUp is a request to put credits into a wallet and to take some out of it.
type TopUp struct {
	OrganizationID wallet.ID
	Mode           wallet.Mode
	WalletID       wallet.ID
	// Paid, Granted and Voided are credits of five decimals, 0 for none.
	Paid    decimal.Decimal
	Granted decimal.Decimal
	Voided  decimal.Decimal
	// VoidedTransactionID names the one inbound transaction to take from; without
	// Voided, all that is left of it. Nil takes in the wallet's order.
	VoidedTransactionID *wallet.ID

	Name                string
	Priority            int                      // 0 for the default
	Source              wallet.TransactionSource // empty for manual
	PurchaseOrderNumber string
	// InvoiceRequiresSuccessfulPayment is nil for the wallet's setting.
	InvoiceRequiresSuccessfulPayment *bool
	IgnorePaidTopUpLimits            bool
	Metadata                         []wallet.MetadataPair
	PaymentMethod                    wallet.MethodRequest
	Sections                         SectionRequest
	Idempotency                      *IdempotencyRecord // nil without a key
	Now                              time.Time
}

// Wants tells whether the top-up asks for anything at all. One that does not is
// answered with nothing done.
func (t TopUp) Wants() bool {
	return t.Paid.IsPositive() || t.Granted.IsPositive() || t.Voided.IsPositive() || t.VoidedTransactionID != nil
}

// PreparedTopUp is a top-up that may be made, with everything it writes.
type PreparedTopUp struct {
	TopUp
	Wallet wallet.Wallet
	// Purchase is nil when nothing is paid for.
	Purchase *NewPayment

	grant *movement
	void  *movement
}

// movement is a grant or a void to be settled at once. The amount of a void that
// takes all that is left of a transaction is known only when it is made.
type movement struct {
	id      wallet.ID
	amount  int64
	credits decimal.Decimal
	// made is what was moved in the end, nil before that.
	made *Movement
}

// Movement is credits that were granted or voided.
type Movement struct {
	TransactionID wallet.ID
	Kind          wallet.TransactionKind
	Amount        int64 // minor units
	Credits       decimal.Decimal
}

// Movements are what MakeTopUp has granted and voided.
func (p PreparedTopUp) Movements() []Movement {
	var list []Movement
	for _, m := range []*movement{p.grant, p.void} {
		if m != nil && m.made != nil {
			list = append(list, *m.made)
		}
	}
	return list
}

// TransactionIDs are the wallet transactions that the top-up makes: the purchased,
// the granted, the voided one.
func (p PreparedTopUp) TransactionIDs() []wallet.ID {
	ids := []wallet.ID{}
	if p.Purchase != nil {
		ids = append(ids, p.Purchase.WalletTransactionID)
	}
	for _, m := range []*movement{p.grant, p.void} {
		if m != nil {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// WithoutKey returns the top-up without its idempotency key.
func (p PreparedTopUp) WithoutKey() PreparedTopUp {
	p.Idempotency = nil
	if p.Purchase != nil {
		purchase := *p.Purchase
		purchase.Idempotency = nil
		p.Purchase = &purchase
	}
	return p
}

// Pending lists the wallet transactions as they are while it is not known whether the
// top-up was made.
func (p PreparedTopUp) Pending() []wallet.Transaction {
	w := p.Wallet
	about := wallet.Transaction{
		OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: w.ID, Status: wallet.TransactionPending, Source: p.source(),
		Currency: w.Currency, RateAmount: w.RateAmount, BillingEntityCode: w.BillingEntityCode, Traceable: w.Traceable,
		Name: p.Name, Priority: p.priority(), PurchaseOrderNumber: p.PurchaseOrderNumber, Metadata: p.Metadata,
		PaymentMethod: wallet.MethodChoice{Type: wallet.MethodProvider}, CreatedAt: p.Now,
	}
	if about.PurchaseOrderNumber == "" {
		about.PurchaseOrderNumber = w.PurchaseOrderNumber
	}
	list := []wallet.Transaction{}
	if n := p.Purchase; n != nil {
		t := about
		t.ID, t.Type, t.Kind = n.WalletTransactionID, wallet.TransactionInbound, wallet.TransactionPurchased
		t.Amount, t.CreditAmount = n.Amount, n.CreditAmount
		if d := n.Purchase; d != nil {
			t.InvoiceID, t.InvoiceRequiresSuccessfulPayment = &d.InvoiceID, d.InvoiceRequiresSuccessfulPayment
			t.PaymentMethod = wallet.MethodChoice{Type: d.MethodType, ID: d.MethodID}
			t.Sections = wallet.AppliedSections{Skip: d.SkipSections, List: d.Sections}
		}
		list = append(list, t)
	}
	if m := p.grant; m != nil {
		t := about
		t.ID, t.Type, t.Kind, t.Amount, t.CreditAmount = m.id, wallet.TransactionInbound, wallet.TransactionGranted, m.amount, m.credits
		list = append(list, t)
	}
	if m := p.void; m != nil {
		t := about
		t.ID, t.Type, t.Kind, t.Amount, t.CreditAmount = m.id, wallet.TransactionOutbound, wallet.TransactionVoided, m.amount, m.credits
		list = append(list, t)
	}
	return list
}

// MovesCredits tells whether the top-up grants or voids. One that only purchases
// can share its transaction with others.
func (p PreparedTopUp) MovesCredits() bool { return p.grant != nil || p.void != nil }

// PrepareTopUp looks at a top-up before anything is locked or written, and finds
// everything that is wrong with it at once. What the caller has found wrong
// already comes in v, and the error is v when there is anything at all. Only then
// are the wallet's limits looked at.
func PrepareTopUp(ctx context.Context, db DB, t TopUp, v *wallet.ValidationError) (PreparedTopUp, error) {
	p := PreparedTopUp{TopUp: t}
	var err error
	p.Wallet, err = FindWallet(ctx, db, WalletRef{OrganizationID: t.OrganizationID, Mode: t.Mode, ID: t.WalletID}, t.Now)
	known := true
	switch {
	case wallet.HasCode(err, wallet.CodeWalletNotFound):
		known = false
		v.Add(wallet.FieldWalletID, wallet.InvalidWalletNotFound)
	case err != nil:
		return p, err
	case p.Wallet.Status != wallet.WalletActive:
		v.Add(wallet.FieldWalletID, wallet.InvalidWalletTerminated)
	}
	if known {
		if err := p.price(ctx, db, v); err != nil {
			return p, err
		}
	}
	method, ok, err := chooseMethod(ctx, db, t.OrganizationID, t.Mode, p.Wallet.CustomerID, t.PaymentMethod)
	if err != nil {
		return p, err
	}
	if !ok {
		v.Add(wallet.FieldPaymentMethod, wallet.InvalidPaymentMethod)
	}
	if err := v.OrNil(); err != nil {
		return p, err
	}
	if p.Purchase != nil {
		if !t.IgnorePaidTopUpLimits {
			if err := p.Wallet.CheckTopUpLimits(p.Purchase.Amount); err != nil {
				return p, err
			}
		}
		if err := p.describePurchase(ctx, db, method); err != nil {
			return p, err
		}
	}
	if t.Idempotency != nil {
		record := *t.Idempotency
		record.ResultIDs = p.TransactionIDs()
		p.Idempotency = &record
		if p.Purchase != nil {
			p.Purchase.Idempotency = &record
		}
	}
	return p, nil
}

// price turns credits into money. The ids of what it makes ascend, so that the
// rows of one request stand in their order wherever they are listed.
func (p *PreparedTopUp) price(ctx context.Context, db DB, v *wallet.ValidationError) error {
	w := p.Wallet
	if amount, credits, ok := p.inbound(p.Paid, wallet.FieldPaidCredits, wallet.InvalidPaidCredits, v); ok {
		p.Purchase = &NewPayment{
			ID: wallet.NewID(), WalletTransactionID: wallet.NewID(),
			OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: w.ID,
			Amount: amount, Currency: w.Currency, CreditAmount: credits, OffSession: true, CreatedAt: p.Now,
		}
	}
	if amount, credits, ok := p.inbound(p.Granted, wallet.FieldGrantedCredits, wallet.InvalidGrantedCredits, v); ok {
		p.grant = &movement{id: wallet.NewID(), amount: amount, credits: credits}
	}
	if !p.Voided.IsPositive() && p.VoidedTransactionID == nil {
		return nil
	}
	p.void = &movement{id: wallet.NewID(), credits: p.Voided}
	switch {
	case p.Voided.GreaterThan(w.CreditsBalance):
		v.Add(wallet.FieldVoidedCredits, wallet.InvalidInsufficientCredits)
	case p.Voided.IsPositive():
		var err error
		if p.void.amount, err = wallet.PriceCredits(p.Voided, w.RateAmount, w.Currency); err != nil {
			v.Add(wallet.FieldVoidedCredits, wallet.InvalidVoidedCredits, wallet.InvalidAmount)
		}
	}
	return p.checkTarget(ctx, db, v)
}

// inbound prices credits that come in. The last result is false when there are
// none, or something is wrong with them.
func (p *PreparedTopUp) inbound(asked decimal.Decimal, field, code string, v *wallet.ValidationError) (int64, decimal.Decimal, bool) {
	if !asked.IsPositive() || v.Has(field) {
		return 0, decimal.Zero, false
	}
	w := p.Wallet
	amount, err := wallet.PriceCredits(asked, w.RateAmount, w.Currency)
	switch {
	case err != nil || amount > math.MaxInt64-max(w.Balance, 0):
		v.Add(field, code, wallet.InvalidAmount)
	case amount == 0:
		v.Add(field, wallet.InvalidRoundsToZero)
	default:
		return amount, wallet.CreditsFor(amount, w.RateAmount, w.Currency), true
	}
	return 0, decimal.Zero, false
}

// checkTarget looks at the one transaction that a void is to take from.
func (p *PreparedTopUp) checkTarget(ctx context.Context, db DB, v *wallet.ValidationError) error {
	if p.VoidedTransactionID == nil {
		return nil
	}
	if !p.Wallet.Traceable {
		v.Add(wallet.FieldVoidedTransactionID, wallet.InvalidNotTraceable)
		return nil
	}
	t, err := GetTransaction(ctx, db, p.OrganizationID, p.Mode, *p.VoidedTransactionID)
	switch {
	case wallet.HasCode(err, wallet.CodeWalletTransactionNotFound):
		v.Add(wallet.FieldVoidedTransactionID, wallet.InvalidTransactionNotFound)
	case err != nil:
		return err
	case t.WalletID != p.Wallet.ID || t.Type != wallet.TransactionInbound:
		v.Add(wallet.FieldVoidedTransactionID, wallet.InvalidTransactionNotFound)
	case t.RemainingAmount == nil || *t.RemainingAmount == 0:
		v.Add(wallet.FieldVoidedTransactionID, wallet.InvalidNoRemainingAmount)
	}
	return nil
}

// describePurchase finds the card to charge, and says what the purchase and its
// invoice show.
func (p *PreparedTopUp) describePurchase(ctx context.Context, db DB, method wallet.MethodChoice) error {
	w := p.Wallet
	var (
		defaultCard *wallet.ID
		timezone    string
	)
	err := db.QueryRow(ctx, `
		select c.timezone, m.id
		from customers c
		left join payment_methods m on m.customer_id = c.id and m.is_default and m.deleted_at is null
		where c.id = $1`, w.CustomerID).Scan(&timezone, &defaultCard)
	if err != nil {
		return fmt.Errorf("find default payment method of customer %s: %w", w.CustomerID, err)
	}
	if card := wallet.ChooseMethod(method, w.PaymentMethod, defaultCard); card != nil {
		p.Purchase.PaymentMethodID = *card
	}
	sections, err := p.sections(ctx, db)
	if err != nil {
		return err
	}
	requires := w.InvoiceRequiresSuccessfulPayment
	if p.InvoiceRequiresSuccessfulPayment != nil {
		requires = *p.InvoiceRequiresSuccessfulPayment
	}
	description := "Prepaid credits"
	switch {
	case p.Name != "":
		description = p.Name
	case w.Name != "":
		description = "Prepaid credits - " + w.Name
	}
	order := p.PurchaseOrderNumber
	if order == "" {
		order = w.PurchaseOrderNumber
	}
	p.Purchase.Purchase = &Purchase{
		Name: p.Name, Priority: p.priority(), Source: p.source(), PurchaseOrderNumber: p.PurchaseOrderNumber,
		InvoiceRequiresSuccessfulPayment: requires, Metadata: p.Metadata,
		MethodType: method.OrProvider(), MethodID: method.ID,
		SkipSections: sections.Skip, Sections: sections.List,
		InvoiceID: wallet.NewID(), InvoiceSections: sections.Resolve(w.Sections), InvoicePurchaseOrderNumber: order,
		CustomerID: w.CustomerID, Description: description, RateAmount: w.RateAmount, Timezone: timezone,
	}
	return nil
}

func (p *PreparedTopUp) sections(ctx context.Context, db DB) (wallet.AppliedSections, error) {
	if p.Sections.Skip {
		return wallet.AppliedSections{Skip: true}, nil
	}
	list, err := ApplySections(ctx, db, p.OrganizationID, p.Mode, p.Sections.Codes, p.Now)
	return wallet.AppliedSections{List: list}, err
}

func (p *PreparedTopUp) priority() int {
	if p.Priority == 0 {
		return wallet.DefaultPriority
	}
	return p.Priority
}

func (p *PreparedTopUp) source() wallet.TransactionSource {
	if p.Source == "" {
		return wallet.SourceManual
	}
	return p.Source
}

// MakeTopUp writes a prepared top-up: the purchase with its payment and invoice,
// pending; the grant and the void, settled. What cannot be taken any more is a
// ValidationError, and the caller rolls everything back. The result is false, and
// nothing is written, when the idempotency key is taken. The transaction must also
// insert the purchase's job, if it is charged.
func MakeTopUp(ctx context.Context, tx pgx.Tx, p PreparedTopUp) (bool, error) {
	switch {
	case p.Purchase != nil:
		accepted, err := AcceptPaymentsTx(ctx, tx, []NewPayment{*p.Purchase})
		if err != nil || !accepted[0] {
			return false, err
		}
	case p.Idempotency != nil:
		claimed, err := ClaimIdempotencyKey(ctx, tx, p.OrganizationID, p.Mode, *p.Idempotency, p.Now)
		if err != nil || !claimed {
			return false, err
		}
	}
	if !p.MovesCredits() {
		return true, nil
	}
	return true, p.moveCredits(ctx, tx)
}
