package lago_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

var walletKeys = []string{
	"lago_id", "lago_customer_id", "external_customer_id", "billing_entity_code", "status", "currency", "name", "code",
	"purchase_order_number", "rate_amount", "credits_balance", "credits_ongoing_balance", "credits_ongoing_usage_balance",
	"balance_cents", "ongoing_balance_cents", "ongoing_usage_balance_cents", "consumed_credits", "created_at", "expiration_at",
	"last_balance_sync_at", "last_consumed_credit_at", "terminated_at", "invoice_requires_successful_payment",
	"paid_top_up_min_amount_cents", "paid_top_up_max_amount_cents", "priority", "recurring_transaction_rules", "applies_to",
	"applied_invoice_custom_sections", "payment_method",
}

// newWallet asks for a wallet of the merchant's customer with a rate of 1.
func newWallet(t *testing.T, b *apitest.Bundle, fields map[string]json.RawMessage, headers ...string) map[string]any {
	t.Helper()

	if _, ok := fields["rate_amount"]; !ok {
		fields["rate_amount"] = json.RawMessage(`"1"`)
	}
	if _, ok := fields["currency"]; !ok {
		fields["currency"] = json.RawMessage(`"USD"`)
	}
	fields["external_customer_id"] = json.RawMessage(`"` + b.Customer.ExternalID + `"`)
	return one(t, b.DoLago(t, http.MethodPost, "/wallets", "wallet", fields, headers...), "wallet")
}

