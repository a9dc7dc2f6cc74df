package lava_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lava"
	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	bodyInternal       = `{"error":{"message":"An internal error occurred.","code":"internal_error","status":500}}`
	bodyMethodNotFound = `{"error":{"message":"Payment method not found or does not belong to this wallet.","code":"payment_method_not_found","status":404}}`
	bodyEmailRequired  = `{"error":{"message":"A primary email is required on the account to process payments. Please update your account info.","code":"funding_email_required","status":400}}`
	bodyUnavailable    = `{"error":{"message":"Payments are temporarily unavailable. Please try again.","code":"payment_provider_unavailable","status":503}}`
)

func TestFundWallet(t *testing.T) {
	t.Parallel()

	t.Run("Completed", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Succeeded(0, wallet.USD))
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusOK,
			`{"status":"completed","payment_id":"`+apitest.SpellPayment(b.Only(t))+`","balance":"25.00"}`)

		rec = b.Do(t, http.MethodPost, "/v1/wallet/fund", b.FundBody("10.5"))
		apitest.RequireAnswer(t, rec, http.StatusOK,
			`{"status":"completed","payment_id":"`+apitest.SpellPayment(b.Stored(t)[1])+`","balance":"35.50"}`)
	})

	t.Run("RequiresAction", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.RequiresAction())
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusOK,
			`{"status":"requires_action","payment_id":"`+apitest.SpellPayment(b.Only(t))+
				`","redirect_url":"https://hooks.stripe.com/3d_secure_2/authenticate?merchant=a&source=b"}`)
	})

	t.Run("Declined", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Declined())
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusPaymentRequired,
			`{"error":{"message":"Your card has insufficient funds.","code":"card_declined","status":402,`+
				`"decline_code":"insufficient_funds","payment_id":"`+apitest.SpellPayment(b.Only(t))+`"}}`)
	})

	t.Run("FailedWithoutADeclineCode", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for i, code := range []string{
			"expired_card", "processing_error", "authentication_required",
			wallet.FailureAuthentication, wallet.FailureActionUnsupported,
		} {
			b.EndWith(wallet.Outcome{
				Kind: wallet.OutcomeDeclined, IntentID: testfactory.Token("pi_"),
				Failure: wallet.Failure{Code: code, Message: "Some <words> & signs."},
			})
			rec := b.Fund(t)
			apitest.RequireAnswer(t, rec, http.StatusPaymentRequired, fmt.Sprintf(
				`{"error":{"message":"Some <words> & signs.","code":"%s","status":402,"payment_id":"%s"}}`,
				code, apitest.SpellPayment(b.Stored(t)[i])))
		}
	})

	t.Run("Canceled", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Canceled())
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusPaymentRequired,
			`{"error":{"message":"The payment was canceled.","code":"payment_canceled","status":402,"payment_id":"`+
				apitest.SpellPayment(b.Only(t))+`"}}`)
	})

	t.Run("PaymentMethodIsMissingAtStripe", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(wallet.Outcome{Kind: wallet.OutcomeRejected, Failure: wallet.Failure{
			Code: wallet.FailurePaymentMethodMissing, Message: "No such PaymentMethod.",
		}})
		apitest.RequireAnswer(t, b.Fund(t), http.StatusNotFound, bodyMethodNotFound)
	})

	t.Run("RequestThatStripeRefusesIsOurMistake", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(wallet.Outcome{Kind: wallet.OutcomeRejected, Failure: wallet.Failure{
			Code: wallet.FailureInternal, Message: "Unknown parameter: foo.",
		}})
		apitest.RequireAnswer(t, b.Fund(t), http.StatusInternalServerError, bodyInternal)
	})

	t.Run("NotInTime", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Millisecond })
		rec := b.Fund(t)
		id := apitest.SpellPayment(b.Only(t))
		apitest.RequireAnswer(t, rec, http.StatusAccepted, `{"status":"processing","payment_id":"`+id+`"}`)
		require.Equal(t, "2", rec.Header().Get("Retry-After"))
		require.Equal(t, "https://fundrail.example/v1/payments/"+id, rec.Header().Get("Location"))
	})

	t.Run("ProcessingAtStripe", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Processing())
		b.Lava.FundWait = time.Millisecond
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusAccepted, `{"status":"processing","payment_id":"`+apitest.SpellPayment(b.Only(t))+`"}`)
	})

	t.Run("PaymentIsWhatWasAskedFor", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{RateAmount: decimal.RequireFromString("0.03")})
		b.Fund(t)
		p := b.Only(t)
		require.Equal(t, b.Organization.ID, p.OrganizationID)
		require.Equal(t, wallet.ModeTest, p.Mode)
		require.Equal(t, b.PaymentMethod.ID, *p.PaymentMethodID)
		require.Equal(t, int64(25_00), p.Amount)
		require.Equal(t, wallet.USD, p.Currency)
		require.False(t, p.OffSession)
		require.Equal(t, wallet.PaymentCreated, p.Status)
		require.Equal(t, testfactory.Now, p.CreatedAt.UTC())
		var credits string
		require.NoError(t, b.Pool.QueryRow(t.Context(),
			`select credit_amount::text from wallet_transactions where id = $1`, p.WalletTransactionID).Scan(&credits))
		require.Equal(t, "833.33333", credits)
	})

	t.Run("LiveModeSpellsIdsWithoutTest", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{Mode: wallet.ModeLive})
		rec := b.Fund(t)
		require.Equal(t, http.StatusAccepted, rec.Code)
		require.Contains(t, rec.Body.String(), `"payment_id":"pay_0`)
		require.NotContains(t, rec.Body.String(), "test")
	})

	t.Run("PaymentMethodMayBeAUUID", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", `{"payment_method_id":"`+b.PaymentMethod.ID.String()+`","amount":"25"}`)
		require.Equal(t, http.StatusAccepted, rec.Code)
	})

	t.Run("PaymentMethodNotFound", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		live := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{Mode: wallet.ModeLive})
		for name, id := range map[string]string{
			"another wallet's": spellMethod(wallet.ModeTest, testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{}).ID),
			"deleted": spellMethod(wallet.ModeTest, testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{
				Customer: b.Customer, Deleted: true,
			}).ID),
			"live":                  spellMethod(wallet.ModeLive, live.PaymentMethod.ID),
			"our own spelled live":  spellMethod(wallet.ModeLive, b.PaymentMethod.ID),
			"unknown":               spellMethod(wallet.ModeTest, wallet.NewID()),
			"a payment's":           apitest.SpellPayment(wallet.Payment{ID: b.PaymentMethod.ID, Mode: wallet.ModeTest}),
			"Stripe's":              b.PaymentMethod.StripePaymentMethodID,
			"no id at all":          "x",
			"with a zero character": `pm_test_\u0000`,
			"with half a character": `\ud800`,
		} {
			rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", `{"payment_method_id":"`+id+`","amount":"25.00"}`)
			require.Equal(t, http.StatusNotFound, rec.Code, name)
			apitest.RequireAnswer(t, rec, http.StatusNotFound, bodyMethodNotFound)
		}
		require.Empty(t, b.Stored(t))
	})

	t.Run("AccountWithoutEmail", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{NoEmail: true})
		apitest.RequireAnswer(t, b.Fund(t), http.StatusBadRequest, bodyEmailRequired)
		require.Empty(t, b.Stored(t))
	})

	t.Run("WalletInAnotherCurrency", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Merchant = testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{Currency: "JPY"})
		apitest.RequireAnswer(t, b.Fund(t), http.StatusBadRequest,
			`{"error":{"message":"Only a wallet in USD can be funded here.","code":"wallet_currency_unsupported","status":400}}`)
		require.Empty(t, b.Stored(t))
	})

	t.Run("FullWallet", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		_, err := b.Pool.Exec(t.Context(), `update wallets set balance = $2 where id = $1`, b.Wallet.ID, wallet.MaxBalance-24_99)
		require.NoError(t, err)
		apitest.RequireAnswer(t, b.Fund(t), http.StatusBadRequest,
			`{"error":{"message":"The balance would be above 10000000000000.00.","code":"wallet_balance_limit_reached","status":400}}`)
		require.Empty(t, b.Stored(t))
	})

	t.Run("TerminatedWallet", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		_, err := b.Pool.Exec(t.Context(), `update wallets set status = 'terminated', terminated_at = created_at where id = $1`, b.Wallet.ID)
		require.NoError(t, err)
		apitest.RequireAnswer(t, b.Fund(t), http.StatusNotFound,
			`{"error":{"message":"Wallet not found.","code":"wallet_not_found","status":404}}`)
		require.Empty(t, b.Stored(t))
	})

	t.Run("AccountWithoutAWallet", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		_, b.APIKey = testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{})
		apitest.RequireAnswer(t, b.Fund(t), http.StatusNotFound, bodyMethodNotFound)
	})
}

