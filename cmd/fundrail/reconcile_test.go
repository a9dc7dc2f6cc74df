package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestReconcile(t *testing.T) {
	t.Parallel()

	pool, sim := testdb.New(t), simtest.New(t)
	env := map[string]string{
		"DATABASE_URL": pool.Config().ConnString(), "STRIPE_API_URL": sim.URL, "STRIPE_TEST_SECRET_KEY": simtest.Key,
	}
	r := fundrail(t, env, "reconcile")
	require.Equal(t, exitOK, r.code, r.stderr)
	require.Equal(t, "reconcile test: 0 payments, 0 refunds, 0 disputes: nothing differs\n", r.stdout)

	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	_, err := sim.CreateCustomer(stripesim.NewCustomer{ID: m.Customer.StripeCustomerID})
	require.NoError(t, err)
	_, err = sim.CreatePaymentMethod(stripesim.SavedCard{
		Card: "pm_card_visa", Customer: m.Customer.StripeCustomerID, ID: m.PaymentMethod.StripePaymentMethodID,
	})
	require.NoError(t, err)
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, CreatedAt: time.Now()})
	client, err := stripeapi.New(stripeapi.Config{Mode: wallet.ModeTest, SecretKey: simtest.Key, URL: sim.URL})
	require.NoError(t, err)
	o := client.Charge(t.Context(), stripeapi.ChargeRequest{
		Amount: p.Amount, Attempt: 1, Currency: p.Currency, CustomerID: m.Customer.StripeCustomerID, OrganizationID: p.OrganizationID,
		PaymentID: p.ID, PaymentMethodID: m.PaymentMethod.StripePaymentMethodID, WalletID: p.WalletID,
	})
	require.Equal(t, wallet.OutcomeSucceeded, o.Kind)

	r = fundrail(t, env, "reconcile", "--since=100000h")
	require.Equal(t, exitFailed, r.code)
	require.Regexp(t, `^reconcile test: 1 payment, 0 refunds, 0 disputes: 1 difference\n`, r.stdout)
	require.Regexp(t, `charged_not_credited +`+p.ID.String()+` +`+o.IntentID+` +25.00 USD, the payment is created +no\n`, r.stdout)

	object := object(t, fundrail(t, env, "reconcile", "--since=100000h", "--repair", "--json"))
	require.EqualValues(t, 1, object["drift"])
	require.EqualValues(t, 1, object["repaired"])
	settled, err := postgres.GetPayment(t.Context(), pool, p.ID)
	require.NoError(t, err)
	require.Equal(t, wallet.PaymentSucceeded, settled.Status)
	require.Equal(t, exitOK, fundrail(t, env, "reconcile", "--since=100000h").code)
}

func TestReconcileNeedsAKey(t *testing.T) {
	t.Parallel()

	r := fundrail(t, map[string]string{"DATABASE_URL": "postgres://localhost/x"}, "reconcile")

	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "STRIPE_TEST_SECRET_KEY or STRIPE_LIVE_SECRET_KEY is required")
}
