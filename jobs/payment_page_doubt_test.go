package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// TestPaymentPageInDoubt loses the database's answer to each write of a request for a
// page. The request is answered with the page all the same.
func TestPaymentPageInDoubt(t *testing.T) {
	t.Parallel()

	for name, sql := range map[string]string{
		"OpeningTheAttempt": "insert into payments",
		"StoringThePage":    "stripe_checkout_session_id = r.stripe_checkout_session_id",
	} {
		for moment, when := range map[string]pgproxy.When{"Committed": pgproxy.AfterCommit, "NotCommitted": pgproxy.BeforeCommit} {
			t.Run(name+"/"+moment, func(t *testing.T) {
				t.Parallel()

				w := enginetest.NewWorld(t)
				tx := purchase(t, w, nil)
				proxy, url, err := pgproxy.StartURL(t.Context(), w.Pool.Config().ConnString())
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, proxy.Close()) })
				pool, err := postgres.OpenPool(t.Context(), postgres.PoolOptions{URL: url, MaxConns: 4, Name: "service"})
				require.NoError(t, err)
				t.Cleanup(pool.Close)
				process := enginetest.New(t, enginetest.Options{
					Now: w.Clock.Now, Pool: pool, Stripe: map[wallet.Mode]jobs.Stripe{wallet.ModeTest: w.Stripe},
				})
				fault := proxy.Inject(pgproxy.Fault{When: when, Do: pgproxy.CloseConn, SQL: sql})

				p, err := process.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)

				require.NoError(t, err)
				require.NoError(t, fault.Wait(t.Context(), 1))
				require.Len(t, paymentsOf(t, w, tx), 1)
				require.Equal(t, p.RedirectURL, w.Await(p.ID, wallet.PaymentRequiresAction).RedirectURL)
				pay(t, p.RedirectURL, "pm_card_visa")
				w.Await(p.ID, wallet.PaymentSucceeded)
				w.RequireBooksBalance()
			})
		}
	}
}
