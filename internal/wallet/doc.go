// Package wallet is the domain: ids, modes, money, the states of a payment and the
// moves it may make, what an outcome of Stripe's changes, and the errors that callers
// can act on. It does not know HTTP, SQL, Stripe's API or River, so that the rules
// about money can be read and tested alone. Packages topup and moneyback decide on
// top-ups and on refunds and disputes.
package wallet
