package jobs_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

const sessions = "/v1/checkout/sessions"

// purchase requests 25 credits. Without a card it is not charged.
func purchase(t *testing.T, w *enginetest.World, card *wallet.PaymentMethod) wallet.Transaction {
	t.Helper()

	request := topUpOf(w)
	request.Paid = decimal.NewFromInt(25)
	request.PaymentMethod.Type = string(wallet.MethodManual)
	if card != nil {
		id := card.ID.String()
		request.PaymentMethod = wallet.MethodRequest{Type: string(wallet.MethodProvider), ID: &id}
	}
	return topUp(t, w, request)[0]
}

func page(t *testing.T, w *enginetest.World, tx wallet.Transaction) wallet.Payment {
	t.Helper()

	p, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)
	require.NoError(t, err)
	require.Equal(t, wallet.PaymentRequiresAction, p.Status)
	require.NotEmpty(t, p.RedirectURL)
	return p
}

// paymentsOf returns all payments of a purchase, the oldest first, also those that were
// withdrawn.
func paymentsOf(t *testing.T, w *enginetest.World, tx wallet.Transaction) []wallet.Payment {
	t.Helper()

	rows, _ := w.Pool.Query(t.Context(), `select id from payments where wallet_transaction_id = $1 order by id`, tx.ID)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	require.NoError(t, err)
	list := make([]wallet.Payment, len(ids))
	for i, id := range ids {
		list[i], err = postgres.GetPayment(t.Context(), w.Pool, id)
		require.NoError(t, err)
	}
	return list
}

// pay submits a page with one of the simulator's cards, as a browser does.
func pay(t *testing.T, address, card string) {
	t.Helper()

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := strings.NewReader(url.Values{"card": {card}}.Encode())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, form)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
}

func TestChallengeOfAnAbsentCardholder(t *testing.T) {
	t.Parallel()

	t.Run("CanBePassedLater", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_authenticationRequired")
		tx := purchase(t, w, &card)

		p := w.Await(tx.Payment.ID, wallet.PaymentRequiresAction)

		require.True(t, p.OffSession)
		require.Contains(t, p.RedirectURL, p.StripePaymentIntentID)
		require.Equal(t, wallet.TransactionPending, transaction(t, w, tx.ID).Status)
		require.Equal(t, p.RedirectURL, page(t, w, tx).RedirectURL, "the challenge is the page to pay on")
		require.Equal(t, "succeeded", w.Sim.Challenge(p.StripePaymentIntentID, true))
		w.Await(p.ID, wallet.PaymentSucceeded)
		require.Equal(t, wallet.TransactionSettled, transaction(t, w, tx.ID).Status)
		require.Len(t, w.Sim.IntentsWith("payment_id", p.ID.String()), 1)
		w.RequireBooksBalance()
	})

	t.Run("FailsWithTheChallenge", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_authenticationRequired")
		tx := purchase(t, w, &card)
		p := w.Await(tx.Payment.ID, wallet.PaymentRequiresAction)

		w.Sim.Challenge(p.StripePaymentIntentID, false)

		p = w.Await(p.ID, wallet.PaymentFailed)
		require.Equal(t, wallet.FailureAuthentication, p.Failure.Code)
		require.Equal(t, wallet.TransactionFailed, transaction(t, w, tx.ID).Status)
		w.AwaitIntent(p.StripePaymentIntentID, "canceled")
		w.RequireBooksBalance()
	})

	t.Run("FailsAtItsDeadline", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_authenticationRequired")
		tx := purchase(t, w, &card)
		w.Await(tx.Payment.ID, wallet.PaymentRequiresAction)

		w.Clock.Advance(25 * time.Hour)
		w.Work(jobs.CheckPaymentArgs{PaymentID: tx.Payment.ID})

		w.Await(tx.Payment.ID, wallet.PaymentCanceled)
		require.Equal(t, wallet.TransactionFailed, transaction(t, w, tx.ID).Status)
		w.RequireBooksBalance()
	})

	for name, fault := range map[string]stripesim.Fault{
		"AnswerLostAfterTheEffect": {Kind: stripesim.FaultReset, When: stripesim.After},
		"AnswerLostBefore":         {Kind: stripesim.FaultReset, When: stripesim.Before},
		"RateLimit":                {Kind: stripesim.FaultStatus, Status: 429, Code: "rate_limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := enginetest.NewWorld(t)
			fault.Match = stripesim.Match{Method: http.MethodPost, Path: intents + "/*/confirm"}
			fault.Dice = stripesim.Dice{Count: 1}
			rule := w.Sim.Fault(fault)
			card := w.Card("pm_card_authenticationRequired")

			p := w.Await(purchase(t, w, &card).Payment.ID, wallet.PaymentRequiresAction)

			require.Equal(t, 1, w.Sim.Applied(rule), "the fault was injected")
			w.Sim.Challenge(p.StripePaymentIntentID, true)
			w.Await(p.ID, wallet.PaymentSucceeded)
			w.RequireBooksBalance()
		})
	}

	t.Run("OtherDeclinesAreFinal", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_visa_chargeDeclinedInsufficientFunds")
		w.Await(purchase(t, w, &card).Payment.ID, wallet.PaymentFailed)
		require.Zero(t, w.Sim.Requests()["POST "+intents+"/{id}/confirm"])
	})
}

