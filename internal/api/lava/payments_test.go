package lava_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestShowWallet(t *testing.T) {
	t.Parallel()

	t.Run("Balance", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		id := wallet.Spell(wallet.PrefixWallet, wallet.ModeTest, b.Wallet.ID)
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/wallet", ""), http.StatusOK, `{"wallet_id":"`+id+`","balance":"0.00"}`)
		testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentSucceeded})
		testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentFailed})
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/wallet", ""), http.StatusOK, `{"wallet_id":"`+id+`","balance":"25.00"}`)
	})

	t.Run("BelowZero", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		_, err := b.Pool.Exec(t.Context(), `update wallets set balance = -5`)
		require.NoError(t, err)
		require.Contains(t, b.Do(t, http.MethodGet, "/v1/wallet", "").Body.String(), `"balance":"-0.05"`)
	})

	t.Run("AccountWithoutOne", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		_, b.APIKey = testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{})
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/wallet", ""), http.StatusNotFound,
			`{"error":{"message":"Wallet not found.","code":"wallet_not_found","status":404}}`)
	})
}

func TestListPaymentMethods(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	newer := testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{
		Customer: b.Customer, Brand: "mastercard", Last4: "0008", ExpiryMonth: 4, ExpiryYear: 2031,
	})
	newest := testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{Customer: b.Customer, Last4: "0341"})
	testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{Customer: b.Customer, Deleted: true})
	testfactory.PaymentMethod(t, b.Pool, testfactory.PaymentMethodOpts{})
	failing := b.Merchant
	failing.PaymentMethod = newest
	testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{
		Merchant: failing, Status: wallet.PaymentFailed, UpdatedAt: testfactory.Now.Add(time.Minute + time.Millisecond),
	})

	rec := b.Do(t, http.MethodGet, "/v1/payment_methods", "")
	apitest.RequireAnswer(t, rec, http.StatusOK, fmt.Sprintf(`{"data":[`+
		`{"payment_method_id":"%s","last4":"4242","expiry_month":"12","expiry_year":"2034","brand":"visa","is_default":true,`+
		`"has_error":false,"error_code":null,"error_message":null,"error_at":null},`+
		`{"payment_method_id":"%s","last4":"0341","expiry_month":"12","expiry_year":"2034","brand":"visa","is_default":false,`+
		`"has_error":true,"error_code":"insufficient_funds","error_message":"Your card has insufficient funds.","error_at":"2026-03-14T09:27:53Z"},`+
		`{"payment_method_id":"%s","last4":"0008","expiry_month":"04","expiry_year":"2031","brand":"mastercard","is_default":false,`+
		`"has_error":false,"error_code":null,"error_message":null,"error_at":null}]}`,
		b.MethodID(), spellMethod(b.Mode, newest.ID), spellMethod(b.Mode, newer.ID)))

	testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: failing, Status: wallet.PaymentSucceeded})
	require.NotContains(t, b.Do(t, http.MethodGet, "/v1/payment_methods", "").Body.String(), `"has_error":true`)

	_, b.APIKey = testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{})
	apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/payment_methods", ""), http.StatusOK, `{"data":[]}`)
}

