package stripeapi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// These secrets are planted in every body of the table below. None may appear in a
// result.
const (
	plantedSecret = "pi_1_secret_planted"
	plantedCard   = "4242424242424242"
	plantedPerson = "Ada Lovelace"
)

// intentJSON is a PaymentIntent that contains every kind of secret.
func intentJSON(status, more string) string {
	return fmt.Sprintf(`{"id":"pi_1","object":"payment_intent","amount":7500,"client_secret":%q,"currency":"usd",
		"customer":"cus_1","livemode":false,"status":%q,"metadata":{"payment_id":%q},
		"payment_method":{"id":"pm_1","card":{"number":%q},"billing_details":{"name":%q}},
		"shipping":{"name":%q}%s}`,
		plantedSecret, status, paymentID, plantedCard, plantedPerson, plantedPerson, more)
}

// errorJSON is an error answer that contains the same secrets, some of them in its
// message.
func errorJSON(fields string) string {
	return fmt.Sprintf(`{"error":{%s,"message":"for %s and %s by %s","doc_url":"https://example.com/%s"}}`,
		fields, plantedSecret, plantedCard, plantedPerson, plantedSecret)
}

// messageJSON is an error answer with a message for the cardholder.
func messageJSON(fields, message string) string {
	return fmt.Sprintf(`{"error":{%s,"message":%q,"payment_method":{"card":{"number":%q}}}}`, fields, message, plantedCard)
}

func lastError(fields string) string {
	return fmt.Sprintf(`,"latest_charge":"ch_1","last_payment_error":{%s,"payment_method":{"card":{"number":%q}}}`, fields, plantedCard)
}

var succeeded = intentJSON("succeeded", `,"amount_received":7500,"latest_charge":"ch_1"`)

const (
	challengePage = "https://hooks.stripe.com/3d_secure_2/hosted?payment_intent=pi_1"
	genericReason = "Your card was declined."
	noFunds       = "Your card has insufficient funds."
)

// The outcomes that several rows share. The test adds the request's id.
func unknown(reason string) wallet.Outcome {
	return wallet.Outcome{Kind: wallet.OutcomeUnknown, Reason: reason}
}

func unavailable(reason string) wallet.Outcome {
	return wallet.Outcome{Kind: wallet.OutcomeUnavailable, Reason: reason}
}

func refused(reason string) wallet.Outcome {
	return wallet.Outcome{
		Kind: wallet.OutcomeRejected, Reason: reason,
		Failure: wallet.Failure{Code: wallet.FailureInternal, Message: "The payment could not be made."},
	}
}

func missing(reason string) wallet.Outcome {
	return wallet.Outcome{
		Kind: wallet.OutcomeRejected, Reason: reason,
		Failure: wallet.Failure{Code: wallet.FailurePaymentMethodMissing, Message: "The payment method no longer exists."},
	}
}

func of(kind wallet.OutcomeKind, o wallet.Outcome) wallet.Outcome {
	o.Kind, o.IntentID, o.PaymentID = kind, "pi_1", paymentID
	return o
}

func failedWith(f wallet.Failure) wallet.Outcome {
	return wallet.Outcome{Kind: wallet.OutcomeDeclined, Failure: f}
}

var paid = of(wallet.OutcomeSucceeded, wallet.Outcome{ChargeID: "ch_1", AmountReceived: 75_00, Currency: wallet.USD})