func spellMethod(mode wallet.Mode, id wallet.ID) string {
	return wallet.Spell(wallet.PrefixPaymentMethod, mode, id)
}

func TestFundWalletBody(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	schema := func(issues string) string {
		return `{"error":{"message":"Validation failed.","code":"body_schema_validation_failed","status":400,"issues":[` + issues + `]}}`
	}
	amount := func(message string) string { return schema(`{"path":["amount"],"message":"` + message + `"}`) }
	method := func(message string) string {
		return schema(`{"path":["payment_method_id"],"message":"` + message + `"}`)
	}
	const (
		form     = "Amount must be a decimal string with at most 2 decimal places"
		notJSON  = `{"error":{"message":"Request body is not valid JSON.","code":"body_json_invalid","status":400}}`
		notType  = `{"error":{"message":"Content-Type must be application/json.","code":"unsupported_media_type","status":415}}`
		tooLarge = `{"error":{"message":"Request body is too large.","code":"body_too_large","status":413}}`
	)
	id := b.MethodID()
	withAmount := func(json string) string { return `{"payment_method_id":"` + id + `","amount":` + json + `}` }

	for name, c := range map[string]struct {
		body        string
		contentType string
		status      int
		answer      string
	}{
		"Empty":              {" ", "", http.StatusBadRequest, notJSON},
		"NotJSON":            {"amount=25", "", http.StatusBadRequest, notJSON},
		"TrailingData":       {b.FundBody("25.00") + "{}", "", http.StatusBadRequest, notJSON},
		"NotUTF8":            {withAmount("\"25\xff\""), "", http.StatusBadRequest, notJSON},
		"NestedTooDeeply":    {`{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, "", http.StatusBadRequest, notJSON},
		"NotAnObject":        {`["25.00"]`, "", http.StatusBadRequest, schema(`{"path":[],"message":"Expected object, received array"}`)},
		"Null":               {`null`, "", http.StatusBadRequest, schema(`{"path":[],"message":"Expected object, received null"}`)},
		"OtherType":          {b.FundBody("25.00"), "text/plain", http.StatusUnsupportedMediaType, notType},
		"Form":               {"amount=25", "application/x-www-form-urlencoded", http.StatusUnsupportedMediaType, notType},
		"TooLarge":           {`{"x":"` + strings.Repeat("x", 64<<10) + `"}`, "", http.StatusRequestEntityTooLarge, tooLarge},
		"TooLargeAndNotJSON": {strings.Repeat("x", 64<<10+1), "text/plain", http.StatusRequestEntityTooLarge, tooLarge},

		"MissingAmount": {`{"payment_method_id":"` + id + `"}`, "", http.StatusBadRequest, amount("Missing required field: amount")},
		"MissingMethod": {`{"amount":"25.00"}`, "", http.StatusBadRequest, method("Missing required field: payment_method_id")},
		"MissingBoth": {"{}", "", http.StatusBadRequest, schema(
			`{"path":["payment_method_id"],"message":"Missing required field: payment_method_id"},` +
				`{"path":["amount"],"message":"Missing required field: amount"}`)},
		"NamesInOtherCase": {
			`{"Payment_method_id":"` + id + `","amount":"25.00"}`, "", http.StatusBadRequest,
			method("Missing required field: payment_method_id"),
		},
		"NumberAmount":  {withAmount("25.00"), "", http.StatusBadRequest, amount("Expected string, received number")},
		"NullAmount":    {withAmount("null"), "", http.StatusBadRequest, amount("Expected string, received null")},
		"BooleanAmount": {withAmount("true"), "", http.StatusBadRequest, amount("Expected string, received boolean")},
		"ObjectAmount":  {withAmount("{}"), "", http.StatusBadRequest, amount("Expected string, received object")},
		"ArrayAmount":   {withAmount(`["25"]`), "", http.StatusBadRequest, amount("Expected string, received array")},
		"EmptyAmount":   {withAmount(`""`), "", http.StatusBadRequest, amount(form)},
		"Sign":          {withAmount(`"-25"`), "", http.StatusBadRequest, amount(form)},
		"Exponent":      {withAmount(`"1e2"`), "", http.StatusBadRequest, amount(form)},
		"Space":         {withAmount(`" 25.00"`), "", http.StatusBadRequest, amount(form)},
		"Separator":     {withAmount(`"1,000"`), "", http.StatusBadRequest, amount(form)},
		"LeadingZero":   {withAmount(`"025"`), "", http.StatusBadRequest, amount(form)},
		"BareDot":       {withAmount(`"25."`), "", http.StatusBadRequest, amount(form)},
		"ThreeDecimals": {withAmount(`"25.001"`), "", http.StatusBadRequest, amount(form)},
		"Endless":       {withAmount(`"` + strings.Repeat("1", 60_000) + `"`), "", http.StatusBadRequest, amount(form)},
		"BelowLeast":    {withAmount(`"9.99"`), "", http.StatusBadRequest, amount("Amount must be at least 10.00")},
		"Zero":          {withAmount(`"0"`), "", http.StatusBadRequest, amount("Amount must be at least 10.00")},
		"AboveMost":     {withAmount(`"10000.01"`), "", http.StatusBadRequest, amount("Amount must be at most 10000.00")},
		"EmptyMethod":   {`{"payment_method_id":"","amount":"25"}`, "", http.StatusBadRequest, method("Must not be empty")},
		"LongMethod": {
			`{"payment_method_id":"` + strings.Repeat("p", 256) + `","amount":"25"}`, "", http.StatusBadRequest,
			method("Must be at most 255 characters"),
		},
		"WellFormedUnknownMethod": {
			`{"payment_method_id":"` + strings.Repeat("p", 255) + `","amount":"25"}`, "",
			http.StatusNotFound, bodyMethodNotFound,
		},
	} {
		contentType := c.contentType
		if contentType == "" {
			contentType = "application/json"
		}
		rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", c.body, "Content-Type", contentType, "Idempotency-Key", "k")
		require.Equal(t, c.answer, rec.Body.String(), name)
		apitest.RequireAnswer(t, rec, c.status, c.answer)
	}
	require.Empty(t, b.Stored(t), "nothing was stored")
	rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", "")
	apitest.RequireAnswer(t, rec, http.StatusBadRequest, notJSON)

	for name, c := range map[string]struct {
		body  string
		cents int64
	}{
		"Least":         {withAmount(`"10"`), 10_00},
		"Most":          {withAmount(`"10000.00"`), 10_000_00},
		"NoDecimals":    {withAmount(`"25"`), 25_00},
		"OneDecimal":    {withAmount(`"25.5"`), 25_50},
		"UnknownFields": {`{"amount":"25.00","payment_method_id":"` + id + `","currency":"EUR","metadata":{"a":[]}}`, 25_00},
		"LastOneWins":   {`{"amount":"99","payment_method_id":"x","payment_method_id":"` + id + `","amount":"12.34"}`, 12_34},
	} {
		before := len(b.Stored(t))
		for _, contentType := range []string{"application/json; charset=UTF-8", ""} { // absent counts as JSON
			rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", c.body, "Content-Type", contentType)
			require.Equal(t, http.StatusAccepted, rec.Code, name)
		}
		list := b.Stored(t)
		require.Len(t, list, before+2)
		require.Equal(t, c.cents, list[before].Amount, name)
	}
}

func TestFundWalletBodyChunked(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	url := "http://" + apitest.Serve(t, b.Handler, nil) + "/v1/wallet/fund"
	for size, status := range map[int]int{1 << 10: http.StatusAccepted, 65 << 10: http.StatusRequestEntityTooLarge} {
		body := strings.TrimSuffix(b.FundBody("25.00"), "}") + `,"x":"` + strings.Repeat("x", size) + `"}`
		answer, err := b.Send(t.Context(), http.MethodPost, url, struct{ io.Reader }{strings.NewReader(body)}, nil)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, status, answer.StatusCode)
	}
}

// TestFundWalletOrder mends a request that is wrong in every way, one thing at a
// time: each answer names the first of what is left.
func TestFundWalletOrder(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = 12 })
	good := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
	noEmail := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{NoEmail: true})
	suspended := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{Suspended: true})
	fresh := func(m testfactory.Merchant) string {
		_, key := testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{OrganizationID: m.Organization.ID})
		return key
	}
	exhausted := fresh(noEmail)
	for range 12 {
		b.Do(t, http.MethodGet, "/v1/wallet", "", "Authorization", "Bearer "+exhausted)
	}
	rec := b.Do(t, http.MethodPost, "/v1/wallet/fund",
		`{"payment_method_id":"`+spellMethod(wallet.ModeTest, noEmail.PaymentMethod.ID)+`","amount":"25"}`,
		"Authorization", "Bearer "+noEmail.APIKey, "Idempotency-Key", "used")
	require.Equal(t, http.StatusBadRequest, rec.Code, "an error before the charge leaves no record")
	testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: noEmail, Idempotency: &postgres.IdempotencyRecord{
		Operation: lava.OpFundWallet, Key: "used", Fingerprint: lava.FundFingerprint("another", 1), WaitUntil: testfactory.Now,
	}})

	large := "[" + strings.Repeat(" ", 64<<10)
	own := `{"payment_method_id":"` + spellMethod(wallet.ModeTest, noEmail.PaymentMethod.ID) + `","amount":"25"}`
	unknown := `{"payment_method_id":"pm_test_x","amount":"25"}`
	for _, step := range []struct {
		key, body, contentType, idempotencyKey string
		status                                 int
		code                                   string
	}{
		{"aks_test_unknown", large, "text/plain", "a b", http.StatusUnauthorized, "unauthorized"},
		{suspended.APIKey, large, "text/plain", "a b", http.StatusForbidden, "account_suspended"},
		{exhausted, large, "text/plain", "a b", http.StatusTooManyRequests, "rate_limit_exceeded"},
		{fresh(noEmail), large, "text/plain", "a b", http.StatusRequestEntityTooLarge, "body_too_large"},
		{fresh(noEmail), "[", "text/plain", "a b", http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{fresh(noEmail), "[", "application/json", "a b", http.StatusBadRequest, "body_json_invalid"},
		{fresh(noEmail), "{}", "application/json", "a b", http.StatusBadRequest, "body_schema_validation_failed"},
		{fresh(noEmail), unknown, "application/json", "a b", http.StatusBadRequest, "idempotency_key_invalid"},
		{fresh(noEmail), unknown, "application/json", "used", http.StatusUnprocessableEntity, "idempotency_key_reused"},
		{fresh(noEmail), unknown, "application/json", "new", http.StatusNotFound, "payment_method_not_found"},
		{fresh(noEmail), own, "application/json", "new", http.StatusBadRequest, "funding_email_required"},
	} {
		rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", step.body,
			"Authorization", "Bearer "+step.key, "Content-Type", step.contentType, "Idempotency-Key", step.idempotencyKey)
		require.Contains(t, rec.Body.String(), `"code":"`+step.code+`"`)
		require.Equal(t, step.status, rec.Code)
	}
	b.Merchant = good
	require.Equal(t, http.StatusAccepted, b.Fund(t, "Idempotency-Key", "new").Code)
}

func TestFundWalletPrefer(t *testing.T) {
	t.Parallel()

	t.Run("RespondAsyncDoesNotWait", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Hour })
		rec := b.Fund(t, "Prefer", "respond-async")
		require.Equal(t, http.StatusAccepted, rec.Code)
		require.Equal(t, "respond-async", rec.Header().Get("Preference-Applied"))
	})

	t.Run("WaitZeroDoesNotWait", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Hour })
		rec := b.Fund(t, "Prefer", "wait=0")
		require.Equal(t, http.StatusAccepted, rec.Code)
		require.Equal(t, "wait=0", rec.Header().Get("Preference-Applied"))
	})

	t.Run("WaitIsLongerThanOtherwise", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.EndWith(testfactory.Succeeded(0, wallet.USD))
		b.Lava.FundWait = 0
		rec := b.Fund(t, "Prefer", "wait=30")
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "wait=30", rec.Header().Get("Preference-Applied"))
	})

	t.Run("WithoutItNothingIsConfirmed", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		require.NotContains(t, b.Fund(t).Header(), "Preference-Applied")
		require.NotContains(t, b.Fund(t, "Prefer", "wait=soon").Header(), "Preference-Applied")
	})
}

func TestFundWalletClientLeaves(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Hour })
	url := "http://" + apitest.Serve(t, b.Handler, nil) + "/v1/wallet/fund"
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		answer, err := b.Send(ctx, http.MethodPost, url, strings.NewReader(b.FundBody("25.00")), http.Header{"Idempotency-Key": {"k"}})
		if err == nil {
			_ = answer.Body.Close()
		}
		left <- err
	}()
	require.Eventually(t, func() bool { return len(b.Stored(t)) == 1 }, 10*time.Second, 10*time.Millisecond)
	leave()
	require.ErrorIs(t, <-left, context.Canceled)

	p := b.Only(t)
	require.NoError(t, b.Payments.SettleOutcome(t.Context(), p.ID, testfactory.Succeeded(25_00, wallet.USD), testfactory.Now))
	rec := b.Fund(t, "Idempotency-Key", "k")
	apitest.RequireAnswer(t, rec, http.StatusOK, `{"status":"completed","payment_id":"`+apitest.SpellPayment(p)+`","balance":"25.00"}`)
	require.Len(t, b.Stored(t), 1)
}

// TestFundWalletClientLeavesEarly has the client leave before its payment was sent to
// the database: then nothing happens.
func TestFundWalletClientLeavesEarly(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	ctx, leave := context.WithCancel(t.Context())
	b.Payments.OnAccept = func(ctx context.Context, p postgres.NewPayment) (bool, error) {
		leave()
		<-ctx.Done()
		return b.Engine.Accept(ctx, p)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/wallet/fund", strings.NewReader(b.FundBody("25.00")))
	r.Header.Set("Authorization", "Bearer "+b.APIKey)
	b.Handler.ServeHTTP(httptest.NewRecorder(), r)
	require.Empty(t, b.Stored(t))
}

func TestFundWalletDatabaseAway(t *testing.T) {
	t.Parallel()

	lost := &postgres.DoubtError{Err: &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}}

	t.Run("BeforeTheRequest", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		nowhere, err := pgxpool.New(t.Context(), "postgres://fundrail@127.0.0.1:1/nothing?connect_timeout=1")
		require.NoError(t, err)
		t.Cleanup(nowhere.Close)
		b.Server.DB = nowhere
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusServiceUnavailable, bodyUnavailable)
		require.Equal(t, "2", rec.Header().Get("Retry-After"))
		require.Contains(t, b.Log.String(), "request_id="+rec.Header().Get("X-Request-Id"))
		require.Empty(t, b.Stored(t))
	})

	t.Run("WhileItIsStored", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Payments.OnAccept = func(context.Context, postgres.NewPayment) (bool, error) {
			return false, fmt.Errorf("accept: %w", &pgconn.PgError{Code: "57P01", Message: "terminating connection"})
		}
		apitest.RequireAnswer(t, b.Fund(t), http.StatusServiceUnavailable, bodyUnavailable)
	})

	t.Run("CommitHappenedAndItsAnswerWasLost", func(t *testing.T) {
		t.Parallel()

		for _, key := range []string{"", "k"} {
			b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Millisecond })
			calls := 0
			b.Payments.OnAccept = func(ctx context.Context, p postgres.NewPayment) (bool, error) {
				calls++
				ok, err := b.Engine.Accept(ctx, p)
				if calls == 1 {
					require.True(t, ok)
					return false, lost
				}
				return ok, err
			}
			rec := b.Fund(t, "Idempotency-Key", key)
			apitest.RequireAnswer(t, rec, http.StatusAccepted, `{"status":"processing","payment_id":"`+apitest.SpellPayment(b.Only(t))+`"}`)
			require.Empty(t, rec.Header().Get("Idempotent-Replayed"))
			require.Equal(t, 2, calls)
		}
	})

	t.Run("CommitDidNotHappenAndItsAnswerWasLost", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		calls := 0
		b.Payments.OnAccept = func(ctx context.Context, p postgres.NewPayment) (bool, error) {
			if calls++; calls < 3 {
				return false, lost
			}
			return b.Engine.Accept(ctx, p)
		}
		require.Equal(t, http.StatusAccepted, b.Fund(t).Code)
		require.Len(t, b.Stored(t), 1)
	})

	t.Run("StillInDoubtWhenTimeIsOver", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.Patience = 50 * time.Millisecond })
		back := make(chan struct{})
		b.Payments.OnAccept = func(ctx context.Context, p postgres.NewPayment) (bool, error) {
			select {
			case <-back:
				return b.Engine.Accept(ctx, p)
			default:
				return false, lost
			}
		}

		rec := b.Fund(t, "Idempotency-Key", "k")
		require.Equal(t, http.StatusAccepted, rec.Code, rec.Body)
		require.Empty(t, b.Stored(t))
		require.Equal(t, http.StatusConflict, b.Fund(t, "Idempotency-Key", "k").Code, "the first request goes on")

		close(back)
		require.Eventually(t, func() bool { return len(b.Stored(t)) == 1 }, time.Minute, 10*time.Millisecond, "it is stored in the background")
		require.Contains(t, rec.Body.String(), apitest.SpellPayment(b.Only(t)), "with the id that was answered")
	})

	t.Run("AfterItWasStored", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Lava.FundWait = time.Second })
		b.Server.Payments = forgetful{b.Payments}
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusAccepted, `{"status":"processing","payment_id":"`+apitest.SpellPayment(b.Only(t))+`"}`)
	})

	t.Run("UnexpectedErrorIsOurs", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		b.Payments.OnAccept = func(context.Context, postgres.NewPayment) (bool, error) { return false, errors.New("oops") }
		apitest.RequireAnswer(t, b.Fund(t), http.StatusInternalServerError, bodyInternal)
		require.Contains(t, b.Log.String(), "oops")
	})
}

// forgetful cannot tell how a payment went.
type forgetful struct{ api.Payments }

func (forgetful) Wait(context.Context, wallet.ID, time.Duration) (wallet.Payment, error) {
	return wallet.Payment{}, errors.New("connection reset by peer")
}

func TestFundWalletWhileStripeIsDown(t *testing.T) {
	t.Parallel()

	down := false
	b := apitest.Setup(t)
	b.Server.Payments = outage{Scripted: b.Payments, down: &down}
	b.EndWith(testfactory.Succeeded(0, ""))
	first := b.Fund(t, "Idempotency-Key", "before")
	require.Equal(t, http.StatusOK, first.Code, first.Body)

	down = true
	rec := b.Fund(t, "Idempotency-Key", "during")

	apitest.RequireAnswer(t, rec, http.StatusServiceUnavailable,
		`{"error":{"message":"Payments are temporarily unavailable. Please try again.","code":"payment_provider_unavailable","status":503}}`)
	require.Equal(t, "4", rec.Header().Get("Retry-After"), "rounded up")
	require.Len(t, b.Stored(t), 1, "nothing is left behind")
	replay := b.Fund(t, "Idempotency-Key", "before")
	require.Equal(t, first.Body.String(), replay.Body.String(), "what is known is still told")

	down = false
	require.Equal(t, http.StatusOK, b.Fund(t, "Idempotency-Key", "during").Code)
}

type outage struct {
	*apitest.Scripted
	down *bool
}

func (o outage) Outage(wallet.Mode) (time.Duration, bool) { return 3100 * time.Millisecond, *o.down }
