package jobs_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func cardsOf(t *testing.T, w *enginetest.World, customer wallet.ID) []wallet.PaymentMethod {
	t.Helper()

	list, err := postgres.ListPaymentMethods(t.Context(), w.Pool, customer)
	require.NoError(t, err)
	return list
}

func TestSyncCustomer(t *testing.T) {
	t.Parallel()

	t.Run("NewCustomerWithASavedCard", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		org, mode, now := w.Merchant.Organization.ID, w.Merchant.Mode, w.Clock.Now()
		w.Sim.Fault(stripesim.Fault{
			Match: stripesim.Match{Method: http.MethodPost, Path: "/v1/customers"}, Dice: stripesim.Dice{Count: 1},
			Kind: stripesim.FaultReset, When: stripesim.After,
		})
		var customer postgres.Customer
		require.NoError(t, pgx.BeginFunc(t.Context(), w.Pool, func(tx pgx.Tx) error {
			var err error
			if customer, err = postgres.UpsertCustomer(t.Context(), tx, org, mode, "new", postgres.CustomerChange{}, now); err != nil {
				return err
			}
			return w.Engine.SyncCustomer(t.Context(), tx, customer.ID)
		}))
		require.Eventually(t, func() bool {
			var err error
			customer, err = postgres.GetCustomer(t.Context(), w.Pool, customer.ID)
			return err == nil && customer.StripeCustomerID != ""
		}, 15*time.Second, 5*time.Millisecond, "the customer should be known at Stripe")

		w.Merchant.Customer = customer
		w.Merchant.Wallet = testfactory.Wallet(t, w.Pool, testfactory.WalletOpts{Customer: customer})
		request := topUpOf(w)
		request.Paid = decimal.NewFromInt(25)
		first := topUp(t, w, request)[0]
		require.Nil(t, first.Payment, "there is no card to charge")
		pay(t, page(t, w, first).RedirectURL, "pm_card_visa")
		require.Eventually(t, func() bool { return len(cardsOf(t, w, customer.ID)) == 1 }, 15*time.Second, 5*time.Millisecond, "the card should be saved")
		require.True(t, cardsOf(t, w, customer.ID)[0].IsDefault)

		request.Now = w.Clock.Now()
		second := topUp(t, w, request)[0]
		w.Await(second.Payment.ID, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	t.Run("RemovedCardsStayRemoved", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		customer := w.Merchant.Customer
		card := w.Card("pm_card_visa")
		_, err := postgres.RemovePaymentMethod(t.Context(), w.Pool, customer.ID, card.ID, w.Clock.Now())
		require.NoError(t, err)
		_, err = w.Sim.CreatePaymentMethod(stripesim.SavedCard{Card: "pm_card_mastercard", Customer: customer.StripeCustomerID})
		require.NoError(t, err)
		before := len(cardsOf(t, w, customer.ID))

		for range 2 {
			w.Work(jobs.SyncCustomerArgs{CustomerID: customer.ID})
		}

		after := cardsOf(t, w, customer.ID)
		require.Len(t, after, before+1)
		for _, c := range after {
			require.NotEqual(t, card.ID, c.ID)
			require.Equal(t, c.ID == w.Merchant.PaymentMethod.ID, c.IsDefault, "the default does not change")
		}
	})
}