func TestListPayments(t *testing.T) {
	t.Parallel()

	type answer struct {
		Data []struct {
			PaymentID string `json:"payment_id"`
		} `json:"data"`
		HasMore    bool    `json:"has_more"`
		NextCursor *string `json:"next_cursor"`
	}
	list := func(t *testing.T, b *apitest.Bundle, query string) answer {
		t.Helper()

		rec := b.Do(t, http.MethodGet, "/v1/payments"+query, "")
		require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
		var a answer
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &a))
		require.Equal(t, a.HasMore, a.NextCursor != nil)
		return a
	}

	t.Run("None", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/payments", ""), http.StatusOK, `{"data":[],"has_more":false,"next_cursor":null}`)
	})

	t.Run("One", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentSucceeded})
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/payments", ""), http.StatusOK, fmt.Sprintf(
			`{"data":[{"payment_id":"%s","status":"completed","amount":"25.00","payment_method_id":"%s","balance":"25.00",`+
				`"created_at":"2026-03-14T09:26:53Z","updated_at":"2026-03-14T09:26:53Z"}],"has_more":false,"next_cursor":null}`,
			apitest.SpellPayment(p), b.MethodID()))
	})

	t.Run("PagesFromNewestToOldest", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{})
		var want []string
		for range 23 {
			p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant})
			want = append([]string{apitest.SpellPayment(p)}, want...)
		}
		for _, size := range []int{0, 1, 7, 22, 23, 100} {
			query, sizeOf := "?", 10
			if size > 0 {
				query, sizeOf = fmt.Sprintf("?limit=%d&", size), size
			}
			var got []string
			cursor := ""
			for {
				a := list(t, b, query+cursor)
				for _, p := range a.Data {
					got = append(got, p.PaymentID)
				}
				if !a.HasMore {
					break
				}
				require.Len(t, a.Data, sizeOf)
				cursor = "cursor=" + *a.NextCursor
			}
			require.Equal(t, want, got, "pages of %d", size)
		}
	})

	t.Run("QueryThatFitsNot", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		const (
			least   = `{"path":["limit"],"message":"Must be at least 1"}`
			most    = `{"path":["limit"],"message":"Must be at most 100"}`
			integer = `{"path":["limit"],"message":"Expected integer"}`
			cursor  = `{"path":["cursor"],"message":"Invalid cursor"}`
		)
		for query, issues := range map[string]string{
			"limit=0":          least,
			"limit=-1":         least,
			"limit=101":        most,
			"limit=ten":        integer,
			"limit=":           integer,
			"limit=1.5":        integer,
			"cursor=":          cursor,
			"cursor=x":         cursor,
			"cursor=x&limit=0": least + "," + cursor,
			"cursor=" + wallet.Spell(wallet.PrefixPayment, wallet.ModeLive, wallet.NewID()): cursor,
			"cursor=" + b.MethodID(): cursor,
		} {
			apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/payments?"+query, ""), http.StatusBadRequest,
				`{"error":{"message":"Validation failed.","code":"query_schema_validation_failed","status":400,"issues":[`+issues+`]}}`)
		}
	})

	t.Run("AccountWithoutAWallet", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		_, b.APIKey = testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{})
		require.Empty(t, list(t, b, "").Data)
	})
}

