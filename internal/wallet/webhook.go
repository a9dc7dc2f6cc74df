package wallet

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"
)

// DeliveryType is a kind of change that is delivered to merchants. Each dialect has its
// own name for it: see SignatureKind.DeliveryName.
type DeliveryType string

// The kinds of change that are delivered.
const (
	DeliveryPaymentCanceled        DeliveryType = "payment.canceled"
	DeliveryPaymentDisputed        DeliveryType = "payment.disputed"
	DeliveryPaymentDisputeReversed DeliveryType = "payment.dispute_reversed"
	DeliveryPaymentFailed          DeliveryType = "payment.failed"
	DeliveryPaymentRefunded        DeliveryType = "payment.refunded"
	DeliveryPaymentRefundReversed  DeliveryType = "payment.refund_reversed"
	DeliveryPaymentRequiresAction  DeliveryType = "payment.requires_action"
	DeliveryPaymentSucceeded       DeliveryType = "payment.succeeded"
	DeliveryTransactionCreated     DeliveryType = "wallet_transaction.created"
	DeliveryTransactionUpdated     DeliveryType = "wallet_transaction.updated"
	DeliveryWalletBalanceUpdated   DeliveryType = "wallet.balance_updated"
	DeliveryWalletCreated          DeliveryType = "wallet.created"
	DeliveryWalletTerminated       DeliveryType = "wallet.terminated"
	DeliveryWalletUpdated          DeliveryType = "wallet.updated"
)

// The names of the dialects, where they differ.
const (
	deliveryPaymentFailureLago       = "wallet_transaction.payment_failure"
	deliveryWalletBalanceUpdatedLava = "customer.wallet.balance.updated"
	deliveryWalletUpdatedLago        = "wallet.updated"
)

// DeliveryTypes lists all of them.
var DeliveryTypes = []DeliveryType{
	DeliveryPaymentCanceled, DeliveryPaymentDisputed, DeliveryPaymentDisputeReversed, DeliveryPaymentFailed, DeliveryPaymentRefunded,
	DeliveryPaymentRefundReversed, DeliveryPaymentRequiresAction, DeliveryPaymentSucceeded, DeliveryTransactionCreated,
	DeliveryTransactionUpdated, DeliveryWalletBalanceUpdated, DeliveryWalletCreated, DeliveryWalletTerminated, DeliveryWalletUpdated,
}

// SignatureKind is the dialect of the deliveries to an endpoint: the names of their
// types, the form of the body and the headers.
type SignatureKind string

// The three kinds. Standard is that of the Standard Webhooks specification.
const (
	SignatureLago     SignatureKind = "lago"
	SignatureLava     SignatureKind = "lava"
	SignatureStandard SignatureKind = "standard"
)

// SignatureKinds lists all of them.
var SignatureKinds = []SignatureKind{SignatureLago, SignatureLava, SignatureStandard}

// DeliveryName returns the dialect's name for a type: that of Lava or Lago if they have
// one, and ours otherwise. Lava has none for payments.
func (k SignatureKind) DeliveryName(t DeliveryType) string {
	switch {
	case k == SignatureLava && t == DeliveryWalletBalanceUpdated:
		return deliveryWalletBalanceUpdatedLava
	case k == SignatureLago && t == DeliveryWalletBalanceUpdated:
		return deliveryWalletUpdatedLago
	case k == SignatureLago && t == DeliveryPaymentFailed:
		return deliveryPaymentFailureLago
	default:
		return string(t)
	}
}

// Types returns the types that an endpoint of the kind gets if it asks for these names
// of the dialect. Nil asks for the usual types: in Lava's dialect those of payments and
// the balance, and elsewhere all. The second result is the first unknown name, empty if
// all are known.
func (k SignatureKind) Types(names []string) ([]DeliveryType, string) {
	types := []DeliveryType{}
	for _, t := range DeliveryTypes {
		if slices.Contains(names, k.DeliveryName(t)) || (names == nil && k.usual(t)) {
			types = append(types, t)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(types, func(t DeliveryType) bool { return k.DeliveryName(t) == name }) {
			return nil, name
		}
	}
	return types, ""
}

func (k SignatureKind) usual(t DeliveryType) bool {
	if k != SignatureLava {
		return true
	}
	switch t {
	case DeliveryTransactionCreated, DeliveryTransactionUpdated, DeliveryWalletCreated, DeliveryWalletTerminated, DeliveryWalletUpdated:
		return false
	default:
		return true
	}
}

// EndpointStatus is whether deliveries are made to an endpoint.
type EndpointStatus string

// The states of an endpoint. A held endpoint is enabled and keeps failing: one delivery
// at a time is tried, and the others wait.
const (
	EndpointDisabled EndpointStatus = "disabled"
	EndpointEnabled  EndpointStatus = "enabled"
	EndpointHeld     EndpointStatus = "held"
)

// HoldAfter is the number of attempts in a row that fail before an endpoint is held.
const HoldAfter = 10

// Endpoint is an address of a merchant's that deliveries are made to.
type Endpoint struct {
	ID             ID
	OrganizationID ID
	Mode           Mode
	Name           string
	URL            string
	Signature      SignatureKind
	// Events are the names of the types that the merchant asked for, nil for the usual
	// types.
	Events []string
	Status EndpointStatus
	// FailingSince is when the first attempt of the present row of failures failed, nil
	// if the last attempt succeeded.
	FailingSince *time.Time
	// LastError is the error of the last failure.
	LastError string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// NewWebhookSecret makes the secret that an endpoint's deliveries are signed with:
// whsec_ and 32 random bytes in base64, as the Standard Webhooks specification
// requires.
func NewWebhookSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

// DeliveryStatus is the state of a delivery to an endpoint.
type DeliveryStatus string

// The states of a delivery. A finished delivery that is repeated on request is pending
// again.
const (
	DeliveryFailed    DeliveryStatus = "failed"
	DeliveryPending   DeliveryStatus = "pending"
	DeliverySucceeded DeliveryStatus = "succeeded"
)

// MerchantEvent is a change that is delivered to merchants, with a snapshot of the
// rows. Which parts are set depends on the type.
type MerchantEvent struct {
	ID             ID
	OrganizationID ID
	Mode           Mode
	Type           DeliveryType
	// ObjectID is the payment, wallet transaction or wallet that changed, and Sequence
	// the number of the change among those of the object, from 1.
	ObjectID  ID
	Sequence  int64
	CreatedAt time.Time
	// Traceparent identifies the trace of the change, empty if there is none.
	Traceparent string

	Payment     *Payment     // of payment.*
	Transaction *Transaction // of wallet_transaction.*
	Wallet      *Wallet
	// MoneyBack is how much a refund or dispute, or its reversal, moved, in minor units
	// of the payment's currency; 0 for other types.
	MoneyBack int64
	Customer  EventCustomer
}

// EventCustomer is the customer of a delivery as it is now.
type EventCustomer struct {
	ID               ID
	ExternalID       string
	Email            string
	Firstname        string
	Lastname         string
	StripeCustomerID string
	CreatedAt        time.Time
}
