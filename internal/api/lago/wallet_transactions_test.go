package lago_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// documentedRequest is the example of Lago's published documentation of a top-up,
// with the ids of the test in place of its own.
const documentedRequest = `{
  "wallet_transaction": {
    "wallet_id": "%s",
    "paid_credits": "20.0",
    "granted_credits": "10.0",
    "voided_credits": "5.0",
    "invoice_requires_successful_payment": false,
    "metadata": [
      {"key": "example key", "value": "example value"},
      {"key": "another key", "value": "another value"}
    ],
    "name": "Tokens for models 'high-fidelity-boost'",
    "payment_method": {"payment_method_type": "provider", "payment_method_id": "%s"},
    "invoice_custom_section": {"skip_invoice_custom_sections": false, "invoice_custom_section_codes": ["eu_bank_account"]}
  }
}`

// documentedKeys are those of each row of the answer: the documented ones and the
// two that Lago sends without documenting them, in the order in which it does.
var documentedKeys = []string{
	"lago_id", "lago_wallet_id", "lago_invoice_id", "lago_credit_note_id", "lago_voided_invoice_id", "billing_entity_code",
	"status", "source", "transaction_status", "transaction_type", "amount", "credit_amount", "remaining_amount_cents",
	"remaining_credit_amount", "priority", "purchase_order_number", "settled_at", "failed_at", "created_at",
	"invoice_requires_successful_payment", "metadata", "name", "applied_invoice_custom_sections", "payment_method",
}

