package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Codes of errors that a caller may want to act on. The API's description has all
// of them.
const (
	CodeIdempotencyKeyInUse   = "idempotency_key_in_use"
	CodeIdempotencyKeyReused  = "idempotency_key_reused"
	CodeInsufficientScope     = "insufficient_scope"
	CodePaymentCanceled       = "payment_canceled"
	CodePaymentMethodNotFound = "payment_method_not_found"
	CodePaymentNotFound       = "payment_not_found"
	CodePaymentRefunded       = "payment_already_refunded"
	CodeRateLimited           = "rate_limit_exceeded"
	CodeRefundExceedsBalance  = "refund_exceeds_balance"
	CodeRefundExceedsPayment  = "refund_exceeds_payment"
	CodeUnauthorized          = "unauthorized"
	CodeUnavailable           = "payment_provider_unavailable"
	CodeValidation            = "validation_errors"              // under /api/v1
	CodeBodySchemaInvalid     = "body_schema_validation_failed"  // under /v1
	CodeQuerySchemaInvalid    = "query_schema_validation_failed" // under /v1

	codeNotJSON         = "unreadable_answer"
	codePaymentUnderWay = "payment_processor_is_currently_handling_payment"
	codeRequestTimeout  = "request_timeout"
)

// Error is an answer that says no.
type Error struct {
	// Status is the answer's HTTP status. That of a payment that failed later on is
	// the one that it would have had at once: 402 for a decline.
	Status int
	// Code says for a program what is wrong. Of a decline it is Stripe's code.
	Code string
	// Message says it for a person.
	Message string
	// DeclineCode is the bank's reason for a decline, as Stripe gives it.
	DeclineCode string
	// PaymentID names the payment that failed, if one did.
	PaymentID string
	// Issues are what is wrong with the request's fields under /v1.
	Issues []Issue
	// Details are what is wrong with the request's fields under /api/v1: for each
	// field a list of codes.
	Details map[string][]string
	// RequestID is what the server calls the request, for its operators.
	RequestID string
	// RetryAfter is how long the server asked to be left alone, 0 if it did not.
	RetryAfter time.Duration
}

// Issue is one thing that is wrong with a request.
type Issue struct {
	// Path leads to it: names of fields and indexes of arrays.
	Path    []string `json:"path"`
	Message string   `json:"message"`
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fundrail: %d %s: %s", e.Status, e.Code, e.Message)
	for _, issue := range e.Issues {
		fmt.Fprintf(&b, " %s: %s.", strings.Join(issue.Path, "."), issue.Message)
	}
	if len(e.Details) > 0 {
		fmt.Fprintf(&b, " %v", e.Details)
	}
	return b.String()
}

// Declined tells whether the payment failed and no money moved: a decline, a
// challenge that was not passed, or a payment that was canceled. Another card, or
// another try, may do.
func (e *Error) Declined() bool { return e.Status == http.StatusPaymentRequired }

// HasCode tells whether err is an Error with a code.
func HasCode(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// PendingError reports that the caller's context ended, or the answers got lost too
// often, before the outcome was known. What was asked for may still
// happen: ask for it again with the same IdempotencyKey, which gives what became of
// it, or for the payment by its id.
type PendingError struct {
	// IdempotencyKey is the one that the request was sent with.
	IdempotencyKey string
	// PaymentID is the payment's, empty if the server never told it.
	PaymentID string
	// Err is what ended the wait.
	Err error
}

// Error implements error.
func (e *PendingError) Error() string {
	if e.PaymentID != "" {
		return "fundrail: the outcome of " + e.PaymentID + " is not known yet: " + e.Err.Error()
	}
	return "fundrail: the outcome is not known yet: " + e.Err.Error()
}

// Unwrap gives what ended the wait.
func (e *PendingError) Unwrap() error { return e.Err }

// transportError is an answer that did not come, or not whole.
type transportError struct{ err error }

func (e *transportError) Error() string { return "fundrail: " + e.err.Error() }

func (e *transportError) Unwrap() error { return e.err }

// doubtError is the end of a request of which an attempt may have been heard.
type doubtError struct{ err error }

func (e *doubtError) Error() string { return e.err.Error() }

func (e *doubtError) Unwrap() error { return e.err }

// doubtful tells whether an attempt that ended with err may have been acted upon.
// The server's own refusals were not, and neither was what never reached it.
func doubtful(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Code {
		case CodeRateLimited, CodeUnavailable, codeRequestTimeout:
			return false
		default:
			return again(e)
		}
	}
	op, ok := errors.AsType[*net.OpError](err)
	return !ok || op.Op != "dial"
}

// pending turns an error that leaves the outcome open into a PendingError.
func pending(err error, key string) error {
	if doubt, ok := errors.AsType[*doubtError](err); ok {
		return &PendingError{IdempotencyKey: key, Err: doubt.err}
	}
	return err
}

// newError reads an answer that says no, in the shape of either dialect.
func newError(resp *http.Response, data []byte) *Error {
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id")}
	e.RetryAfter, _ = retryAfter(resp.Header)
	var body struct {
		Error   json.RawMessage            `json:"error"`
		Code    string                     `json:"code"`
		Details map[string]json.RawMessage `json:"error_details"`
	}
	if json.Unmarshal(data, &body) != nil || body.Error == nil {
		e.Code, e.Message = codeNotJSON, http.StatusText(resp.StatusCode)
		return e
	}
	var inner struct {
		Message     string  `json:"message"`
		Code        string  `json:"code"`
		Issues      []Issue `json:"issues"`
		DeclineCode string  `json:"decline_code"`
		PaymentID   string  `json:"payment_id"`
	}
	if json.Unmarshal(body.Error, &inner) == nil {
		e.Code, e.Message, e.Issues = inner.Code, inner.Message, inner.Issues
		e.DeclineCode, e.PaymentID = inner.DeclineCode, inner.PaymentID
		return e
	}
	_ = json.Unmarshal(body.Error, &e.Message) // the status in words
	if e.Code = body.Code; e.Code == "" && e.Status == http.StatusUnauthorized {
		e.Code = CodeUnauthorized
	}
	for field, raw := range body.Details {
		if e.Details == nil {
			e.Details = map[string][]string{}
		}
		var list []string
		if json.Unmarshal(raw, &list) != nil {
			list = []string{string(raw)}
		}
		e.Details[field] = list
	}
	return e
}
