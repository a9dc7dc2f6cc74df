package lago_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestCustomers(t *testing.T) {
	t.Parallel()

	t.Run("AreMadeAndChanged", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		made := one(t, b.DoLago(t, http.MethodPost, "/customers", "customer", apitest.Fields("external_id", `"r/1"`, "name", `"Ada"`,
			"email", `"ada@reader.example"`, "currency", `"EUR"`, "timezone", `"Europe/Paris"`, "city", `"Paris"`, "net_payment_term", `30`,
			"shipping_address", `{"city":"Lyon"}`, "metadata", `[{"key":"a","value":"b","display_in_invoice":true}]`,
			"billing_configuration", `{"payment_provider":"stripe","provider_customer_id":"cus_new","sync_with_provider":true}`)), "customer")
		for name, want := range map[string]any{
			"external_id": "r/1", "name": "Ada", "email": "ada@reader.example", "currency": "EUR", "timezone": "Europe/Paris",
			"applicable_timezone": "Europe/Paris", "city": "Paris", "country": nil, "net_payment_term": 30.0,
			"billing_configuration": map[string]any{
				"payment_provider": "stripe", "payment_provider_code": nil, "provider_customer_id": "cus_new", "sync_with_provider": true,
			},
		} {
			require.Equal(t, want, made[name], name)
		}
		require.Equal(t, "Lyon", made["shipping_address"].(map[string]any)["city"])

		changed := one(t, b.DoLago(t, http.MethodPost, "/customers", "customer",
			apitest.Fields("external_id", `"r/1"`, "name", `null`, "city", `null`, "country", `"FR"`)), "customer")
		require.Equal(t, made["lago_id"], changed["lago_id"])
		require.Nil(t, changed["name"])
		require.Nil(t, changed["city"])
		require.Equal(t, "FR", changed["country"])
		require.Equal(t, "ada@reader.example", changed["email"])
		require.Equal(t, made["metadata"], changed["metadata"])
		require.Equal(t, changed, one(t, b.Do(t, http.MethodGet, "/api/v1/customers/r%2F1", ""), "customer"))

		var synced int
		require.NoError(t, b.Pool.QueryRow(t.Context(), `select count(*) from river_job where kind = 'sync_customer'`).Scan(&synced))
		require.Equal(t, 1, synced, "when it was said how the customer pays")

		w := one(t, b.DoLago(t, http.MethodPost, "/customers/r%2F1/wallets", "wallet", apitest.Fields("rate_amount", `"1"`)), "wallet")
		require.Equal(t, "EUR", w["currency"], "the customer's")
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for sent, details := range map[string]string{
			`{"name":"x"}`:                                  `{"external_id":["value_is_mandatory"]}`,
			`{"external_id":" "}`:                           `{"external_id":["value_is_mandatory"]}`,
			`{"external_id":"x","currency":"eur"}`:          `{"currency":["value_is_invalid"]}`,
			`{"external_id":"x","email":"ada"}`:             `{"email":["invalid_email_format"]}`,
			`{"external_id":"x","timezone":"Mars/Olympus"}`: `{"timezone":["value_is_invalid"]}`,
			`{"external_id":"x","billing_configuration":{"provider_customer_id":"` + b.Customer.StripeCustomerID + `"}}`: `{"provider_customer_id":["value_already_exist"]}`,
		} {
			requireInvalid(t, b.Do(t, http.MethodPost, "/api/v1/customers", `{"customer":`+sent+`}`), details)
		}
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/api/v1/customers/x", ""), http.StatusNotFound,
			`{"status":404,"error":"Not Found","code":"customer_not_found"}`)
	})

	t.Run("List", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		rec := b.Do(t, http.MethodGet, "/api/v1/customers", "")
		require.Contains(t, rec.Body.String(), b.Customer.ExternalID)
		require.Contains(t, rec.Body.String(), `"total_count":1`)
	})

	t.Run("PaymentMethods", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		second := testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{Customer: b.Customer})
		path := "/api/v1/customers/" + b.Customer.ExternalID + "/payment_methods"
		var list struct {
			Methods []map[string]any `json:"payment_methods"`
			Meta    wallet.PageMeta  `json:"meta"`
		}
		decode(t, b.Do(t, http.MethodGet, path, ""), &list)
		require.Equal(t, 2, list.Meta.TotalCount)
		require.Equal(t, 1, list.Meta.TotalPages)
		require.Equal(t, map[string]any{
			"lago_id": b.PaymentMethod.ID.String(), "is_default": true, "payment_provider_code": "stripe", "payment_provider_name": "Stripe",
			"payment_provider_type": "stripe", "provider_method_id": b.PaymentMethod.StripePaymentMethodID,
			"created_at": "2026-03-14T09:26:53Z",
			"card":       map[string]any{"brand": "visa", "last4": "4242", "expiry_month": 12.0, "expiry_year": 2034.0},
		}, list.Methods[0])

		got := one(t, b.Do(t, http.MethodPut, path+"/"+second.ID.String()+"/set_as_default", ""), "payment_method")
		require.Equal(t, true, got["is_default"])
		rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`)))
		require.Equal(t, second.ID, *b.Only(t).PaymentMethodID)

		got = one(t, b.Do(t, http.MethodDelete, path+"/"+second.ID.String(), ""), "payment_method")
		require.Equal(t, second.ID.String(), got["lago_id"])
		rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`)))
		require.Len(t, b.Stored(t), 1, "no other card takes its place")
		for _, method := range []string{http.MethodDelete, http.MethodPut} {
			suffix := map[string]string{http.MethodPut: "/set_as_default"}[method]
			apitest.RequireAnswer(t, b.Do(t, method, path+"/"+second.ID.String()+suffix, ""), http.StatusNotFound,
				`{"status":404,"error":"Not Found","code":"payment_method_not_found"}`)
		}
	})
}

