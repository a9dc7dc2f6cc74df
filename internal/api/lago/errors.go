package lago

import (
	"errors"
	"net/http"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// The codes of errors that only this dialect has.
const (
	codePaymentUnderWay = "payment_processor_is_currently_handling_payment"
	codeRootMissing     = "param_missing" // is not shown
	codeThirdParty      = "third_party_error"
	codeValidation      = "validation_errors"
)

// errorDetails returns what an answer says about an error besides its code: what is
// wrong with the request, or what the payment provider said. It is nil for most
// errors.
func errorDetails(e *api.Error) any {
	if v, ok := errors.AsType[*wallet.ValidationError](e); ok {
		return detailsOf(v)
	}
	if refused, ok := errors.AsType[*jobs.PageRefusedError](e); ok {
		return named{{"third_party", "Stripe"}, {"thirdparty_error", refused.Reason}}
	}
	return nil
}

func errRootMissing(name string) *api.Error {
	return &api.Error{
		Status: http.StatusBadRequest, Code: codeRootMissing,
		Message: "param is missing or the value is empty or invalid: " + name,
	}
}

// errUnprocessable is a 422 that says no more, for what Lago's model refuses after
// its validation has passed.
func errUnprocessable() *api.Error {
	return &api.Error{Status: http.StatusUnprocessableEntity, Message: "Unprocessable."}
}
