package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestConclusionOf(t *testing.T) {
	t.Parallel()

	id, card := wallet.NewID(), wallet.NewID()
	charge := wallet.Payment{ID: id, PaymentMethodID: &card, OffSession: true, Status: wallet.PaymentProcessing}
	onSession, challenged, failed, page := charge, charge, charge, charge
	onSession.OffSession = false
	challenged.Status = wallet.PaymentRequiresAction
	failed.Status = wallet.PaymentFailed
	page.PaymentMethodID = nil
	outcome := func(kind wallet.OutcomeKind) wallet.Outcome {
		return wallet.Outcome{Kind: kind, IntentID: "pi_1", PaymentID: id}
	}
	authentication := outcome(wallet.OutcomeDeclined)
	authentication.Failure.DeclineCode = "authentication_required"
	authenticationCode := outcome(wallet.OutcomeDeclined)
	authenticationCode.Failure.Code = "authentication_required"
	withoutIntent := authentication
	withoutIntent.IntentID = ""
	foreign := func(kind wallet.OutcomeKind) wallet.Outcome {
		o := outcome(kind)
		o.PaymentID = wallet.NewID()
		return o
	}
	unnamed := outcome(wallet.OutcomeSucceeded)
	unnamed.PaymentID = wallet.ID{}

	tests := map[string]struct {
		payment wallet.Payment
		outcome wallet.Outcome
		want    conclusion
	}{
		"Succeeded":      {charge, outcome(wallet.OutcomeSucceeded), concludeSettle},
		"Processing":     {charge, outcome(wallet.OutcomeProcessing), concludeSettle},
		"RequiresAction": {charge, outcome(wallet.OutcomeRequiresAction), concludeSettle},
		"Declined":       {charge, outcome(wallet.OutcomeDeclined), concludeSettle},
		"Canceled":       {charge, outcome(wallet.OutcomeCanceled), concludeSettle},
		"Unknown":        {charge, outcome(wallet.OutcomeUnknown), concludeSettle},
		"Missing":        {charge, outcome(wallet.OutcomeMissing), concludeSettle},
		"Rejected":       {charge, outcome(wallet.OutcomeRejected), concludeSettle},

		"IntentNamesNoPayment":            {charge, unnamed, concludeSettle},
		"IntentNamesAnotherPayment":       {charge, foreign(wallet.OutcomeSucceeded), concludeRefuse},
		"AnotherPaymentOnAnOpenPage":      {page, foreign(wallet.OutcomeDeclined), concludeRefuse},
		"SuccessOfAFailedPayment":         {failed, outcome(wallet.OutcomeSucceeded), concludeSettle},
		"Unavailable":                     {charge, wallet.Outcome{Kind: wallet.OutcomeUnavailable}, concludeTryLater},
		"UnavailableOnAnOpenPage":         {page, wallet.Outcome{Kind: wallet.OutcomeUnavailable}, concludeTryLater},
		"AuthenticationRequired":          {charge, authentication, concludeConfirmOnSession},
		"AuthenticationRequiredAsCode":    {charge, authenticationCode, concludeConfirmOnSession},
		"AuthenticationRequiredOnSession": {onSession, authentication, concludeSettle},
		"AuthenticationWithoutIntent":     {charge, withoutIntent, concludeSettle},
		"AuthenticationAfterAChallenge":   {challenged, authentication, concludeSettle},
		"AuthenticationAfterAFailure":     {failed, authentication, concludeSettle},
		"DeclinedOnAPage":                 {page, outcome(wallet.OutcomeDeclined), concludeLeavePageOpen},
		"AuthenticationRequiredOnAPage":   {page, authentication, concludeLeavePageOpen},
		"ChallengeOnAPage":                {page, outcome(wallet.OutcomeRequiresAction), concludeLeavePageOpen},
		"PaidOnAPage":                     {page, outcome(wallet.OutcomeSucceeded), concludeSettle},
		"PageCanceled":                    {page, outcome(wallet.OutcomeCanceled), concludeSettle},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tt.want, conclusionOf(tt.payment, tt.outcome))
		})
	}
}
