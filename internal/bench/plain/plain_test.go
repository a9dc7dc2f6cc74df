package plain_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/bench/plain"
	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

const secret = "whsec_plain"

// TestRun tests that the program settles payments, so that the comparison is fair.
func TestRun(t *testing.T) {
	t.Parallel()

	pool, sim := testdb.New(t), simtest.New(t)
	require.NoError(t, plain.Prepare(t.Context(), pool))
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	_, err := sim.CreateCustomer(stripesim.NewCustomer{ID: m.Customer.StripeCustomerID})
	require.NoError(t, err)
	challenged := testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{Customer: m.Customer})
	for card, id := range map[string]string{
		"pm_card_visa":                  m.PaymentMethod.StripePaymentMethodID,
		"pm_card_threeDSecure2Required": challenged.StripePaymentMethodID,
	} {
		_, err = sim.CreatePaymentMethod(stripesim.SavedCard{Card: card, Customer: m.Customer.StripeCustomerID, ID: id})
		require.NoError(t, err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	sim.SetWebhook("http://"+addr+"/webhooks/stripe", secret)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- plain.Run(ctx, config.Settings{
			Database: config.Database{DatabaseURL: config.Secret(pool.Config().ConnString())},
			HTTP:     config.HTTP{ListenAddr: addr},
			Stripe: config.Stripe{
				StripeAPIURL: sim.URL, StripeTestSecretKey: simtest.Key, StripeTestWebhookSecrets: []config.Secret{secret},
			},
		}, time.Now)
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	fund := func(method wallet.ID) map[string]string {
		var answer map[string]string
		require.Eventually(t, func() bool {
			body := `{"payment_method_id":"` + wallet.Spell(wallet.PrefixPaymentMethod, m.Mode, method) + `","amount":"25.00"}`
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/wallet/fund", strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+m.APIKey)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return false // it does not listen yet
			}
			defer res.Body.Close()
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
			return true
		}, 10*time.Second, 10*time.Millisecond)
		return answer
	}

	require.Equal(t, "succeeded", fund(m.PaymentMethod.ID)["status"])

	answer := fund(challenged.ID)
	require.Equal(t, "requires_action", answer["status"])
	require.NotEmpty(t, answer["redirect_url"])
	sim.Challenge(sim.Intents(false)[1].ID, true)
	require.Eventually(t, func() bool {
		w, err := postgres.GetWallet(t.Context(), pool, m.Wallet.ID)
		require.NoError(t, err)
		return w.Balance == 5000
	}, 10*time.Second, 10*time.Millisecond)
	report, err := postgres.Audit(t.Context(), pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}
