package api

import (
	"net/http"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// paymentResource is a payment as Lava's dialect shows it. It is an addition to
// that dialect, which has no payments to look at.
type paymentResource struct {
	PaymentID       string `json:"payment_id"`
	Status          string `json:"status"`
	Amount          string `json:"amount"`
	PaymentMethodID string `json:"payment_method_id,omitempty"`
	Balance         string `json:"balance,omitempty"`
	RedirectURL     string `json:"redirect_url,omitempty"`
	// AmountRefunded and AmountDisputed are there when money went back; Refunds
	// only with a single payment.
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
		Status:    lavaStatus(p.Status),
		Amount:    wallet.FormatMinor(p.Amount, p.Currency),
		CreatedAt: timestamp(p.CreatedAt),
		UpdatedAt: timestamp(p.UpdatedAt),
	}
	if p.PaymentMethodID != nil {
		r.PaymentMethodID = wallet.Spell(wallet.PrefixPaymentMethod, p.Mode, *p.PaymentMethodID)
	}
	if p.Status == wallet.PaymentSucceeded {
		r.Balance = balanceAfter(p)
	}
	if p.Status == wallet.PaymentRequiresAction && (p.ActionDeadlineAt == nil || now.Before(*p.ActionDeadlineAt)) {
		r.RedirectURL = p.RedirectURL // whoever lost it may go on, until the deadline
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

// lavaStatus is the word for a state. A caller need not know whether the charge
// has begun, so created is processing.
func lavaStatus(s wallet.PaymentStatus) string {
	switch s {
	case wallet.PaymentSucceeded:
		return "completed"
	case wallet.PaymentRequiresAction, wallet.PaymentFailed, wallet.PaymentCanceled:
		return string(s)
	default:
		return string(wallet.PaymentProcessing)
	}
}

// failureOf is the answer to the fund request whose payment ended without money,
// nil for any other payment. It follows from the payment alone.
func failureOf(p wallet.Payment) *Error {
	switch {
	case p.Status == wallet.PaymentCanceled:
		return &Error{
			Status: http.StatusPaymentRequired, Code: codePaymentCanceled,
			Message: "The payment was canceled.", PaymentID: spellPayment(p),
		}
	case p.Status != wallet.PaymentFailed:
		return nil
	case p.Failure.Code == wallet.FailurePaymentMethodMissing:
		return errPaymentMethodNotFound()
	case p.Failure.Code == wallet.FailureInternal:
		return errInternal(nil)
	}
	return &Error{
		Status: http.StatusPaymentRequired, Code: p.Failure.Code, Message: p.Failure.Message,
		DeclineCode: p.Failure.DeclineCode, PaymentID: spellPayment(p),
	}
}

func spellPayment(p wallet.Payment) string {
	return wallet.Spell(wallet.PrefixPayment, p.Mode, p.ID)
}

// balanceAfter is the wallet's balance right after the payment was credited,
// whatever became of it since.
func balanceAfter(p wallet.Payment) string {
	if p.BalanceAfter == nil {
		return ""
	}
	return wallet.FormatMinor(*p.BalanceAfter, p.Currency)
}

// timestamp writes a time as Lava does: UTC, to the second.
func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
