package wallet

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"
)

// EventType is what happened, in our own words. Each dialect has a name of its
// own for it: see SignatureKind.EventName.
type EventType string

// What merchants can be told.
const (
	EventPaymentCanceled          EventType = "payment.canceled"
	EventPaymentDisputed          EventType = "payment.disputed"
	EventPaymentDisputeReversed   EventType = "payment.dispute_reversed"
	EventPaymentFailed            EventType = "payment.failed"
	EventPaymentRefunded          EventType = "payment.refunded"
	EventPaymentRefundReversed    EventType = "payment.refund_reversed"
	EventPaymentRequiresAction    EventType = "payment.requires_action"
	EventPaymentSucceeded         EventType = "payment.succeeded"
	EventTransactionCreated       EventType = "wallet_transaction.created"
	EventTransactionUpdated       EventType = "wallet_transaction.updated"
	EventWalletBalanceUpdated     EventType = "wallet.balance_updated"
	EventWalletCreated            EventType = "wallet.created"
	EventWalletTerminated         EventType = "wallet.terminated"
	EventWalletUpdated            EventType = "wallet.updated"
	eventPaymentFailureLago                 = "wallet_transaction.payment_failure"
	eventWalletBalanceUpdatedLava           = "customer.wallet.balance.updated"
	eventWalletUpdatedLago                  = "wallet.updated"
)

// EventTypes lists all of them.
var EventTypes = []EventType{
	EventPaymentCanceled, EventPaymentDisputed, EventPaymentDisputeReversed, EventPaymentFailed, EventPaymentRefunded,
	EventPaymentRefundReversed, EventPaymentRequiresAction, EventPaymentSucceeded, EventTransactionCreated,
	EventTransactionUpdated, EventWalletBalanceUpdated, EventWalletCreated, EventWalletTerminated, EventWalletUpdated,
}

// SignatureKind is the dialect that an endpoint is spoken to in: the names of
// events, the shape of the body and the headers.
type SignatureKind string

// The three kinds. Standard is that of the Standard Webhooks specification.
const (
	SignatureLago     SignatureKind = "lago"
	SignatureLava     SignatureKind = "lava"
	SignatureStandard SignatureKind = "standard"
)

// SignatureKinds lists all of them.
var SignatureKinds = []SignatureKind{SignatureLago, SignatureLava, SignatureStandard}

// EventName is what the dialect calls an event. Where Lava or Lago have a name it
// is theirs; payments have none at Lava, and keep ours.
func (k SignatureKind) EventName(t EventType) string {
	switch {
	case k == SignatureLava && t == EventWalletBalanceUpdated:
		return eventWalletBalanceUpdatedLava
	case k == SignatureLago && t == EventWalletBalanceUpdated:
		return eventWalletUpdatedLago
	case k == SignatureLago && t == EventPaymentFailed:
		return eventPaymentFailureLago
	default:
		return string(t)
	}
}

// Types are the events that an endpoint of the kind hears of when it asks for
// these names, in the dialect's own words. Nil asks for the usual ones: all there
// are, but in Lava's dialect only those about payments and the balance. The second
// result is the first name that there is no event for.
func (k SignatureKind) Types(names []string) ([]EventType, string) {
	types := []EventType{}
	for _, t := range EventTypes {
		if slices.Contains(names, k.EventName(t)) || (names == nil && k.usual(t)) {
			types = append(types, t)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(types, func(t EventType) bool { return k.EventName(t) == name }) {
			return nil, name
		}
	}
	return types, ""
}

func (k SignatureKind) usual(t EventType) bool {
	if k != SignatureLava {
		return true
	}
	switch t {
	case EventTransactionCreated, EventTransactionUpdated, EventWalletCreated, EventWalletTerminated, EventWalletUpdated:
		return false
	default:
		return true
	}
}

// EndpointStatus tells whether an endpoint is told anything.
type EndpointStatus string

// The states of an endpoint. A held one is enabled and keeps failing: one delivery
// at a time tries, and the others wait.
const (
	EndpointDisabled EndpointStatus = "disabled"
	EndpointEnabled  EndpointStatus = "enabled"
	EndpointHeld     EndpointStatus = "held"
)

// HoldAfter is how many attempts in a row have to fail before an endpoint is held.
const HoldAfter = 10

// Endpoint is where a merchant wants to hear of what happens.
type Endpoint struct {
	ID             ID
	OrganizationID ID
	Mode           Mode
	Name           string
	URL            string
	Signature      SignatureKind
	// Events are the names that were asked for, nil for the usual ones.
	Events []string
	Status EndpointStatus
	// FailingSince is when the first of the attempts failed that have failed since.
	FailingSince *time.Time
	// LastError is what went wrong with the last of them.
	LastError string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// NewWebhookSecret makes what an endpoint's deliveries are signed with: whsec_
// and 32 random bytes in base64, as the Standard Webhooks specification asks.
func NewWebhookSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

// DeliveryStatus is where the delivery of an event to an endpoint stands.
type DeliveryStatus string

// The states of a delivery. A finished one is pending again when somebody asks for
// it to be repeated.
const (
	DeliveryFailed    DeliveryStatus = "failed"
	DeliveryPending   DeliveryStatus = "pending"
	DeliverySucceeded DeliveryStatus = "succeeded"
)

// MerchantEvent is something that merchants are told, with what it is about as it
// was then. Which parts there are depends on the type.
type MerchantEvent struct {
	ID             ID
	OrganizationID ID
	Mode           Mode
	Type           EventType
	// ObjectID is the payment, wallet transaction or wallet that it happened to, and
	// Sequence its place among the events of that object, from 1.
	ObjectID  ID
	Sequence  int64
	CreatedAt time.Time
	// Traceparent names the trace that it belongs to, empty when there is none.
	Traceparent string

	Payment     *Payment     // of payment.*
	Transaction *Transaction // of wallet_transaction.*
	Wallet      *Wallet
	// MoneyBack is how much went back, or came back again, in minor units of the
	// payment's currency: of refunds and disputes, else 0.
	MoneyBack int64
	Customer  EventCustomer
}

// EventCustomer is the customer that an event is about, as they are now.
type EventCustomer struct {
	ID               ID
	ExternalID       string
	Email            string
	Firstname        string
	Lastname         string
	StripeCustomerID string
	CreatedAt        time.Time
}
