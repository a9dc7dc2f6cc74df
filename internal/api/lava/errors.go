package lava

import (
	"net/http"
	"strconv"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The codes of errors that only this dialect has. They follow the pattern of Lava's
// own.
const (
	codeCurrencyUnsupported = "wallet_currency_unsupported"
	codePaymentCanceled     = wallet.FailureCanceled
	codeRefundFailed        = "refund_failed"
	codeWalletFull          = "wallet_balance_limit_reached"
	codeWebhookLimit        = "webhook_limit_reached"
)

func errCurrencyUnsupported() *api.Error {
	return &api.Error{
		Status: http.StatusBadRequest, Code: codeCurrencyUnsupported, Message: "Only a wallet in USD can be funded here.",
	}
}

func errWalletFull() *api.Error {
	return &api.Error{
		Status: http.StatusBadRequest, Code: codeWalletFull,
		Message: "The balance would be above " + wallet.FormatMinor(wallet.MaxBalance, wallet.USD) + ".",
	}
}

func errWebhookLimit(limit int) *api.Error {
	return &api.Error{
		Status: http.StatusBadRequest, Code: codeWebhookLimit,
		Message: "No more than " + strconv.Itoa(limit) + " webhooks are allowed.",
	}
}

// notFound returns the error of a thing that does not exist, or belongs to another
// organization.
func notFound(code wallet.Code, message string) error {
	return &wallet.Error{Code: code, Message: message}
}

func errPaymentNotFound() error {
	return notFound(wallet.CodePaymentNotFound, "Payment not found.")
}

func errPaymentMethodNotFound() error {
	return notFound(wallet.CodePaymentMethodNotFound, "Payment method not found or does not belong to this wallet.")
}

func errWalletNotFound() error {
	return notFound(wallet.CodeWalletNotFound, "Wallet not found.")
}

func errWebhookNotFound() error {
	return notFound(wallet.CodeWebhookNotFound, "Webhook not found.")
}
