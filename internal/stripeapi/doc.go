// Package stripeapi is the only caller of Stripe. It builds every request, and
// it sorts every answer, and every lack of one, into the domain's outcomes, so
// that nobody else needs to know Stripe's statuses and error codes.
//
// A request is made of stripe-go's parameter structs and goes through its
// backend. An answer is decoded into the few fields that are looked at: a client
// secret, a card number or an address never gets as far as a Go value of ours,
// and so into no error, reason or log line.
//
// The package repeats nothing by itself. Whether and when a call is made again
// is for the jobs to say, which keep the outcome and the idempotency key's age.
package stripeapi
