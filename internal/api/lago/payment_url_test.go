package lago_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// paging is an engine whose pages come from the test.
type paging struct {
	api.Payments
	page func() (wallet.Payment, error)
}

func (p paging) PaymentPage(context.Context, wallet.Transaction, string) (wallet.Payment, error) {
	return p.page()
}

func TestPaymentURL(t *testing.T) {
	t.Parallel()

	ask := func(t *testing.T, b *apitest.Bundle, id any) *httptest.ResponseRecorder {
		t.Helper()
		return b.Do(t, http.MethodPost, fmt.Sprintf("/api/v1/wallet_transactions/%s/payment_url", id), "")
	}
	manual := func(t *testing.T, b *apitest.Bundle) string {
		t.Helper()
		return rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`, "payment_method", `{"payment_method_type":"manual"}`)))[0]["lago_id"].(string)
	}

	t.Run("Page", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Server.Payments = paging{b.Payments, func() (wallet.Payment, error) {
			return wallet.Payment{RedirectURL: "https://checkout.stripe.com/c/pay/cs_1#a&b"}, nil
		}}
		id := manual(t, b)
		apitest.RequireAnswer(t, ask(t, b, id), http.StatusOK, `{"wallet_transaction_payment_details":{"lago_customer_id":"`+b.Customer.ID.String()+
			`","external_customer_id":"`+b.Customer.ExternalID+`","payment_provider":"stripe","lago_wallet_transaction_id":"`+id+
			`","payment_url":"https://checkout.stripe.com/c/pay/cs_1#a&b"}}`)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		base := func(code string) string { return `{"base":["` + code + `"]}` }
		apitest.RequireAnswer(t, ask(t, b, "x"), http.StatusNotFound, `{"status":404,"error":"Not Found","code":"wallet_transaction_not_found"}`)
		grant := rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"1"`)))[0]["lago_id"]
		requireInvalid(t, ask(t, b, grant), base("wallet_transaction_not_purchased"))

		b.EndWith(testfactory.Succeeded(0, wallet.USD))
		settled := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`)))[0]["lago_id"]
		requireInvalid(t, ask(t, b, settled), base("wallet_transaction_already_settled"))

		b.Payments.Outcome = nil
		b.Lava.FundWait = 0
		require.Equal(t, http.StatusAccepted, b.Fund(t).Code)
		bare := b.Stored(t)[1].WalletTransactionID
		requireInvalid(t, ask(t, b, bare), base("wallet_transaction_has_no_attached_invoice"))

		id := manual(t, b)
		requireInvalid(t, ask(t, b, id), base("missing_payment_provider")) // no key is configured
		_, err := b.Pool.Exec(t.Context(), `update invoices set payment_status = 'succeeded', paid_amount = amount where wallet_transaction_id = $1`, id)
		require.NoError(t, err)
		requireInvalid(t, ask(t, b, id), base("invalid_invoice_status_or_payment_status"))
		_, err = b.Pool.Exec(t.Context(), `update customers set stripe_customer_id = null`)
		require.NoError(t, err)
		requireInvalid(t, ask(t, b, id), base("no_linked_payment_provider"))
	})

	t.Run("WhatTheProviderSays", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		id := manual(t, b)
		for err, want := range map[error]struct {
			status int
			body   string
		}{
			jobs.ErrNoProviderCustomer: {422, `{"status":422,"error":"Unprocessable Entity","code":"validation_errors","error_details":{"base":["missing_payment_provider_customer"]}}`},
			jobs.ErrNoPage:             {422, `{"status":422,"error":"Unprocessable Entity","code":"validation_errors","error_details":{"base":["payment_provider_error"]}}`},
			jobs.ErrPurchaseSettled:    {422, `{"status":422,"error":"Unprocessable Entity","code":"validation_errors","error_details":{"base":["wallet_transaction_already_settled"]}}`},
			jobs.ErrPaymentUnderWay:    {405, `{"status":405,"error":"Method Not Allowed","code":"payment_processor_is_currently_handling_payment"}`},
			fmt.Errorf("%w: timeout", jobs.ErrProviderUnavailable): {503, `{"status":503,"error":"Service Unavailable","code":"payment_provider_unavailable"}`},
			&jobs.PageRefusedError{Reason: "amount_too_small"}:     {422, `{"status":422,"error":"Unprocessable Entity","code":"third_party_error","error_details":{"third_party":"Stripe","thirdparty_error":"amount_too_small"}}`},
		} {
			b.Server.Payments = paging{b.Payments, func() (wallet.Payment, error) { return wallet.Payment{}, err }}
			apitest.RequireAnswer(t, ask(t, b, id), want.status, want.body)
		}
	})
}
