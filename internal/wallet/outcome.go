package wallet

// OutcomeKind sorts what Stripe can say of a PaymentIntent into what it means
// for the payment.
type OutcomeKind string

// The kinds of outcome.
const (
	// OutcomeSucceeded: Stripe has the money.
	OutcomeSucceeded OutcomeKind = "succeeded"
	// OutcomeProcessing: Stripe has the request, and no result yet.
	OutcomeProcessing OutcomeKind = "processing"
	// OutcomeRequiresAction: the cardholder has to visit RedirectURL.
	OutcomeRequiresAction OutcomeKind = "requires_action"
	// OutcomeDeclined: the bank said no, or the challenge was not passed. That
	// is an answer, not a failure of ours.
	OutcomeDeclined OutcomeKind = "declined"
	// OutcomeCanceled: the intent is closed and was never charged.
	OutcomeCanceled OutcomeKind = "canceled"
	// OutcomeUnknown: the charge may or may not have happened. Only the same
	// request with the same key, or a look at Stripe's records, can tell.
	OutcomeUnknown OutcomeKind = "unknown"
	// OutcomeUnavailable: nothing happened, and the same request may succeed
	// later: a rate limit, a lock, credentials that do not work.
	OutcomeUnavailable OutcomeKind = "unavailable"
	// OutcomeMissing: Stripe has no intent of this id. That proves nothing about
	// the payment: the id may be wrong.
	OutcomeMissing OutcomeKind = "missing"
	// OutcomeRejected: Stripe refused the request as wrong. Nothing happened,
	// and repeating it cannot help.
	OutcomeRejected OutcomeKind = "rejected"
)

// Outcome is what is known of a PaymentIntent after a call to Stripe. Which
// fields are set depends on Kind. It holds nothing secret: no client secret and
// no card data.
type Outcome struct {
	Kind OutcomeKind
	// IntentID and ChargeID are Stripe's ids, empty when there is none.
	IntentID string
	ChargeID string
	// PaymentID is the payment that the intent names in its metadata, zero when
	// it names none. An intent that names another payment must not move this one.
	PaymentID ID
	// AmountReceived, in minor units of Currency, is what Stripe took.
	AmountReceived int64
	Currency       Currency
	// RedirectURL is where the cardholder passes the challenge, or pays.
	RedirectURL string
	// CheckoutSessionID is there when RedirectURL leads to Stripe's checkout. There
	// is no intent then until the cardholder sends the form.
	CheckoutSessionID string
	// Failure says why, for declined, rejected and canceled.
	Failure Failure
	// Reason is for the log and the job's error, for unknown, unavailable and
	// rejected.
	Reason string
	// RequestID is Stripe's id of the request that brought the outcome.
	RequestID string
}

// Failure says why a payment failed, in words that may be shown to a merchant.
type Failure struct {
	// Code is Stripe's error code, such as card_declined, or one of ours.
	Code string
	// DeclineCode is the issuer's reason, empty when there is none. Reasons that
	// would warn a thief are replaced by generic_decline.
	DeclineCode string
	Message     string
	// Class says what may be tried after a decline. It is judged by the reason
	// that the issuer gave, before that was replaced. Empty when nothing was
	// declined.
	Class DeclineClass
	// AdviceCode is what Stripe advises to do next, such as do_not_try_again.
	// NetworkAdviceCode and NetworkDeclineCode are the card network's own words
	// for it, such as "03" and "51". Each is empty when there is none.
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

// Status is the state that the outcome asks for. The second result is false for
// outcomes that leave the payment where it is.
func (o Outcome) Status() (PaymentStatus, bool) {
	switch o.Kind {
	case OutcomeSucceeded:
		return PaymentSucceeded, true
	case OutcomeRequiresAction:
		return PaymentRequiresAction, true
	case OutcomeDeclined, OutcomeRejected:
		return PaymentFailed, true
	case OutcomeCanceled:
		return PaymentCanceled, true
	case OutcomeProcessing, OutcomeUnknown:
		return PaymentProcessing, true
	case OutcomeMissing, OutcomeUnavailable:
		return "", false
	default:
		return "", false
	}
}

// CauseKind tells who made a move.
type CauseKind string

// Who can make a move.
const (
	CauseEvent      CauseKind = "event"
	CauseJob        CauseKind = "job"
	CauseOperator   CauseKind = "operator"
	CauseReconciler CauseKind = "reconciler"
	CauseRequest    CauseKind = "request"
)

// Cause tells who made a move: a job, an event, an operator, the reconciler or a
// request, and its id.
type Cause struct {
	Kind CauseKind
	ID   string
}
