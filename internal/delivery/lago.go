package delivery

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// lagoBody is Lago's envelope: the object stands under the name of its own type.
// What Lago has no event for keeps our shape.
func lagoBody(name string, e wallet.MerchantEvent) any {
	objectType, object := "payment", objectOf(e)
	switch {
	case e.Type == wallet.EventPaymentFailed && e.Payment != nil:
		objectType, object = "payment_provider_wallet_transaction_payment_error", newLagoPaymentError(e)
	case e.Payment != nil:
	case e.Transaction != nil:
		t := newLagoTransaction(*e.Transaction)
		if e.Wallet != nil {
			w := newLagoWallet(*e.Wallet)
			t.Wallet = &w
		}
		objectType, object = "wallet_transaction", t
	case e.Wallet != nil:
		w := newLagoWallet(*e.Wallet)
		w.Rules = orEmpty(e.Wallet.RecurringTransactionRules)
		objectType, object = "wallet", w
	}
	return ordered{
		{"webhook_type", name},
		{"object_type", objectType},
		{"organization_id", e.OrganizationID},
		{objectType, object},
	}
}

// ordered is a JSON object whose members keep their order.
type ordered []struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, member := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(member.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(member.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// credits are a decimal as Lago shows it.
type credits decimal.Decimal

// MarshalJSON implements json.Marshaler.
func (c credits) MarshalJSON() ([]byte, error) {
	return json.Marshal(wallet.FormatDecimal(decimal.Decimal(c)))
}

// moment is a time as Lago shows it.
type moment time.Time

// MarshalJSON implements json.Marshaler.
func (m moment) MarshalJSON() ([]byte, error) { return json.Marshal(seconds(time.Time(m))) }

// lagoPaymentError is what Lago says of a top-up whose payment failed.
type lagoPaymentError struct {
	TransactionID       wallet.ID         `json:"lago_wallet_transaction_id"`
	CustomerID          wallet.ID         `json:"lago_customer_id"`
	ExternalCustomerID  string            `json:"external_customer_id"`
	ProviderCustomerID  *string           `json:"provider_customer_id"`
	PaymentProvider     string            `json:"payment_provider"`
	PaymentProviderCode string            `json:"payment_provider_code"`
	ProviderError       lagoProviderError `json:"provider_error"`
}

type lagoProviderError struct {
	Message   string `json:"message"`
	ErrorCode string `json:"error_code"`
}

func newLagoPaymentError(e wallet.MerchantEvent) lagoPaymentError {
	code := e.Payment.Failure.DeclineCode
	if code == "" {
		code = e.Payment.Failure.Code
	}
	return lagoPaymentError{
		TransactionID:       e.Payment.WalletTransactionID,
		CustomerID:          e.Customer.ID,
		ExternalCustomerID:  e.Customer.ExternalID,
		ProviderCustomerID:  orNull(e.Customer.StripeCustomerID),
		PaymentProvider:     "stripe",
		PaymentProviderCode: "stripe",
		ProviderError:       lagoProviderError{Message: e.Payment.Failure.Message, ErrorCode: code},
	}
}

type lagoMethod struct {
	PaymentMethodID   *wallet.ID               `json:"payment_method_id"`
	PaymentMethodType wallet.PaymentMethodType `json:"payment_method_type"`
}

func newLagoMethod(c wallet.MethodChoice) lagoMethod {
	return lagoMethod{PaymentMethodID: c.ID, PaymentMethodType: c.OrProvider()}
}

// lagoTransaction is a wallet transaction as the API under /api/v1 lists it, with
// the wallet in it.
type lagoTransaction struct {
	LagoID                           wallet.ID                `json:"lago_id"`
	LagoWalletID                     wallet.ID                `json:"lago_wallet_id"`
	InvoiceID                        *wallet.ID               `json:"lago_invoice_id"`
	CreditNoteID                     *wallet.ID               `json:"lago_credit_note_id"`
	VoidedInvoiceID                  *wallet.ID               `json:"lago_voided_invoice_id"`
	BillingEntityCode                string                   `json:"billing_entity_code"`
	Status                           wallet.TransactionStatus `json:"status"`
	Source                           wallet.TransactionSource `json:"source"`
	TransactionStatus                wallet.TransactionKind   `json:"transaction_status"`
	TransactionType                  wallet.TransactionType   `json:"transaction_type"`
	Amount                           string                   `json:"amount"`
	CreditAmount                     credits                  `json:"credit_amount"`
	RemainingAmountCents             *int64                   `json:"remaining_amount_cents"`
	RemainingCreditAmount            *credits                 `json:"remaining_credit_amount"`
	Priority                         int                      `json:"priority"`
	PurchaseOrderNumber              *string                  `json:"purchase_order_number"`
	SettledAt                        *moment                  `json:"settled_at"`
	FailedAt                         *moment                  `json:"failed_at"`
	CreatedAt                        moment                   `json:"created_at"`
	InvoiceRequiresSuccessfulPayment bool                     `json:"invoice_requires_successful_payment"`
	Metadata                         []wallet.MetadataPair    `json:"metadata"`
	Name                             *string                  `json:"name"`
	Wallet                           *lagoWallet              `json:"wallet,omitempty"`
	PaymentMethod                    lagoMethod               `json:"payment_method"`
}

func newLagoTransaction(t wallet.Transaction) lagoTransaction {
	o := lagoTransaction{
		LagoID:                           t.ID,
		LagoWalletID:                     t.WalletID,
		InvoiceID:                        t.InvoiceID,
		CreditNoteID:                     t.CreditNoteID,
		VoidedInvoiceID:                  t.VoidedInvoiceID,
		BillingEntityCode:                t.BillingEntityCode,
		Status:                           t.Status,
		Source:                           t.Source,
		TransactionStatus:                t.Kind,
		TransactionType:                  t.Type,
		Amount:                           wallet.FormatMajor(t.Amount, t.Currency),
		CreditAmount:                     credits(t.CreditAmount),
		RemainingAmountCents:             t.RemainingAmount,
		RemainingCreditAmount:            (*credits)(t.RemainingCredits()),
		Priority:                         t.Priority,
		PurchaseOrderNumber:              orNull(t.PurchaseOrderNumber),
		SettledAt:                        (*moment)(t.SettledAt),
		FailedAt:                         (*moment)(t.FailedAt),
		CreatedAt:                        moment(t.CreatedAt),
		InvoiceRequiresSuccessfulPayment: t.InvoiceRequiresSuccessfulPayment,
		Metadata:                         t.Metadata,
		Name:                             orNull(t.Name),
		PaymentMethod:                    newLagoMethod(t.PaymentMethod),
	}
	if o.Metadata == nil {
		o.Metadata = []wallet.MetadataPair{}
	}
	return o
}

// lagoWallet is a wallet as Lago's webhooks have it: without what it applies to and
// without sections, and with the rules only where it is the event's own object.
type lagoWallet struct {
	LagoID                           wallet.ID           `json:"lago_id"`
	CustomerID                       wallet.ID           `json:"lago_customer_id"`
	ExternalCustomerID               string              `json:"external_customer_id"`
	BillingEntityCode                string              `json:"billing_entity_code"`
	Status                           wallet.WalletStatus `json:"status"`
	Currency                         wallet.Currency     `json:"currency"`
	Name                             *string             `json:"name"`
	Code                             string              `json:"code"`
	PurchaseOrderNumber              *string             `json:"purchase_order_number"`
	RateAmount                       credits             `json:"rate_amount"`
	CreditsBalance                   credits             `json:"credits_balance"`
	CreditsOngoingBalance            credits             `json:"credits_ongoing_balance"`
	CreditsOngoingUsageBalance       credits             `json:"credits_ongoing_usage_balance"`
	BalanceCents                     int64               `json:"balance_cents"`
	OngoingBalanceCents              int64               `json:"ongoing_balance_cents"`
	OngoingUsageBalanceCents         int64               `json:"ongoing_usage_balance_cents"`
	ConsumedCredits                  credits             `json:"consumed_credits"`
	CreatedAt                        moment              `json:"created_at"`
	ExpirationAt                     *moment             `json:"expiration_at"`
	LastBalanceSyncAt                *moment             `json:"last_balance_sync_at"`
	LastConsumedCreditAt             *moment             `json:"last_consumed_credit_at"`
	TerminatedAt                     *string             `json:"terminated_at"`
	InvoiceRequiresSuccessfulPayment bool                `json:"invoice_requires_successful_payment"`
	PaidTopUpMinAmountCents          *int64              `json:"paid_top_up_min_amount_cents"`
	PaidTopUpMaxAmountCents          *int64              `json:"paid_top_up_max_amount_cents"`
	Priority                         int                 `json:"priority"`
	Rules                            json.RawMessage     `json:"recurring_transaction_rules,omitempty"`
	PaymentMethod                    lagoMethod          `json:"payment_method"`
	Metadata                         json.RawMessage     `json:"metadata,omitempty"`
}

func newLagoWallet(w wallet.Wallet) lagoWallet {
	o := lagoWallet{
		LagoID:                           w.ID,
		CustomerID:                       w.CustomerID,
		ExternalCustomerID:               w.ExternalCustomerID,
		BillingEntityCode:                w.BillingEntityCode,
		Status:                           w.Status,
		Currency:                         w.Currency,
		Name:                             orNull(w.Name),
		Code:                             w.Code,
		PurchaseOrderNumber:              orNull(w.PurchaseOrderNumber),
		RateAmount:                       credits(w.RateAmount),
		CreditsBalance:                   credits(w.CreditsBalance),
		CreditsOngoingBalance:            credits(w.CreditsBalance), // no usage is metered here
		BalanceCents:                     w.Balance,
		OngoingBalanceCents:              w.Balance,
		ConsumedCredits:                  credits(w.ConsumedCredits),
		CreatedAt:                        moment(w.CreatedAt),
		ExpirationAt:                     (*moment)(w.ExpirationAt),
		LastBalanceSyncAt:                (*moment)(w.LastBalanceSyncAt),
		LastConsumedCreditAt:             (*moment)(w.LastConsumedCreditAt),
		InvoiceRequiresSuccessfulPayment: w.InvoiceRequiresSuccessfulPayment,
		PaidTopUpMinAmountCents:          w.PaidTopUpMinAmount,
		PaidTopUpMaxAmountCents:          w.PaidTopUpMaxAmount,
		Priority:                         w.Priority,
		PaymentMethod:                    newLagoMethod(w.PaymentMethod),
		Metadata:                         w.Metadata,
	}
	if w.TerminatedAt != nil {
		at := w.TerminatedAt.UTC().Format("2006-01-02T15:04:05.000Z")
		o.TerminatedAt = &at
	}
	return o
}

// orEmpty is an empty list for none.
func orEmpty(list json.RawMessage) json.RawMessage {
	if list == nil {
		return json.RawMessage("[]")
	}
	return list
}
