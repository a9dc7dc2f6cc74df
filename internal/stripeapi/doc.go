// Package stripeapi makes all calls to Stripe. It builds every request, and it
// sorts every answer, and every missing answer, into the domain's outcomes. Other
// packages need not know Stripe's statuses and error codes.
//
// Requests use stripe-go's parameter structs and its backend. Answers are decoded
// into only the fields that are used. Client secrets, card numbers and addresses
// are never decoded, so they cannot reach an error, a reason or a log line.
//
// The package does not retry. The jobs decide whether and when a call is repeated.
// They store the outcome and the age of the idempotency key.
package stripeapi
