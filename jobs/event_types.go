package jobs

import "slices"

// moneyBackTypes are the types of events about refunds and disputes. The account's API
// version decides which of them Stripe sends for a refund.
var moneyBackTypes = []string{
	"charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.funds_withdrawn",
	"charge.dispute.updated", "charge.refund.updated", "charge.refunded", "refund.created", "refund.failed", "refund.updated",
}

// eventTypes are the types of events that are handled: those about payments, refunds and
// disputes. Stripe lists events of at most 20 types in one call.
var eventTypes = append([]string{
	"payment_intent.canceled", "payment_intent.payment_failed", "payment_intent.processing",
	"payment_intent.requires_action", "payment_intent.succeeded",
}, moneyBackTypes...)

// EventTypes returns the types of events that Stripe's webhook endpoint must send. An
// event of a type that it does not send is found by a sweep.
func EventTypes() []string { return slices.Clone(eventTypes) }

// actsOn reports whether events of a type are handled. Others are stored and ignored.
func actsOn(eventType string) bool { return slices.Contains(eventTypes, eventType) }

// isMoneyBack reports whether events of a type are about a refund or a dispute.
func isMoneyBack(eventType string) bool { return slices.Contains(moneyBackTypes, eventType) }
