package wallet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Every decline code that Stripe publishes, and the class it belongs to.
var publishedDeclineCodes = map[string]wallet.DeclineClass{
	"approve_with_id":                       wallet.DeclineSoft,
	"authentication_not_handled":            wallet.DeclineAuthenticate,
	"authentication_required":               wallet.DeclineAuthenticate,
	"call_issuer":                           wallet.DeclineSoft,
	"card_not_supported":                    wallet.DeclineHard,
	"card_velocity_exceeded":                wallet.DeclineSoft,
	"currency_not_supported":                wallet.DeclineHard,
	"do_not_honor":                          wallet.DeclineSoft,
	"do_not_try_again":                      wallet.DeclineDoNotRetry,
	"duplicate_transaction":                 wallet.DeclineSoft,
	"expired_card":                          wallet.DeclineHard,
	"fraudulent":                            wallet.DeclineDoNotRetry,
	"generic_decline":                       wallet.DeclineSoft,
	"incorrect_address":                     wallet.DeclineHard,
	"incorrect_cvc":                         wallet.DeclineHard,
	"incorrect_number":                      wallet.DeclineHard,
	"incorrect_pin":                         wallet.DeclineHard,
	"incorrect_zip":                         wallet.DeclineHard,
	"insufficient_funds":                    wallet.DeclineSoft,
	"invalid_account":                       wallet.DeclineHard,
	"invalid_amount":                        wallet.DeclineSoft,
	"invalid_cvc":                           wallet.DeclineHard,
	"invalid_expiry_month":                  wallet.DeclineHard,
	"invalid_expiry_year":                   wallet.DeclineHard,
	"invalid_number":                        wallet.DeclineHard,
	"invalid_pin":                           wallet.DeclineHard,
	"issuer_not_available":                  wallet.DeclineSoft,
	"lost_card":                             wallet.DeclineDoNotRetry,
	"merchant_blacklist":                    wallet.DeclineDoNotRetry,
	"mobile_device_authentication_required": wallet.DeclineAuthenticate,
	"new_account_information_available":     wallet.DeclineHard,
	"no_action_taken":                       wallet.DeclineSoft,
	"not_permitted":                         wallet.DeclineHard,
	"offline_pin_required":                  wallet.DeclineAuthenticate,
	"online_or_offline_pin_required":        wallet.DeclineAuthenticate,
	"pickup_card":                           wallet.DeclineDoNotRetry,
	"pin_try_exceeded":                      wallet.DeclineDoNotRetry,
	"processing_error":                      wallet.DeclineSoft,
	"reenter_transaction":                   wallet.DeclineSoft,
	"restricted_card":                       wallet.DeclineDoNotRetry,
	"revocation_of_all_authorizations":      wallet.DeclineDoNotRetry,
	"revocation_of_authorization":           wallet.DeclineDoNotRetry,
	"security_violation":                    wallet.DeclineDoNotRetry,
	"service_not_allowed":                   wallet.DeclineHard,
	"stolen_card":                           wallet.DeclineDoNotRetry,
	"stop_payment_order":                    wallet.DeclineDoNotRetry,
	"testmode_decline":                      wallet.DeclineHard,
	"transaction_not_allowed":               wallet.DeclineHard,
	"try_again_later":                       wallet.DeclineSoft,
	"withdrawal_count_limit_exceeded":       wallet.DeclineSoft,
}

