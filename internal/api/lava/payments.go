package lava

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// paymentResource is a payment. It is an addition to Lava's dialect.
type paymentResource struct {
	PaymentID       string `json:"payment_id"`
	Status          string `json:"status"`
	Amount          string `json:"amount"`
	PaymentMethodID string `json:"payment_method_id,omitempty"`
	Balance         string `json:"balance,omitempty"`
	RedirectURL     string `json:"redirect_url,omitempty"`
	// AmountRefunded and AmountDisputed are set when money went back, and Refunds
	// only in the answer about a single payment.
	AmountRefunded string           `json:"amount_refunded,omitempty"`
	AmountDisputed string           `json:"amount_disputed,omitempty"`
	Refunds        []refundResource `json:"refunds,omitempty"`
	Error          *paymentError    `json:"error,omitempty"`
	CreatedAt      string           `json:"created_at"`
	UpdatedAt      string           `json:"updated_at"`
}

// paymentError says why a payment failed, as the answer to the fund request did.
type paymentError struct {
	Message     string `json:"message"`
	Code        string `json:"code"`
	Status      int    `json:"status"`
	DeclineCode string `json:"decline_code,omitempty"`
}

func newPaymentResource(p wallet.Payment, now time.Time) paymentResource {
	r := paymentResource{
		PaymentID: spellPayment(p),
		Status:    paymentStatus(p.Status),
		Amount:    wallet.FormatMinor(p.Amount, p.Currency),
		CreatedAt: api.Timestamp(p.CreatedAt),
		UpdatedAt: api.Timestamp(p.UpdatedAt),
	}
	if p.PaymentMethodID != nil {
		r.PaymentMethodID = wallet.Spell(wallet.PrefixPaymentMethod, p.Mode, *p.PaymentMethodID)
	}
	if p.Status == wallet.PaymentSucceeded {
		r.Balance = balanceAfter(p)
	}
	if p.Status == wallet.PaymentRequiresAction && (p.ActionDeadlineAt == nil || now.Before(*p.ActionDeadlineAt)) {
		r.RedirectURL = p.RedirectURL // so that a cardholder who lost it can go on
	}
	if p.Refunded > 0 {
		r.AmountRefunded = wallet.FormatMinor(p.Refunded, p.Currency)
	}
	if p.Disputed > 0 {
		r.AmountDisputed = wallet.FormatMinor(p.Disputed, p.Currency)
	}
	if e := failureOf(p); e != nil {
		r.Error = &paymentError{Message: e.Message, Code: e.Code, Status: e.Status, DeclineCode: e.DeclineCode}
	}
	return r
}

// paymentStatus returns the word for a state. A caller need not know whether the
// charge has begun, so created is processing.
func paymentStatus(s wallet.PaymentStatus) string {
	switch s {
	case wallet.PaymentSucceeded:
		return "completed"
	case wallet.PaymentRequiresAction, wallet.PaymentFailed, wallet.PaymentCanceled:
		return string(s)
	default:
		return string(wallet.PaymentProcessing)
	}
}

// failureOf returns the answer to the fund request of a payment that ended without
// money, or nil for any other payment. It depends on the payment alone.
func failureOf(p wallet.Payment) *api.Error {
	switch {
	case p.Status == wallet.PaymentCanceled:
		return &api.Error{
			Status: http.StatusPaymentRequired, Code: codePaymentCanceled,
			Message: "The payment was canceled.", PaymentID: spellPayment(p),
		}
	case p.Status != wallet.PaymentFailed:
		return nil
	case p.Failure.Code == wallet.FailurePaymentMethodMissing:
		return api.AsError(errPaymentMethodNotFound())
	case p.Failure.Code == wallet.FailureInternal:
		return api.Internal(nil)
	}
	return &api.Error{
		Status: http.StatusPaymentRequired, Code: p.Failure.Code, Message: p.Failure.Message,
		DeclineCode: p.Failure.DeclineCode, PaymentID: spellPayment(p),
	}
}

func spellPayment(p wallet.Payment) string {
	return wallet.Spell(wallet.PrefixPayment, p.Mode, p.ID)
}

// balanceAfter returns the wallet's balance right after the payment was credited,
// which may have changed since.
func balanceAfter(p wallet.Payment) string {
	if p.BalanceAfter == nil {
		return ""
	}
	return wallet.FormatMinor(*p.BalanceAfter, p.Currency)
}

// listPayments answers GET /v1/payments: the wallet's payments, newest first.
// The cursor is the id of the last payment of the page before.
func (d *Dialect) listPayments(c echo.Context, caller postgres.Caller) error {
	req, issues := decodePageRequest(c.QueryParams(), wallet.PrefixPayment, caller.Mode)
	if issues != nil {
		return api.InvalidQuery(issues...)
	}
	// One row more than asked for shows whether there is another page.
	list, err := postgres.ListPayments(c.Request().Context(), d.LookUps(), caller.WalletID, req.after, req.Limit+1)
	if err != nil {
		return err
	}
	answer := page[paymentResource]{Data: []paymentResource{}, HasMore: len(list) > req.Limit}
	if answer.HasMore {
		list = list[:req.Limit]
		next := spellPayment(list[len(list)-1])
		answer.NextCursor = &next
	}
	for _, p := range list {
		answer.Data = append(answer.Data, newPaymentResource(p, d.Now()))
	}
	return api.WriteJSON(c, http.StatusOK, answer)
}

// showPayment answers GET /v1/payments/{id}. Another wallet's payment looks like
// one that does not exist.
func (d *Dialect) showPayment(c echo.Context, caller postgres.Caller) error {
	p, err := d.findPayment(c, caller)
	if err != nil {
		return err
	}
	answer := newPaymentResource(p, d.Now())
	if p.Status == wallet.PaymentSucceeded {
		refunds, err := postgres.RefundsOf(c.Request().Context(), d.LookUps(), p.ID)
		if err != nil {
			return err
		}
		for _, r := range refunds {
			answer.Refunds = append(answer.Refunds, newRefundResource(r))
		}
	}
	return api.WriteJSON(c, http.StatusOK, answer)
}

// findPayment finds the payment of the path, in the caller's wallet.
func (d *Dialect) findPayment(c echo.Context, caller postgres.Caller) (wallet.Payment, error) {
	id, err := wallet.ParseID(wallet.PrefixPayment, caller.Mode, c.Param("id"))
	if err != nil {
		return wallet.Payment{}, errPaymentNotFound()
	}
	p, err := postgres.GetPayment(c.Request().Context(), d.LookUps(), id)
	if err == nil && p.WalletID != caller.WalletID {
		err = errPaymentNotFound()
	}
	if err == nil {
		c.Set(api.KeyPaymentID, p.ID.String())
	}
	return p, err
}