func TestCreateWallet(t *testing.T) {
	t.Parallel()

	t.Run("WithOpeningCredits", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Succeeded(0, "EUR"))
		rec := b.DoLago(t, http.MethodPost, "/wallets", "wallet", apitest.Fields(
			"external_customer_id", `"`+b.Customer.ExternalID+`"`, "rate_amount", `"1.50"`, "currency", `"EUR"`, "name", `"Prepaid Stars"`,
			"priority", `5`, "expiration_at", `"2027-07-07T23:59:59Z"`, "paid_credits", `"10"`, "granted_credits", `"4"`,
			"transaction_name", `"Opening"`, "transaction_priority", `3`, "transaction_metadata", `[{"key":"a","value":"b"}]`,
			"metadata", `{"team":"red","none":null}`, "purchase_order_number", `"PO-9"`, "invoice_requires_successful_payment", `true`,
			"paid_top_up_min_amount_cents", `500`, "paid_top_up_max_amount_cents", `10000`,
			"applies_to", `{"fee_types":["charge"],"billable_metric_codes":["gpu"]}`,
			"payment_method", `{"payment_method_type":"provider","payment_method_id":"`+b.PaymentMethod.ID.String()+`"}`,
			"recurring_transaction_rules", `[{"trigger":"interval","interval":"monthly"}]`))
		var answer map[string]json.RawMessage
		decode(t, rec, &answer)
		require.Equal(t, append(append([]string{}, walletKeys...), "metadata"), names(t, answer["wallet"]))
		w := one(t, rec, "wallet")
		rules := w["recurring_transaction_rules"].([]any)
		rule := rules[0].(map[string]any)
		require.Equal(t, "10.0", rule["paid_credits"])
		require.Equal(t, "monthly", rule["interval"])
		require.Equal(t, "active", rule["status"])
		require.Len(t, rule, 20)
		for name, want := range map[string]any{
			"external_customer_id": b.Customer.ExternalID, "lago_customer_id": b.Customer.ID.String(), "status": "active",
			"currency": "EUR", "name": "Prepaid Stars", "code": "prepaid_stars", "rate_amount": "1.5", "credits_balance": "0.0",
			"balance_cents": 0.0, "expiration_at": "2027-07-07T23:59:59Z", "created_at": "2026-03-14T09:26:53Z", "terminated_at": nil,
			"priority": 5.0, "purchase_order_number": "PO-9", "paid_top_up_min_amount_cents": 500.0,
			"applies_to":     map[string]any{"fee_types": []any{"charge"}, "billable_metric_codes": []any{"gpu"}},
			"payment_method": map[string]any{"payment_method_type": "provider", "payment_method_id": b.PaymentMethod.ID.String()},
			"metadata":       map[string]any{"team": "red", "none": nil}, "last_balance_sync_at": nil,
		} {
			require.Equal(t, want, w[name], name)
		}

		list := rows(t, b.Do(t, http.MethodGet, "/api/v1/wallets/"+w["lago_id"].(string)+"/wallet_transactions", ""))
		require.Len(t, list, 2)
		for _, row := range list {
			require.Equal(t, "Opening", row["name"])
			require.EqualValues(t, 3, row["priority"])
			require.NotContains(t, row, "applied_invoice_custom_sections")
		}
		shown := one(t, b.Do(t, http.MethodGet, "/api/v1/wallets/"+w["lago_id"].(string), ""), "wallet")
		require.Equal(t, "4.0", shown["credits_balance"])
		require.EqualValues(t, 600, shown["balance_cents"])
		require.EqualValues(t, 600, shown["ongoing_balance_cents"])
		require.Equal(t, "2026-03-14T09:26:53Z", shown["last_balance_sync_at"])
		b.RequireBooksBalance(t)
	})

	t.Run("Codes", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		require.Equal(t, "stars", newWallet(t, b, apitest.Fields("name", `" Stars "`))["code"])
		require.Equal(t, "stars_1773480413", newWallet(t, b, apitest.Fields("name", `"stars"`))["code"])
		require.Equal(t, "own", newWallet(t, b, apitest.Fields("code", `"own"`))["code"])
		require.NotContains(t, newWallet(t, b, apitest.Fields("name", `"x"`)), "metadata")
	})

	t.Run("LimitOfActiveWallets", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lago.WalletLimit = 2 })
		second := newWallet(t, b, apitest.Fields("name", `"second"`))
		fields := apitest.Fields("external_customer_id", `"`+b.Customer.ExternalID+`"`, "rate_amount", `"1"`, "currency", `"USD"`)
		requireInvalid(t, b.DoLago(t, http.MethodPost, "/wallets", "wallet", fields), `{"customer":["wallet_limit_reached"]}`)
		one(t, b.Do(t, http.MethodDelete, "/api/v1/wallets/"+second["lago_id"].(string), ""), "wallet")
		newWallet(t, b, apitest.Fields())
	})

	t.Run("UnderTheCustomer", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		path := "/customers/" + b.Customer.ExternalID + "/wallets"
		w := one(t, b.DoLago(t, http.MethodPost, path, "wallet", apitest.Fields("rate_amount", `1.5`, "currency", `"USD"`, "code", `"a/b c"`)), "wallet")
		require.Equal(t, "1.5", w["rate_amount"])
		path += "/a%2Fb%20c"
		require.Equal(t, w, one(t, b.Do(t, http.MethodGet, "/api/v1"+path, ""), "wallet"))
		require.Equal(t, "New", one(t, b.DoLago(t, http.MethodPut, path, "wallet", apitest.Fields("name", `"New"`)), "wallet")["name"])
		require.JSONEq(t, `{"metadata":{"k":"v"}}`,
			b.Do(t, http.MethodPost, "/api/v1"+path+"/metadata", `{"metadata":{"k":"v"}}`).Body.String())
		require.Equal(t, "terminated", one(t, b.Do(t, http.MethodDelete, "/api/v1"+path, ""), "wallet")["status"])
		for _, rec := range []struct{ method, path, body string }{
			{http.MethodPost, "/customers/unknown/wallets", `{"wallet":{"rate_amount":"1"}}`},
			{http.MethodGet, "/customers/unknown/wallets", ""},
			{http.MethodGet, "/customers/unknown/wallets/x", ""},
			{http.MethodGet, "/customers/%00/wallets", ""},
			{http.MethodGet, "/wallets?external_customer_id=unknown", ""},
		} {
			apitest.RequireAnswer(t, b.Do(t, rec.method, "/api/v1"+rec.path, rec.body), http.StatusNotFound,
				`{"status":404,"error":"Not Found","code":"customer_not_found"}`)
		}
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/api/v1/customers/"+b.Customer.ExternalID+"/wallets/x", ""), http.StatusNotFound,
			`{"status":404,"error":"Not Found","code":"wallet_not_found"}`)
	})
}

