// Package lagojson encodes wallets and their transactions in Lago's format. The API
// under /api/v1 and webhooks of that dialect use it. Packages api and delivery add
// what differs between an answer and an event. Package api decodes requests.
package lagojson

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Credits is a decimal that is encoded as a string with at least one decimal and no
// trailing zeros.
type Credits decimal.Decimal

// MarshalJSON implements json.Marshaler.
func (c Credits) MarshalJSON() ([]byte, error) {
	return json.Marshal(wallet.FormatDecimal(decimal.Decimal(c)))
}

// Moment is a time that is encoded in UTC, in whole seconds.
type Moment time.Time

// MarshalJSON implements json.Marshaler.
func (m Moment) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(m).UTC().Format("2006-01-02T15:04:05Z"))
}

// Method is the payment method of a purchase or a wallet.
type Method struct {
	PaymentMethodID   *wallet.ID               `json:"payment_method_id"`
	PaymentMethodType wallet.PaymentMethodType `json:"payment_method_type"`
}

// NewMethod converts a choice. Without a choice the type is the provider.
func NewMethod(c wallet.MethodChoice) Method {
	return Method{PaymentMethodID: c.ID, PaymentMethodType: c.OrProvider()}
}

// Transaction holds the fields of a wallet transaction that answers and events have
// in common.
type Transaction struct {
	LagoID          wallet.ID  `json:"lago_id"`
	LagoWalletID    wallet.ID  `json:"lago_wallet_id"`
	InvoiceID       *wallet.ID `json:"lago_invoice_id"`
	CreditNoteID    *wallet.ID `json:"lago_credit_note_id"`
	VoidedInvoiceID *wallet.ID `json:"lago_voided_invoice_id"`

	BillingEntityCode string                   `json:"billing_entity_code"`
	Status            wallet.TransactionStatus `json:"status"`
	Source            wallet.TransactionSource `json:"source"`
	TransactionStatus wallet.TransactionKind   `json:"transaction_status"`
	TransactionType   wallet.TransactionType   `json:"transaction_type"`

	Amount                string   `json:"amount"`
	CreditAmount          Credits  `json:"credit_amount"`
	RemainingAmountCents  *int64   `json:"remaining_amount_cents"`
	RemainingCreditAmount *Credits `json:"remaining_credit_amount"`

	Priority            int     `json:"priority"`
	PurchaseOrderNumber *string `json:"purchase_order_number"`
	SettledAt           *Moment `json:"settled_at"`
	FailedAt            *Moment `json:"failed_at"`
	CreatedAt           Moment  `json:"created_at"`

	InvoiceRequiresSuccessfulPayment bool                  `json:"invoice_requires_successful_payment"`
	Metadata                         []wallet.MetadataPair `json:"metadata"` // never null
	Name                             *string               `json:"name"`
}

// NewTransaction converts a transaction.
func NewTransaction(t wallet.Transaction) Transaction {
	r := Transaction{
		LagoID:          t.ID,
		LagoWalletID:    t.WalletID,
		InvoiceID:       t.InvoiceID,
		CreditNoteID:    t.CreditNoteID,
		VoidedInvoiceID: t.VoidedInvoiceID,

		BillingEntityCode: t.BillingEntityCode,
		Status:            t.Status,
		Source:            t.Source,
		TransactionStatus: t.Kind,
		TransactionType:   t.Type,

		Amount:                wallet.FormatMajor(t.Amount, t.Currency),
		CreditAmount:          Credits(t.CreditAmount),
		RemainingAmountCents:  t.RemainingAmount,
		RemainingCreditAmount: (*Credits)(t.RemainingCredits()),

		Priority:            t.Priority,
		PurchaseOrderNumber: nullable.From(t.PurchaseOrderNumber),
		SettledAt:           (*Moment)(t.SettledAt),
		FailedAt:            (*Moment)(t.FailedAt),
		CreatedAt:           Moment(t.CreatedAt),

		InvoiceRequiresSuccessfulPayment: t.InvoiceRequiresSuccessfulPayment,
		Metadata:                         t.Metadata,
		Name:                             nullable.From(t.Name),
	}
	if r.Metadata == nil {
		r.Metadata = []wallet.MetadataPair{}
	}
	return r
}