// sorted lists every kind of answer to a charge, and every kind of failure to get
// one.
var sorted = []struct {
	name   string
	status int
	body   string
	want   wallet.Outcome
}{
	// Answers with an intent, by its status.
	{"Succeeded", 200, succeeded, paid},
	{
		"SucceededWithChargeExpanded", 200,
		intentJSON("succeeded", `,"amount_received":7500,"latest_charge":{"id":"ch_1","object":"charge"}`), paid,
	},
	{
		"SucceededInPart", 200, intentJSON("succeeded", `,"amount_received":5000,"latest_charge":"ch_1"`),
		of(wallet.OutcomeSucceeded, wallet.Outcome{ChargeID: "ch_1", AmountReceived: 50_00, Currency: wallet.USD}),
	},
	{
		"SucceededWithoutAmount", 200, intentJSON("succeeded", `,"amount_received":0`),
		of(wallet.OutcomeUnknown, wallet.Outcome{Reason: "succeeded without an amount"}),
	},
	{"Processing", 200, intentJSON("processing", ``), of(wallet.OutcomeProcessing, wallet.Outcome{})},
	{
		"RequiresConfirmation", 200, intentJSON("requires_confirmation", ``),
		of(wallet.OutcomeProcessing, wallet.Outcome{Reason: "requires_confirmation"}),
	},
	{
		"RequiresCapture", 200, intentJSON("requires_capture", `,"latest_charge":"ch_1"`),
		of(wallet.OutcomeProcessing, wallet.Outcome{ChargeID: "ch_1", Reason: "requires_capture"}),
	},
	{
		"RequiresPaymentMethodAtFirst", 200, intentJSON("requires_payment_method", `,"last_payment_error":null`),
		of(wallet.OutcomeProcessing, wallet.Outcome{Reason: "requires_payment_method"}),
	},
	{
		"RequiresActionWithPage", 200,
		intentJSON("requires_action", `,"next_action":{"type":"redirect_to_url","redirect_to_url":{"url":"`+challengePage+`"}}`),
		of(wallet.OutcomeRequiresAction, wallet.Outcome{RedirectURL: challengePage}),
	},
	{"RequiresActionOfScript", 200, intentJSON("requires_action", `,"next_action":{"type":"use_stripe_sdk","use_stripe_sdk":{}}`), unsupported},
	{"RequiresActionOfOtherKind", 200, intentJSON("requires_action", `,"next_action":{"type":"verify_with_microdeposits"}`), unsupported},
	{"RequiresActionWithoutAction", 200, intentJSON("requires_action", `,"next_action":null`), unsupported},
	{"RequiresActionWithoutPage", 200, intentJSON("requires_action", `,"next_action":{"type":"redirect_to_url"}`), unsupported},
	{
		"RequiresActionWithScriptAsPage", 200,
		intentJSON("requires_action", `,"next_action":{"type":"redirect_to_url","redirect_to_url":{"url":"javascript:alert(1)"}}`), unsupported,
	},
	{
		"RequiresPaymentMethodAfterDecline", 200,
		intentJSON("requires_payment_method", lastError(`"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"`+noFunds+`"`)),
		of(wallet.OutcomeDeclined, wallet.Outcome{ChargeID: "ch_1", Failure: wallet.Failure{
			Code: "card_declined", DeclineCode: "insufficient_funds", Message: noFunds, Class: wallet.DeclineSoft,
		}}),
	},
	{
		"RequiresPaymentMethodAfterFailedChallenge", 200,
		intentJSON("requires_payment_method", `,"last_payment_error":{"type":"invalid_request_error","code":"payment_intent_authentication_failure","message":"for developers `+plantedSecret+`"}`),
		of(wallet.OutcomeDeclined, wallet.Outcome{Failure: wallet.Failure{
			Code:    wallet.FailureAuthentication,
			Message: "The payment could not be authenticated. Please try again or use another card.",
			Class:   wallet.DeclineAuthenticate,
		}}),
	},
	{
		"RequiresPaymentMethodAfterErrorOfStripe", 200,
		intentJSON("requires_payment_method", `,"last_payment_error":{"type":"api_error","code":"`+`","message":"for developers `+plantedSecret+`"}`),
		of(wallet.OutcomeDeclined, wallet.Outcome{Failure: wallet.Failure{
			Code: "card_declined", Message: genericReason, Class: wallet.DeclineSoft,
		}}),
	},
	{
		"Canceled", 200, intentJSON("canceled", `,"cancellation_reason":"abandoned"`),
		of(wallet.OutcomeCanceled, wallet.Outcome{Failure: wallet.Failure{Code: wallet.FailureCanceled, Message: "The payment was canceled."}}),
	},
	{
		"CanceledAfterDecline", 200, intentJSON("canceled", lastError(`"type":"card_error","code":"expired_card","message":"Your card has expired."`)),
		of(wallet.OutcomeCanceled, wallet.Outcome{ChargeID: "ch_1", Failure: wallet.Failure{
			Code: "expired_card", Message: "Your card has expired.", Class: wallet.DeclineHard,
		}}),
	},
	{
		"StatusOfTheFuture", 200, intentJSON("requires_patience", ``),
		of(wallet.OutcomeUnknown, wallet.Outcome{Reason: "status requires_patience"}),
	},
	{
		"IntentOfOthers", 200, strings.Replace(succeeded, paymentID.String(), "order 66", 1),
		wallet.Outcome{Kind: wallet.OutcomeSucceeded, IntentID: "pi_1", ChargeID: "ch_1", AmountReceived: 75_00, Currency: wallet.USD},
	},

	// Answers of status 200 without a usable intent.
	{"Empty", 200, ``, unknown("unreadable answer, status 200, req_1")},
	{"EmptyObject", 200, `{}`, unknown("answer without an intent")},
	{"Null", 200, `null`, unknown("answer without an intent")},
	{"CutOff", 200, succeeded[:len(succeeded)/2], unknown("unreadable answer, status 200, req_1")},
	{"HTML", 200, `<html>` + plantedSecret, unknown("unreadable answer, status 200, req_1")},
	{"List", 200, `[` + succeeded + `]`, unknown("unreadable answer, status 200, req_1")},
	{"WrongTypes", 200, `{"id":1,"status":"succeeded","client_secret":"` + plantedSecret + `"}`, unknown("unreadable answer, status 200, req_1")},
	{"IDThatIsNone", 200, strings.Replace(succeeded, `"pi_1"`, `"pi 1/`+plantedSecret+`"`, 1), unknown("answer without an intent")},
	{"SecretForID", 200, strings.Replace(succeeded, `"pi_1"`, `"`+plantedSecret+`"`, 1), unknown("answer without an intent")},
	{"Accepted", 202, succeeded, unknown("unreadable answer, status 202, req_1")},

	// 400: an error of ours, or an object in the wrong state.
	{"ParameterMissing", 400, errorJSON(`"type":"invalid_request_error","code":"parameter_missing","param":"amount"`), refused("invalid_request_error, parameter_missing, param amount, status 400, req_1")},
	{"ParameterUnknown", 400, errorJSON(`"type":"invalid_request_error","code":"parameter_unknown","param":"x"`), refused("invalid_request_error, parameter_unknown, param x, status 400, req_1")},
	{"ParameterInvalidInteger", 400, errorJSON(`"type":"invalid_request_error","code":"parameter_invalid_integer","param":"amount"`), refused("invalid_request_error, parameter_invalid_integer, param amount, status 400, req_1")},
	{"AmountTooSmall", 400, errorJSON(`"type":"invalid_request_error","code":"amount_too_small","param":"amount"`), refused("invalid_request_error, amount_too_small, param amount, status 400, req_1")},
	{"CustomerMissing", 400, errorJSON(`"type":"invalid_request_error","code":"resource_missing","param":"customer"`), refused("invalid_request_error, resource_missing, param customer, status 400, req_1")},
	{"PaymentMethodMissing", 400, errorJSON(`"type":"invalid_request_error","code":"resource_missing","param":"payment_method"`), missing("invalid_request_error, resource_missing, param payment_method, status 400, req_1")},
	{"PaymentMethodInWrongState", 400, errorJSON(`"type":"invalid_request_error","code":"payment_method_unexpected_state"`), missing("invalid_request_error, payment_method_unexpected_state, status 400, req_1")},
	{
		"UnexpectedStateOfSucceeded", 400,
		`{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state","payment_intent":` + succeeded + `}}`, paid,
	},
	{
		"UnexpectedStateOfCanceled", 400,
		`{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state","payment_intent":` + intentJSON("canceled", ``) + `}}`,
		of(wallet.OutcomeCanceled, wallet.Outcome{Failure: wallet.Failure{Code: wallet.FailureCanceled, Message: "The payment was canceled."}}),
	},
	{"UnexpectedStateOfNothing", 400, errorJSON(`"type":"invalid_request_error","code":"payment_intent_unexpected_state"`), refused("invalid_request_error, payment_intent_unexpected_state, status 400, req_1")},
	{"OtherParameters", 400, errorJSON(`"type":"idempotency_error"`), unknown("idempotency_error, status 400, req_1")},
	{"BadRequestOfNoType", 400, errorJSON(`"code":"` + plantedSecret + `"`), unknown("status 400, req_1")},

	// 401, 403, 404, 409, 424, 429.
	{"BadKey", 401, errorJSON(`"type":"invalid_request_error"`), unavailable("invalid_request_error, status 401, req_1")},
	{"NoPermission", 403, errorJSON(`"type":"invalid_request_error"`), unavailable("invalid_request_error, status 403, req_1")},
	{"NotFound", 404, errorJSON(`"type":"invalid_request_error","code":"resource_missing","param":"intent"`), refused("invalid_request_error, resource_missing, param intent, status 404, req_1")},
	{"NotFoundByAnotherServer", 404, `{"error":{"message":"no route"}}`, unknown("status 404, req_1")},
	{"KeyInUse", 409, errorJSON(`"type":"invalid_request_error","code":"idempotency_key_in_use"`), unknown("invalid_request_error, idempotency_key_in_use, status 409, req_1")},
	{"KeyInUseByOtherType", 409, errorJSON(`"type":"idempotency_error","code":"idempotency_key_in_use"`), unknown("idempotency_error, idempotency_key_in_use, status 409, req_1")},
	{"KeyInUseByOtherStatus", 400, errorJSON(`"type":"invalid_request_error","code":"idempotency_key_in_use"`), unknown("invalid_request_error, idempotency_key_in_use, status 400, req_1")},
	{"Conflict", 409, errorJSON(`"type":"invalid_request_error"`), unknown("invalid_request_error, status 409, req_1")},
	{"DependencyFailed", 424, errorJSON(`"type":"invalid_request_error"`), unknown("invalid_request_error, status 424, req_1")},
	{"RateLimit", 429, errorJSON(`"type":"invalid_request_error","code":"rate_limit"`), unavailable("invalid_request_error, rate_limit, status 429, req_1")},
	{"LockTimeout", 429, errorJSON(`"type":"invalid_request_error","code":"lock_timeout"`), unavailable("invalid_request_error, lock_timeout, status 429, req_1")},

	// 402: declines.
	{
		"Declined", 402,
		`{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"` + noFunds + `","charge":"ch_2",
			"advice_code":"try_again_later","network_advice_code":"24","network_decline_code":"51",
			"payment_intent":` + intentJSON("requires_payment_method", `,"latest_charge":"ch_2"`) + `}}`,
		of(wallet.OutcomeDeclined, wallet.Outcome{ChargeID: "ch_2", Failure: wallet.Failure{
			Code: "card_declined", DeclineCode: "insufficient_funds", Message: noFunds, Class: wallet.DeclineSoft,
			AdviceCode: "try_again_later", NetworkAdviceCode: "24", NetworkDeclineCode: "51",
		}}),
	},
	{"DeclinedBeforeAnIntent", 402, messageJSON(`"type":"card_error","code":"card_declined","decline_code":"generic_decline"`, genericReason), failedWith(wallet.Failure{
		Code: "card_declined", DeclineCode: "generic_decline", Message: genericReason, Class: wallet.DeclineSoft,
	})},
	{"DeclinedExpired", 402, messageJSON(`"type":"card_error","code":"expired_card"`, "Your card has expired."), failedWith(wallet.Failure{
		Code: "expired_card", Message: "Your card has expired.", Class: wallet.DeclineHard,
	})},
	{"DeclinedCVC", 402, messageJSON(`"type":"card_error","code":"incorrect_cvc"`, "Your card's security code is incorrect."), failedWith(wallet.Failure{
		Code: "incorrect_cvc", Message: "Your card's security code is incorrect.", Class: wallet.DeclineHard,
	})},
	{"DeclinedProcessingError", 402, messageJSON(`"type":"card_error","code":"processing_error"`, "Try again in a little bit."), failedWith(wallet.Failure{
		Code: "processing_error", Message: "Try again in a little bit.", Class: wallet.DeclineSoft,
	})},
	{
		"DeclinedOffSession", 402,
		`{"error":{"type":"card_error","code":"authentication_required","decline_code":"authentication_required","message":"Your card was declined. This transaction requires authentication.",
			"charge":"ch_2","payment_intent":` + intentJSON("requires_payment_method", ``) + `}}`,
		of(wallet.OutcomeDeclined, wallet.Outcome{ChargeID: "ch_2", Failure: wallet.Failure{
			Code: "authentication_required", DeclineCode: "authentication_required",
			Message: "Your card was declined. This transaction requires authentication.", Class: wallet.DeclineAuthenticate,
		}}),
	},
	{"DeclinedStolen", 402, concealedJSON("stolen_card"), concealed},
	{"DeclinedLost", 402, concealedJSON("lost_card"), concealed},
	{"DeclinedPickup", 402, concealedJSON("pickup_card"), concealed},
	{"DeclinedFraudulent", 402, concealedJSON("fraudulent"), concealed},
	{"DeclinedBlacklisted", 402, concealedJSON("merchant_blacklist"), concealed},
	{"DeclinedWithSecretInMessage", 402, errorJSON(`"type":"card_error","code":"card_declined"`), failedWith(wallet.Failure{
		Code: "card_declined", Message: genericReason, Class: wallet.DeclineSoft,
	})},
	{"DeclinedWithSecretAsCode", 402, errorJSON(`"type":"card_error","code":"` + plantedSecret + `","decline_code":"` + plantedPerson + `"`), failedWith(wallet.Failure{
		Code: "card_declined", Message: genericReason, Class: wallet.DeclineSoft,
	})},
	{"DeclinedWithoutCard", 402, errorJSON(`"type":"invalid_request_error","code":"payment_intent_authentication_failure"`), failedWith(wallet.Failure{
		Code: wallet.FailureAuthentication, Class: wallet.DeclineAuthenticate,
		Message: "The payment could not be authenticated. Please try again or use another card.",
	})},
	{"DeclinedButPaid", 402, `{"error":{"type":"card_error","code":"card_declined","payment_intent":` + succeeded + `}}`, paid},

	// 500 and up, JSON or not.
	{"InternalError", 500, errorJSON(`"type":"api_error"`), unknown("api_error, status 500, req_1")},
	{"BadGateway", 502, errorJSON(`"type":"api_error"`), unknown("api_error, status 502, req_1")},
	{"BadGatewayHTML", 502, `<html>` + plantedSecret, unknown("unreadable answer, status 502, req_1")},
	{"ServiceUnavailable", 503, errorJSON(`"type":"api_error"`), unknown("api_error, status 503, req_1")},
	{"ServiceUnavailableEmpty", 503, ``, unknown("unreadable answer, status 503, req_1")},
	{"GatewayTimeout", 504, errorJSON(`"type":"api_error"`), unknown("api_error, status 504, req_1")},
	{"GatewayTimeoutHTML", 504, `<html>` + plantedSecret, unknown("unreadable answer, status 504, req_1")},
	{"ErrorAsText", 500, `{"error":"` + plantedSecret + `"}`, unknown("unreadable answer, status 500, req_1")},
	{"ErrorAsNull", 500, `{"error":null,"secret":"` + plantedSecret + `"}`, unknown("unreadable answer, status 500, req_1")},
	{"ForbiddenHTML", 403, `<html>` + plantedSecret, unknown("unreadable answer, status 403, req_1")},
	{"TooManyRequestsHTML", 429, `<html>` + plantedSecret, unknown("unreadable answer, status 429, req_1")},
}

