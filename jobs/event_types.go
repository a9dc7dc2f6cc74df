package jobs

import "slices"

// moneyBackTypes are the events about refunds and disputes. Which of them Stripe sends for
// a refund depends on the API version of the account.
var moneyBackTypes = []string{
	"charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.funds_withdrawn",
	"charge.dispute.updated", "charge.refund.updated", "charge.refunded", "refund.created", "refund.failed", "refund.updated",
}

// eventTypes are the events that may report a change to apply here: events about a payment
// and those about money that goes back. Stripe lists events of at most 20 types at once.
var eventTypes = append([]string{
	"payment_intent.canceled", "payment_intent.payment_failed", "payment_intent.processing",
	"payment_intent.requires_action", "payment_intent.succeeded",
}, moneyBackTypes...)

// EventTypes returns the types of event that Stripe has to send. Without the webhook a
// change that such an event reports waits for a sweep.
func EventTypes() []string { return slices.Clone(eventTypes) }

// actsOn reports whether events of a type are handled. Others are stored and ignored.
func actsOn(eventType string) bool { return slices.Contains(eventTypes, eventType) }

// isMoneyBack reports whether events of a type are about a refund or a dispute.
func isMoneyBack(eventType string) bool { return slices.Contains(moneyBackTypes, eventType) }
