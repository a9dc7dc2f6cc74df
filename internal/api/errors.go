package api

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Error is an answer with a status of 400 or more. The error handler writes it in
// the dialect of the request's path, which leaves out the fields it has no place for.
type Error struct {
	Status  int
	Code    string
	Message string // written for the merchant
	// Issues are what is wrong with a request in Lava's dialect.
	Issues []Issue
	// DeclineCode and PaymentID belong to payments that failed, RefundID and PaymentID to
	// refunds that failed.
	DeclineCode string
	PaymentID   string
	RefundID    string
	// Header holds the answer's own header fields.
	Header http.Header
	Err    error // the cause; logged, and not shown to the merchant
}

// Issue is one mistake in a request.
type Issue struct {
	// Path leads to the value: names of fields and indexes of arrays.
	Path    []string `json:"path"`
	Message string   `json:"message"`
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Err.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) with(header, value string) *Error {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Set(header, value)
	return e
}

// errorHandler is the one place where an error becomes an answer.
func errorHandler(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		if c.Response().Committed {
			return
		}
		e := AsError(err)
		logError(log, c, e)
		maps.Copy(c.Response().Header(), e.Header)
		d, _ := dialectOf(c)
		if err := d.WriteError(c, e); err != nil {
			log.DebugContext(c.Request().Context(), "answer not written",
				slog.String("request_id", RequestID(c)), slog.Any("error", err))
		}
	}
}

// logError logs errors of the service. A mistake of the caller is not logged: the
// answer says what it is.
func logError(log *slog.Logger, c echo.Context, e *Error) {
	ctx := c.Request().Context()
	attrs := []slog.Attr{
		slog.String("request_id", RequestID(c)),
		slog.String("method", c.Request().Method),
		slog.String("route", c.Path()),
		slog.Any("error", e),
	}
	switch {
	case e.Status < http.StatusInternalServerError:
	case ctx.Err() != nil:
		log.LogAttrs(ctx, slog.LevelInfo, "client went away", attrs...)
	case e.Status == http.StatusServiceUnavailable:
		log.LogAttrs(ctx, slog.LevelWarn, "request refused for now", attrs...)
	case e.Err != nil: // without a cause it is a payment's recorded failure, logged when it happened
		if p, ok := errors.AsType[*panicError](e.Err); ok {
			attrs = append(attrs, slog.String("stack", string(p.stack)))
		}
		log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
	}
}

// AsError returns the answer to a request that ended with err.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*wallet.Error](err); ok {
		return fromDomain(e)
	}
	if e, ok := errors.AsType[*wallet.ValidationError](err); ok {
		return &Error{Status: http.StatusUnprocessableEntity, Code: CodeRequestInvalid, Message: "The request is invalid.", Err: e}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errBodyTooLarge()
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		return fromEcho(e)
	}
	if postgres.Unavailable(err) {
		return Unavailable(err)
	}
	return Internal(err)
}

func fromDomain(err *wallet.Error) *Error {
	switch err.Code {
	case wallet.CodeFundingEmailRequired:
		return errFundingEmailRequired()
	case wallet.CodeIdempotencyKeyInUse:
		return errIdempotencyKeyInUse()
	case wallet.CodeIdempotencyKeyReused:
		return errIdempotencyKeyReused()
	case wallet.CodePaymentMethodNotFound:
		return errPaymentMethodNotFound()
	case wallet.CodePaymentNotFound:
		return errPaymentNotFound()
	case wallet.CodePaymentNotRefundable, wallet.CodePaymentRefunded:
		return &Error{Status: http.StatusConflict, Code: string(err.Code), Message: err.Message}
	case wallet.CodeRefundSpent, wallet.CodeRefundTooLarge:
		return &Error{Status: http.StatusBadRequest, Code: string(err.Code), Message: err.Message}
	case wallet.CodeWalletNotFound:
		return errWalletNotFound()
	case wallet.CodeBillingEntityNotFound, wallet.CodeCustomerNotFound, wallet.CodeInvoiceNotFound,
		wallet.CodeMetadataNotFound, wallet.CodeNotFound, wallet.CodeWalletTransactionNotFound, wallet.CodeWebhookNotFound:
		return &Error{Status: http.StatusNotFound, Code: string(err.Code), Message: err.Message}
	default:
		return Internal(err)
	}
}

// fromEcho converts an error of the router, or of a handler of another package.
func fromEcho(err *echo.HTTPError) *Error {
	switch err.Code {
	case http.StatusNotFound:
		return errRouteNotFound()
	case http.StatusMethodNotAllowed:
		return errMethodNotAllowed()
	case http.StatusRequestEntityTooLarge:
		return errBodyTooLarge()
	case http.StatusUnsupportedMediaType:
		return errMediaTypeUnsupported()
	case http.StatusInternalServerError:
		return Internal(err)
	}
	text := http.StatusText(err.Code)
	e := &Error{
		Status: err.Code, Code: strings.ReplaceAll(strings.ToLower(text), " ", "_"), Message: text + ".", Err: err.Internal,
	}
	if message, ok := err.Message.(string); ok {
		e.Message = message
	}
	return e
}
