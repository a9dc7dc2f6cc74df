package lava

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// paymentMethodResource is a saved card. The fields about an error are null if the
// last charge of the card succeeded.
type paymentMethodResource struct {
	PaymentMethodID string  `json:"payment_method_id"`
	Last4           string  `json:"last4"`
	ExpiryMonth     string  `json:"expiry_month"` // two digits
	ExpiryYear      string  `json:"expiry_year"`  // four
	Brand           string  `json:"brand"`
	IsDefault       bool    `json:"is_default"`
	HasError        bool    `json:"has_error"`
	ErrorCode       *string `json:"error_code"`
	ErrorMessage    *string `json:"error_message"`
	ErrorAt         *string `json:"error_at"`
}

// listPaymentMethods answers GET /v1/payment_methods: the cards of the wallet's
// customer, the default first, then the newest first.
func (d *Dialect) listPaymentMethods(c echo.Context, caller postgres.Caller) error {
	list, err := postgres.ListPaymentMethods(c.Request().Context(), d.LookUps(), caller.CustomerID)
	if err != nil {
		return err
	}
	answer := struct {
		Data []paymentMethodResource `json:"data"`
	}{[]paymentMethodResource{}}
	for _, m := range list {
		answer.Data = append(answer.Data, newPaymentMethodResource(m, caller.Mode))
	}
	return api.WriteJSON(c, http.StatusOK, answer)
}

func newPaymentMethodResource(m wallet.PaymentMethod, mode wallet.Mode) paymentMethodResource {
	r := paymentMethodResource{
		PaymentMethodID: wallet.Spell(wallet.PrefixPaymentMethod, mode, m.ID),
		Last4:           m.Last4,
		ExpiryMonth:     fmt.Sprintf("%02d", m.ExpiryMonth),
		ExpiryYear:      strconv.Itoa(m.ExpiryYear),
		Brand:           m.Brand,
		IsDefault:       m.IsDefault,
	}
	if m.ErrorCode != "" {
		r.HasError, r.ErrorCode, r.ErrorMessage = true, &m.ErrorCode, &m.ErrorMessage
		if m.ErrorAt != nil {
			at := api.Timestamp(*m.ErrorAt)
			r.ErrorAt = &at
		}
	}
	return r
}
