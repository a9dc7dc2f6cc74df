package stripeapi

import (
	"net/url"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

// sortIntent returns the outcome that an intent means for its payment.
func sortIntent(in *intent, requestID string) wallet.Outcome {
	o := wallet.Outcome{RequestID: requestID}
	if !validID(in.ID) {
		o.Kind, o.Reason = wallet.OutcomeUnknown, "answer without an intent"
		return o
	}
	o.IntentID = in.ID
	o.ChargeID = in.LatestCharge.valid()
	o.PaymentID = parseID(in.Metadata.PaymentID)

	switch stripe.PaymentIntentStatus(in.Status) {
	case stripe.PaymentIntentStatusSucceeded:
		return sortSucceeded(o, in)
	case stripe.PaymentIntentStatusProcessing:
		o.Kind = wallet.OutcomeProcessing
	case stripe.PaymentIntentStatusRequiresAction:
		return sortAction(o, in.NextAction)
	case stripe.PaymentIntentStatusRequiresPaymentMethod:
		// This is the status before the first attempt and after a failed one. The
		// last error tells them apart. Its type does not matter: after a failed challenge
		// the type is invalid_request_error.
		if in.LastPaymentError == nil {
			o.Kind, o.Reason = wallet.OutcomeProcessing, in.Status
			return o
		}
		o.Kind, o.Failure = wallet.OutcomeDeclined, declined(*in.LastPaymentError)
	case stripe.PaymentIntentStatusRequiresConfirmation, stripe.PaymentIntentStatusRequiresCapture:
		// The service requests neither. Whatever created the intent must continue
		// it.
		o.Kind, o.Reason = wallet.OutcomeProcessing, in.Status
	case stripe.PaymentIntentStatusCanceled:
		o.Kind, o.Failure = wallet.OutcomeCanceled, canceled(in)
	default:
		o.Kind, o.Reason = wallet.OutcomeUnknown, "status "+word(in.Status)
	}
	return o
}

func sortSucceeded(o wallet.Outcome, in *intent) wallet.Outcome {
	if in.AmountReceived <= 0 || in.Currency == "" {
		o.Kind, o.Reason = wallet.OutcomeUnknown, "succeeded without an amount"
		return o
	}
	o.Kind = wallet.OutcomeSucceeded
	o.AmountReceived = in.AmountReceived
	o.Currency = upper(in.Currency)
	return o
}

// sortAction accepts the one action that a caller can complete, a page to visit.
// All others need Stripe's script, which merchants do not run. Such a payment is
// declined, and its intent has to be canceled.
func sortAction(o wallet.Outcome, next *nextAction) wallet.Outcome {
	if next != nil && next.Type == string(stripe.PaymentIntentNextActionTypeRedirectToURL) &&
		next.RedirectToURL != nil && isPage(next.RedirectToURL.URL) {
		o.Kind, o.RedirectURL = wallet.OutcomeRequiresAction, next.RedirectToURL.URL
		return o
	}
	o.Kind = wallet.OutcomeDeclined
	o.Failure = wallet.Failure{
		Code:    wallet.FailureActionUnsupported,
		Message: "The card asks for an action that is not supported.",
		Class:   wallet.DeclineHard,
	}
	return o
}

// isPage reports whether a browser may be sent to the address.
func isPage(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// sortFailure returns the outcome that a failed call means for a payment. The error
// can contain the intent's current state, which is more exact: an intent that
// cannot be canceled because it succeeded was paid.
func sortFailure(e *Error) wallet.Outcome {
	embedded := e.problem.PaymentIntent
	if embedded != nil && (e.Code == string(stripe.ErrorCodePaymentIntentUnexpectedState) ||
		embedded.Status == string(stripe.PaymentIntentStatusSucceeded)) {
		return sortIntent(embedded, e.RequestID)
	}
	o := wallet.Outcome{Kind: e.Kind, ChargeID: e.problem.Charge.valid(), RequestID: e.RequestID}
	if embedded != nil && validID(embedded.ID) {
		o.IntentID = embedded.ID
		o.PaymentID = parseID(embedded.Metadata.PaymentID)
	}
	if e.Kind == wallet.OutcomeDeclined {
		// A declined attempt has created its intent.
		o.Failure = declined(e.problem)
		return o
	}
	o.Reason = e.Reason()
	if e.Kind == wallet.OutcomeRejected {
		o.Failure = rejected(e)
	}
	return o
}

// declined returns the reason of a decline, with a message that can be shown to the
// cardholder.
func declined(p problem) wallet.Failure {
	return wallet.Decline(wallet.Failure{
		Code:               word(p.Code),
		DeclineCode:        word(p.DeclineCode),
		Message:            declineMessage(p),
		AdviceCode:         word(p.AdviceCode),
		NetworkAdviceCode:  word(p.NetworkAdviceCode),
		NetworkDeclineCode: word(p.NetworkDeclineCode),
	})
}

// declineMessage returns the message of a card error, which Stripe writes for the
// cardholder. Messages of other errors are for developers and are replaced.
func declineMessage(p problem) string {
	switch {
	case p.Code == wallet.FailureAuthentication:
		return "The payment could not be authenticated. Please try again or use another card."
	case p.Type != string(stripe.ErrorTypeCard):
		return wallet.MessageDeclined
	default:
		return safeMessage(p.Message)
	}
}

// safeMessage returns the message, or nothing if it contains what a message for
// cardholders never does: more than a few sentences, control characters, a secret
// or a long number.
func safeMessage(message string) string {
	const longest, longestNumber = 300, 8
	digits := 0
	for _, r := range message {
		switch {
		case r < ' ':
			return ""
		case r < '0' || r > '9':
			digits = 0
		default:
			if digits++; digits > longestNumber {
				return ""
			}
		}
	}
	if len(message) > longest || strings.Contains(message, secretMark) || strings.Contains(message, "sk_") ||
		strings.Contains(message, "rk_") {
		return ""
	}
	return message
}

// canceled returns why an intent was canceled: the failure of its last attempt, if
// it had one.
func canceled(in *intent) wallet.Failure {
	if in.LastPaymentError != nil {
		return declined(*in.LastPaymentError)
	}
	return wallet.Failure{Code: wallet.FailureCanceled, Message: "The payment was canceled."}
}

func rejected(e *Error) wallet.Failure {
	if paymentMethodMissing(e) {
		return missingPaymentMethod()
	}
	return wallet.Failure{Code: wallet.FailureInternal, Message: "The payment could not be made."}
}

// paymentMethodMissing reports whether Stripe refused the payment method because it
// is unknown, detached or another customer's.
func paymentMethodMissing(e *Error) bool {
	return e.Param == "payment_method" || e.Code == string(stripe.ErrorCodePaymentMethodUnexpectedState)
}

func missingPaymentMethod() wallet.Failure {
	return wallet.Failure{Code: wallet.FailurePaymentMethodMissing, Message: "The payment method no longer exists."}
}

// unreadIntent returns the outcome of a failed read of an intent. The
// error says nothing about the payment. Even an unknown intent, which has its own outcome,
// does not prove that nothing was charged.
func unreadIntent(e *Error) wallet.Outcome {
	if IsNotFound(e) {
		return wallet.Outcome{Kind: wallet.OutcomeMissing, Reason: e.Reason(), RequestID: e.RequestID}
	}
	o := sortFailure(e)
	if o.Kind == wallet.OutcomeRejected || o.Kind == wallet.OutcomeDeclined && o.IntentID == "" {
		return wallet.Outcome{Kind: wallet.OutcomeUnknown, Reason: e.Reason(), RequestID: e.RequestID}
	}
	return o
}