func TestShowPayment(t *testing.T) {
	t.Parallel()

	const notFound = `{"error":{"message":"Payment not found.","code":"payment_not_found","status":404}}`

	t.Run("InEveryState", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for status, rest := range map[wallet.PaymentStatus]struct{ status, between string }{
			wallet.PaymentCreated:    {"processing", ""},
			wallet.PaymentProcessing: {"processing", ""},
			wallet.PaymentRequiresAction: {
				"requires_action", `"redirect_url":"https://hooks.stripe.com/3d_secure_2/authenticate?merchant=a&source=b",`,
			},
			wallet.PaymentSucceeded: {"completed", `"balance":"12.34",`},
			wallet.PaymentFailed: {
				"failed",
				`"error":{"message":"Your card has insufficient funds.","code":"card_declined","status":402,"decline_code":"insufficient_funds"},`,
			},
			wallet.PaymentCanceled: {"canceled", `"error":{"message":"The payment was canceled.","code":"payment_canceled","status":402},`},
		} {
			p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{
				Amount: 12_34, Merchant: b.Merchant, Status: status, UpdatedAt: testfactory.Now.Add(time.Second),
			})
			updated := "2026-03-14T09:26:54Z"
			if status == wallet.PaymentCreated {
				updated = "2026-03-14T09:26:53Z"
			}
			want := fmt.Sprintf(`{"payment_id":"%s","status":"%s","amount":"12.34","payment_method_id":"%s",%s`+
				`"created_at":"2026-03-14T09:26:53Z","updated_at":"%s"}`, apitest.SpellPayment(p), rest.status, b.MethodID(), rest.between, updated)
			for _, id := range []string{apitest.SpellPayment(p), p.ID.String()} {
				apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/payments/"+id, ""), http.StatusOK, want)
			}
		}
	})

	t.Run("NotFound", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		own := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant})
		for name, id := range map[string]string{
			"another account's": apitest.SpellPayment(testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{})),
			"unknown":           apitest.SpellPayment(wallet.Payment{ID: wallet.NewID(), Mode: wallet.ModeTest}),
			"spelled live":      apitest.SpellPayment(wallet.Payment{ID: own.ID, Mode: wallet.ModeLive}),
			"a card's":          b.MethodID(),
			"no id":             "x",
		} {
			rec := b.Do(t, http.MethodGet, "/v1/payments/"+id, "")
			require.Equal(t, http.StatusNotFound, rec.Code, name)
			apitest.RequireAnswer(t, rec, http.StatusNotFound, notFound)
		}
		_, b.APIKey = testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{Mode: wallet.ModeLive, OrganizationID: b.Organization.ID})
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/payments/"+own.ID.String(), ""), http.StatusNotFound, notFound)
	})

	t.Run("AnotherWalletOfTheAccount", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		second := b.Merchant
		second.Wallet = testfactory.Wallet(t, b.Pool, testfactory.WalletOpts{Customer: b.Customer})
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: second})
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, "/v1/payments/"+apitest.SpellPayment(p), ""), http.StatusNotFound, notFound)
	})
}

func TestHeadAnswersAsGetWithoutABody(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant})
	address := "http://" + apitest.Serve(t, b.Handler, nil)
	for _, path := range []string{
		"/v1/wallet", "/v1/payment_methods", "/v1/payments", "/v1/payments/" + apitest.SpellPayment(p), "/v1/payments/" + apitest.SpellPayment(p) + "/return",
	} {
		head, err := b.Send(t.Context(), http.MethodHead, address+path, nil, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(head.Body)
		require.NoError(t, err)
		require.NoError(t, head.Body.Close())
		require.Empty(t, body)
		require.Equal(t, http.StatusOK, head.StatusCode)
		whole := b.Do(t, http.MethodGet, path, "")
		require.EqualValues(t, whole.Body.Len(), head.ContentLength, path)
		require.Equal(t, whole.Header().Get("Content-Type"), head.Header.Get("Content-Type"))
	}
}

func TestMethodsThatAreNotThere(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	for path, allow := range map[string]string{
		"/v1/wallet": "OPTIONS, GET, HEAD", "/v1/wallet/fund": "OPTIONS, POST", "/v1/payments": "OPTIONS, GET, HEAD",
	} {
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
			rec := b.Do(t, method, path, "")
			apitest.RequireAnswer(t, rec, http.StatusMethodNotAllowed,
				`{"error":{"message":"Method not allowed.","code":"method_not_allowed","status":405}}`)
			require.Equal(t, allow, rec.Header().Get("Allow"))
		}
	}
	for _, path := range []string{"/v1/wallet/", "/v1/wallet/balance", "/v1/payments/x/y", "/v1/"} {
		apitest.RequireAnswer(t, b.Do(t, http.MethodGet, path, ""), http.StatusNotFound,
			`{"error":{"message":"Route not found.","code":"route_not_found","status":404}}`)
	}
}

// TestBooksOfTheFactoryAddUp holds the rows that these tests stand on against the
// audit.
func TestBooksOfTheFactoryAddUp(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	for _, status := range wallet.PaymentStatuses {
		testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: status})
	}
	report, err := postgres.Audit(t.Context(), b.Pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	require.EqualValues(t, len(wallet.PaymentStatuses), report.Payments)
}
