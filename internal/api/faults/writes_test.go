package faults_test

import (
	"net/http"
	"strings"

	"github.com/fundrail/fundrail/internal/wallet"
)

// write is a request that changes something.
type write struct {
	name   string
	method string
	path   func(merchant) string
	body   func(merchant) string // nil without a body
	// implicit reports that the write is one request to the database, which commits by
	// itself when there is no key. All others are transactions of several statements.
	implicit bool
	// open is the state that an answer shows while the write is in doubt, in a field
	// "status". It is empty for a write whose answer has no state.
	open string
}

func (w write) request(m merchant) (method, path, body string) {
	if w.body != nil {
		body = w.body(m)
	}
	return w.method, w.path(m), body
}

// at is a path of which {card}, {customer}, {endpoint}, {payment} and {wallet} are the
// merchant's.
func at(path string) func(merchant) string {
	return func(m merchant) string {
		return strings.NewReplacer(
			"{card}", m.card.ID.String(),
			"{customer}", m.Customer.ExternalID,
			"{endpoint}", wallet.Spell(wallet.PrefixWebhook, m.Mode, m.endpoint.ID),
			"{method}", wallet.Spell(wallet.PrefixPaymentMethod, m.Mode, m.PaymentMethod.ID),
			"{payment}", wallet.Spell(wallet.PrefixPayment, m.Mode, m.payment.ID),
			"{wallet}", m.Wallet.ID.String(),
		).Replace(path)
	}
}

// with is a body, like at.
var with = at

func topUp(fields string) func(merchant) string {
	return with(`{"wallet_transaction":{"wallet_id":"{wallet}",` + fields + `}}`)
}

var (
	fund = write{
		name: "Fund", method: http.MethodPost, path: at("/v1/wallet/fund"), implicit: true, open: "processing",
		body: with(`{"payment_method_id":"{method}","amount":"25.00"}`),
	}
	purchase = write{
		name: "TopUpPaid", method: http.MethodPost, path: at("/api/v1/wallet_transactions"), implicit: true, open: "pending",
		body: topUp(`"paid_credits":"10"`),
	}
)

// writes are all of both dialects.
var writes = []write{
	fund,
	{
		name: "Refund", method: http.MethodPost, path: at("/v1/payments/{payment}/refund"), open: "processing",
		body: with(`{"amount":"10.00"}`),
	},
	{
		name: "CreateEndpoint", method: http.MethodPost, path: at("/v1/webhooks"),
		body: with(`{"name":"Second","url":"https://merchant.example/second"}`),
	},
	{name: "ChangeEndpoint", method: http.MethodPatch, path: at("/v1/webhooks/{endpoint}"), body: with(`{"name":"Renamed"}`)},
	{name: "DeleteEndpoint", method: http.MethodDelete, path: at("/v1/webhooks/{endpoint}")},
	{name: "RotateSecret", method: http.MethodPost, path: at("/v1/webhooks/{endpoint}/rotate_secret")},
	{
		name: "Redeliver", method: http.MethodPost, path: at("/v1/webhooks/{endpoint}/redeliver"),
		body: with(`{"from":"2026-03-01T00:00:00Z","to":"2026-04-01T00:00:00Z"}`),
	},

	purchase,
	{
		name: "TopUpGranted", method: http.MethodPost, path: at("/api/v1/wallet_transactions"), open: "pending",
		body: topUp(`"granted_credits":"10"`),
	},
	{
		name: "TopUpVoided", method: http.MethodPost, path: at("/api/v1/wallet_transactions"), open: "pending",
		body: topUp(`"voided_credits":"10"`),
	},
	{
		name: "TopUpMixed", method: http.MethodPost, path: at("/api/v1/wallet_transactions"), open: "pending",
		body: topUp(`"paid_credits":"10","granted_credits":"3","voided_credits":"5"`),
	},
	{
		name: "TopUpPaidByHand", method: http.MethodPost, path: at("/api/v1/wallet_transactions"), open: "pending",
		body: topUp(`"paid_credits":"10","payment_method":{"payment_method_type":"manual"}`),
	},
	{
		name: "CreateWallet", method: http.MethodPost, path: at("/api/v1/wallets"),
		body: with(`{"wallet":{"external_customer_id":"{customer}","rate_amount":"1","currency":"USD","name":"Second"}}`),
	},
	{
		name: "CreateWalletWithCredits", method: http.MethodPost, path: at("/api/v1/wallets"),
		body: with(`{"wallet":{"external_customer_id":"{customer}","rate_amount":"1","currency":"USD","paid_credits":"10","granted_credits":"4"}}`),
	},
	{name: "UpdateWallet", method: http.MethodPut, path: at("/api/v1/wallets/{wallet}"), body: with(`{"wallet":{"name":"Renamed"}}`)},
	{name: "TerminateWallet", method: http.MethodDelete, path: at("/api/v1/wallets/{wallet}")},
	{
		name: "ReplaceMetadata", method: http.MethodPost, path: at("/api/v1/wallets/{wallet}/metadata"),
		body: with(`{"metadata":{"row":"c"}}`),
	},
	{
		name: "MergeMetadata", method: http.MethodPatch, path: at("/api/v1/wallets/{wallet}/metadata"),
		body: with(`{"metadata":{"row":"c"}}`),
	},
	{name: "DropMetadata", method: http.MethodDelete, path: at("/api/v1/wallets/{wallet}/metadata")},
	{name: "DropMetadataKey", method: http.MethodDelete, path: at("/api/v1/wallets/{wallet}/metadata/row")},
	{
		name: "CreateCustomer", method: http.MethodPost, path: at("/api/v1/customers"),
		body: with(`{"customer":{"external_id":"grace","name":"Grace Reader"}}`),
	},
	{
		name: "ChangeCustomer", method: http.MethodPost, path: at("/api/v1/customers"),
		body: with(`{"customer":{"external_id":"{customer}","name":"Renamed","city":"Oslo"}}`),
	},
	{
		name: "SyncCustomer", method: http.MethodPost, path: at("/api/v1/customers"),
		body: with(`{"customer":{"external_id":"grace","billing_configuration":{"payment_provider":"stripe","sync_with_provider":true}}}`),
	},
	{
		name: "SetDefaultMethod", method: http.MethodPut,
		path: at("/api/v1/customers/{customer}/payment_methods/{card}/set_as_default"),
	},
	{name: "RemoveMethod", method: http.MethodDelete, path: at("/api/v1/customers/{customer}/payment_methods/{card}")},
}