func TestTopUpDocumentedExample(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	section, err := postgres.UpsertSection(t.Context(), b.Pool, b.Organization.ID, b.Mode, postgres.Section{
		Code: "eu_bank_account", Name: "EU Bank Account", Details: "IBAN", DisplayName: "Bank account",
	}, testfactory.Now)
	require.NoError(t, err)
	rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"5"`)))

	rec := b.Do(t, http.MethodPost, "/api/v1/wallet_transactions",
		fmt.Sprintf(documentedRequest, b.Wallet.ID, b.PaymentMethod.ID))

	require.Equal(t, http.StatusOK, rec.Code)
	var answer map[string][]json.RawMessage
	decode(t, rec, &answer)
	require.Len(t, answer, 1)
	require.Len(t, answer["wallet_transactions"], 3)
	for _, row := range answer["wallet_transactions"] {
		require.Equal(t, documentedKeys, names(t, row))
	}
	list := rows(t, rec)
	sections := list[0]["applied_invoice_custom_sections"].([]any)
	id := sections[0].(map[string]any)["lago_id"]
	require.Equal(t, map[string]any{
		"lago_id":                             list[0]["lago_id"],
		"lago_wallet_id":                      b.Wallet.ID.String(),
		"lago_invoice_id":                     list[0]["lago_invoice_id"],
		"lago_credit_note_id":                 nil,
		"lago_voided_invoice_id":              nil,
		"billing_entity_code":                 "default",
		"status":                              "pending",
		"source":                              "manual",
		"transaction_status":                  "purchased",
		"transaction_type":                    "inbound",
		"amount":                              "20.0",
		"credit_amount":                       "20.0",
		"remaining_amount_cents":              nil,
		"remaining_credit_amount":             nil,
		"priority":                            50.0,
		"purchase_order_number":               nil,
		"settled_at":                          nil,
		"failed_at":                           nil,
		"created_at":                          "2026-03-14T09:26:53Z",
		"invoice_requires_successful_payment": false,
		"metadata": []any{
			map[string]any{"key": "example key", "value": "example value"},
			map[string]any{"key": "another key", "value": "another value"},
		},
		"name": "Tokens for models 'high-fidelity-boost'",
		"applied_invoice_custom_sections": []any{map[string]any{
			"lago_id": id, "invoice_custom_section_id": section.String(), "created_at": "2026-03-14T09:26:53Z",
			"invoice_custom_section": map[string]any{
				"lago_id": section.String(), "code": "eu_bank_account", "name": "EU Bank Account", "description": nil,
				"details": "IBAN", "display_name": "Bank account", "organization_id": b.Organization.ID.String(),
			},
		}},
		"payment_method": map[string]any{"payment_method_type": "provider", "payment_method_id": b.PaymentMethod.ID.String()},
	}, list[0])
	for i, want := range []struct{ kind, status, amount string }{
		{"purchased", "pending", "20.0"}, {"granted", "settled", "10.0"}, {"voided", "settled", "5.0"},
	} {
		require.Equal(t, want.kind, list[i]["transaction_status"])
		require.Equal(t, want.status, list[i]["status"])
		require.Equal(t, want.amount, list[i]["amount"])
	}
	require.NotEmpty(t, list[0]["lago_invoice_id"])
	require.EqualValues(t, 1000, list[1]["remaining_amount_cents"])
	require.Equal(t, "10.0", list[1]["remaining_credit_amount"])
	require.Equal(t, map[string]any{"payment_method_type": "provider", "payment_method_id": nil}, list[2]["payment_method"])
	require.EqualValues(t, 10_00, b.WalletNow(t).Balance)
	b.RequireBooksBalance(t)
}

func TestTopUp(t *testing.T) {
	t.Parallel()

	t.Run("NothingToDoIsNoError", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for _, fields := range []map[string]json.RawMessage{
			apitest.Fields(),
			apitest.Fields("void_credits", `"5"`), // misspelt, as in Lago's own guide
			apitest.Fields("paid_credits", `"0.00"`, "granted_credits", `null`, "voided_credits", `false`),
			apitest.Fields("paid_credits", `"0.000001"`),
			apitest.Fields("paid_credits", `[]`, "granted_credits", `{}`),
			apitest.Fields("priority", `99`),
		} {
			apitest.RequireAnswer(t, b.TopUp(t, fields), http.StatusOK, `{"wallet_transactions":[]}`)
		}
	})

	t.Run("AmountsOfARequest", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for sent, want := range map[string]string{ // empty when it is refused
			`"10"`: "10.0", `"10.00"`: "10.0", `"1e3"`: "1000.0", `" 10 "`: "10.0", `"1_000"`: "1000.0", `".5"`: "0.5", `"+5"`: "5.0",
			`"4.399999"`: "4.4", `""`: "", `"10 credits"`: "", `"1,5"`: "", `"0x1"`: "", `"5e"`: "", `"1."`: "", `"1__0"`: "",
			`"NaN"`: "", `"Infinity"`: "", `"-1.00"`: "", `10`: "", `10.5`: "", `true`: "",
			`"10000000000000000000000000"`: "", // 10^25
			`"9999999999999999999999999"`:  "", // is a number, and does not fit 64 bits
		} {
			rec := b.TopUp(t, apitest.Fields("granted_credits", sent))
			if want == "" {
				requireInvalid(t, rec, `{"granted_credits":["invalid_granted_credits","invalid_amount"]}`)
				continue
			}
			require.Equal(t, want, rows(t, rec)[0]["credit_amount"], sent)
		}
		require.Empty(t, rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"-0"`))))
		b.RequireBooksBalance(t)
	})

	t.Run("Rounding", func(t *testing.T) {
		t.Parallel()

		for _, c := range []struct{ input, rate, currency, field, credits, amount string }{
			{"4.399999", "1", "EUR", "paid", "4.4", "4.4"},
			{"4.399999", "0.01", "EUR", "paid", "4.0", "0.04"},
			{"4.3789", "100", "EUR", "paid", "4.3789", "437.89"},
			{"4.39999", "1", "JPY", "paid", "4.0", "4.0"},
			{"17.9699999999999988631316", "1", "EUR", "granted", "17.97", "17.97"},
			{"10.34567", "1.375", "EUR", "granted", "10.34909", "14.23"},
			{"1034", "0.001", "EUR", "granted", "1030.0", "1.03"},
			{"4.28444999", "1", "EUR", "voided", "4.28444", "4.28"},
			{"14.28444999", "1", "EUR", "voided", "14.28444", "14.28"},
			{"0.4", "0.01", "EUR", "paid", "", ""},
			{"0.4", "0.01", "EUR", "granted", "", ""},
			{"1.0", "0.001", "KWD", "paid", "1.0", "0.001"},
		} {
			b := apitest.Setup(t)
			b.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{
				Currency: wallet.Currency(c.currency), RateAmount: decimal.RequireFromString(c.rate),
			})
			if c.field == "voided" {
				rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"100"`)))
			}
			rec := b.TopUp(t, apitest.Fields(c.field+"_credits", `"`+c.input+`"`))
			if c.credits == "" {
				requireInvalid(t, rec, `{"`+c.field+`_credits":["amount_rounds_to_zero"]}`)
				continue
			}
			row := rows(t, rec)[0]
			require.Equal(t, c.credits, row["credit_amount"], "%+v", c)
			require.Equal(t, c.amount, row["amount"], "%+v", c)
		}
	})

	t.Run("RemainingCreditsHaveAllTheirDecimals", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{RateAmount: decimal.RequireFromString("1.375")})
		row := rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"10.34567"`)))[0]
		require.Regexp(t, `^10\.34909090909090`, row["remaining_credit_amount"])
		require.EqualValues(t, 1423, row["remaining_amount_cents"])
	})

	t.Run("BooleansAreCastLeniently", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for sent, want := range map[string]bool{
			`false`: false, `0`: false, `"0"`: false, `"f"`: false, `"F"`: false, `"false"`: false, `"FALSE"`: false, `"off"`: false,
			`true`: true, `1`: true, `"no"`: true, `"true"`: true, `null`: false, `""`: false, // the wallet's setting
		} {
			row := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`, "invoice_requires_successful_payment", sent)))[0]
			require.Equal(t, want, row["invoice_requires_successful_payment"], sent)
		}
	})

	t.Run("AttributesOfTheRows", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		list := rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"1"`)))
		list = rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"3"`, "granted_credits", `"2"`, "voided_credits", `"1"`, "priority", `"7"`,
			"purchase_order_number", `" PO-1 "`, "name", `"  "`, "metadata", `[{"key":"n","value":1.50}]`,
			"voided_transaction_id", `"`+list[0]["lago_id"].(string)+`"`)))
		for i, order := range []any{"PO-1", "PO-1", nil} {
			require.Equal(t, order, list[i]["purchase_order_number"])
			require.EqualValues(t, 7, list[i]["priority"])
			require.Nil(t, list[i]["name"])
			require.Equal(t, []any{map[string]any{"key": "n", "value": 1.50}}, list[i]["metadata"])
		}
		require.Equal(t, "1.0", list[2]["credit_amount"])
	})

	t.Run("WaitsIfTheCallerPrefers", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Succeeded(0, wallet.USD))
		rec := b.TopUp(t, apitest.Fields("paid_credits", `"10"`, "granted_credits", `"5"`), "Prefer", "wait=5")
		require.Equal(t, "wait=5", rec.Header().Get("Preference-Applied"))
		list := rows(t, rec)
		require.Equal(t, "settled", list[0]["status"])
		require.Equal(t, "2026-03-14T09:26:53Z", list[0]["settled_at"])
		require.EqualValues(t, 1000, list[0]["remaining_amount_cents"])
		require.EqualValues(t, 15_00, b.WalletNow(t).Balance)
		b.RequireBooksBalance(t)
	})

	t.Run("OpenChallengeIsShown", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.RequiresAction())
		row := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`), "Prefer", "wait=5"))[0]
		require.Equal(t, "pending", row["status"])
		require.Equal(t, "https://hooks.stripe.com/3d_secure_2/authenticate?merchant=a&source=b", row["redirect_url"])
		require.Equal(t, b.Only(t).ID.String(), row["payment_id"])

		shown := one(t, b.Do(t, http.MethodGet, "/api/v1/wallet_transactions/"+row["lago_id"].(string), ""), "wallet_transaction")
		require.Equal(t, row, shown)
		rec := b.Do(t, http.MethodGet, "/v1/payments/"+row["payment_id"].(string), "")
		require.Equal(t, http.StatusOK, rec.Code)
		require.Contains(t, rec.Body.String(), `"status":"requires_action"`)
		payment := one(t, b.Do(t, http.MethodGet, "/api/v1/payments/"+row["payment_id"].(string), ""), "payment")
		require.Equal(t, row["redirect_url"], payment["redirect_url"])
		require.Equal(t, row["lago_invoice_id"], payment["lago_payable_id"])
	})

	t.Run("FailedChallengeEndsTheRow", func(t *testing.T) {
		t.Parallel()

		for _, o := range []wallet.Outcome{testfactory.Declined(), testfactory.Canceled()} {
			b := apitest.Setup(t)
			b.EndWith(testfactory.RequiresAction())
			row := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`)))[0]
			o.IntentID = ""
			require.NoError(t, b.Payments.SettleOutcome(t.Context(), b.Only(t).ID, o, testfactory.Now.Add(time.Minute)))

			shown := one(t, b.Do(t, http.MethodGet, "/api/v1/wallet_transactions/"+row["lago_id"].(string), ""), "wallet_transaction")
			require.Equal(t, "failed", shown["status"])
			require.Equal(t, "2026-03-14T09:27:53Z", shown["failed_at"])
			require.NotContains(t, shown, "redirect_url")
			b.RequireBooksBalance(t)
		}
	})

	t.Run("ManualMakesNoCharge", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		row := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`, "payment_method", `{"payment_method_type":"manual"}`), "Prefer", "wait=5"))[0]
		require.Equal(t, "pending", row["status"])
		require.Equal(t, map[string]any{"payment_method_type": "manual", "payment_method_id": nil}, row["payment_method"])
		require.Empty(t, b.Stored(t))
	})

	t.Run("KeepsToItsOrganizationAndMode", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		other := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
		requireInvalid(t, b.TopUp(t, apitest.Fields("wallet_id", `"`+other.Wallet.ID.String()+`"`)), `{"wallet_id":["wallet_not_found"]}`)
	})
}