var unsupported = of(wallet.OutcomeDeclined, wallet.Outcome{Failure: wallet.Failure{
	Code: wallet.FailureActionUnsupported, Message: "The card asks for an action that is not supported.", Class: wallet.DeclineHard,
}})

// concealed is the outcome of a decline whose reason would warn a thief.
var concealed = failedWith(wallet.Failure{
	Code: "card_declined", DeclineCode: "generic_decline", Message: genericReason, Class: wallet.DeclineDoNotRetry,
	AdviceCode: "do_not_try_again",
})

func concealedJSON(declineCode string) string {
	return messageJSON(`"type":"card_error","code":"card_declined","decline_code":"`+declineCode+
		`","advice_code":"do_not_try_again","network_advice_code":"03","network_decline_code":"43"`, "The card is reported "+declineCode)
}

func TestSorting(t *testing.T) {
	t.Parallel()

	for _, tc := range sorted {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()

			w := newWire(t, answer(tc.status, tc.body))

			got := w.client(t).Charge(t.Context(), chargeRequest())

			tc.want.RequestID = "req_1"
			require.Equal(t, tc.want, got)
			requireNoSecrets(t, fmt.Sprintf("%+v", got))
			require.Len(t, w.requests(), 1, "the package repeats nothing")
		})
	}
}

