package wallet

import (
	"time"

	"github.com/shopspring/decimal"
)

// InvoiceStatus is whether an invoice is shown to the customer.
type InvoiceStatus string

// The states of an invoice.
const (
	InvoiceFinalized InvoiceStatus = "finalized"
	// InvoiceOpen: it waits for its payment, has no number and is not shown.
	InvoiceOpen InvoiceStatus = "open"
)

// InvoicePaymentStatus is the state of an invoice's payment.
type InvoicePaymentStatus string

// The states of an invoice's payment. A failed one may still succeed.
const (
	InvoicePaymentFailed    InvoicePaymentStatus = "failed"
	InvoicePaymentPending   InvoicePaymentStatus = "pending"
	InvoicePaymentSucceeded InvoicePaymentStatus = "succeeded"
)

// Invoice is the credit invoice of a purchase: one line, no tax.
type Invoice struct {
	ID                  ID
	OrganizationID      ID
	Mode                Mode
	CustomerID          ID
	WalletID            ID
	WalletTransactionID ID
	Status              InvoiceStatus
	PaymentStatus       InvoicePaymentStatus
	Currency            Currency
	// Amount is the total, and PaidAmount the part that was credited, both in minor
	// units.
	Amount     int64
	PaidAmount int64
	// CreditAmount is the number of credits of the line, and RateAmount the price of
	// one.
	CreditAmount decimal.Decimal
	RateAmount   decimal.Decimal
	// Description is the text of the line.
	Description         string
	PurchaseOrderNumber string
	Sections            []AppliedSection
	// IssuingDate is a day in the customer's time zone, as in 2026-03-14.
	IssuingDate string
	// SequentialID counts the invoices of the organization without gaps. It and
	// Number are zero until the finalized invoice is given its number.
	SequentialID int64
	Number       string
	CreatedAt    time.Time
	UpdatedAt    time.Time
	FinalizedAt  *time.Time
}