func TestTopUpRefusals(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("x", 256)
	pairs := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`{"key":"k","value":"v"},`, n), ",") + "]"
	}
	for name, c := range map[string]struct{ field, sent, details string }{
		"WalletMissing":         {"wallet_id", `null`, `{"wallet_id":["wallet_not_found"]}`},
		"WalletUnknown":         {"wallet_id", `"1a901a90-1a90-1a90-1a90-1a901a901a90"`, `{"wallet_id":["wallet_not_found"]}`},
		"WalletMalformed":       {"wallet_id", `"wallet_1234"`, `{"wallet_id":["wallet_not_found"]}`},
		"WalletANumber":         {"wallet_id", `5`, `{"wallet_id":["wallet_not_found"]}`},
		"Paid":                  {"paid_credits", `"ten"`, `{"paid_credits":["invalid_paid_credits","invalid_amount"]}`},
		"PaidOverflows":         {"paid_credits", `"92233720368547758.08"`, `{"paid_credits":["invalid_paid_credits","invalid_amount"]}`},
		"PaidAboveStripe":       {"paid_credits", `"10000000000.00"`, `{"paid_credits":["invalid_paid_credits","invalid_amount"]}`},
		"GrantedAboveLimit":     {"granted_credits", `"10000000000000.01"`, `{"granted_credits":["invalid_granted_credits","invalid_amount"]}`},
		"Granted":               {"granted_credits", `-1`, `{"granted_credits":["invalid_granted_credits","invalid_amount"]}`},
		"Voided":                {"voided_credits", `""`, `{"voided_credits":["invalid_voided_credits","invalid_amount"]}`},
		"VoidedBeyondBalance":   {"voided_credits", `"0.01"`, `{"voided_credits":["insufficient_credits"]}`},
		"TargetUnknown":         {"voided_transaction_id", `"1a901a90-1a90-1a90-1a90-1a901a901a90"`, `{"voided_transaction_id":["wallet_transaction_not_found"]}`},
		"TargetMalformed":       {"voided_transaction_id", `"x"`, `{"voided_transaction_id":["wallet_transaction_not_found"]}`},
		"NameNoString":          {"name", `5`, `{"name":["invalid_value"]}`},
		"NameTooLong":           {"name", `"` + long + `"`, `{"name":["too_long"]}`},
		"MetadataObject":        {"metadata", `{"key":"a","value":"b"}`, `{"metadata":["invalid_key_value_pair"]}`},
		"MetadataEmptyObject":   {"metadata", `{}`, `{"metadata":["invalid_type"]}`},
		"MetadataTooMany":       {"metadata", pairs(16), `{"metadata":["too_many_keys"]}`},
		"MetadataNoValue":       {"metadata", `[{"key":"a"}]`, `{"metadata":["invalid_key_value_pair"]}`},
		"MetadataBlankKey":      {"metadata", `[{"key":" ","value":"b"}]`, `{"metadata":["invalid_key_value_pair"]}`},
		"MetadataBlankValue":    {"metadata", `[{"key":"a","value":""}]`, `{"metadata":["invalid_key_value_pair"]}`},
		"MetadataNumericKey":    {"metadata", `[{"key":5,"value":"b"}]`, `{"metadata":["invalid_key_value_pair"]}`},
		"MetadataNested":        {"metadata", `[{"key":"a","value":{"b":"c"}}]`, `{"metadata":["invalid_key_value_pair"]}`},
		"MetadataLongKey":       {"metadata", `[{"key":"` + long[:21] + `","value":"b"}]`, `{"metadata":["key_too_long"]}`},
		"MetadataLongValue":     {"metadata", `[{"key":"a","value":"` + long[:101] + `"}]`, `{"metadata":["value_too_long"]}`},
		"MetadataHugeNumber":    {"metadata", `[{"key":"a","value":1e999999}]`, `{"metadata":["value_too_long"]}`},
		"MetadataLastCodeCount": {"metadata", `[{"key":"` + long[:21] + `","value":"b"},{"key":"a"}]`, `{"metadata":["invalid_key_value_pair"]}`},
		"MethodUnknown":         {"payment_method", `{"payment_method_type":"provider","payment_method_id":"1a901a90-1a90-1a90-1a90-1a901a901a90"}`, `{"payment_method":["invalid_payment_method"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := apitest.Setup(t)
			fields := apitest.Fields("paid_credits", `"10"`, c.field, c.sent)
			requireInvalid(t, b.TopUp(t, fields), c.details)
			require.Empty(t, b.Stored(t))
		})
	}

	t.Run("EverythingAtOnce", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		requireInvalid(t, b.TopUp(t, apitest.Fields("wallet_id", `"x"`, "paid_credits", `1`, "granted_credits", `1`, "voided_credits", `1`,
			"name", `1`, "metadata", `{}`, "payment_method", `{"payment_method_type":"cash"}`)),
			`{"granted_credits":["invalid_granted_credits","invalid_amount"],"metadata":["invalid_type"],"name":["invalid_value"],`+
				`"paid_credits":["invalid_paid_credits","invalid_amount"],"payment_method":["invalid_payment_method"],`+
				`"voided_credits":["invalid_voided_credits","invalid_amount"],"wallet_id":["wallet_not_found"]}`)
	})

	t.Run("WhatIsAllowed", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for _, fields := range []map[string]json.RawMessage{
			apitest.Fields("name", `"`+long[:255]+`"`), apitest.Fields("metadata", pairs(15)), apitest.Fields("metadata", `"scalar"`), apitest.Fields("metadata", `[1,"a"]`),
			apitest.Fields("metadata", `[{"key":"`+long[:20]+`","value":"`+long[:100]+`"}]`), apitest.Fields("metadata", `null`),
			apitest.Fields("voided_transaction_id", `""`), apitest.Fields("payment_method", `"scalar"`),
		} {
			fields["granted_credits"] = json.RawMessage(`"1"`)
			require.Len(t, rows(t, b.TopUp(t, fields)), 1, "%s", fields)
		}
	})

	t.Run("TerminatedWallet", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		require.Equal(t, http.StatusOK, b.Do(t, http.MethodDelete, "/api/v1/wallets/"+b.Wallet.ID.String(), "").Code)
		requireInvalid(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`)), `{"wallet_id":["wallet_is_terminated"]}`)
	})

	t.Run("TargetedVoids", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		grant := rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"10"`)))[0]["lago_id"].(string)
		rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"10"`)))
		pending := rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"10"`)))[0]["lago_id"].(string)
		requireInvalid(t, b.TopUp(t, apitest.Fields("voided_transaction_id", `"`+pending+`"`)), `{"voided_transaction_id":["no_remaining_amount"]}`)
		requireInvalid(t, b.TopUp(t, apitest.Fields("voided_transaction_id", `"`+grant+`"`, "voided_credits", `"11"`)),
			`{"amount_cents":["exceeds_remaining_transaction_amount"]}`)
		void := rows(t, b.TopUp(t, apitest.Fields("voided_transaction_id", `"`+grant+`"`)))[0]
		require.Equal(t, "10.0", void["credit_amount"])
		requireInvalid(t, b.TopUp(t, apitest.Fields("voided_transaction_id", `"`+grant+`"`)), `{"voided_transaction_id":["no_remaining_amount"]}`)
		requireInvalid(t, b.TopUp(t, apitest.Fields("voided_transaction_id", `"`+void["lago_id"].(string)+`"`)),
			`{"voided_transaction_id":["wallet_transaction_not_found"]}`)

		_, err := b.Pool.Exec(t.Context(), `update wallets set traceable = false where id = $1`, b.Wallet.ID)
		require.NoError(t, err)
		requireInvalid(t, b.TopUp(t, apitest.Fields("voided_transaction_id", `"`+grant+`"`)), `{"voided_transaction_id":["wallet_not_traceable"]}`)
	})

	t.Run("VoidBeyondWhatIsLeftOfTheMoney", func(t *testing.T) {
		t.Parallel()

		// Voids of less than half a cent leave the money where it is, so that in the
		// end there are more credits than money.
		b := apitest.Setup(t)
		b.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{RateAmount: decimal.RequireFromString("0.01")})
		rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"2"`)))
		rows(t, b.TopUp(t, apitest.Fields("voided_credits", `"0.5"`)))
		rows(t, b.TopUp(t, apitest.Fields("voided_credits", `"0.5"`)))
		requireInvalid(t, b.TopUp(t, apitest.Fields("voided_credits", `"0.5"`)), `{"amount_cents":["exceeds_available_amount"]}`)
	})

	t.Run("LimitsAreInclusive", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		rec := b.DoLago(t, http.MethodPut, "/wallets/"+b.Wallet.ID.String(), "wallet",
			apitest.Fields("paid_top_up_min_amount_cents", `1000`, "paid_top_up_max_amount_cents", `2000`))
		require.Equal(t, http.StatusOK, rec.Code)
		requireInvalid(t, b.TopUp(t, apitest.Fields("paid_credits", `"9.99"`, "granted_credits", `"1"`)), `{"paid_credits":["amount_below_minimum"]}`)
		requireInvalid(t, b.TopUp(t, apitest.Fields("paid_credits", `"20.01"`)), `{"paid_credits":["amount_above_maximum"]}`)
		for _, fields := range []map[string]json.RawMessage{
			apitest.Fields("paid_credits", `"10"`), apitest.Fields("paid_credits", `"20"`), apitest.Fields("paid_credits", `"0"`, "granted_credits", `"1"`),
			apitest.Fields("paid_credits", `"99"`, "ignore_paid_top_up_limits", `true`),
		} {
			rows(t, b.TopUp(t, fields))
		}
		require.EqualValues(t, 1_00, b.WalletNow(t).Balance, "the refused grant is not there")
	})

	t.Run("WhatLagosModelRefuses", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for _, fields := range []map[string]json.RawMessage{
			apitest.Fields("priority", `0`), apitest.Fields("priority", `51`), apitest.Fields("priority", `"x"`), apitest.Fields("purchase_order_number", `"`+long+`"`),
		} {
			fields["granted_credits"] = json.RawMessage(`"1"`)
			apitest.RequireAnswer(t, b.TopUp(t, fields), http.StatusUnprocessableEntity, `{"status":422,"error":"Unprocessable Entity"}`)
		}
	})

	t.Run("RootMissing", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for _, body := range []string{`{}`, `[]`, `"x"`, `{"wallet_transaction":null}`, `{"wallet_transaction":{}}`, `{"wallet_transaction":[]}`} {
			apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/api/v1/wallet_transactions", body), http.StatusBadRequest,
				`{"status":400,"error":"BadRequest: param is missing or the value is empty or invalid: wallet_transaction"}`)
		}
		apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/api/v1/wallet_transactions", `{"wallet_transaction":{"name":"\u0000"}}`),
			http.StatusBadRequest, `{"status":400,"error":"Bad Request","code":"body_json_invalid"}`)
	})

	t.Run("WhoMayNot", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		apitest.RequireAnswer(t, b.TopUp(t, apitest.Fields(), "Authorization", ""), http.StatusUnauthorized, `{"status":401,"error":"Unauthorized"}`)
		apitest.RequireAnswer(t, b.TopUp(t, apitest.Fields(), "Authorization", "Bearer x"), http.StatusUnauthorized, `{"status":401,"error":"Unauthorized"}`)
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/api/v1/nothing", ""), http.StatusNotFound,
			`{"status":404,"error":"Not Found","code":"resource_not_found"}`)
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/api/v1/wallet_transactions/x", ""), http.StatusNotFound,
			`{"status":404,"error":"Not Found","code":"wallet_transaction_not_found"}`)
	})
}

