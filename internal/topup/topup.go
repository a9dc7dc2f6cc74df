// Package topup decides what a top-up of Lago's dialect does to a wallet: what it
// purchases, grants and voids. The opening credits of a new wallet are a top-up too.
//
// Prepare finds everything that is wrong with a Request before anything is locked or
// written, and works out a Plan: what is purchased, with which card, and what is
// granted and voided. Move decides what the grant and the void of a Plan change in
// the wallet, whose row is locked meanwhile. Both are pure functions: what is stored,
// the time and the ids are arguments, and the arguments stay as they are.
//
// Package postgres reads what they need and writes what they decide. A purchase is
// charged by package jobs and settled by wallet.Settle, as any other payment.
package topup

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Request is a request to put credits into a wallet and to take some out of it.
type Request struct {
	OrganizationID wallet.ID
	Mode           wallet.Mode
	WalletID       wallet.ID
	// Paid, Granted and Voided are credits of five decimals, 0 for none.
	Paid    decimal.Decimal
	Granted decimal.Decimal
	Voided  decimal.Decimal
	// VoidedTransactionID is the only inbound transaction to void from; without
	// Voided, all that is left of it is voided. Nil voids in the wallet's order.
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
	Sections                         wallet.SectionRequest
	// IDs are what the rows of the top-up get. They are made before the first
	// attempt to store it, so that a repeated attempt stores the same rows.
	IDs IDs
	Now time.Time
}

// IDs are the ids of the rows that a top-up may make.
type IDs struct {
	Payment  wallet.ID
	Purchase wallet.ID // the wallet transaction
	Grant    wallet.ID
	Void     wallet.ID
	Invoice  wallet.ID
}

// NewIDs makes the ids of a top-up. If those of newID ascend, the wallet transactions
// of one request stand in their order in lists, which are sorted by time and id.
func NewIDs(newID func() wallet.ID) IDs {
	return IDs{Payment: newID(), Purchase: newID(), Grant: newID(), Void: newID(), Invoice: newID()}
}

// Wanted reports whether the request asks for anything. A request that asks for
// nothing is valid and does nothing.
func (r Request) Wanted() bool {
	return r.Paid.IsPositive() || r.Granted.IsPositive() || r.voids()
}

func (r Request) voids() bool { return r.Voided.IsPositive() || r.VoidedTransactionID != nil }

// PriorityOrDefault returns the priority of the transactions that the request makes.
func (r Request) PriorityOrDefault() int {
	if r.Priority == 0 {
		return wallet.DefaultPriority
	}
	return r.Priority
}

// SourceOrManual returns the source of the transactions that the request makes.
func (r Request) SourceOrManual() wallet.TransactionSource {
	if r.Source == "" {
		return wallet.SourceManual
	}
	return r.Source
}

// Stored is what Prepare looks at. Nothing of it is locked.
type Stored struct {
	// Wallet is the wallet of the request as it stands at the time of the request,
	// nil when the organization has no such wallet in the mode.
	Wallet *wallet.Wallet
	// Target is the transaction to void from, nil when there is none of its id.
	Target *Target
	// NamedCard is the saved card that the request names, nil when the customer has
	// no such card. When the wallet is not known, any customer's card counts.
	NamedCard *wallet.ID
	// DefaultCard is the customer's default card, nil when there is none.
	DefaultCard *wallet.ID
	// Timezone is the customer's.
	Timezone string
	// Sections are those that the request asks for, as they read now.
	Sections []wallet.AppliedSection
}

// Target is a wallet transaction to void from.
type Target struct {
	WalletID  wallet.ID
	Type      wallet.TransactionType
	Remaining int64 // minor units; 0 unless it is a lot of a traceable wallet
}

// Plan is what a valid request does. Its grant and void may still be refused when
// they are made, because the wallet may have changed.
type Plan struct {
	Request
	Wallet wallet.Wallet
	// Sections are those of all transactions of the request.
	Sections wallet.AppliedSections

	Purchase *Purchase // nil when nothing is paid for
	Grant    *Grant    // nil when nothing is granted
	Void     *Void     // nil when nothing is voided
}

