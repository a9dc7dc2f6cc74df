package lago

import (
	"net/http"

	"github.com/fundrail/fundrail/internal/api"
)

// The codes of errors that only this dialect has.
const (
	codePaymentUnderWay = "payment_processor_is_currently_handling_payment"
	codeRootMissing     = "param_missing" // is not shown
	codeThirdParty      = "third_party_error"
)

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