func TestPaymentPage(t *testing.T) {
	t.Parallel()

	t.Run("IsPaid", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		tx := purchase(t, w, nil)
		p := page(t, w, tx)
		require.NotEmpty(t, p.StripeCheckoutSessionID)
		require.Equal(t, p.RedirectURL, page(t, w, tx).RedirectURL, "the same page until it closes")
		require.EqualValues(t, 1, w.Sim.Requests()["POST "+sessions])

		pay(t, p.RedirectURL, "pm_card_visa")

		p = w.Await(p.ID, wallet.PaymentSucceeded)
		require.NotEmpty(t, p.StripePaymentIntentID)
		require.Equal(t, wallet.TransactionSettled, transaction(t, w, tx.ID).Status)
		_, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)
		require.ErrorIs(t, err, jobs.ErrPurchaseSettled)
		w.RequireBooksBalance()
	})

	t.Run("DeclineLeavesItOpen", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		tx := purchase(t, w, nil)
		p := page(t, w, tx)

		pay(t, p.RedirectURL, "pm_card_visa_chargeDeclined")
		w.Sim.DrainAll()
		require.Equal(t, p.RedirectURL, page(t, w, tx).RedirectURL)
		pay(t, p.RedirectURL, "pm_card_visa")

		w.Await(p.ID, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	t.Run("AfterAFailedCharge", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_visa_chargeDeclined")
		tx := purchase(t, w, &card)
		failed := w.Await(tx.Payment.ID, wallet.PaymentFailed)

		p := page(t, w, tx)

		require.NotEqual(t, failed.ID, p.ID)
		require.Equal(t, "canceled", w.Sim.MustIntent(failed.StripePaymentIntentID).Status, "the intent is closed before the page is created")
		require.Equal(t, wallet.TransactionFailed, transaction(t, w, tx.ID).Status)
		pay(t, p.RedirectURL, "pm_card_visa")
		w.Await(p.ID, wallet.PaymentSucceeded)
		got := transaction(t, w, tx.ID)
		require.Equal(t, wallet.TransactionSettled, got.Status)
		require.NotNil(t, got.FailedAt)
		w.RequireBooksBalance()
	})

	t.Run("ClosesAtItsDeadline", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		tx := purchase(t, w, nil)
		p := page(t, w, tx)

		w.Clock.Advance(24 * time.Hour)
		w.Work(jobs.CheckPaymentArgs{PaymentID: p.ID})

		w.Await(p.ID, wallet.PaymentCanceled)
		require.Equal(t, wallet.TransactionFailed, transaction(t, w, tx.ID).Status)
		again := page(t, w, tx)
		require.NotEqual(t, p.RedirectURL, again.RedirectURL)
		pay(t, p.RedirectURL, "pm_card_visa") // the old page takes nothing
		require.Zero(t, w.Balance())
		pay(t, again.RedirectURL, "pm_card_visa")
		w.Work(jobs.CheckPaymentArgs{PaymentID: again.ID})
		w.Await(again.ID, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	t.Run("ClosesWhenAnotherPaymentSucceeds", func(t *testing.T) {
		t.Parallel()

		// A payment that was given up succeeds while the page is open.
		w := enginetest.NewWorld(t)
		tx := purchase(t, w, nil)
		first := page(t, w, tx)
		w.Clock.Advance(24 * time.Hour)
		w.Work(jobs.CheckPaymentArgs{PaymentID: first.ID})
		w.Await(first.ID, wallet.PaymentCanceled)
		second := page(t, w, tx)
		w.Work(jobs.CheckPaymentArgs{PaymentID: second.ID})
		w.Await(second.ID, wallet.PaymentRequiresAction)

		_, err := w.Sim.Client().PaymentIntents.New(&stripe.PaymentIntentParams{
			Amount: new(int64(25_00)), Confirm: new(true), Currency: new("usd"),
			Metadata:           map[string]string{"payment_id": first.ID.String(), "wallet_id": first.WalletID.String()},
			PaymentMethod:      new("pm_card_visa"),
			PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		})
		require.NoError(t, err)

		w.Await(first.ID, wallet.PaymentSucceeded)
		w.Await(second.ID, wallet.PaymentCanceled)
		pay(t, second.RedirectURL, "pm_card_visa")
		require.Equal(t, wallet.TransactionSettled, transaction(t, w, tx.ID).Status)
		w.RequireBooksBalance()
	})

	t.Run("MissedSuccessIsSettledFirst", func(t *testing.T) {
		t.Parallel()

		// The event of the success was lost, and the card's payment was given up.
		w := enginetest.NewWorld(t)
		drop := w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		card := w.Card("pm_card_authenticationRequired")
		tx := purchase(t, w, &card)
		charged := w.Await(tx.Payment.ID, wallet.PaymentRequiresAction)
		w.Sim.Challenge(charged.StripePaymentIntentID, true)
		testfactory.Move(t, w.Pool, charged.ID, wallet.Outcome{
			Kind: wallet.OutcomeCanceled, Failure: wallet.Failure{Code: wallet.FailureCanceled, Message: "Given up."},
		}, w.Clock.Now())
		w.Sim.RemoveFault(drop)

		_, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)

		require.ErrorIs(t, err, jobs.ErrPurchaseSettled, "closing the intent brought its success")
		w.Await(charged.ID, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	for name, fault := range map[string]stripesim.Fault{
		"MakingItWasNeverAnswered": {Kind: stripesim.FaultReset, When: stripesim.After},
		"MakingItNeverHappened":    {Kind: stripesim.FaultStatus, When: stripesim.Before, Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := enginetest.NewWorld(t)
			fault.Match, fault.Dice = stripesim.Match{Method: http.MethodPost, Path: sessions}, stripesim.Dice{Count: 1}
			w.Sim.Fault(fault)
			tx := purchase(t, w, nil)

			_, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)

			require.ErrorIs(t, err, jobs.ErrProviderUnavailable)
			withdrawn := paymentsOf(t, w, tx)[0]
			require.Equal(t, wallet.PaymentCanceled, withdrawn.Status)
			p := page(t, w, tx) // the same request again
			require.NotEqual(t, withdrawn.ID, p.ID)

			w.Work(jobs.EnqueueChecksArgs{})
			require.Eventually(t, func() bool {
				return paymentsOf(t, w, tx)[0].CloseDueAt == nil
			}, 15*time.Second, 5*time.Millisecond, "the page that the lost request may have made is closed")
			require.EqualValues(t, 1, w.Sim.Requests()["POST "+sessions+"/{id}/expire"])
			require.Equal(t, wallet.TransactionPending, transaction(t, w, tx.ID).Status)
			listed, err := postgres.ListPayments(t.Context(), w.Pool, w.Merchant.Wallet.ID, wallet.ID{}, 10)
			require.NoError(t, err)
			require.Len(t, listed, 1, "the merchant sees no payment of the request that was refused")

			pay(t, p.RedirectURL, "pm_card_visa")
			w.Await(p.ID, wallet.PaymentSucceeded)
			w.RequireBooksBalance()
		})
	}

	t.Run("TheProcessDiedBeforeThePage", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		tx := purchase(t, w, nil)
		attempt := postgres.Attempt{
			PaymentID: wallet.NewID(), OrganizationID: tx.OrganizationID, Mode: tx.Mode, TransactionID: tx.ID,
			ReturnURL: "https://fundrail.example/return", Now: w.Clock.Now(),
		}
		opened, err := postgres.OpenAttempt(t.Context(), w.Pool, attempt)
		require.NoError(t, err)
		require.True(t, opened)

		w.Work(jobs.CheckPaymentArgs{PaymentID: attempt.PaymentID})
		require.Equal(t, wallet.PaymentCreated, paymentsOf(t, w, tx)[0].Status, "its request may still be under way")
		w.Clock.Advance(postgres.FirstCheckAfter)
		w.Work(jobs.CheckPaymentArgs{PaymentID: attempt.PaymentID})

		withdrawn := w.Await(attempt.PaymentID, wallet.PaymentCanceled)
		require.Nil(t, withdrawn.CloseDueAt)
		require.Equal(t, wallet.TransactionPending, transaction(t, w, tx.ID).Status)
		p := page(t, w, tx)
		pay(t, p.RedirectURL, "pm_card_visa")
		w.Await(p.ID, wallet.PaymentSucceeded)
		w.RequireBooksBalance()
	})

	t.Run("MoneyOfAWithdrawnPageIsCredited", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		lost := w.Sim.Fault(stripesim.Fault{
			Match: stripesim.Match{Method: http.MethodPost, Path: sessions}, Kind: stripesim.FaultReset, When: stripesim.After,
		})
		w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop})
		tx := purchase(t, w, nil)
		_, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)
		require.ErrorIs(t, err, jobs.ErrProviderUnavailable)
		w.Sim.RemoveFault(lost)
		made := w.Sim.Client().CheckoutSessions.List(&stripe.CheckoutSessionListParams{})
		require.True(t, made.Next(), "the request had its effect at Stripe")

		pay(t, made.CheckoutSession().URL, "pm_card_visa")
		withdrawn := paymentsOf(t, w, tx)[0]
		w.Work(jobs.CheckPaymentArgs{PaymentID: withdrawn.ID})

		w.Await(withdrawn.ID, wallet.PaymentSucceeded)
		require.Equal(t, wallet.TransactionSettled, transaction(t, w, tx.ID).Status)
		w.RequireBooksBalance()
	})

	t.Run("StripeRefusesThePage", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		tx := purchase(t, w, nil)

		_, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID+"x")
		require.NoError(t, err, "the stored customer is used")
		request := topUpOf(w)
		request.Paid, request.PaymentMethod.Type = decimal.New(4, -2), string(wallet.MethodManual)
		small := topUp(t, w, request)[0]

		_, err = w.Engine.PaymentPage(t.Context(), small, w.Merchant.Customer.StripeCustomerID)

		var refused *jobs.PageRefusedError
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Reason, "amount_too_small")
		require.Equal(t, wallet.TransactionPending, transaction(t, w, small.ID).Status)
		require.Nil(t, paymentsOf(t, w, small)[0].CloseDueAt, "there is no page to close")
		w.RequireBooksBalance()
	})

	t.Run("DuringACharge", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Sim.Fault(stripesim.Fault{
			Match: createIntent, Kind: stripesim.FaultStatus, When: stripesim.Before, Status: 503,
		})
		card := w.Card("pm_card_visa")
		tx := purchase(t, w, &card)

		_, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)

		require.ErrorIs(t, err, jobs.ErrPaymentUnderWay)
		require.Zero(t, w.Sim.Requests()["POST "+sessions])
	})

	t.Run("ConcurrentRequests", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		tx := purchase(t, w, nil)
		pages := make(chan string, 2)
		for range 2 {
			go func() {
				p, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)
				if err != nil {
					p.RedirectURL = err.Error()
				}
				pages <- p.RedirectURL
			}()
		}
		first := <-pages
		require.Contains(t, first, "/c/pay/")
		require.Equal(t, first, <-pages)
	})

	t.Run("MissingKeyOrCustomer", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		tx := purchase(t, w, nil)
		_, err := w.Engine.PaymentPage(t.Context(), tx, "")
		require.ErrorIs(t, err, jobs.ErrNoProviderCustomer)
		tx.Mode = wallet.ModeLive
		_, err = w.Engine.PaymentPage(t.Context(), tx, "cus_1")
		require.ErrorIs(t, err, jobs.ErrNoProvider)
	})
}

