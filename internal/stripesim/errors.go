package stripesim

import (
	"fmt"
	"net/http"
	"strconv"
)

// The types of Stripe's errors.
const (
	typeAPI         = "api_error"
	typeCard        = "card_error"
	typeIdempotency = "idempotency_error"
	typeInvalid     = "invalid_request_error"
)

// apiError is an error answer.
type apiError struct {
	status int

	charge        string
	code          string
	declineCode   string
	intent        *Intent
	message       string
	param         string
	paymentMethod *PaymentMethod
	requestID     string
	setupIntent   *SetupIntent
	typ           string

	// unstored means that the endpoint refused the request before it executed. The
	// idempotency layer then does not store the answer.
	unstored bool
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%d %s %s: %s", e.status, e.typ, e.code, e.message)
}

// invalid returns an error that the endpoint found while executing.
func invalid(code, param, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, typ: typeInvalid, code: code, param: param, message: message}
}

// refused returns the error of an invalid parameter. Nothing was executed.
func refused(code, param, message string) *apiError {
	e := invalid(code, param, message)
	e.unstored = true
	return e
}

func unauthorized(message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, typ: typeInvalid, message: message, unstored: true}
}

func unknownParameter(path string) *apiError {
	name := bracketed(path)
	return refused("parameter_unknown", name, "Received unknown parameter: "+name)
}

func missingParameter(path string) *apiError {
	name := bracketed(path)
	return refused("parameter_missing", name, "Missing required param: "+name+".")
}

// noSuch returns the error of a parameter that names an unknown object.
func noSuch(kind, id, param string) *apiError {
	return invalid("resource_missing", param, "No such "+kind+": '"+id+"'")
}

// notFound returns the error of a path that names an unknown object.
func notFound(kind, id, param string) *apiError {
	e := noSuch(kind, id, param)
	e.status = http.StatusNotFound
	return e
}

// unexpectedState returns the error of an operation that the intent's status
// forbids. It contains the intent, so that the caller sees the status.
func unexpectedState(pi *Intent, message string) *apiError {
	e := invalid("payment_intent_unexpected_state", "", message)
	e.intent = pi
	return e
}

func lockTimeout() *apiError {
	return &apiError{
		status: http.StatusTooManyRequests, typ: typeInvalid, code: "lock_timeout", unstored: true,
		message: "This object cannot be accessed right now because another API request or Stripe process " +
			"is currently accessing it. If you see this error intermittently, retry the request.",
	}
}

func rateLimited() *apiError {
	return &apiError{
		status: http.StatusTooManyRequests, typ: typeInvalid, code: "rate_limit", unstored: true,
		message: "Request rate limit exceeded. Learn more about rate limits in the documentation.",
	}
}

func keyInUse(key string) *apiError {
	return &apiError{
		status: http.StatusConflict, typ: typeInvalid, code: "idempotency_key_in_use", unstored: true,
		message: "There is currently another in-progress request using this Idempotency Key (that probably " +
			"means you submitted twice, and the other request is still going through): " + key +
			". Please try again later.",
	}
}

func keyMismatch(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, typ: typeIdempotency, message: message, unstored: true}
}

func internalError() *apiError {
	return &apiError{
		status: http.StatusInternalServerError, typ: typeAPI,
		message: "An unknown error occurred. Please contact support with your request id.",
	}
}

// appendJSON implements renderer. It writes the error object in its envelope.
func (e *apiError) appendJSON(b []byte, x *expander) []byte {
	w := enc{b: append(b, `{"error":`...), x: x}
	w.begin("type", e.typ)
	if e.charge != "" {
		w.str("charge", e.charge)
	}
	if e.code != "" {
		w.str("code", e.code)
	}
	if e.declineCode != "" {
		w.str("decline_code", e.declineCode)
	}
	if e.code != "" {
		w.str("doc_url", docURL(e.code))
	}
	w.str("message", e.message)
	if e.param != "" {
		w.str("param", e.param)
	}
	if e.intent != nil {
		w.key("payment_intent")
		w.b = e.intent.appendJSON(w.b, x.flat())
	}
	if e.paymentMethod != nil {
		w.key("payment_method")
		w.b = e.paymentMethod.appendJSON(w.b, x.flat())
	}
	if e.setupIntent != nil {
		w.key("setup_intent")
		w.b = e.setupIntent.appendJSON(w.b, x.flat())
	}
	w.str("request_log_url", "https://dashboard.stripe.com/test/logs/"+e.requestID)
	w.end()
	return append(w.b, '}')
}

func docURL(code string) string {
	return "https://stripe.com/docs/error-codes/" + dashed(code)
}

func dashed(code string) string {
	b := []byte(code)
	for i := range b {
		if b[i] == '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
