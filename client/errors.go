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

// Error codes that a caller may want to handle. The API's description lists all
// codes.
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

// Error is an error that the server answered with.
type Error struct {
	// Status is the HTTP status. For a payment that failed later it is the status
	// of an immediate failure, such as 402 for a decline.
	Status int
	// Code is the machine-readable reason. For a decline it is Stripe's code.
	Code string
	// Message is the reason for people.
	Message string
	// DeclineCode is the bank's reason for a decline, as Stripe reports it.
	DeclineCode string
	// PaymentID is the id of the failed payment, or of the payment whose refund failed,
	// if there is one.
	PaymentID string
	// RefundID is the id of the failed refund, if there is one.
	RefundID string
	// Issues are the invalid fields of a request under /v1.
	Issues []Issue
	// Details are the invalid fields of a request under /api/v1, with a list of
	// codes for each.
	Details map[string][]string
	// RequestID is the server's id of the request, for its operators.
	RequestID string
	// RetryAfter is how long the caller should wait before another request. It is 0
	// if the server did not say.
	RetryAfter time.Duration
}

// Issue is an invalid part of a request.
type Issue struct {
	// Path leads to the part: names of fields and indexes of arrays.
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

// Declined reports whether the payment failed without moving money: it was declined
// or canceled, or its challenge was not passed. Another attempt or another card may
// succeed.
func (e *Error) Declined() bool { return e.Status == http.StatusPaymentRequired }

// HasCode reports whether err is an *Error with the code.
func HasCode(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// PendingError means that the outcome was not known when the caller's context ended
// or all attempts had failed. The request may still take effect. To learn the
// outcome, repeat the request with the same IdempotencyKey, or read the payment by
// its id.
type PendingError struct {
	// IdempotencyKey is the key that was sent with the request.
	IdempotencyKey string
	// PaymentID is the payment's id. It is empty if the server did not return it.
	PaymentID string
	// Err is the reason for which the wait ended.
	Err error
}

// Error implements error.
func (e *PendingError) Error() string {
	if e.PaymentID != "" {
		return "fundrail: the outcome of " + e.PaymentID + " is not known yet: " + e.Err.Error()
	}
	return "fundrail: the outcome is not known yet: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *PendingError) Unwrap() error { return e.Err }

// transportError means that no complete answer was received.
type transportError struct{ err error }

func (e *transportError) Error() string { return "fundrail: " + e.err.Error() }

func (e *transportError) Unwrap() error { return e.err }

// doubtError is the final error of a request that may have taken effect.
type doubtError struct{ err error }

func (e *doubtError) Error() string { return e.err.Error() }

func (e *doubtError) Unwrap() error { return e.err }

// doubtful reports whether an attempt that ended with err may have taken effect.
// Refusals by the server have not, and neither have requests that did not reach it.
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

// pending converts an error that leaves the outcome open into a *PendingError.
func pending(err error, key string) error {
	if doubt, ok := errors.AsType[*doubtError](err); ok {
		return &PendingError{IdempotencyKey: key, Err: doubt.err}
	}
	return err
}

// newError decodes an error answer of either dialect.
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
		RefundID    string  `json:"refund_id"`
	}
	if json.Unmarshal(body.Error, &inner) == nil {
		e.Code, e.Message, e.Issues = inner.Code, inner.Message, inner.Issues
		e.DeclineCode, e.PaymentID, e.RefundID = inner.DeclineCode, inner.PaymentID, inner.RefundID
		return e
	}
	_ = json.Unmarshal(body.Error, &e.Message) // the status as text
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