// TestTopUpPaymentMethod goes over the truth table of payment methods. A card of
// another customer is not found, which is where it differs from Lago.
func TestTopUpPaymentMethod(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	found := `"` + b.PaymentMethod.ID.String() + `"`
	unknown := `"1a901a90-1a90-1a90-1a90-1a901a901a90"`
	others := `"` + testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{
		Customer: testfactory.Customer(t, b.Pool, testfactory.CustomerOpts{OrganizationID: b.Organization.ID}),
	}).ID.String() + `"`
	gone := `"` + testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{Customer: b.Customer, Deleted: true}).ID.String() + `"`

	for method, ok := range map[string]bool{
		`null`: true, `{}`: true,
		`{"payment_method_type":"","payment_method_id":""}`:                      true,
		`{"payment_method_type":"provider"}`:                                     true,
		`{"payment_method_type":"provider","payment_method_id":null}`:            true,
		`{"payment_method_type":"provider","payment_method_id":` + found + `}`:   true,
		`{"payment_method_type":"provider","payment_method_id":""}`:              false,
		`{"payment_method_type":"provider","payment_method_id":"x"}`:             false,
		`{"payment_method_type":"provider","payment_method_id":` + unknown + `}`: false,
		`{"payment_method_type":"provider","payment_method_id":` + others + `}`:  false,
		`{"payment_method_type":"provider","payment_method_id":` + gone + `}`:    false,
		`{"payment_method_type":"manual"}`:                                       true,
		`{"payment_method_type":"manual","payment_method_id":` + unknown + `}`:   true,
		`{"payment_method_type":"manual","payment_method_id":` + found + `}`:     false,
		`{"payment_method_type":"card"}`:                                         false,
		`{"payment_method_type":"","payment_method_id":` + found + `}`:           false,
		`{"payment_method_id":` + found + `}`:                                    false,
	} {
		rec := b.TopUp(t, apitest.Fields("paid_credits", `"1"`, "payment_method", method))
		if !ok {
			requireInvalid(t, rec, `{"payment_method":["invalid_payment_method"]}`)
			continue
		}
		require.Len(t, rows(t, rec), 1, method)
	}
}
