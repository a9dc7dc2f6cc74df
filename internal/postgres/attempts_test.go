package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestOpenAttempt(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	request := into(m)
	request.Paid, request.PaymentMethod.Type = dec("25"), "manual"
	purchase := mustTopUp(t, pool, request)[0]
	attempt := postgres.Attempt{
		PaymentID: wallet.NewID(), OrganizationID: m.Organization.ID, Mode: m.Mode, TransactionID: purchase.ID,
		ReturnURL: "https://fundrail.example/return", Now: now,
	}
	open := func(a postgres.Attempt) bool {
		ok, err := postgres.OpenAttempt(t.Context(), pool, a)
		require.NoError(t, err)
		return ok
	}

	require.True(t, open(attempt))
	second := attempt
	second.PaymentID, second.PaymentMethodID = wallet.NewID(), m.PaymentMethod.ID
	require.False(t, open(second), "the purchase has an open payment")

	atCheckout := wallet.Outcome{Kind: wallet.OutcomeRequiresAction, CheckoutSessionID: "cs_1", RedirectURL: "https://checkout.stripe.com/c/pay/cs_1"}
	p := testfactory.Move(t, pool, attempt.PaymentID, atCheckout, now)
	require.Equal(t, "cs_1", p.StripeCheckoutSessionID)
	require.Empty(t, p.StripePaymentIntentID)
	testfactory.Move(t, pool, attempt.PaymentID, wallet.Outcome{
		Kind: wallet.OutcomeCanceled, Failure: wallet.Failure{Code: wallet.FailureCanceled},
	}, now)
	require.True(t, open(second))
	require.True(t, open(second), "the same attempt is sent again after a doubt")
	invoice, err := postgres.GetInvoice(t.Context(), pool, m.Organization.ID, m.Mode, *purchase.InvoiceID)
	require.NoError(t, err)
	require.Equal(t, wallet.InvoicePaymentFailed, invoice.PaymentStatus, "until there is a page")
	testfactory.Move(t, pool, second.PaymentID, testfactory.Succeeded(25_00, wallet.USD), now)
	third := second
	third.PaymentID = wallet.NewID()
	require.False(t, open(third), "the purchase is settled")
	third.TransactionID = wallet.NewID()
	require.False(t, open(third), "the purchase does not exist")
	requireBooksBalance(t, pool)
}

// TestPurchaseWithTwoPayments settles a purchase with two payments in one batch: a failed
// payment succeeds late, and the newer payment fails. The purchase is paid in either order.
func TestPurchaseWithTwoPayments(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	for _, failureFirst := range []bool{true, false} {
		request := into(m)
		request.Paid = dec("25")
		purchase := mustTopUp(t, pool, request)[0]
		declined := testfactory.Declined()
		testfactory.Move(t, pool, purchase.Payment.ID, declined, now)
		second := postgres.Attempt{
			PaymentID: wallet.NewID(), OrganizationID: m.Organization.ID, Mode: m.Mode, TransactionID: purchase.ID, Now: now,
		}
		opened, err := postgres.OpenAttempt(t.Context(), pool, second)
		require.NoError(t, err)
		require.True(t, opened)
		succeeded := testfactory.Succeeded(25_00, wallet.USD)
		succeeded.IntentID = declined.IntentID
		batch := []wallet.Settlement{settlement(second.PaymentID, testfactory.Declined()), settlement(purchase.Payment.ID, succeeded)}
		if !failureFirst {
			batch[0], batch[1] = batch[1], batch[0]
		}

		_, err = postgres.ApplyOutcomes(t.Context(), pool, batch)

		require.NoError(t, err)
		got, err := postgres.GetTransaction(t.Context(), pool, m.Organization.ID, m.Mode, purchase.ID)
		require.NoError(t, err)
		require.Equal(t, wallet.TransactionSettled, got.Status)
		requireBooksBalance(t, pool)
	}
}
