package lava_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestReturnPage(t *testing.T) {
	t.Parallel()

	const refresh = `<meta http-equiv="refresh" content="3; url=return">`

	t.Run("ShowsTheLiveState", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for status, c := range map[wallet.PaymentStatus]struct {
			state, title string
			open         bool
		}{
			wallet.PaymentCreated:        {"processing", "Confirming your payment", true},
			wallet.PaymentProcessing:     {"processing", "Confirming your payment", true},
			wallet.PaymentRequiresAction: {"requires_action", "Confirming your payment", true},
			wallet.PaymentSucceeded:      {"completed", "Payment complete", false},
			wallet.PaymentFailed:         {"failed", "Payment not completed", false},
			wallet.PaymentCanceled:       {"canceled", "Payment canceled", false},
		} {
			p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Amount: 1_234_50, Merchant: b.Merchant, Status: status})
			for _, id := range []string{apitest.SpellPayment(p), p.ID.String()} {
				rec := apitest.Request(t, b.Handler, http.MethodGet,
					"/v1/payments/"+id+"/return?payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_2", nil)
				require.Equal(t, http.StatusOK, rec.Code)
				require.Equal(t, "text/html; charset=UTF-8", rec.Header().Get("Content-Type"))
				body := rec.Body.String()
				require.Contains(t, body, `data-state="`+c.state+`"`)
				require.Contains(t, body, "<h1>"+c.title+"</h1>")
				require.Contains(t, body, `1234.50 <span>USD</span>`)
				require.Equal(t, c.open, strings.Contains(body, refresh), status)
				require.NotContains(t, body, "<script")
				for _, private := range []string{
					"secret", "pi_", "hooks.stripe.com", "4242", b.Customer.Email, b.Customer.ExternalID,
					b.Organization.Name, "insufficient", apitest.SpellPayment(p), b.MethodID(),
				} {
					require.NotContains(t, body, private)
				}
			}
		}
	})

	t.Run("DecidesNothing", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentRequiresAction})
		apitest.Request(t, b.Handler, http.MethodGet, "/v1/payments/"+apitest.SpellPayment(p)+"/return?redirect_status=succeeded", nil)
		require.Equal(t, p, b.Only(t))
	})

	t.Run("AllowsNothingButItsStyle", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant})
		rec := apitest.Request(t, b.Handler, http.MethodGet, "/v1/payments/"+apitest.SpellPayment(p)+"/return", nil)
		style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(rec.Body.String())
		require.Len(t, style, 2)
		sum := sha256.Sum256([]byte(style[1]))
		require.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", rec.Header().Get("Content-Security-Policy"))
		require.NotRegexp(t, `style=|https?:|//[a-z]`, rec.Body.String())
		require.Equal(t, "no-referrer", rec.Header().Get("Referrer-Policy"))
		require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
		require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	})

	t.Run("NotFound", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: b.Merchant})
		for _, id := range []string{
			"x", "<b>", apitest.SpellPayment(wallet.Payment{ID: wallet.NewID(), Mode: wallet.ModeTest}), wallet.NewID().String(),
			apitest.SpellPayment(wallet.Payment{ID: p.ID, Mode: wallet.ModeLive}),
		} {
			rec := apitest.Request(t, b.Handler, http.MethodGet, "/v1/payments/"+id+"/return", nil)
			require.Equal(t, http.StatusNotFound, rec.Code, id)
			require.Contains(t, rec.Body.String(), "<h1>Payment not found</h1>")
			require.NotContains(t, rec.Body.String(), id+"<")
			require.NotContains(t, rec.Body.String(), refresh)
			require.NotEmpty(t, rec.Header().Get("Content-Security-Policy"))
		}
	})

	t.Run("LivePaymentByItsOwnSpelling", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		live := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{Mode: wallet.ModeLive})
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Merchant: live})
		rec := apitest.Request(t, b.Handler, http.MethodGet, "/v1/payments/"+apitest.SpellPayment(p)+"/return", nil)
		require.Equal(t, http.StatusOK, rec.Code)
	})

	t.Run("DatabaseAwayTriesAgain", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		nowhere, err := pgxpool.New(t.Context(), "postgres://fundrail@127.0.0.1:1/nothing?connect_timeout=1")
		require.NoError(t, err)
		t.Cleanup(nowhere.Close)
		b.Server.DB = nowhere
		rec := apitest.Request(t, b.Handler, http.MethodGet, "/v1/payments/"+wallet.NewID().String()+"/return", nil)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Contains(t, rec.Body.String(), refresh)
		require.Equal(t, "3", rec.Header().Get("Retry-After"))
	})
}
