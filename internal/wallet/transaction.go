package wallet

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"
)

// TransactionType is the direction of a wallet transaction.
type TransactionType string

// The two directions.
const (
	TransactionInbound  TransactionType = "inbound"
	TransactionOutbound TransactionType = "outbound"
)

// TransactionKind is the reason for a wallet transaction. Lago calls it
// transaction_status.
type TransactionKind string

// The kinds of wallet transaction. Granted and purchased are inbound.
const (
	TransactionGranted   TransactionKind = "granted"
	TransactionInvoiced  TransactionKind = "invoiced"
	TransactionPurchased TransactionKind = "purchased"
	TransactionVoided    TransactionKind = "voided"
)

// TransactionSource is who asked for a wallet transaction.
type TransactionSource string

// The sources: manual is a call of the API, the others are rules of the wallet.
const (
	SourceInterval  TransactionSource = "interval"
	SourceManual    TransactionSource = "manual"
	SourceThreshold TransactionSource = "threshold"
)

// MetadataPair is one entry of a wallet transaction's metadata, which is ordered
// and may hold the same key twice. The value is a JSON string or number, kept as
// it was sent.
type MetadataPair struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// Transaction is a line of a wallet's statement.
type Transaction struct {
	ID             ID
	OrganizationID ID
	Mode           Mode
	WalletID       ID
	// InvoiceID is the credit invoice of a purchase, or the invoice that consumed
	// the credits of an invoiced one.
	InvoiceID       *ID
	CreditNoteID    *ID
	VoidedInvoiceID *ID

	Type   TransactionType
	Kind   TransactionKind
	Status TransactionStatus
	Source TransactionSource

	// Currency, RateAmount, BillingEntityCode and Traceable are the wallet's.
	Currency          Currency
	RateAmount        decimal.Decimal
	BillingEntityCode string
	Traceable         bool

	// Amount is in minor units of Currency.
	Amount       int64
	CreditAmount decimal.Decimal
	// RemainingAmount is what is left of an inbound transaction, in minor units; nil
	// unless it is settled and the wallet traceable.
	RemainingAmount *int64

	Name     string
	Priority int
	// PurchaseOrderNumber is its own, or else the wallet's.
	PurchaseOrderNumber              string
	InvoiceRequiresSuccessfulPayment bool
	Metadata                         []MetadataPair
	PaymentMethod                    MethodChoice    `db:"-"` // two columns each
	Sections                         AppliedSections `db:"-"`

	CreatedAt time.Time
	SettledAt *time.Time
	// FailedAt stays when a failed purchase is settled later.
	FailedAt *time.Time

	// Payment is the newest attempt to charge for a purchase, nil if there was none.
	Payment *TransactionPayment `db:"-"`
}

// TransactionPayment is what a wallet transaction shows of its newest payment.
type TransactionPayment struct {
	ID          ID
	Status      PaymentStatus
	RedirectURL string
	Failure     Failure
}

// RemainingCredits returns RemainingAmount in credits, as ExactCredits does.
func (t Transaction) RemainingCredits() *decimal.Decimal {
	if t.RemainingAmount == nil {
		return nil
	}
	credits := ExactCredits(*t.RemainingAmount, t.RateAmount, t.Currency)
	return &credits
}

// Consumption is an amount that an outbound transaction took from an inbound one.
type Consumption struct {
	ID        ID
	Amount    int64 // minor units
	CreatedAt time.Time
	// Transaction is the one on the other side.
	Transaction Transaction
}

// Credits returns Amount in credits, as ExactCredits does.
func (c Consumption) Credits() decimal.Decimal {
	return ExactCredits(c.Amount, c.Transaction.RateAmount, c.Transaction.Currency)
}
