package wallet

import "slices"

// DeclineClass sorts declines by what may be tried next.
type DeclineClass string

// The classes of decline.
const (
	// DeclineAuthenticate: the issuer wants the cardholder to pass a challenge.
	// The same card can work on-session.
	DeclineAuthenticate DeclineClass = "authenticate"
	// DeclineDoNotRetry: the issuer, or the card network for it, forbids another
	// try. Trying again may cost a fee and the merchant's standing.
	DeclineDoNotRetry DeclineClass = "do_not_retry"
	// DeclineHard: the card cannot pay with the data that is stored. The data has to be
	// corrected, or another card charged.
	DeclineHard DeclineClass = "hard"
	// DeclineSoft: the same card may pay at another time, or another amount.
	DeclineSoft DeclineClass = "soft"
)

// MayRetry reports whether the service may charge the same card again without the
// cardholder. Only a soft decline allows it.
func (c DeclineClass) MayRetry() bool { return c == DeclineSoft }

// Stripe's advice codes, as it gives them with a decline.
const (
	adviceConfirmCardData = "confirm_card_data"
	adviceDoNotTryAgain   = "do_not_try_again"
	adviceTryAgainLater   = "try_again_later"
)

// networkAdvice sorts the advice codes of the card networks. They are Mastercard's;
// Visa and the other networks use decline codes instead.
var networkAdvice = map[string]DeclineClass{
	"01": DeclineHard,       // new account information is available
	"02": DeclineSoft,       // cannot approve at this time
	"03": DeclineDoNotRetry, // do not try again
	"21": DeclineDoNotRetry, // the cardholder revoked the agreement
	"24": DeclineSoft,       // retry after an hour
	"25": DeclineSoft,       // after a day
	"26": DeclineSoft,       // after two days
	"27": DeclineSoft,       // after four days
	"28": DeclineSoft,       // after six days
	"29": DeclineSoft,       // after eight days
	"30": DeclineSoft,       // after ten days
}

// reasons sorts Stripe's decline codes, and those of its error codes that mean a
// decline. A code that is not listed is soft: the stricter reasons have codes of
// their own.
var reasons = map[string]DeclineClass{
	"authentication_not_handled":             DeclineAuthenticate,
	"authentication_required":                DeclineAuthenticate,
	"mobile_device_authentication_required":  DeclineAuthenticate,
	"offline_pin_required":                   DeclineAuthenticate,
	"online_or_offline_pin_required":         DeclineAuthenticate,
	"payment_intent_authentication_failure":  DeclineAuthenticate,
	"setup_intent_authentication_failure":    DeclineAuthenticate,
	"payment_intent_payment_attempt_expired": DeclineAuthenticate,
	"card_decline_rate_limit_exceeded":       DeclineDoNotRetry,
	"do_not_try_again":                       DeclineDoNotRetry,
	"fraudulent":                             DeclineDoNotRetry,
	"lost_card":                              DeclineDoNotRetry,
	"merchant_blacklist":                     DeclineDoNotRetry,
	"pickup_card":                            DeclineDoNotRetry,
	"pin_try_exceeded":                       DeclineDoNotRetry,
	"restricted_card":                        DeclineDoNotRetry,
	"revocation_of_all_authorizations":       DeclineDoNotRetry,
	"revocation_of_authorization":            DeclineDoNotRetry,
	"security_violation":                     DeclineDoNotRetry,
	"stolen_card":                            DeclineDoNotRetry,
	"stop_payment_order":                     DeclineDoNotRetry,
	"card_not_supported":                     DeclineHard,
	"currency_not_supported":                 DeclineHard,
	"expired_card":                           DeclineHard,
	"incorrect_address":                      DeclineHard,
	"incorrect_cvc":                          DeclineHard,
	"incorrect_number":                       DeclineHard,
	"incorrect_pin":                          DeclineHard,
	"incorrect_zip":                          DeclineHard,
	"invalid_account":                        DeclineHard,
	"invalid_cvc":                            DeclineHard,
	"invalid_expiry_month":                   DeclineHard,
	"invalid_expiry_year":                    DeclineHard,
	"invalid_number":                         DeclineHard,
	"invalid_pin":                            DeclineHard,
	"new_account_information_available":      DeclineHard,
	"not_permitted":                          DeclineHard,
	"service_not_allowed":                    DeclineHard,
	"testmode_decline":                       DeclineHard,
	"transaction_not_allowed":                DeclineHard,
	"approve_with_id":                        DeclineSoft,
	"call_issuer":                            DeclineSoft,
	"card_declined":                          DeclineSoft,
	"card_velocity_exceeded":                 DeclineSoft,
	"do_not_honor":                           DeclineSoft,
	"duplicate_transaction":                  DeclineSoft,
	"generic_decline":                        DeclineSoft,
	"insufficient_funds":                     DeclineSoft,
	"invalid_amount":                         DeclineSoft,
	"issuer_not_available":                   DeclineSoft,
	"no_action_taken":                        DeclineSoft,
	"processing_error":                       DeclineSoft,
	"reenter_transaction":                    DeclineSoft,
	"try_again_later":                        DeclineSoft,
	"withdrawal_count_limit_exceeded":        DeclineSoft,
}

