package wallet

// OutcomeKind is what the state of a PaymentIntent means for its payment.
type OutcomeKind string

// The kinds of outcome.
const (
	// OutcomeSucceeded: Stripe has the money.
	OutcomeSucceeded OutcomeKind = "succeeded"
	// OutcomeProcessing: Stripe has the request and no result yet.
	OutcomeProcessing OutcomeKind = "processing"
	// OutcomeRequiresAction: the cardholder has to visit RedirectURL.
	OutcomeRequiresAction OutcomeKind = "requires_action"
	// OutcomeDeclined: the bank declined, or the challenge was not passed. That is a
	// result, not a failure of the service.
	OutcomeDeclined OutcomeKind = "declined"
	// OutcomeCanceled: the intent is closed and was never charged.
	OutcomeCanceled OutcomeKind = "canceled"
	// OutcomeUnknown: the charge may or may not have happened. The same request with the
	// same key finds out, or Stripe's list of intents.
	OutcomeUnknown OutcomeKind = "unknown"
	// OutcomeUnavailable: nothing happened, and the same request may succeed
	// later: a rate limit, a lock, credentials that do not work.
	OutcomeUnavailable OutcomeKind = "unavailable"
	// OutcomeMissing: Stripe has no intent of this id. That proves nothing about the
	// payment, because the id may be wrong.
	OutcomeMissing OutcomeKind = "missing"
	// OutcomeRejected: Stripe refused the request as invalid. Nothing happened, and a
	// repetition cannot succeed.
	OutcomeRejected OutcomeKind = "rejected"
	// OutcomeWithdrawn: the request that wanted a payment page is answered with an error,
	// so its attempt must have no effect. It ends, and the purchase stays as it is.
	OutcomeWithdrawn OutcomeKind = "withdrawn"
)

// Outcome is what is known of a PaymentIntent after a call to Stripe. Which fields are
// set depends on Kind. It has no client secret and no card data.
type Outcome struct {
	Kind OutcomeKind
	// IntentID and ChargeID are Stripe's ids, empty when there is none.
	IntentID string
	ChargeID string
	// PaymentID is the payment in the intent's metadata, zero if it has none. An intent
	// of another payment must not move this one.
	PaymentID ID
	// AmountReceived, in minor units of Currency, is what Stripe took.
	AmountReceived int64
	Currency       Currency
	// RedirectURL is where the cardholder passes the challenge, or pays.
	RedirectURL string
	// CheckoutSessionID is set if RedirectURL leads to Stripe's checkout. There is no
	// intent then until the cardholder submits the form.
	CheckoutSessionID string
	// MayHavePage reports, for withdrawn, whether Stripe may have made the page.
	MayHavePage bool
	// Failure is the reason, for declined, rejected and canceled.
	Failure Failure
	// Reason is for the log and the job's error, for unknown, unavailable and
	// rejected.
	Reason string
	// RequestID is Stripe's id of the request that brought the outcome.
	RequestID string
}

// Failure is the reason why a payment failed. It may be shown to a merchant.
type Failure struct {
	// Code is Stripe's error code, such as card_declined, or one of ours.
	Code string
	// DeclineCode is the issuer's reason, empty if there is none. Reasons that would
	// warn a thief are replaced by generic_decline.
	DeclineCode string
	Message     string
	// Class is what may be tried after a decline, judged by the issuer's reason before
	// that was replaced. It is empty if nothing was declined.
	Class DeclineClass
	// AdviceCode is Stripe's advice, such as do_not_try_again. NetworkAdviceCode and
	// NetworkDeclineCode are codes of the card network, such as "03" and "51". Each is
	// empty if there is none.
	AdviceCode         string
	NetworkAdviceCode  string
	NetworkDeclineCode string
}

// The failure codes that are ours and not Stripe's.
const (
	FailureActionUnsupported    = "payment_action_unsupported"
	FailureAuthentication       = "payment_intent_authentication_failure"
	FailureCanceled             = "payment_canceled"
	FailureInternal             = "internal_error"
	FailurePaymentMethodMissing = "payment_method_not_found"
)

// Status returns the state that the outcome leads to. The second result is false for
// outcomes that leave the payment where it is.
func (o Outcome) Status() (PaymentStatus, bool) {
	switch o.Kind {
	case OutcomeSucceeded:
		return PaymentSucceeded, true
	case OutcomeRequiresAction:
		return PaymentRequiresAction, true
	case OutcomeDeclined, OutcomeRejected:
		return PaymentFailed, true
	case OutcomeCanceled, OutcomeWithdrawn:
		return PaymentCanceled, true
	case OutcomeProcessing, OutcomeUnknown:
		return PaymentProcessing, true
	case OutcomeMissing, OutcomeUnavailable:
		return "", false
	default:
		return "", false
	}
}

// CauseKind is the kind of cause of a move.
type CauseKind string

// The causes of moves.
const (
	CauseEvent      CauseKind = "event"
	CauseJob        CauseKind = "job"
	CauseOperator   CauseKind = "operator"
	CauseReconciler CauseKind = "reconciler"
	CauseRequest    CauseKind = "request"
)

// Cause is what made a move: a job, an event, an operator, the reconciler or a request.
type Cause struct {
	Kind CauseKind
	ID   string
}
