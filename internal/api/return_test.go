package api

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestReturnPage(t *testing.T) {
	t.Parallel()

	const refresh = `<meta http-equiv="refresh" content="3; url=return">`

	t.Run("ShowsTheLiveState", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
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
			p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Amount: 1_234_50, Merchant: b.Merchant, Status: status})
			for _, id := range []string{spellPayment(p), p.ID.String()} {
				rec := request(t, b.handler, http.MethodGet,
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
					b.Organization.Name, "insufficient", spellPayment(p), b.methodID(),
				} {
					require.NotContains(t, body, private)
				}
			}
		}
	})

	t.Run("DecidesNothing", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.Merchant, Status: wallet.PaymentRequiresAction})
		request(t, b.handler, http.MethodGet, "/v1/payments/"+spellPayment(p)+"/return?redirect_status=succeeded", nil)
		require.Equal(t, p, b.only(t))
	})

	t.Run("AllowsNothingButItsStyle", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.Merchant})
		rec := request(t, b.handler, http.MethodGet, "/v1/payments/"+spellPayment(p)+"/return", nil)
		style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(rec.Body.String())
		require.Len(t, style, 2)
		require.Equal(t, "default-src 'none'; style-src 'sha256-"+sha256Base64(style[1])+
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", rec.Header().Get("Content-Security-Policy"))
		require.NotRegexp(t, `style=|https?:|//[a-z]`, rec.Body.String())
		require.Equal(t, "no-referrer", rec.Header().Get("Referrer-Policy"))
		require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
		require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	})

	t.Run("NotFound", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.Merchant})
		for _, id := range []string{
			"x", "<b>", spellPayment(wallet.Payment{ID: wallet.NewID(), Mode: wallet.ModeTest}), wallet.NewID().String(),
			spellPayment(wallet.Payment{ID: p.ID, Mode: wallet.ModeLive}),
		} {
			rec := request(t, b.handler, http.MethodGet, "/v1/payments/"+id+"/return", nil)
			require.Equal(t, http.StatusNotFound, rec.Code, id)
			require.Contains(t, rec.Body.String(), "<h1>Payment not found</h1>")
			require.NotContains(t, rec.Body.String(), id+"<")
			require.NotContains(t, rec.Body.String(), refresh)
			require.NotEmpty(t, rec.Header().Get("Content-Security-Policy"))
		}
	})

	t.Run("LivePaymentByItsOwnSpelling", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		live := testfactory.NewMerchant(t, b.pool, testfactory.MerchantOpts{Mode: wallet.ModeLive})
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: live})
		rec := request(t, b.handler, http.MethodGet, "/v1/payments/"+spellPayment(p)+"/return", nil)
		require.Equal(t, http.StatusOK, rec.Code)
	})

	t.Run("DatabaseAwayTriesAgain", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		nowhere, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/nothing?connect_timeout=1")
		require.NoError(t, err)
		t.Cleanup(nowhere.Close)
		b.server.DB = nowhere
		rec := request(t, b.handler, http.MethodGet, "/v1/payments/"+wallet.NewID().String()+"/return", nil)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Contains(t, rec.Body.String(), refresh)
		require.Equal(t, "3", rec.Header().Get("Retry-After"))
	})
}