func TestWalletRefusals(t *testing.T) {
	t.Parallel()

	manyKeys := `{` + strings.TrimSuffix(strings.Repeat(`"k%d":"v",`, 51), ",") + `}`
	numbers := make([]any, 51)
	for i := range numbers {
		numbers[i] = i
	}
	six := "[" + strings.TrimSuffix(strings.Repeat(`{"key":"k","value":"v"},`, 6), ",") + "]"
	for name, c := range map[string]struct{ field, sent, details string }{
		"CustomerUnknown":    {"external_customer_id", `"unknown"`, `{"customer":["customer_not_found"]}`},
		"CustomerMissing":    {"external_customer_id", `null`, `{"customer":["customer_not_found"]}`},
		"Paid":               {"paid_credits", `10`, `{"paid_credits":["invalid_paid_credits","invalid_amount"]}`},
		"PaidRoundsToZero":   {"paid_credits", `"0.004"`, `{"paid_credits":["amount_rounds_to_zero"]}`},
		"Granted":            {"granted_credits", `"x"`, `{"granted_credits":["invalid_granted_credits","invalid_amount"]}`},
		"GrantedToZero":      {"granted_credits", `"0.004"`, `{"granted_credits":["amount_rounds_to_zero"]}`},
		"Expired":            {"expiration_at", `"2026-03-14T09:26:53Z"`, `{"expiration_at":["invalid_date"]}`},
		"ExpirationNoDate":   {"expiration_at", `"soon"`, `{"expiration_at":["invalid_date"]}`},
		"TwoRules":           {"recurring_transaction_rules", `[{},{}]`, `{"recurring_transaction_rules":["invalid_number_of_recurring_rules"]}`},
		"RuleNoTrigger":      {"recurring_transaction_rules", `[{}]`, `{"recurring_transaction_rules":["invalid_recurring_rule"]}`},
		"RuleNoInterval":     {"recurring_transaction_rules", `[{"trigger":"interval","interval":"hourly"}]`, `{"recurring_transaction_rules":["invalid_recurring_rule"]}`},
		"RuleNoThreshold":    {"recurring_transaction_rules", `[{"trigger":"threshold"}]`, `{"recurring_transaction_rules":["invalid_recurring_rule"]}`},
		"RuleTargetTooLow":   {"recurring_transaction_rules", `[{"trigger":"threshold","threshold_credits":"5","method":"target","target_ongoing_balance":"4"}]`, `{"recurring_transaction_rules":["invalid_recurring_rule"]}`},
		"RuleNumberAsAmount": {"recurring_transaction_rules", `[{"trigger":"threshold","threshold_credits":5}]`, `{"recurring_transaction_rules":["invalid_recurring_rule"]}`},
		"RuleExpired":        {"recurring_transaction_rules", `[{"trigger":"threshold","threshold_credits":"5","expiration_at":"2020-01-01"}]`, `{"recurring_transaction_rules":["invalid_recurring_rule"]}`},
		"OpeningMetadata":    {"transaction_metadata", six, `{"metadata":["too_many_keys"]}`},
		"MetadataNoObject":   {"metadata", `[]`, `{"metadata":["invalid_type"]}`},
		"MetadataNumber":     {"metadata", `{"a":5}`, `{"metadata":["invalid_type"]}`},
		"MetadataTooMany":    {"metadata", fmt.Sprintf(manyKeys, numbers...), `{"metadata":["too_many_keys"]}`},
		"MetadataLongKey":    {"metadata", `{"` + strings.Repeat("k", 101) + `":"v"}`, `{"metadata":["key_too_long"]}`},
		"MetadataLongValue":  {"metadata", `{"a":"` + strings.Repeat("v", 256) + `"}`, `{"metadata":["value_too_long"]}`},
		"AppliesTo":          {"applies_to", `{"fee_types":["tips"]}`, `{"applies_to":["invalid_limitations"]}`},
		"PaymentMethod":      {"payment_method", `{"payment_method_type":"card"}`, `{"payment_method":["invalid_payment_method"]}`},
		"Rate":               {"rate_amount", `"0"`, `{"rate_amount":["value_is_out_of_range"]}`},
		"RateMissing":        {"rate_amount", `null`, `{"rate_amount":["value_is_out_of_range"]}`},
		"Currency":           {"currency", `"XXX"`, `{"currency":["value_is_invalid"]}`},
		"Priority":           {"priority", `51`, `{"priority":["value_is_invalid"]}`},
		"PriorityZero":       {"priority", `0`, `{"priority":["value_is_invalid"]}`},
		"Code":               {"code", `"default"`, `{"code":["value_already_exist"]}`},
		"Minimum":            {"paid_top_up_min_amount_cents", `0`, `{"paid_top_up_min_amount_cents":["value_is_out_of_range"]}`},
		"Maximum":            {"paid_top_up_max_amount_cents", `-5`, `{"paid_top_up_max_amount_cents":["value_is_out_of_range"]}`},
		"NameTooLong":        {"name", `"` + strings.Repeat("n", 256) + `"`, `{"name":["value_is_too_long"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := apitest.Setup(t)
			fields := apitest.Fields("external_customer_id", `"`+b.Customer.ExternalID+`"`, "rate_amount", `"1"`, "currency", `"USD"`, c.field, c.sent)
			requireInvalid(t, b.DoLago(t, http.MethodPost, "/wallets", "wallet", fields), c.details)
		})
	}

	t.Run("MaximumBelowMinimum", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		requireInvalid(t, b.DoLago(t, http.MethodPut, "/wallets/"+b.Wallet.ID.String(), "wallet",
			apitest.Fields("paid_top_up_min_amount_cents", `10`, "paid_top_up_max_amount_cents", `9`)),
			`{"paid_top_up_max_amount_cents":["must_be_greater_than_or_equal_min"]}`)
	})

	t.Run("LimitsOnOpening", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		fields := apitest.Fields("external_customer_id", `"`+b.Customer.ExternalID+`"`, "rate_amount", `"1"`, "currency", `"USD"`,
			"paid_top_up_min_amount_cents", `1000`, "paid_top_up_max_amount_cents", `2000`, "paid_credits", `"1"`)
		requireInvalid(t, b.DoLago(t, http.MethodPost, "/wallets", "wallet", fields), `{"paid_credits":["amount_below_minimum"]}`)
		fields["paid_credits"] = json.RawMessage(`"21"`)
		requireInvalid(t, b.DoLago(t, http.MethodPost, "/wallets", "wallet", fields), `{"paid_credits":["amount_above_maximum"]}`)
		fields["ignore_paid_top_up_limits_on_creation"] = json.RawMessage(`true`)
		require.Equal(t, http.StatusOK, b.DoLago(t, http.MethodPost, "/wallets", "wallet", fields).Code)
	})

	t.Run("BillingEntity", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for _, fields := range []map[string]json.RawMessage{
			apitest.Fields("billing_entity_code", `"other"`), apitest.Fields("billing_entity_id", `"1a901a90-1a90-1a90-1a90-1a901a901a90"`),
		} {
			apitest.RequireAnswer(t, b.DoLago(t, http.MethodPut, "/wallets/"+b.Wallet.ID.String(), "wallet", fields), http.StatusNotFound,
				`{"status":404,"error":"Not Found","code":"billing_entity_not_found"}`)
		}
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/api/v1/wallets?billing_entity_codes[]=default&billing_entity_codes[]=other", ""),
			http.StatusNotFound, `{"status":404,"error":"Not Found","code":"billing_entity_not_found"}`)
	})

	t.Run("RootMissing", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/api/v1/wallets", `{"rate_amount":"1"}`), http.StatusBadRequest,
			`{"status":400,"error":"BadRequest: param is missing or the value is empty or invalid: wallet"}`)
		apitest.RequireAnswer(t, b.Do(t, http.MethodPost, "/api/v1/wallets/"+b.Wallet.ID.String()+"/metadata", `{}`), http.StatusBadRequest,
			`{"status":400,"error":"BadRequest: param is missing or the value is empty or invalid: metadata"}`)
	})
}

func TestUpdateWallet(t *testing.T) {
	t.Parallel()

	t.Run("ChangesWhatIsSent", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		path := "/wallets/" + b.Wallet.ID.String()
		w := one(t, b.DoLago(t, http.MethodPut, path, "wallet", apitest.Fields("name", `"A"`, "expiration_at", `"2027-01-01"`, "priority", `2`,
			"rate_amount", `"9"`, "currency", `"EUR"`, "paid_credits", `"5"`, "metadata", `{"a":"b"}`,
			"payment_method", `{"payment_method_type":"manual"}`,
			"recurring_transaction_rules", `[{"trigger":"threshold","threshold_credits":"5","granted_credits":"1"}]`)), "wallet")
		require.Equal(t, "1.0", w["rate_amount"])
		require.Equal(t, "USD", w["currency"])
		require.Equal(t, "2027-01-01T00:00:00Z", w["expiration_at"])
		require.Equal(t, "manual", w["payment_method"].(map[string]any)["payment_method_type"])
		rule := w["recurring_transaction_rules"].([]any)[0].(map[string]any)

		w = one(t, b.DoLago(t, http.MethodPut, path, "wallet", apitest.Fields("expiration_at", `null`, "recurring_transaction_rules",
			`[{"lago_id":"`+rule["lago_id"].(string)+`","granted_credits":"2"}]`)), "wallet")
		require.Equal(t, "A", w["name"])
		require.EqualValues(t, 2, w["priority"])
		require.Nil(t, w["expiration_at"])
		require.Equal(t, map[string]any{"a": "b"}, w["metadata"])
		changed := w["recurring_transaction_rules"].([]any)[0].(map[string]any)
		require.Equal(t, rule["lago_id"], changed["lago_id"])
		require.Equal(t, "2.0", changed["granted_credits"])
		require.Equal(t, "5.0", changed["threshold_credits"])
		require.Empty(t, b.Stored(t))

		w = one(t, b.DoLago(t, http.MethodPut, path, "wallet", apitest.Fields("metadata", `null`, "recurring_transaction_rules", `[]`)), "wallet")
		require.NotContains(t, w, "metadata")
		require.Empty(t, w["recurring_transaction_rules"])
	})

	t.Run("FeeTypesHaveACodeOfTheirOwn", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		requireInvalid(t, b.DoLago(t, http.MethodPut, "/wallets/"+b.Wallet.ID.String(), "wallet", apitest.Fields("applies_to", `{"fee_types":["tips"]}`)),
			`{"allowed_fee_types":["invalid_fee_types"]}`)
	})

	t.Run("TerminatedTwiceIsASuccess", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		path := "/wallets/" + b.Wallet.ID.String()
		for range 2 {
			w := one(t, b.Do(t, http.MethodDelete, "/api/v1"+path, ""), "wallet")
			require.Equal(t, "terminated", w["status"])
			require.Equal(t, "2026-03-14T09:26:53.000Z", w["terminated_at"])
			b.Clock.Advance(time.Hour)
		}
		requireInvalid(t, b.DoLago(t, http.MethodPut, path, "wallet", apitest.Fields("name", `"x"`)), `{"wallet_id":["wallet_is_terminated"]}`)
	})

	t.Run("ExpiresTheMomentItsTimePasses", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		one(t, b.DoLago(t, http.MethodPut, "/wallets/"+b.Wallet.ID.String(), "wallet", apitest.Fields("expiration_at", `"2026-03-14T10:00:00Z"`)), "wallet")
		b.Clock.Advance(time.Hour)
		w := one(t, b.Do(t, http.MethodGet, "/api/v1/wallets/"+b.Wallet.ID.String(), ""), "wallet")
		require.Equal(t, "terminated", w["status"])
		require.Equal(t, "2026-03-14T10:00:00.000Z", w["terminated_at"])
		requireInvalid(t, b.TopUp(t, apitest.Fields("granted_credits", `"1"`)), `{"wallet_id":["wallet_is_terminated"]}`)
	})

	t.Run("Metadata", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		path := "/api/v1/wallets/" + b.Wallet.ID.String() + "/metadata"
		for _, step := range []struct {
			method, path, body, want string
		}{
			{http.MethodDelete, path, "", `{"metadata":null}`},
			{http.MethodPost, path, `{"metadata":{"a":"1","b":null}}`, `{"metadata":{"a":"1","b":null}}`},
			{http.MethodPatch, path, `{"metadata":{"c":"3"}}`, `{"metadata":{"a":"1","b":null,"c":"3"}}`},
			{http.MethodPut, path, `{"metadata":{"a":"2"}}`, `{"metadata":{"a":"2","b":null,"c":"3"}}`},
			{http.MethodDelete, path + "/a", "", `{"metadata":{"b":null,"c":"3"}}`},
			{http.MethodDelete, path + "/nothing", "", `{"metadata":{"b":null,"c":"3"}}`},
			{http.MethodPost, path, `{"metadata":{"d":"4"}}`, `{"metadata":{"d":"4"}}`},
			{http.MethodDelete, path, "", `{"metadata":null}`},
		} {
			rec := b.Do(t, step.method, step.path, step.body)
			require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
			require.JSONEq(t, step.want, rec.Body.String())
		}
		apitest.RequireAnswer(t, b.Do(t, http.MethodDelete, path+"/a", ""), http.StatusNotFound,
			`{"status":404,"error":"Not Found","code":"metadata_not_found"}`)
		requireInvalid(t, b.Do(t, http.MethodPatch, path, `{"metadata":"x"}`), `{"metadata":["invalid_type"]}`)
	})
}

func TestLagoLists(t *testing.T) {
	t.Parallel()

	t.Run("Pages", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		path := "/api/v1/wallets/" + b.Wallet.ID.String() + "/wallet_transactions"
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, path, ""), http.StatusOK,
			`{"wallet_transactions":[],"meta":{"current_page":0,"next_page":null,"prev_page":null,"total_pages":0,"total_count":0}}`)
		var ids []string
		for i := range 5 {
			ids = append([]string{rows(t, b.TopUp(t, apitest.Fields("granted_credits", fmt.Sprintf(`"%d"`, i+1))))[0]["lago_id"].(string)}, ids...)
			b.Clock.Advance(time.Second)
		}
		for query, want := range map[string]struct {
			ids  []string
			meta string
		}{
			"":                        {ids, `{"current_page":1,"next_page":null,"prev_page":null,"total_pages":1,"total_count":5}`},
			"?per_page=2":             {ids[:2], `{"current_page":1,"next_page":2,"prev_page":null,"total_pages":3,"total_count":5}`},
			"?per_page=2&page=2":      {ids[2:4], `{"current_page":2,"next_page":3,"prev_page":1,"total_pages":3,"total_count":5}`},
			"?per_page=2&page=3":      {ids[4:], `{"current_page":3,"next_page":null,"prev_page":2,"total_pages":3,"total_count":5}`},
			"?per_page=2&page=4":      {[]string{}, `{"current_page":4,"next_page":null,"prev_page":null,"total_pages":3,"total_count":5}`},
			"?per_page=x&page=-1":     {ids, `{"current_page":1,"next_page":null,"prev_page":null,"total_pages":1,"total_count":5}`},
			"?status=nonsense&page=0": {ids, `{"current_page":1,"next_page":null,"prev_page":null,"total_pages":1,"total_count":5}`},
		} {
			rec := b.Do(t, http.MethodGet, path+query, "")
			got := []string{}
			for _, row := range rows(t, rec) {
				got = append(got, row["lago_id"].(string))
			}
			require.Equal(t, want.ids, got, query)
			require.True(t, strings.HasSuffix(rec.Body.String(), `,"meta":`+want.meta+`}`), rec.Body.String())
		}
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/api/v1/wallets/x/wallet_transactions", ""), http.StatusNotFound,
			`{"status":404,"error":"Not Found","code":"wallet_not_found"}`)
	})

	t.Run("Filters", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"5"`, "metadata", `[{"key":"a","value":"1"},{"key":"b","value":"2"}]`)))
		rows(t, b.TopUp(t, apitest.Fields("paid_credits", `"1"`, "voided_credits", `"2"`, "metadata", `[{"key":"a","value":"1"}]`)))
		for query, want := range map[string]int{
			"status=settled": 2, "status=pending": 1, "status=failed": 0, "transaction_status=granted": 1, "transaction_status=voided": 1,
			"transaction_status=purchased": 1, "transaction_status=invoiced": 0, "transaction_type=inbound": 2, "transaction_type=outbound": 1,
			"metadata[a]=1": 3, "metadata[a]=1&metadata[b]=2": 1, "metadata[a]=2": 0, "metadata[a]=": 3, "metadata=scalar": 3,
			"metadata[]=1": 3, "metadata%5Bb%5D=2": 1, "metadata[a]=%00": 3,
		} {
			require.Len(t, rows(t, b.Do(t, http.MethodGet, "/api/v1/wallets/"+b.Wallet.ID.String()+"/wallet_transactions?"+query, "")), want, query)
		}
	})

	t.Run("ConsumptionsAndFundings", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		first := rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"5"`, "priority", `9`)))[0]["lago_id"].(string)
		second := rows(t, b.TopUp(t, apitest.Fields("granted_credits", `"5"`, "priority", `3`)))[0]["lago_id"].(string)
		void := rows(t, b.TopUp(t, apitest.Fields("voided_credits", `"7"`)))[0]["lago_id"].(string)

		var fundings struct {
			List []map[string]any `json:"wallet_transaction_fundings"`
			Meta wallet.PageMeta  `json:"meta"`
		}
		decode(t, b.Do(t, http.MethodGet, "/api/v1/wallet_transactions/"+void+"/fundings", ""), &fundings)
		require.Equal(t, 2, fundings.Meta.TotalCount)
		taken := map[string]any{}
		for _, f := range fundings.List {
			taken[f["wallet_transaction"].(map[string]any)["lago_id"].(string)] = f["amount_cents"]
		}
		require.Equal(t, map[string]any{second: 500.0, first: 200.0}, taken, "the lower priority number first")

		rec := b.Do(t, http.MethodGet, "/api/v1/wallet_transactions/"+first+"/consumptions", "")
		var consumptions struct {
			List []map[string]any `json:"wallet_transaction_consumptions"`
		}
		decode(t, rec, &consumptions)
		require.Len(t, consumptions.List, 1)
		require.Equal(t, "2.0", consumptions.List[0]["credit_amount"])
		require.Equal(t, void, consumptions.List[0]["wallet_transaction"].(map[string]any)["lago_id"])

		for _, path := range []string{first + "/fundings", void + "/consumptions"} {
			requireInvalid(t, b.Do(t, http.MethodGet, "/api/v1/wallet_transactions/"+path, ""), `{"transaction_type":["invalid_transaction_type"]}`)
		}
		_, err := b.Pool.Exec(t.Context(), `update wallets set traceable = false where id = $1`, b.Wallet.ID)
		require.NoError(t, err)
		requireInvalid(t, b.Do(t, http.MethodGet, "/api/v1/wallet_transactions/"+first+"/consumptions", ""), `{"wallet":["not_traceable"]}`)
	})

	t.Run("Wallets", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Clock.Advance(time.Second)
		euro := newWallet(t, b, apitest.Fields("currency", `"EUR"`, "name", `"euro"`))["lago_id"]
		testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
		other := testfactory.Wallet(t, b.Pool, testfactory.WalletOpts{
			Customer: testfactory.Customer(t, b.Pool, testfactory.CustomerOpts{OrganizationID: b.Organization.ID}),
		}).ID.String()
		for path, want := range map[string][]any{
			"/wallets?currency=EUR":                                   {euro},
			"/wallets?external_customer_id=" + b.Customer.ExternalID:  {euro, b.Wallet.ID.String()},
			"/customers/" + b.Customer.ExternalID + "/wallets":        {euro, b.Wallet.ID.String()},
			"/customers/" + b.Customer.ExternalID + "/wallets?page=2": {},
		} {
			var answer struct {
				List []map[string]any `json:"wallets"`
			}
			decode(t, b.Do(t, http.MethodGet, "/api/v1"+path, ""), &answer)
			got := []any{}
			for _, w := range answer.List {
				got = append(got, w["lago_id"])
			}
			require.Equal(t, want, got, path)
		}
		rec := b.Do(t, http.MethodGet, "/api/v1/wallets", "")
		require.Contains(t, rec.Body.String(), other)
		require.Contains(t, rec.Body.String(), `"total_count":3`)
	})
}

func TestLagoRateLimitHeaders(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = 2 })
	for left := range 2 {
		rec := b.Do(t, http.MethodGet, "/api/v1/wallets", "")
		require.Equal(t, "2", rec.Header().Get("x-ratelimit-limit"))
		require.Equal(t, fmt.Sprint(1-left), rec.Header().Get("x-ratelimit-remaining"))
		require.Equal(t, fmt.Sprint(30*(left+1)), rec.Header().Get("x-ratelimit-reset"))
	}
	rec := b.Do(t, http.MethodGet, "/api/v1/wallets", "")
	apitest.RequireAnswer(t, rec, http.StatusTooManyRequests, `{"status":429,"error":"Too Many Requests","code":"rate_limit_exceeded"}`)
	require.Equal(t, "60", rec.Header().Get("x-ratelimit-reset"))
}
