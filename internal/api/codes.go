package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/wallet"
)

// The codes of errors that are made in this package. The first three are
// Lava's, the last ones Lago's, the others follow Lava's pattern or Stripe's names. They stand
// together so that they can be corrected together.
const (
	codeBodySchemaInvalid     = "body_schema_validation_failed"
	codeFundingEmailRequired  = string(wallet.CodeFundingEmailRequired)
	codePaymentMethodNotFound = string(wallet.CodePaymentMethodNotFound)

	codeAccountSuspended      = "account_suspended"
	codeBodyInvalid           = "body_json_invalid"
	codeBodyTooLarge          = "body_too_large"
	codeCurrencyUnsupported   = "wallet_currency_unsupported"
	codeHeadersTooLarge       = "request_headers_too_large"
	codeIdempotencyKeyInUse   = string(wallet.CodeIdempotencyKeyInUse)
	codeIdempotencyKeyInvalid = "idempotency_key_invalid"
	codeIdempotencyKeyReused  = string(wallet.CodeIdempotencyKeyReused)
	codeInsufficientScope     = "insufficient_scope"
	codeInternal              = wallet.FailureInternal
	codeMediaTypeUnsupported  = "unsupported_media_type"
	codeMethodNotAllowed      = "method_not_allowed"
	codePaymentCanceled       = wallet.FailureCanceled
	codePaymentNotFound       = string(wallet.CodePaymentNotFound)
	codeQuerySchemaInvalid    = "query_schema_validation_failed"
	codeRateLimited           = "rate_limit_exceeded"
	codeRefundFailed          = "refund_failed"
	codeRequestTimeout        = "request_timeout"
	codeRouteNotFound         = "route_not_found"
	codeSecretKeyRequired     = "secret_key_required" //nolint:gosec // the name of an error
	codeUnauthorized          = "unauthorized"
	codeUnavailable           = "payment_provider_unavailable"
	codeWalletNotFound        = string(wallet.CodeWalletNotFound)
	codeWebhookLimit          = "webhook_limit_reached"
	codeWebhookNotFound       = string(wallet.CodeWebhookNotFound)

	codePaymentUnderWay = "payment_processor_is_currently_handling_payment"
	codeRootMissing     = "param_missing" // is not shown
	codeThirdParty      = "third_party_error"
	codeValidation      = "validation_errors"
)

func errAccountSuspended() *Error {
	return &Error{Status: http.StatusForbidden, Code: codeAccountSuspended, Message: "This account is suspended."}
}

func errBodyInvalid(cause error) *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: codeBodyInvalid, Message: "Request body is not valid JSON.", Err: cause,
	}
}

func errBodySchema(issues ...Issue) *Error {
	return &Error{Status: http.StatusBadRequest, Code: codeBodySchemaInvalid, Message: "Validation failed.", Issues: issues}
}

func errBodyTooLarge() *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Code: codeBodyTooLarge, Message: "Request body is too large.",
	}
}

func errCurrencyUnsupported() *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: codeCurrencyUnsupported, Message: "Only a wallet in USD can be funded here.",
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

// errInsufficientScope refuses a key that may do other things than this one.
func errInsufficientScope(missing wallet.Scope) *Error {
	return (&Error{
		Status: http.StatusForbidden, Code: codeInsufficientScope,
		Message: "This API key does not have the scope " + string(missing) + ".",
	}).with(echo.HeaderWWWAuthenticate, `Bearer error="insufficient_scope", scope="`+string(missing)+`"`)
}

func errInternal(cause error) *Error {
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

func errQuerySchema(issues ...Issue) *Error {
	return &Error{Status: http.StatusBadRequest, Code: codeQuerySchemaInvalid, Message: "Validation failed.", Issues: issues}
}

func errRateLimited(retryAfter time.Duration) *Error {
	return (&Error{
		Status: http.StatusTooManyRequests, Code: codeRateLimited, Message: "Too many requests.",
	}).with(echo.HeaderRetryAfter, strconv.FormatInt(wholeSeconds(retryAfter), 10))
}

func errRequestTimeout(cause error) *Error {
	return (&Error{
		Status: http.StatusRequestTimeout, Code: codeRequestTimeout, Message: "The request was not sent in time.", Err: cause,
	}).with(echo.HeaderConnection, "close")
}

func errRouteNotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: codeRouteNotFound, Message: "Route not found."}
}

func errSecretKeyRequired() *Error {
	return &Error{
		Status: http.StatusForbidden, Code: codeSecretKeyRequired,
		Message: "This endpoint requires a merchant secret key (aks_live_… or aks_test_…).",
	}
}

// errUnauthorized asks for credentials; RFC 6750 wants to know whether there
// were any.
func errUnauthorized(tokenSent bool) *Error {
	challenge := "Bearer"
	if tokenSent {
		challenge = `Bearer error="invalid_token"`
	}
	return (&Error{
		Status: http.StatusUnauthorized, Code: codeUnauthorized, Message: "Invalid authentication credentials",
	}).with(echo.HeaderWWWAuthenticate, challenge)
}

func errUnavailable(cause error) *Error {
	return (&Error{
		Status: http.StatusServiceUnavailable, Code: codeUnavailable,
		Message: "Payments are temporarily unavailable. Please try again.", Err: cause,
	}).with(echo.HeaderRetryAfter, "2")
}

func errWalletNotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: codeWalletNotFound, Message: "Wallet not found."}
}

func errWebhookLimit(limit int) *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: codeWebhookLimit,
		Message: "No more than " + strconv.Itoa(limit) + " webhooks are allowed.",
	}
}

func errWebhookNotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: codeWebhookNotFound, Message: "Webhook not found."}
}

// wholeSeconds rounds up, so that nobody comes back too early.
func wholeSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