// Wallet holds the fields of a wallet that answers and events have in common. The
// ongoing balances equal the balances, because this service has no usage that is
// not billed yet.
type Wallet struct {
	LagoID             wallet.ID           `json:"lago_id"`
	LagoCustomerID     wallet.ID           `json:"lago_customer_id"`
	ExternalCustomerID string              `json:"external_customer_id"`
	BillingEntityCode  string              `json:"billing_entity_code"`
	Status             wallet.WalletStatus `json:"status"`
	Currency           wallet.Currency     `json:"currency"`
	Name               *string             `json:"name"`
	Code               string              `json:"code"`

	PurchaseOrderNumber        *string `json:"purchase_order_number"`
	RateAmount                 Credits `json:"rate_amount"`
	CreditsBalance             Credits `json:"credits_balance"`
	CreditsOngoingBalance      Credits `json:"credits_ongoing_balance"`
	CreditsOngoingUsageBalance Credits `json:"credits_ongoing_usage_balance"`
	BalanceCents               int64   `json:"balance_cents"`
	OngoingBalanceCents        int64   `json:"ongoing_balance_cents"`
	OngoingUsageBalanceCents   int64   `json:"ongoing_usage_balance_cents"`
	ConsumedCredits            Credits `json:"consumed_credits"`
	CreatedAt                  Moment  `json:"created_at"`
	ExpirationAt               *Moment `json:"expiration_at"`
	LastBalanceSyncAt          *Moment `json:"last_balance_sync_at"`
	LastConsumedCreditAt       *Moment `json:"last_consumed_credit_at"`
	TerminatedAt               *string `json:"terminated_at"` // with milliseconds
	PaidTopUpRequiresPayment   bool    `json:"invoice_requires_successful_payment"`
	PaidTopUpMinAmountCents    *int64  `json:"paid_top_up_min_amount_cents"`
	PaidTopUpMaxAmountCents    *int64  `json:"paid_top_up_max_amount_cents"`
	Priority                   int     `json:"priority"`
}

// NewWallet converts a wallet.
func NewWallet(w wallet.Wallet) Wallet {
	r := Wallet{
		LagoID:             w.ID,
		LagoCustomerID:     w.CustomerID,
		ExternalCustomerID: w.ExternalCustomerID,
		BillingEntityCode:  w.BillingEntityCode,
		Status:             w.Status,
		Currency:           w.Currency,
		Name:               nullable.From(w.Name),
		Code:               w.Code,

		PurchaseOrderNumber:   nullable.From(w.PurchaseOrderNumber),
		RateAmount:            Credits(w.RateAmount),
		CreditsBalance:        Credits(w.CreditsBalance),
		CreditsOngoingBalance: Credits(w.CreditsBalance),
		BalanceCents:          w.Balance,
		OngoingBalanceCents:   w.Balance,
		ConsumedCredits:       Credits(w.ConsumedCredits),

		CreatedAt:            Moment(w.CreatedAt),
		ExpirationAt:         (*Moment)(w.ExpirationAt),
		LastBalanceSyncAt:    (*Moment)(w.LastBalanceSyncAt),
		LastConsumedCreditAt: (*Moment)(w.LastConsumedCreditAt),

		PaidTopUpRequiresPayment: w.InvoiceRequiresSuccessfulPayment,
		PaidTopUpMinAmountCents:  w.PaidTopUpMinAmount,
		PaidTopUpMaxAmountCents:  w.PaidTopUpMaxAmount,
		Priority:                 w.Priority,
	}
	if w.TerminatedAt != nil {
		r.TerminatedAt = new(w.TerminatedAt.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	return r
}