// Purchase is credits that are paid for.
type Purchase struct {
	Amount  int64 // minor units
	Credits decimal.Decimal
	// Card is charged for the purchase. It is nil when the purchase is to be paid by
	// hand.
	Card *wallet.ID
	// Method is the payment method as the client chose it.
	Method wallet.MethodChoice

	// The rest is for the credit invoice.

	// RequiresPayment keeps the invoice open until it is paid.
	RequiresPayment     bool
	Description         string
	PurchaseOrderNumber string // the purchase's own, or else the wallet's
	InvoiceSections     []wallet.AppliedSection
	Timezone            string
}

// Grant is credits that are given away.
type Grant struct {
	Amount  int64 // minor units
	Credits decimal.Decimal
}

// Void is credits that are taken out. Both values are zero for all that is left of
// the transaction that the request names.
type Void struct {
	Amount  int64 // minor units; 0 for credits that are worth less than half a unit
	Credits decimal.Decimal
}

// TransactionIDs returns the ids of the wallet transactions that the plan makes: the
// purchased, the granted and the voided one.
func (p Plan) TransactionIDs() []wallet.ID {
	ids := []wallet.ID{}
	if p.Purchase != nil {
		ids = append(ids, p.IDs.Purchase)
	}
	if p.Grant != nil {
		ids = append(ids, p.IDs.Grant)
	}
	if p.Void != nil {
		ids = append(ids, p.IDs.Void)
	}
	return ids
}

// Pending lists the wallet transactions of the plan as they are while it is not known
// whether they were stored, in the order of TransactionIDs.
func (p Plan) Pending() []wallet.Transaction {
	w := p.Wallet
	about := wallet.Transaction{
		OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: w.ID, Status: wallet.TransactionPending, Source: p.SourceOrManual(),
		Currency: w.Currency, RateAmount: w.RateAmount, BillingEntityCode: w.BillingEntityCode, Traceable: w.Traceable,
		Name: p.Name, Priority: p.PriorityOrDefault(), PurchaseOrderNumber: p.PurchaseOrderNumber, Metadata: p.Metadata,
		PaymentMethod: wallet.MethodChoice{Type: wallet.MethodProvider}, CreatedAt: p.Now,
	}
	if about.PurchaseOrderNumber == "" {
		about.PurchaseOrderNumber = w.PurchaseOrderNumber
	}
	list := []wallet.Transaction{}
	if b := p.Purchase; b != nil {
		t := about
		t.ID, t.Type, t.Kind = p.IDs.Purchase, wallet.TransactionInbound, wallet.TransactionPurchased
		t.Amount, t.CreditAmount, t.InvoiceID, t.InvoiceRequiresSuccessfulPayment = b.Amount, b.Credits, &p.IDs.Invoice, b.RequiresPayment
		t.PaymentMethod, t.Sections = wallet.MethodChoice{Type: b.Method.OrProvider(), ID: b.Method.ID}, p.Sections
		list = append(list, t)
	}
	if g := p.Grant; g != nil {
		t := about
		t.ID, t.Type, t.Kind, t.Amount, t.CreditAmount = p.IDs.Grant, wallet.TransactionInbound, wallet.TransactionGranted, g.Amount, g.Credits
		list = append(list, t)
	}
	if v := p.Void; v != nil {
		t := about
		t.ID, t.Type, t.Kind, t.Amount, t.CreditAmount = p.IDs.Void, wallet.TransactionOutbound, wallet.TransactionVoided, v.Amount, v.Credits
		list = append(list, t)
	}
	return list
}

// MovesCredits reports whether the plan grants or voids. A plan that only purchases
// leaves the wallet's row alone.
func (p Plan) MovesCredits() bool { return p.Grant != nil || p.Void != nil }
