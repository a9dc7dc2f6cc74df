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

// Error is why a call brought no result. Its text is made of short words and
// ids, and so fit for a log and for a job's stored error. It never wraps an error
// of stripe-go or of net/http, because those print bodies and addresses.
type Error struct {
	// Op is what was asked, such as create_refund.
	Op string
	// Kind is one of unknown (it may have happened), unavailable (nothing
	// happened, try later), rejected (nothing happened, and a repetition can't
	// help) and declined (the card was refused).
	Kind wallet.OutcomeKind
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Type, Code, DeclineCode and Param are Stripe's, empty when it gave none.
	Type        string
	Code        string
	DeclineCode string
	Param       string
	RequestID   string
	// Replayed tells that this is the stored answer of an earlier request with
	// the same key. Stripe stores failures too, so asking again won't better it.
	Replayed bool

	// reason stands for Stripe's own words where there are none.
	reason  string
	problem problem
	// cause is context.Canceled or context.DeadlineExceeded, or nil.
	cause error
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("stripe: %s: %s: %s", e.Op, e.Kind, e.Reason())
}

// Unwrap gives the context's error when that is what ended the call.
func (e *Error) Unwrap() error { return e.cause }

// Reason says in a few words what happened, without the operation.
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

// IsNotFound tells whether Stripe said that it has no such object.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == wallet.OutcomeRejected && e.Code == string(stripe.ErrorCodeResourceMissing)
}

// invalid refuses a call that can't be meant, before it is made.
func invalid(op, reason string) *Error {
	return &Error{Op: op, Kind: wallet.OutcomeRejected, reason: reason}
}

// notSent is for a call that was given up before it was made.
func notSent(op string, err error) *Error {
	reason := "not sent"
	if errors.Is(err, errOutage) {
		reason += ", " + errOutage.Error()
	}
	return &Error{Op: op, Kind: wallet.OutcomeUnavailable, reason: reason, cause: contextError(err)}
}

// unreadable is for an answer that isn't one of Stripe's.
func unreadable(op string, x *exchange) *Error {
	return &Error{Op: op, Kind: wallet.OutcomeUnknown, reason: "unreadable answer", Status: x.status, RequestID: x.requestID}
}

// sortError sorts whatever the backend returns. What isn't plainly an answer of
// Stripe leaves open whether the request was carried out.
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

// kindOf sorts an error that Stripe answered with. Authentication, permission
// and rate-limit errors carry the type of a bad request; the status tells them
// apart.
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
		// Among these is idempotency_error: the key was used before, with other
		// parameters, and that request may have been carried out.
		return wallet.OutcomeUnknown
	}
}

// noAnswer is for a call that ended without an answer of Stripe's. That the
// connection was refused is no proof that nothing was sent: the transport
// replays a request whose connection died, and only the replay was refused.
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

// StatusOf is the HTTP status with which Stripe refused a call, 0 when err is
// something else.
func StatusOf(err error) int {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return 0
	}
	return e.Status
}
