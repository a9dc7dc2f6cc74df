package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/wallet"
)

// The codes of errors that both dialects have. The first three are Lava's,
// and the others follow Lava's pattern or Stripe's names. The codes
// that one dialect alone has are in that dialect's errors.go.
const (
	CodeBodySchemaInvalid     = "body_schema_validation_failed"
	codeFundingEmailRequired  = string(wallet.CodeFundingEmailRequired)
	codePaymentMethodNotFound = string(wallet.CodePaymentMethodNotFound)

	codeAccountSuspended      = "account_suspended"
	codeBodyInvalid           = "body_json_invalid"
	codeBodyTooLarge          = "body_too_large"
	codeHeadersTooLarge       = "request_headers_too_large"
	codeIdempotencyKeyInUse   = string(wallet.CodeIdempotencyKeyInUse)
	codeIdempotencyKeyInvalid = "idempotency_key_invalid"
	codeIdempotencyKeyReused  = string(wallet.CodeIdempotencyKeyReused)
	CodeInsufficientScope     = "insufficient_scope"
	codeInternal              = wallet.FailureInternal
	codeMediaTypeUnsupported  = "unsupported_media_type"
	codeMethodNotAllowed      = "method_not_allowed"
	codePaymentNotFound       = string(wallet.CodePaymentNotFound)
	codeQuerySchemaInvalid    = "query_schema_validation_failed"
	codeRateLimited           = "rate_limit_exceeded"
	codeRequestTimeout        = "request_timeout"
	CodeRouteNotFound         = "route_not_found"
	codeSecretKeyRequired     = "secret_key_required" //nolint:gosec // the name of an error
	CodeUnauthorized          = "unauthorized"
	codeUnavailable           = "payment_provider_unavailable"
	codeWalletNotFound        = string(wallet.CodeWalletNotFound)

	// CodeRequestInvalid is of a request with a *wallet.ValidationError, which is the
	// error's cause. A dialect whose requests can have one has its own code for it.
	CodeRequestInvalid = "request_invalid"
)

func errAccountSuspended() *Error {
	return &Error{Status: http.StatusForbidden, Code: codeAccountSuspended, Message: "This account is suspended."}
}

// InvalidJSON is a 400 for a body that is not JSON.
func InvalidJSON(cause error) *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: codeBodyInvalid, Message: "Request body is not valid JSON.", Err: cause,
	}
}

// InvalidBody is a 400 for a body that does not have the form that the request asks
// for.
func InvalidBody(issues ...Issue) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeBodySchemaInvalid, Message: "Validation failed.", Issues: issues}
}

func errBodyTooLarge() *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Code: codeBodyTooLarge, Message: "Request body is too large.",
	}
}

func errFundingEmailRequired() *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: codeFundingEmailRequired,
		Message: "A primary email is required on the account to process payments. Please update your account info.",
	}
}

func errHeadersTooLarge() *Error {
	return &Error{
		Status: http.StatusRequestHeaderFieldsTooLarge, Code: codeHeadersTooLarge, Message: "Request headers are too large.",
	}
}

func errIdempotencyKeyInUse() *Error {
	return (&Error{
		Status: http.StatusConflict, Code: codeIdempotencyKeyInUse,
		Message: "A request with this idempotency key is still being processed.",
	}).with(echo.HeaderRetryAfter, "1")
}

func errIdempotencyKeyInvalid() *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: codeIdempotencyKeyInvalid,
		Message: "Idempotency-Key must be sent once and have 1 to 255 visible ASCII characters.",
	}
}

func errIdempotencyKeyReused() *Error {
	return &Error{
		Status: http.StatusUnprocessableEntity, Code: codeIdempotencyKeyReused,
		Message: "This idempotency key was used with a different request.",
	}
}

// errInsufficientScope refuses a key that does not have the scope of the route.
func errInsufficientScope(missing wallet.Scope) *Error {
	return (&Error{
		Status: http.StatusForbidden, Code: CodeInsufficientScope,
		Message: "This API key does not have the scope " + string(missing) + ".",
	}).with(echo.HeaderWWWAuthenticate, `Bearer error="insufficient_scope", scope="`+string(missing)+`"`)
}

// Internal is a 500. Unless cause is nil it is logged.
func Internal(cause error) *Error {
	return &Error{
		Status: http.StatusInternalServerError, Code: codeInternal, Message: "An internal error occurred.", Err: cause,
	}
}

func errMediaTypeUnsupported() *Error {
	return &Error{
		Status: http.StatusUnsupportedMediaType, Code: codeMediaTypeUnsupported,
		Message: "Content-Type must be application/json.",
	}
}

func errMethodNotAllowed() *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Code: codeMethodNotAllowed, Message: "Method not allowed."}
}

func errPaymentNotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: codePaymentNotFound, Message: "Payment not found."}
}

func errPaymentMethodNotFound() *Error {
	return &Error{
		Status: http.StatusNotFound, Code: codePaymentMethodNotFound,
		Message: "Payment method not found or does not belong to this wallet.",
	}
}

// InvalidQuery is a 400 for a query that does not have the form that the request
// asks for.
func InvalidQuery(issues ...Issue) *Error {
	return &Error{Status: http.StatusBadRequest, Code: codeQuerySchemaInvalid, Message: "Validation failed.", Issues: issues}
}

func errRateLimited(retryAfter time.Duration) *Error {
	return (&Error{
		Status: http.StatusTooManyRequests, Code: codeRateLimited, Message: "Too many requests.",
	}).with(echo.HeaderRetryAfter, strconv.FormatInt(WholeSeconds(retryAfter), 10))
}

func errRequestTimeout(cause error) *Error {
	return (&Error{
		Status: http.StatusRequestTimeout, Code: codeRequestTimeout, Message: "The request was not sent in time.", Err: cause,
	}).with(echo.HeaderConnection, "close")
}

func errRouteNotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: CodeRouteNotFound, Message: "Route not found."}
}

func errSecretKeyRequired() *Error {
	return &Error{
		Status: http.StatusForbidden, Code: codeSecretKeyRequired,
		Message: "This endpoint requires a merchant secret key (aks_live_… or aks_test_…).",
	}
}

// errUnauthorized asks for credentials. RFC 6750 has one challenge for a request
// without a token and another one for a wrong token.
func errUnauthorized(tokenSent bool) *Error {
	challenge := "Bearer"
	if tokenSent {
		challenge = `Bearer error="invalid_token"`
	}
	return (&Error{
		Status: http.StatusUnauthorized, Code: CodeUnauthorized, Message: "Invalid authentication credentials",
	}).with(echo.HeaderWWWAuthenticate, challenge)
}

// Unavailable is a 503 with a Retry-After header.
func Unavailable(cause error) *Error {
	return (&Error{
		Status: http.StatusServiceUnavailable, Code: codeUnavailable,
		Message: "Payments are temporarily unavailable. Please try again.", Err: cause,
	}).with(echo.HeaderRetryAfter, "2")
}

func errWalletNotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: codeWalletNotFound, Message: "Wallet not found."}
}

// WholeSeconds rounds up to seconds, so that a caller who waits is not too early.
func WholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
