// Package wallet is the domain: ids, modes, money, the states of a payment and
// the moves it may make, and the errors that callers can act on. It knows
// nothing of HTTP, SQL, Stripe's API or River, so the rules about money can be
// read, and tested, on their own.
package wallet
