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

// TransactionKind is why a wallet transaction is there. Lago's name for it is
// transaction_status.
type TransactionKind string

// The kinds of wallet transaction. Granted and purchased are inbound.
const (
	TransactionGranted   TransactionKind = "granted"
	TransactionInvoiced  TransactionKind = "invoiced"
	TransactionPurchased TransactionKind = "purchased"
	TransactionVoided    TransactionKind = "voided"
)

// TransactionSource tells who asked for a wallet transaction.
type TransactionSource string

// Who can ask: a person or a program through the API, or a rule of the wallet.
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
	// RemainingAmount is what is left of an inbound one, in minor units; nil
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

	// Payment is the newest attempt to charge for a purchase, nil when there was
	// none.
	Payment *TransactionPayment `db:"-"`
}

// TransactionPayment is what a wallet transaction shows of its newest payment.
type TransactionPayment struct {
	ID          ID
	Status      PaymentStatus
	RedirectURL string
	Failure     Failure
}

// RemainingCredits is RemainingAmount in credits, with all the decimals there are.
func (t Transaction) RemainingCredits() *decimal.Decimal {
	if t.RemainingAmount == nil {
		return nil
	}
	credits := ExactCredits(*t.RemainingAmount, t.RateAmount, t.Currency)
	return &credits
}

// Consumption is what an outbound transaction took from an inbound one.
type Consumption struct {
	ID        ID
	Amount    int64 // minor units
	CreatedAt time.Time
	// Transaction is the one on the other side.
	Transaction Transaction
}

// Credits is Amount in credits, with all the decimals there are.
func (c Consumption) Credits() decimal.Decimal {
	return ExactCredits(c.Amount, c.Transaction.RateAmount, c.Transaction.Currency)
}