// A failed read or cancellation of an intent says nothing about the payment. If it
// were rejected, the payment would fail.
func TestSortingOfReads(t *testing.T) {
	t.Parallel()

	for _, tc := range sorted {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()

			c := newWire(t, answer(tc.status, tc.body)).client(t)
			want := tc.want
			want.RequestID = "req_1"
			if want.Kind == wallet.OutcomeRejected || want.Kind == wallet.OutcomeDeclined && want.IntentID == "" {
				want.Kind, want.Failure = wallet.OutcomeUnknown, wallet.Failure{}
			}
			if strings.Contains(want.Reason, "resource_missing") {
				want.Kind = wallet.OutcomeMissing
			}

			for name, got := range map[string]wallet.Outcome{
				"Retrieve": c.Retrieve(t.Context(), "pi_1"),
				"Cancel":   c.Cancel(t.Context(), "pi_1", CancelAbandoned),
			} {
				if tc.want.Kind == wallet.OutcomeDeclined {
					want.Reason = got.Reason
				}
				require.Equal(t, want, got, name)
				requireNoSecrets(t, fmt.Sprintf("%+v", got))
			}
		})
	}
}

func TestSortingOfBrokenConnections(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"ClosedBeforeTheAnswer": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"connection closed",
		},
		"ClosedWithinTheAnswer": {
			func(res http.ResponseWriter, _ *http.Request) {
				res.Header().Set("Content-Length", "10000")
				_, _ = res.Write([]byte(succeeded))
				_ = http.NewResponseController(res).Flush()
				panic(http.ErrAbortHandler)
			},
			"connection closed, status 200",
		},
		"Endless": {
			func(res http.ResponseWriter, _ *http.Request) {
				for chunk := make([]byte, 1<<20); ; {
					if _, err := res.Write(chunk); err != nil {
						return
					}
				}
			},
			"answer too large, status 200",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := newWire(t, tc.answer).client(t).Charge(t.Context(), chargeRequest())

			require.Equal(t, unknown(tc.want), got)
		})
	}

	t.Run("Refused", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(200, succeeded))
		c := w.client(t)
		w.Close()

		require.Equal(t, unknown("connection refused"), c.Charge(t.Context(), chargeRequest()))
	})

	t.Run("CertificateNotTrusted", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(200, succeeded))
		w.Close()
		secure := newTLSWire(t)
		c := w.client(t, func(cfg *Config) { cfg.URL = secure })

		require.Equal(t, unknown("certificate not trusted"), c.Charge(t.Context(), chargeRequest()))
	})
}

