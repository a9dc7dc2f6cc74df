package topup

import (
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Prepare checks a request and plans what it does. Earlier has what the caller has
// found wrong with the request. The error is a *wallet.ValidationError: with all of
// that and everything that is found here, or, when there is none of either, with the
// limit of the wallet that the purchase does not keep.
func Prepare(r Request, s Stored, earlier *wallet.ValidationError) (Plan, error) {
	p := Plan{Request: r, Sections: r.Sections.Apply(s.Sections)}
	v := earlier.Clone()
	// 1. Everything that is wrong with the request itself.
	switch {
	case s.Wallet == nil:
		v.Add(wallet.FieldWallet, wallet.ProblemNotFound)
	case s.Wallet.Status != wallet.WalletActive:
		v.Add(wallet.FieldWallet, wallet.ProblemTerminated)
	}
	if s.Wallet != nil { // without a wallet there are no prices
		p.Wallet = *s.Wallet
		p.price(s, v)
	}
	method, ok := r.PaymentMethod.Choice(s.findCard)
	if !ok {
		v.Add(wallet.FieldPaymentMethod, wallet.ProblemInvalid)
	}
	if err := v.OrNil(); err != nil {
		return p, err
	}
	if p.Purchase == nil {
		return p, nil
	}
	// 2. The limits of the wallet, which Lago checks last.
	if err := p.checkLimits(); err != nil {
		return p, err
	}
	// 3. How the purchase is paid, and what its invoice says.
	p.Purchase.Method = method
	p.Purchase.Card = wallet.ChooseMethod(method, p.Wallet.PaymentMethod, s.DefaultCard)
	p.describe(s)
	return p, nil
}

func (s Stored) findCard(string) (wallet.ID, bool) {
	if s.NamedCard == nil {
		return wallet.ID{}, false
	}
	return *s.NamedCard, true
}

// price turns credits into money.
func (p *Plan) price(s Stored, v *wallet.ValidationError) {
	if amount, credits, ok := p.priceInbound(p.Paid, wallet.FieldPaidCredits, v); ok {
		p.Purchase = &Purchase{Amount: amount, Credits: credits}
	}
	if amount, credits, ok := p.priceInbound(p.Granted, wallet.FieldGrantedCredits, v); ok {
		p.Grant = &Grant{Amount: amount, Credits: credits}
	}
	if p.voids() {
		p.priceVoid(v)
		p.checkTarget(s.Target, v)
	}
}

// priceInbound prices credits that come into the wallet. Their amount is rounded, and
// they become as many as the rounded amount buys. The last result is false when no
// credits are asked for, or something is wrong with them.
func (p *Plan) priceInbound(asked decimal.Decimal, field wallet.Field, v *wallet.ValidationError) (int64, decimal.Decimal, bool) {
	if !asked.IsPositive() || v.Has(field) {
		return 0, decimal.Zero, false
	}
	w := p.Wallet
	amount, err := wallet.PriceCredits(asked, w.RateAmount, w.Currency)
	switch {
	case err != nil:
		v.Add(field, wallet.ProblemAmountInvalid)
		return 0, decimal.Zero, false
	case amount == 0:
		v.Add(field, wallet.ProblemRoundsToZero)
		return 0, decimal.Zero, false
	}
	credits := wallet.CreditsFor(amount, w.RateAmount, w.Currency)
	charged := field == wallet.FieldPaidCredits
	if !wallet.HasRoom(w.Balance, amount, w.CreditsBalance.Add(credits)) || charged && amount > wallet.MaxPaymentAmount {
		v.Add(field, wallet.ProblemAmountInvalid)
		return 0, decimal.Zero, false
	}
	return amount, credits, true
}

// priceVoid prices the credits that the wallet loses. It loses exactly those that
// were asked for; only their amount is rounded.
func (p *Plan) priceVoid(v *wallet.ValidationError) {
	p.Void = &Void{Credits: p.Voided}
	switch {
	case p.Voided.GreaterThan(p.Wallet.CreditsBalance):
		v.Add(wallet.FieldVoidedCredits, wallet.ProblemInsufficientCredits)
	case p.Voided.IsPositive():
		var err error
		if p.Void.Amount, err = wallet.PriceCredits(p.Voided, p.Wallet.RateAmount, p.Wallet.Currency); err != nil {
			v.Add(wallet.FieldVoidedCredits, wallet.ProblemAmountInvalid)
		}
	}
}

// checkTarget checks the one transaction to void from, if the request names one.
func (p *Plan) checkTarget(t *Target, v *wallet.ValidationError) {
	switch {
	case p.VoidedTransactionID == nil:
	case !p.Wallet.Traceable:
		v.Add(wallet.FieldVoidedTransaction, wallet.ProblemNotTraceable)
	case t == nil || t.WalletID != p.Wallet.ID || t.Type != wallet.TransactionInbound:
		v.Add(wallet.FieldVoidedTransaction, wallet.ProblemNotFound)
	case t.Remaining == 0:
		v.Add(wallet.FieldVoidedTransaction, wallet.ProblemNothingRemaining)
	}
}

func (p *Plan) checkLimits() error {
	w, amount := p.Wallet, p.Purchase.Amount
	switch {
	case p.IgnorePaidTopUpLimits:
		return nil
	case w.PaidTopUpMinAmount != nil && amount < *w.PaidTopUpMinAmount:
		return wallet.Invalid(wallet.FieldPaidCredits, wallet.ProblemBelowMinimum)
	case w.PaidTopUpMaxAmount != nil && amount > *w.PaidTopUpMaxAmount:
		return wallet.Invalid(wallet.FieldPaidCredits, wallet.ProblemAboveMaximum)
	default:
		return nil
	}
}

// describe sets what the purchase and its invoice show. What the request leaves open
// is the wallet's.
func (p *Plan) describe(s Stored) {
	w, purchase := p.Wallet, p.Purchase
	purchase.RequiresPayment = w.InvoiceRequiresSuccessfulPayment
	if p.InvoiceRequiresSuccessfulPayment != nil {
		purchase.RequiresPayment = *p.InvoiceRequiresSuccessfulPayment
	}
	switch {
	case p.Name != "":
		purchase.Description = p.Name
	case w.Name != "":
		purchase.Description = "Prepaid credits - " + w.Name
	default:
		purchase.Description = "Prepaid credits"
	}
	purchase.PurchaseOrderNumber = p.PurchaseOrderNumber
	if purchase.PurchaseOrderNumber == "" {
		purchase.PurchaseOrderNumber = w.PurchaseOrderNumber
	}
	purchase.InvoiceSections = p.Sections.Resolve(w.Sections)
	purchase.Timezone = s.Timezone
}
