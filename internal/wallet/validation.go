package wallet

import (
	"slices"
	"strings"
)

// Field is a part of a request. Its text is for logs: each dialect of the API has
// its own name for it.
type Field string

// The fields that the domain finds something wrong with.
const (
	FieldAmount             Field = "amount"
	FieldCode               Field = "code"
	FieldCurrency           Field = "currency"
	FieldCustomer           Field = "customer"
	FieldExpirationAt       Field = "expiration"
	FieldGrantedCredits     Field = "granted credits"
	FieldPaidCredits        Field = "paid credits"
	FieldPaidTopUpMaxAmount Field = "largest paid top-up"
	FieldPaidTopUpMinAmount Field = "smallest paid top-up"
	FieldPaymentMethod      Field = "payment method"
	FieldPriority           Field = "priority"
	FieldRateAmount         Field = "rate"
	FieldStripeCustomer     Field = "Stripe customer"
	FieldTimezone           Field = "time zone"
	FieldVoidedCredits      Field = "voided credits"
	FieldVoidedTransaction  Field = "voided transaction"
	FieldWallet             Field = "wallet"
)

// Problem is what is wrong with a field. Its text is for logs: each dialect of the
// API has its own code for it.
type Problem string

// The problems that the domain finds.
const (
	ProblemAboveMaximum        Problem = "above the maximum"
	ProblemAmountInvalid       Problem = "not a possible amount"
	ProblemBelowMinimum        Problem = "below the minimum"
	ProblemExceedsAvailable    Problem = "more than is available"
	ProblemExceedsRemaining    Problem = "more than is left of the transaction"
	ProblemInsufficientCredits Problem = "more than the wallet's credits"
	ProblemInvalid             Problem = "invalid"
	ProblemLimitReached        Problem = "has no room for another wallet"
	ProblemMaximumBelowMinimum Problem = "below the smallest"
	ProblemNothingRemaining    Problem = "nothing is left"
	ProblemNotFound            Problem = "not found"
	ProblemNotTraceable        Problem = "not traceable"
	ProblemOutOfRange          Problem = "out of range"
	ProblemRoundsToZero        Problem = "rounds to zero"
	ProblemTaken               Problem = "taken"
	ProblemTerminated          Problem = "terminated"
)

// Finding is one thing that is wrong with a request.
type Finding struct {
	Field   Field
	Problem Problem
}

// Findings lists everything that the domain can find. The dialects may find more in
// a request that they decode.
var Findings = []Finding{
	{FieldAmount, ProblemExceedsAvailable},
	{FieldAmount, ProblemExceedsRemaining},
	{FieldCode, ProblemTaken},
	{FieldCurrency, ProblemInvalid},
	{FieldCustomer, ProblemLimitReached},
	{FieldCustomer, ProblemNotFound},
	{FieldExpirationAt, ProblemInvalid},
	{FieldGrantedCredits, ProblemAmountInvalid},
	{FieldGrantedCredits, ProblemRoundsToZero},
	{FieldPaidCredits, ProblemAboveMaximum},
	{FieldPaidCredits, ProblemAmountInvalid},
	{FieldPaidCredits, ProblemBelowMinimum},
	{FieldPaidCredits, ProblemRoundsToZero},
	{FieldPaidTopUpMaxAmount, ProblemMaximumBelowMinimum},
	{FieldPaidTopUpMaxAmount, ProblemOutOfRange},
	{FieldPaidTopUpMinAmount, ProblemOutOfRange},
	{FieldPaymentMethod, ProblemInvalid},
	{FieldPriority, ProblemInvalid},
	{FieldRateAmount, ProblemOutOfRange},
	{FieldStripeCustomer, ProblemTaken},
	{FieldTimezone, ProblemInvalid},
	{FieldVoidedCredits, ProblemAmountInvalid},
	{FieldVoidedCredits, ProblemInsufficientCredits},
	{FieldVoidedTransaction, ProblemNothingRemaining},
	{FieldVoidedTransaction, ProblemNotFound},
	{FieldVoidedTransaction, ProblemNotTraceable},
	{FieldWallet, ProblemNotFound},
	{FieldWallet, ProblemTerminated},
}

// ValidationError reports everything that is wrong with a request. Its zero value
// reports nothing and is ready for use.
type ValidationError struct {
	// Findings stand in the order in which they were added, each once.
	Findings []Finding
}

// Invalid returns a ValidationError with one finding.
func Invalid(field Field, problem Problem) *ValidationError {
	return &ValidationError{Findings: []Finding{{field, problem}}}
}

// Add adds a finding unless it is there already.
func (e *ValidationError) Add(field Field, problem Problem) {
	if f := (Finding{field, problem}); !slices.Contains(e.Findings, f) {
		e.Findings = append(e.Findings, f)
	}
}

// AddAll adds the findings of another error.
func (e *ValidationError) AddAll(other *ValidationError) {
	for _, f := range other.Findings {
		e.Add(f.Field, f.Problem)
	}
}

// Clone returns a copy. Findings that are added to it do not change e.
func (e *ValidationError) Clone() *ValidationError {
	return &ValidationError{Findings: slices.Clone(e.Findings)}
}

// Has reports whether something is wrong with the field.
func (e *ValidationError) Has(field Field) bool {
	return slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.Field == field })
}

// OrNil returns e, or nil without findings.
func (e *ValidationError) OrNil() error {
	if len(e.Findings) == 0 {
		return nil
	}
	return e
}

// Error implements error.
func (e *ValidationError) Error() string {
	texts := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		texts[i] = string(f.Field) + ": " + string(f.Problem)
	}
	return "invalid: " + strings.Join(texts, "; ")
}
