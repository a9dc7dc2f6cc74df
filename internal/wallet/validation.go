package wallet

import (
	"slices"
	"strings"
)

// ValidationError says what is wrong with the fields of a request, in the codes
// of the Lago dialect: for each field one code or more. Its zero value is nothing
// wrong, ready for use.
type ValidationError struct {
	Details map[string][]string
}

// Invalid is a ValidationError about one field.
func Invalid(field string, codes ...string) *ValidationError {
	v := &ValidationError{}
	v.Add(field, codes...)
	return v
}

// Add notes what is wrong with a field, once for each code.
func (e *ValidationError) Add(field string, codes ...string) {
	if e.Details == nil {
		e.Details = make(map[string][]string)
	}
	for _, code := range codes {
		if !slices.Contains(e.Details[field], code) {
			e.Details[field] = append(e.Details[field], code)
		}
	}
}

// Clone is a copy to which others can add.
func (e *ValidationError) Clone() *ValidationError {
	c := &ValidationError{}
	for field, codes := range e.Details {
		c.Add(field, codes...)
	}
	return c
}

// Has tells whether something is wrong with the field.
func (e *ValidationError) Has(field string) bool { return len(e.Details[field]) > 0 }

// OrNil is e, or nil when nothing is wrong.
func (e *ValidationError) OrNil() error {
	if len(e.Details) == 0 {
		return nil
	}
	return e
}

// Error implements error.
func (e *ValidationError) Error() string {
	fields := make([]string, 0, len(e.Details))
	for field, codes := range e.Details {
		fields = append(fields, field+": "+strings.Join(codes, ", "))
	}
	slices.Sort(fields)
	return "invalid: " + strings.Join(fields, "; ")
}

// The fields that the domain finds something wrong with.
const (
	FieldAmountCents         = "amount_cents"
	FieldBillingEntityCode   = "billing_entity_code"
	FieldCode                = "code"
	FieldCurrency            = "currency"
	FieldCustomer            = "customer"
	FieldExpirationAt        = "expiration_at"
	FieldGrantedCredits      = "granted_credits"
	FieldPaidCredits         = "paid_credits"
	FieldPaidTopUpMaxAmount  = "paid_top_up_max_amount_cents"
	FieldPaidTopUpMinAmount  = "paid_top_up_min_amount_cents"
	FieldPaymentMethod       = "payment_method"
	FieldPriority            = "priority"
	FieldRateAmount          = "rate_amount"
	FieldVoidedCredits       = "voided_credits"
	FieldVoidedTransactionID = "voided_transaction_id"
	FieldWalletID            = "wallet_id"
)

// What the domain finds wrong with them.
const (
	InvalidAboveMaximum        = "amount_above_maximum"
	InvalidAmount              = "invalid_amount"
	InvalidBelowMinimum        = "amount_below_minimum"
	InvalidCustomerNotFound    = "customer_not_found"
	InvalidDate                = "invalid_date"
	InvalidExceedsAvailable    = "exceeds_available_amount"
	InvalidExceedsRemaining    = "exceeds_remaining_transaction_amount"
	InvalidGrantedCredits      = "invalid_granted_credits"
	InvalidInsufficientCredits = "insufficient_credits"
	InvalidNoRemainingAmount   = "no_remaining_amount"
	InvalidNotAboveMinimum     = "must_be_greater_than_or_equal_min"
	InvalidNotTraceable        = "wallet_not_traceable"
	InvalidOutOfRange          = "value_is_out_of_range"
	InvalidPaidCredits         = "invalid_paid_credits" //nolint:gosec // the name of an error
	InvalidPaymentMethod       = "invalid_payment_method"
	InvalidRoundsToZero        = "amount_rounds_to_zero"
	InvalidTaken               = "value_already_exist"
	InvalidTransactionNotFound = "wallet_transaction_not_found"
	InvalidValue               = "value_is_invalid"
	InvalidVoidedCredits       = "invalid_voided_credits" //nolint:gosec // the name of an error
	InvalidWalletLimitReached  = "wallet_limit_reached"
	InvalidWalletNotFound      = "wallet_not_found"
	InvalidWalletTerminated    = "wallet_is_terminated"
)
