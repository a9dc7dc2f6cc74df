package delivery

import (
	"bytes"
	"encoding/json"

	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// lagoBody returns Lago's envelope, in which the key of the object is its type.
// Events that Lago does not have contain the object of our API.
func lagoBody(name string, e wallet.MerchantEvent) any {
	objectType, object := "payment", objectOf(e)
	switch {
	case e.Type == wallet.DeliveryPaymentFailed && e.Payment != nil:
		objectType, object = "payment_provider_wallet_transaction_payment_error", newLagoPaymentError(e)
	case e.Payment != nil:
	case e.Transaction != nil:
		t := lagoTransaction{
			Transaction: lagojson.NewTransaction(*e.Transaction), PaymentMethod: lagojson.NewMethod(e.Transaction.PaymentMethod),
		}
		if e.Wallet != nil {
			t.Wallet = newLagoWallet(*e.Wallet)
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

// ordered is a JSON object with members in a fixed order.
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

// lagoPaymentError is Lago's object for a top-up whose payment failed.
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
		ProviderCustomerID:  nullable.From(e.Customer.StripeCustomerID),
		PaymentProvider:     "stripe",
		PaymentProviderCode: "stripe",
		ProviderError:       lagoProviderError{Message: e.Payment.Failure.Message, ErrorCode: code},
	}
}

// lagoTransaction is a wallet transaction with its wallet.
type lagoTransaction struct {
	lagojson.Transaction

	Wallet        *lagoWallet     `json:"wallet,omitempty"`
	PaymentMethod lagojson.Method `json:"payment_method"`
}

// lagoWallet is a wallet in Lago's webhooks. It has no limitations and no sections.
// It has the rules only if it is the event's own object.
type lagoWallet struct {
	lagojson.Wallet

	Rules         json.RawMessage `json:"recurring_transaction_rules,omitempty"`
	PaymentMethod lagojson.Method `json:"payment_method"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
}

func newLagoWallet(w wallet.Wallet) *lagoWallet {
	return &lagoWallet{Wallet: lagojson.NewWallet(w), PaymentMethod: lagojson.NewMethod(w.PaymentMethod), Metadata: w.Metadata}
}

// orEmpty returns an empty list for a nil one.
func orEmpty(list json.RawMessage) json.RawMessage {
	if list == nil {
		return json.RawMessage("[]")
	}
	return list
}