// brokenWire fails every request with err.
type brokenWire struct{ err error }

func (b brokenWire) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

func TestTransportErrors(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"NoSuchName": {&net.DNSError{Err: "no such host", Name: plantedSecret}, "name not resolved"},
		"Reset":      {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "connection reset"},
		"BrokenPipe": {&net.OpError{Op: "write", Err: syscall.EPIPE}, "connection reset"},
		"Timeout":    {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "timeout"},
		"Anything":   {errors.New(plantedSecret), "transport error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, err := New(Config{Mode: wallet.ModeTest, SecretKey: "sk_test_key", HTTPClient: &http.Client{Transport: brokenWire{tc.err}}})
			require.NoError(t, err)

			require.Equal(t, unknown(tc.want), c.Charge(t.Context(), chargeRequest()))
		})
	}
}

func TestShowable(t *testing.T) {
	t.Parallel()

	for message, want := range map[string]string{
		"Your card has insufficient funds.":       "Your card has insufficient funds.",
		"Your card's limit of 12345678 is passed": "Your card's limit of 12345678 is passed",
		"Ungültige Karte.":                        "Ungültige Karte.",
		"Card 4242424242424242 was declined.":     "",
		"Card\nwas declined.":                     "",
		"Card was declined, see pi_1_secret_2":    "",
		"Invalid key sk_test_1":                   "",
		"Invalid key rk_test_1":                   "",
		strings.Repeat("No. ", 100):               "",
	} {
		require.Equal(t, want, safeMessage(message))
	}
}

func requireNoSecrets(t *testing.T, said string) {
	t.Helper()
	for _, planted := range []string{plantedSecret, plantedCard, plantedPerson} {
		require.NotContains(t, said, planted)
	}
}
