package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestMayCharge(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	// pay charges a card of the merchant with an outcome.
	pay := func(t *testing.T, m testfactory.Merchant, card wallet.PaymentMethod, o wallet.Outcome) wallet.Payment {
		t.Helper()
		m.PaymentMethod = card
		p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m})
		return testfactory.Move(t, pool, p.ID, o, now)
	}
	declined := func(code string) wallet.Outcome {
		o := testfactory.Declined()
		o.Failure = wallet.Decline(wallet.Failure{Code: "card_declined", DeclineCode: code})
		return o
	}
	card := func(t *testing.T, m testfactory.Merchant, fingerprint string) wallet.PaymentMethod {
		t.Helper()
		return testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{Customer: m.Customer, Fingerprint: fingerprint})
	}
	may := func(t *testing.T, m wallet.PaymentMethod) bool {
		t.Helper()
		may, _, err := postgres.MayCharge(t.Context(), pool, m.ID)
		require.NoError(t, err)
		return may
	}

	for code, want := range map[string]bool{
		"authentication_required": true, "generic_decline": true, "insufficient_funds": true,
		"expired_card": false, "lost_card": false, "stolen_card": false, "transaction_not_allowed": false,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()

			m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
			c := card(t, m, "fp")
			require.True(t, may(t, c))

			p := pay(t, m, c, declined(code))

			require.Equal(t, want, may(t, c))
			if !want {
				_, why, err := postgres.MayCharge(t.Context(), pool, c.ID)
				require.NoError(t, err)
				require.Equal(t, p.ID, why.PaymentID)
				require.False(t, why.Class.MayRetry())
			}
			shown, err := postgres.GetPaymentMethod(t.Context(), pool, m.Customer.ID, c.ID)
			require.NoError(t, err)
			require.NotEmpty(t, shown.ErrorCode, "the merchant sees the failure")
		})
	}

	t.Run("OtherPaymentMethodsWithTheCard", func(t *testing.T) {
		t.Parallel()

		m, others := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{}), testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		first, again, another, elsewhere := card(t, m, "fp1"), card(t, m, "fp1"), card(t, m, "fp2"), card(t, others, "fp1")
		pay(t, m, first, declined("stolen_card"))

		require.False(t, may(t, again))
		require.True(t, may(t, another))
		require.True(t, may(t, elsewhere), "declines at another merchant do not count")
		require.True(t, may(t, m.PaymentMethod), "a card without a fingerprint")

		pay(t, m, again, testfactory.Succeeded(25_00, wallet.USD))
		require.True(t, may(t, first), "a successful charge clears the decline")
	})

	t.Run("LastDeclineCounts", func(t *testing.T) {
		t.Parallel()

		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		c := card(t, m, "fp")
		pay(t, m, c, declined("expired_card"))
		pay(t, m, c, declined("stolen_card"))

		_, why, err := postgres.MayCharge(t.Context(), pool, c.ID)

		require.NoError(t, err)
		require.Equal(t, wallet.DeclineDoNotRetry, why.Class)
	})

	t.Run("SuccessAndDeclineInOneCall", func(t *testing.T) {
		t.Parallel()

		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		m.PaymentMethod = card(t, m, "fp")
		pay(t, m, m.PaymentMethod, declined("stolen_card"))
		one, two := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m}), testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m})

		_, err := postgres.ApplyOutcomes(t.Context(), pool, []wallet.Settlement{
			settlement(one.ID, declined("stolen_card")), settlement(two.ID, testfactory.Succeeded(25_00, wallet.USD)),
		})

		require.NoError(t, err)
		require.True(t, may(t, m.PaymentMethod))
	})
}