func TestClassifyDecline(t *testing.T) {
	t.Parallel()

	t.Run("PublishedCodes", func(t *testing.T) {
		t.Parallel()

		for code, want := range publishedDeclineCodes {
			got := wallet.ClassifyDecline(wallet.Failure{Code: "card_declined", DeclineCode: code})
			require.Equal(t, want, got, code)
			require.Equal(t, want == wallet.DeclineSoft, got.MayRetry(), code)
		}
	})

	for name, tc := range map[string]struct {
		failure wallet.Failure
		want    wallet.DeclineClass
	}{
		"ErrorCodeAlone":              {wallet.Failure{Code: "expired_card"}, wallet.DeclineHard},
		"FailedChallenge":             {wallet.Failure{Code: wallet.FailureAuthentication}, wallet.DeclineAuthenticate},
		"NothingKnown":                {wallet.Failure{}, wallet.DeclineSoft},
		"CodeOfTheFuture":             {wallet.Failure{Code: "card_declined", DeclineCode: "moon_phase"}, wallet.DeclineSoft},
		"AdviceForbids":               {wallet.Failure{Code: "card_declined", DeclineCode: "insufficient_funds", AdviceCode: "do_not_try_again"}, wallet.DeclineDoNotRetry},
		"AdviceForbidsAuthentication": {wallet.Failure{DeclineCode: "authentication_required", AdviceCode: "do_not_try_again"}, wallet.DeclineDoNotRetry},
		"AdviceToWaitIsNoPardon":      {wallet.Failure{DeclineCode: "stolen_card", AdviceCode: "try_again_later"}, wallet.DeclineDoNotRetry},
		"AdviceToWaitMendsNoCard":     {wallet.Failure{DeclineCode: "expired_card", AdviceCode: "try_again_later"}, wallet.DeclineHard},
		"AdviceToWait":                {wallet.Failure{DeclineCode: "generic_decline", AdviceCode: "try_again_later"}, wallet.DeclineSoft},
		"AdviceToCheckData":           {wallet.Failure{DeclineCode: "generic_decline", AdviceCode: "confirm_card_data"}, wallet.DeclineHard},
		"NetworkForbids":              {wallet.Failure{DeclineCode: "generic_decline", NetworkAdviceCode: "03"}, wallet.DeclineDoNotRetry},
		"NetworkRevoked":              {wallet.Failure{DeclineCode: "generic_decline", AdviceCode: "try_again_later", NetworkAdviceCode: "21"}, wallet.DeclineDoNotRetry},
		"NetworkHasNewData":           {wallet.Failure{DeclineCode: "do_not_honor", NetworkAdviceCode: "01"}, wallet.DeclineHard},
		"NetworkSaysLater":            {wallet.Failure{DeclineCode: "do_not_honor", NetworkAdviceCode: "24"}, wallet.DeclineSoft},
		"NetworkCodeOfTheFuture":      {wallet.Failure{DeclineCode: "do_not_honor", NetworkAdviceCode: "99"}, wallet.DeclineSoft},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tc.want, wallet.ClassifyDecline(tc.failure))
		})
	}
}

func TestDecline(t *testing.T) {
	t.Parallel()

	t.Run("ReasonsThatWarnAThief", func(t *testing.T) {
		t.Parallel()

		for _, reason := range []string{"fraudulent", "lost_card", "merchant_blacklist", "pickup_card", "stolen_card"} {
			got := wallet.Decline(wallet.Failure{
				Code: "card_declined", DeclineCode: reason, Message: "The card was stolen.",
				NetworkAdviceCode: "03", NetworkDeclineCode: "43",
			})

			require.Equal(t, wallet.Failure{
				Code: "card_declined", DeclineCode: "generic_decline", Message: "Your card was declined.",
				Class: wallet.DeclineDoNotRetry,
			}, got, reason)
		}
	})

	t.Run("OtherReasonsStay", func(t *testing.T) {
		t.Parallel()

		given := wallet.Failure{Code: "card_declined", DeclineCode: "insufficient_funds", Message: "No funds.", NetworkDeclineCode: "51"}
		want := given
		want.Class = wallet.DeclineSoft

		require.Equal(t, want, wallet.Decline(given))
	})

	t.Run("SaysSomethingAlways", func(t *testing.T) {
		t.Parallel()

		got := wallet.Decline(wallet.Failure{})

		require.Equal(t, "card_declined", got.Code)
		require.Equal(t, "Your card was declined.", got.Message)
	})
}
