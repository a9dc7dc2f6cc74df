package lago

import (
	"slices"

	"github.com/fundrail/fundrail/internal/wallet"
)

// detail is a finding in Lago's words.
type detail struct {
	field string
	codes []string
}

// details has every finding of the domain in Lago's words. Lago has several words
// for some problems, and says of others what was not found.
var details = map[wallet.Finding]detail{
	{Field: wallet.FieldAmount, Problem: wallet.ProblemExceedsAvailable}: {"amount_cents", []string{"exceeds_available_amount"}},
	{Field: wallet.FieldAmount, Problem: wallet.ProblemExceedsRemaining}: {"amount_cents", []string{"exceeds_remaining_transaction_amount"}},

	{Field: wallet.FieldCode, Problem: wallet.ProblemTaken}:            {"code", []string{"value_already_exist"}},
	{Field: wallet.FieldCurrency, Problem: wallet.ProblemInvalid}:      {"currency", []string{"value_is_invalid"}},
	{Field: wallet.FieldCustomer, Problem: wallet.ProblemLimitReached}: {"customer", []string{"wallet_limit_reached"}},
	{Field: wallet.FieldCustomer, Problem: wallet.ProblemNotFound}:     {"customer", []string{"customer_not_found"}},
	{Field: wallet.FieldExpirationAt, Problem: wallet.ProblemInvalid}:  {"expiration_at", []string{"invalid_date"}},
	{Field: wallet.FieldPaymentMethod, Problem: wallet.ProblemInvalid}: {"payment_method", []string{"invalid_payment_method"}},
	{Field: wallet.FieldPriority, Problem: wallet.ProblemInvalid}:      {"priority", []string{"value_is_invalid"}},
	{Field: wallet.FieldRateAmount, Problem: wallet.ProblemOutOfRange}: {"rate_amount", []string{"value_is_out_of_range"}},
	{Field: wallet.FieldStripeCustomer, Problem: wallet.ProblemTaken}:  {"provider_customer_id", []string{"value_already_exist"}},
	{Field: wallet.FieldTimezone, Problem: wallet.ProblemInvalid}:      {"timezone", []string{"value_is_invalid"}},
	{Field: wallet.FieldWallet, Problem: wallet.ProblemNotFound}:       {"wallet_id", []string{"wallet_not_found"}},
	{Field: wallet.FieldWallet, Problem: wallet.ProblemTerminated}:     {"wallet_id", []string{"wallet_is_terminated"}},

	{Field: wallet.FieldPaidTopUpMaxAmount, Problem: wallet.ProblemMaximumBelowMinimum}: {"paid_top_up_max_amount_cents", []string{"must_be_greater_than_or_equal_min"}},
	{Field: wallet.FieldPaidTopUpMaxAmount, Problem: wallet.ProblemOutOfRange}:          {"paid_top_up_max_amount_cents", []string{"value_is_out_of_range"}},
	{Field: wallet.FieldPaidTopUpMinAmount, Problem: wallet.ProblemOutOfRange}:          {"paid_top_up_min_amount_cents", []string{"value_is_out_of_range"}},

	{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemAmountInvalid}:      {"granted_credits", []string{"invalid_granted_credits", "invalid_amount"}},
	{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemRoundsToZero}:       {"granted_credits", []string{"amount_rounds_to_zero"}},
	{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemAboveMaximum}:          {"paid_credits", []string{"amount_above_maximum"}},
	{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemAmountInvalid}:         {"paid_credits", []string{"invalid_paid_credits", "invalid_amount"}},
	{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemBelowMinimum}:          {"paid_credits", []string{"amount_below_minimum"}},
	{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemRoundsToZero}:          {"paid_credits", []string{"amount_rounds_to_zero"}},
	{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemAmountInvalid}:       {"voided_credits", []string{"invalid_voided_credits", "invalid_amount"}},
	{Field: wallet.FieldVoidedCredits, Problem: wallet.ProblemInsufficientCredits}: {"voided_credits", []string{"insufficient_credits"}},
	{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNothingRemaining}: {
		"voided_transaction_id", []string{"no_remaining_amount"},
	},
	{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNotFound}: {
		"voided_transaction_id", []string{"wallet_transaction_not_found"},
	},
	{Field: wallet.FieldVoidedTransaction, Problem: wallet.ProblemNotTraceable}: {
		"voided_transaction_id", []string{"wallet_not_traceable"},
	},
}

// The fields and problems that only this dialect finds. They are Lago's words
// already, so details does not have them.
const (
	fieldAllowedFeeTypes wallet.Field = "allowed_fee_types"
	fieldAppliesTo       wallet.Field = "applies_to"
	fieldBase            wallet.Field = "base" // the request as a whole
	fieldEmail           wallet.Field = "email"
	fieldExternalID      wallet.Field = "external_id"
	fieldMetadata        wallet.Field = "metadata"
	fieldName            wallet.Field = "name"
	fieldOrderNumber     wallet.Field = "purchase_order_number"
	fieldProviderID      wallet.Field = "provider_customer_id"
	fieldRules           wallet.Field = "recurring_transaction_rules"
	fieldTransactionType wallet.Field = "transaction_type"
	fieldWalletOfPath    wallet.Field = "wallet"

	problemEmailForm       wallet.Problem = "invalid_email_format"
	problemFeeTypes        wallet.Problem = "invalid_fee_types"
	problemInvalidValue    wallet.Problem = "invalid_value"
	problemLimitations     wallet.Problem = "invalid_limitations"
	problemMandatory       wallet.Problem = "value_is_mandatory"
	problemNotTraceable    wallet.Problem = "not_traceable"
	problemRule            wallet.Problem = "invalid_recurring_rule"
	problemRuleCount       wallet.Problem = "invalid_number_of_recurring_rules"
	problemTooLong         wallet.Problem = "too_long"
	problemTransactionType wallet.Problem = "invalid_transaction_type"
	problemValueTooLong    wallet.Problem = "value_is_too_long"

	// Of metadata.
	problemKeyTooLong       wallet.Problem = "key_too_long"
	problemPairInvalid      wallet.Problem = "invalid_key_value_pair"
	problemTooManyKeys      wallet.Problem = "too_many_keys"
	problemTypeInvalid      wallet.Problem = "invalid_type"
	problemPairValueTooLong wallet.Problem = "value_too_long"

	// Of a purchase that is to be paid on a page.
	problemAlreadySettled     wallet.Problem = "wallet_transaction_already_settled"
	problemInvoiceStatus      wallet.Problem = "invalid_invoice_status_or_payment_status"
	problemNoInvoice          wallet.Problem = "wallet_transaction_has_no_attached_invoice"
	problemNoProvider         wallet.Problem = "missing_payment_provider"
	problemNoProviderCustomer wallet.Problem = "missing_payment_provider_customer"
	problemNotLinked          wallet.Problem = "no_linked_payment_provider"
	problemNotPurchased       wallet.Problem = "wallet_transaction_not_purchased"
	problemProvider           wallet.Problem = "payment_provider_error"
)

// detailsOf returns the codes of each field as an answer shows them.
func detailsOf(v *wallet.ValidationError) map[string][]string {
	shown := make(map[string][]string)
	for _, f := range v.Findings {
		d, ok := details[f]
		if !ok { // one of this dialect's own
			d = detail{string(f.Field), []string{string(f.Problem)}}
		}
		for _, code := range d.codes {
			if !slices.Contains(shown[d.field], code) {
				shown[d.field] = append(shown[d.field], code)
			}
		}
	}
	return shown
}