// ClassifyDecline sorts a decline by the codes that Stripe gave with it. The
// strictest code wins: a code that forbids a retry outranks the advice to try later,
// and a specific reason outranks the general advice to check the card's data.
func ClassifyDecline(f Failure) DeclineClass {
	reason, known := reasons[f.DeclineCode]
	if !known {
		reason, known = reasons[f.Code]
	}
	switch network := networkAdvice[f.NetworkAdviceCode]; {
	case f.AdviceCode == adviceDoNotTryAgain, reason == DeclineDoNotRetry, network == DeclineDoNotRetry:
		return DeclineDoNotRetry
	case reason == DeclineAuthenticate, reason == DeclineHard:
		return reason
	case f.AdviceCode == adviceConfirmCardData:
		return DeclineHard
	case f.AdviceCode == adviceTryAgainLater:
		return DeclineSoft
	case network != "":
		return network
	case known:
		return reason
	default:
		return DeclineSoft
	}
}

// vague are the reasons that the payer must not see. They are not shown at all.
var vague = map[string]bool{
	"fraudulent":         true,
	"lost_card":          true,
	"merchant_blacklist": true,
	"pickup_card":        true,
	"stolen_card":        true,
}

// MessageDeclined is the message for a payer when the reason is unknown or must not
// be shown.
const MessageDeclined = "Your card was declined."

// Decline prepares the failure of a decline for being shown. It classifies the
// failure, and then replaces a reason that would warn a thief by the general one, as
// Stripe requires.
func Decline(f Failure) Failure {
	if f.Code == "" {
		f.Code = "card_declined"
	}
	f.Class = ClassifyDecline(f)
	if vague[f.DeclineCode] || vague[f.Code] {
		f.Code = "card_declined"
		f.DeclineCode = "generic_decline"
		f.Message = MessageDeclined
		// The network's number for a stolen card says the same.
		f.NetworkAdviceCode, f.NetworkDeclineCode = "", ""
	}
	if f.Message == "" {
		f.Message = MessageDeclined
	}
	return f
}

// softReasons are decline codes of Stripe's and of ours besides those of reasons.
var softReasons = []string{
	"approve_with_id", "call_issuer", "card_declined", "card_not_supported", "card_velocity_exceeded", "do_not_honor",
	"duplicate_transaction", "generic_decline", "insufficient_funds", "issuer_not_available", "no_action_taken",
	"not_permitted", "processing_error", "reenter_transaction", "revocation_of_authorization", "service_not_allowed",
	"stop_payment_order", "transaction_not_allowed", "try_again_later", "withdrawal_count_limit_exceeded",
	FailureActionUnsupported, FailureAuthentication, FailureInternal, FailurePaymentMethodMissing,
}

// KnownDecline reports whether a code is one of Stripe's known decline codes or one of
// ours. Stripe may use other codes.
func KnownDecline(code string) bool {
	_, ok := reasons[code]
	return ok || slices.Contains(softReasons, code)
}