func TestInvoices(t *testing.T) {
	t.Parallel()

	t.Run("OfAPurchase", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Succeeded(0, wallet.USD))
		row := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10.5"`, "name", `"<Stars> & more"`, "purchase_order_number", `"PO-7"`)))[0]
		path := "/api/v1/invoices/" + row["lago_invoice_id"].(string)
		invoice := one(t, b.Do(t, http.MethodGet, path, ""), "invoice")
		for name, want := range map[string]any{
			"lago_id": row["lago_invoice_id"], "sequential_id": 1.0, "issuing_date": "2026-03-14", "invoice_type": "credit",
			"status": "finalized", "payment_status": "succeeded", "currency": "USD", "total_amount_cents": 1050.0,
			"total_due_amount_cents": 0.0, "total_paid_amount_cents": 1050.0, "purchase_order_number": "PO-7", "taxes_amount_cents": 0.0,
		} {
			require.Equal(t, want, invoice[name], name)
		}
		require.Equal(t, b.Customer.ExternalID, invoice["customer"].(map[string]any)["external_id"])
		fee := invoice["fees"].([]any)[0].(map[string]any)
		require.Equal(t, "10.5", fee["units"])
		require.Equal(t, row["lago_id"], fee["lago_wallet_transaction_id"])

		rec := b.Do(t, http.MethodGet, path+"/page", "")
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "text/html; charset=UTF-8", rec.Header().Get("Content-Type"))
		require.Contains(t, rec.Header().Get("Content-Security-Policy"), "default-src 'none'")
		for _, part := range []string{
			invoice["number"].(string), "&lt;Stars&gt; &amp; more", "PO-7", "Paid", "Lighthouse Books", "Ada Reader", "10.50",
			`data-payment-status="succeeded"`,
		} {
			require.Contains(t, rec.Body.String(), part)
		}
		require.NotContains(t, rec.Body.String(), "<script")
		require.Equal(t, http.StatusUnauthorized, b.Do(t, http.MethodGet, path+"/page", "", "Authorization", "").Code)
	})

	t.Run("SectionsArePrinted", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		_, err := postgres.UpsertSection(t.Context(), b.Pool, b.Organization.ID, b.Mode,
			postgres.Section{Code: "bank", Name: "Bank", Details: "IBAN FR76", DisplayName: "How to pay"}, testfactory.Now)
		require.NoError(t, err)
		row := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`, "payment_method", `{"payment_method_type":"manual"}`,
			"invoice_custom_section", `{"invoice_custom_section_codes":["bank","unknown"]}`)))[0]
		require.Len(t, row["applied_invoice_custom_sections"], 1)
		page := b.Do(t, http.MethodGet, "/api/v1/invoices/"+row["lago_invoice_id"].(string)+"/page", "").Body.String()
		require.Contains(t, page, "How to pay")
		require.Contains(t, page, "IBAN FR76")
		require.Contains(t, page, "Payment pending")

		row = rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`, "payment_method", `{"payment_method_type":"manual"}`,
			"invoice_custom_section", `{"skip_invoice_custom_sections":true,"invoice_custom_section_codes":["bank"]}`)))[0]
		require.Empty(t, row["applied_invoice_custom_sections"])
		row = rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`, "payment_method", `{"payment_method_type":"manual"}`,
			"invoice_custom_section", `{"skip_invoice_custom_sections":"true","invoice_custom_section_codes":["bank"]}`)))[0]
		require.Len(t, row["applied_invoice_custom_sections"], 1, "only the literal true skips")
	})

	t.Run("OpenInvoiceIsNotFound", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		row := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`, "invoice_requires_successful_payment", `true`)))[0]
		path := "/api/v1/invoices/" + row["lago_invoice_id"].(string)
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, path, ""), http.StatusNotFound, `{"status":404,"error":"Not Found","code":"invoice_not_found"}`)
		testfactory.Move(t, b.Pool, b.Only(t).ID, testfactory.Succeeded(1_00, wallet.USD), testfactory.Now)
		require.Regexp(t, `-202603-001$`, one(t, b.Do(t, http.MethodGet, path, ""), "invoice")["number"])
	})

	t.Run("List", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for range 3 {
			rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`)))
		}
		testfactory.Move(t, b.Pool, b.Stored(t)[0].ID, testfactory.Declined(), testfactory.Now)
		for query, want := range map[string]int{
			"": 3, "?payment_status=failed": 1, "?payment_status=pending": 2, "?payment_status=x": 3, "?per_page=2": 3,
			"?external_customer_id=" + b.Customer.ExternalID: 3, "?external_customer_id=unknown": 0,
		} {
			rec := b.Do(t, http.MethodGet, "/api/v1/invoices"+query, "")
			require.Equal(t, http.StatusOK, rec.Code)
			require.Contains(t, rec.Body.String(), fmt.Sprintf(`"total_count":%d`, want), query)
			require.Equal(t, min(want, 3-strings.Count(query, "per_page")), strings.Count(rec.Body.String(), `"invoice_type"`), query)
		}
	})
}
