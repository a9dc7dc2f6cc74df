package stripeapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Error is the failure of a call. Its text consists of short codes and ids, so it
// can be logged and stored with a job. It never wraps an error of stripe-go or
// net/http, because those contain bodies and addresses.
type Error struct {
	// Op is the operation, such as create_refund.
	Op string
	// Kind is one of unknown (the request may have had an effect), unavailable (it
	// had none and can be repeated later), rejected (it had none and repeating it
	// cannot help), and declined (the card was refused).
	Kind wallet.OutcomeKind
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Type, Code, DeclineCode and Param are from Stripe's error object. They can be
	// empty.
	Type        string
	Code        string
	DeclineCode string
	Param       string
	RequestID   string
	// Replayed reports whether this is the stored answer of an earlier request with
	// the same key. Stripe stores failures too, so repeating the request cannot
	// help.
	Replayed bool

	// reason describes a failure without an error object of Stripe.
	reason  string
	problem problem
	// cause is context.Canceled or context.DeadlineExceeded, or nil.
	cause error
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("stripe: %s: %s: %s", e.Op, e.Kind, e.Reason())
}

// Unwrap returns the context's error if that ended the call.
func (e *Error) Unwrap() error { return e.cause }

// Reason describes the failure in a few words, without the operation.
func (e *Error) Reason() string {
	var words []string
	for _, w := range []string{e.reason, e.Type, e.Code, e.DeclineCode} {
		if w != "" {
			words = append(words, w)
		}
	}
	if e.Param != "" {
		words = append(words, "param "+e.Param)
	}
	if e.Status != 0 {
		words = append(words, fmt.Sprintf("status %d", e.Status))
	}
	if e.Replayed {
		words = append(words, "replayed")
	}
	if e.RequestID != "" {
		words = append(words, e.RequestID)
	}
	return strings.Join(words, ", ")
}

// IsNotFound reports whether err says that Stripe has no such object.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == wallet.OutcomeRejected && e.Code == string(stripe.ErrorCodeResourceMissing)
}

// invalid returns the error of a call with invalid arguments, which is not made.
func invalid(op, reason string) *Error {
	return &Error{Op: op, Kind: wallet.OutcomeRejected, reason: reason}
}

// notSent returns the error of a call that ended before it was sent.
func notSent(op string, err error) *Error {
	reason := "not sent"
	if errors.Is(err, errOutage) {
		reason += ", " + errOutage.Error()
	}
	return &Error{Op: op, Kind: wallet.OutcomeUnavailable, reason: reason, cause: contextError(err)}
}

// unreadable returns the error of an answer that is not in Stripe's format.
func unreadable(op string, x *exchange) *Error {
	return &Error{Op: op, Kind: wallet.OutcomeUnknown, reason: "unreadable answer", Status: x.status, RequestID: x.requestID}
}

// sortError sorts an error of the backend. Unless it clearly is an answer of
// Stripe, the request may have been carried out.
func sortError(op string, x *exchange, err error) *Error {
	answer, ok := errors.AsType[*stripe.Error](err)
	if !ok {
		return noAnswer(op, x, err)
	}
	p, ok := decodeProblem(answer.LastResponse.RawJSON)
	if !ok {
		return unreadable(op, x)
	}
	return &Error{
		Op:          op,
		Kind:        kindOf(x.status, p),
		Status:      x.status,
		Type:        word(p.Type),
		Code:        word(p.Code),
		DeclineCode: word(p.DeclineCode),
		Param:       word(p.Param),
		RequestID:   x.requestID,
		Replayed:    x.replayed,
		problem:     p,
	}
}

func decodeProblem(body []byte) (problem, bool) {
	var envelope struct {
		Error *problem `json:"error"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.Error == nil {
		return problem{}, false
	}
	return *envelope.Error, true
}

// kindOf sorts an error that Stripe returned. Authentication, permission and
// rate-limit errors have the type of an invalid request, so the status is checked
// first.
func kindOf(status int, p problem) wallet.OutcomeKind {
	switch {
	case status == http.StatusPaymentRequired:
		return wallet.OutcomeDeclined
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
		return wallet.OutcomeUnavailable
	case status == http.StatusConflict, status == http.StatusFailedDependency, status >= http.StatusInternalServerError:
		return wallet.OutcomeUnknown
	case p.Code == string(stripe.ErrorCodeIdempotencyKeyInUse):
		return wallet.OutcomeUnknown
	case p.Type == string(stripe.ErrorTypeInvalidRequest):
		return wallet.OutcomeRejected
	default:
		// This includes idempotency_error: the key was used before with other
		// parameters, and that request may have been carried out.
		return wallet.OutcomeUnknown
	}
}

// noAnswer sorts a call that ended without an answer of Stripe. A refused
// connection does not prove that nothing was sent: the transport replays a request
// whose connection died, and only the replay may have been refused.
func noAnswer(op string, x *exchange, err error) *Error {
	e := unreadable(op, x)
	if reason, ok := transportReason(err); ok {
		e.reason = reason
	} else if x.status == 0 {
		e.reason = "transport error"
	}
	e.cause = contextError(err)
	return e
}

func transportReason(err error) (string, bool) {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "name not resolved", true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate not trusted", true
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "timeout", true
	}
	for _, known := range transportErrors {
		if errors.Is(err, known.err) {
			return known.reason, true
		}
	}
	return "", false
}

var transportErrors = []struct {
	err    error
	reason string
}{
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "timeout"},
	{syscall.ECONNREFUSED, "connection refused"},
	{syscall.ECONNRESET, "connection reset"},
	{syscall.EPIPE, "connection reset"},
	{io.ErrUnexpectedEOF, "connection closed"},
	{io.EOF, "connection closed"},
	{errAnswerTooLarge, errAnswerTooLarge.Error()},
}

func contextError(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// StatusOf returns the HTTP status with which Stripe refused a call, or 0 if err is
// no *Error.
func StatusOf(err error) int {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return 0
	}
	return e.Status
}