// TestARequestForAPageThatIsAnsweredWithAnErrorHasNoEffect holds PaymentPage, whose
// errors are answered 503 and 422, to the rule of every write of the API.
func TestARequestForAPageThatIsAnsweredWithAnErrorHasNoEffect(t *testing.T) {
	t.Parallel()

	for name, status := range map[string]int{"Unavailable": http.StatusServiceUnavailable, "Refused": http.StatusBadRequest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := enginetest.NewWorld(t)
			w.Sim.Fault(stripesim.Fault{
				Kind: stripesim.FaultStatus, When: stripesim.Before, Status: status,
				Match: stripesim.Match{Method: http.MethodPost, Path: sessions}, Dice: stripesim.Dice{Count: 1},
			})
			tx := purchase(t, w, nil)

			_, err := w.Engine.PaymentPage(t.Context(), tx, w.Merchant.Customer.StripeCustomerID)

			require.Error(t, err)
			require.Equal(t, wallet.TransactionPending, transaction(t, w, tx.ID).Status)
			if p, found, err := postgres.NewestPayment(t.Context(), w.Pool, tx.ID); found {
				require.NoError(t, err)
				w.Work(jobs.CheckPaymentArgs{PaymentID: p.ID})
				p, _, _ = postgres.NewestPayment(t.Context(), w.Pool, tx.ID)
				t.Fatalf("the refused request has made a payment, which is %s at %q", p.Status, p.RedirectURL)
			}
		})
	}
}
