package client_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/client"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestFund(t *testing.T) {
	t.Parallel()

	t.Run("Completed", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.client(t)
		card := b.card("pm_card_visa")

		p, err := c.Fund(t.Context(), client.FundRequest{PaymentMethodID: card, Amount: client.Cents(2500)})

		require.NoError(t, err)
		require.Equal(t, client.StatusCompleted, p.Status)
		require.Equal(t, client.Amount("25.00"), p.Balance)
		w, err := c.Wallet(t.Context())
		require.NoError(t, err)
		require.Equal(t, client.Amount("25.00"), w.Balance)
		now, err := c.Payment(t.Context(), p.ID)
		require.NoError(t, err)
		require.Equal(t, client.Amount("25.00"), now.Amount)
		require.Equal(t, card, now.PaymentMethodID)
		require.WithinDuration(t, time.Now(), now.CreatedAt, time.Minute)
		methods, err := c.PaymentMethods(t.Context())
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(methods, func(m client.PaymentMethod) bool { return m.ID == card && m.Last4 == "4242" }))
	})

	t.Run("DeclineIsAnErrorWithItsReason", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p, err := b.client(t).Fund(t.Context(), client.FundRequest{
			PaymentMethodID: b.card("pm_card_chargeCustomerFail"), Amount: "25.00",
		})

		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Declined())
		require.Equal(t, "card_declined", e.Code)
		require.Equal(t, "generic_decline", e.DeclineCode)
		require.NotEmpty(t, e.PaymentID)
		require.NotEmpty(t, e.RequestID)
		require.Empty(t, p.ID)
	})

	t.Run("InvalidRequestListsItsIssues", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		_, err := b.client(t).Fund(t.Context(), client.FundRequest{PaymentMethodID: "pm_none", Amount: "1.00"})

		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, []client.Issue{{Path: []string{"amount"}, Message: "Amount must be at least 10.00"}}, e.Issues)
		require.True(t, client.HasCode(err, client.CodeBodySchemaInvalid))
		require.ErrorContains(t, err, "Amount must be at least 10.00")
	})

	t.Run("ChallengeIsWaitedForByAwait", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.client(t)
		p, err := c.Fund(t.Context(), client.FundRequest{PaymentMethodID: b.card("pm_card_authenticationRequired"), Amount: "25.00"})
		require.NoError(t, err)
		require.Equal(t, client.StatusRequiresAction, p.Status)
		require.NotEmpty(t, p.RedirectURL)
		id, err := wallet.ParseID(wallet.PrefixPayment, wallet.ModeTest, p.ID)
		require.NoError(t, err)

		b.Sim.Challenge(b.Payment(id).StripePaymentIntentID, true)
		p, err = c.Await(t.Context(), p.ID)

		require.NoError(t, err)
		require.Equal(t, client.StatusCompleted, p.Status)
		require.Equal(t, client.Amount("25.00"), p.Balance)
	})

	t.Run("ChallengeThatFailsIsAnError", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.client(t)
		p, err := c.Fund(t.Context(), client.FundRequest{PaymentMethodID: b.card("pm_card_authenticationRequired"), Amount: "25.00"})
		require.NoError(t, err)
		id, err := wallet.ParseID(wallet.PrefixPayment, wallet.ModeTest, p.ID)
		require.NoError(t, err)

		b.Sim.Challenge(b.Payment(id).StripePaymentIntentID, false)
		p, err = c.Await(t.Context(), p.ID)

		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.True(t, e.Declined())
		require.Equal(t, p.ID, e.PaymentID)
		require.Equal(t, client.StatusFailed, p.Status)
	})

	t.Run("PollsAfterAnAnswerWithoutOutcome", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.client(t, func(cfg *client.Config) { cfg.Wait = -1 })

		p, err := c.Fund(t.Context(), client.FundRequest{PaymentMethodID: b.card("pm_card_visa"), Amount: "25.00"})

		require.NoError(t, err)
		require.Equal(t, client.StatusCompleted, p.Status)
		require.Equal(t, client.Amount("25.00"), p.Balance)
		require.Equal(t, client.Amount("25.00"), p.Amount, "it was asked for again")
	})
}

// TestFundOnce tests that each call makes one payment, even if answers are lost.
func TestFundOnce(t *testing.T) {
	t.Parallel()

	stored := func(t *testing.T, b *bundle) []wallet.Payment {
		t.Helper()

		list, err := postgres.ListPayments(t.Context(), b.Pool, b.Merchant.Wallet.ID, wallet.ID{}, 100)
		require.NoError(t, err)
		return list
	}

	t.Run("LostAnswers", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		network := &lossy{method: http.MethodPost, left: 3}

		p, err := b.client(t, through(network)).Fund(t.Context(), client.FundRequest{
			PaymentMethodID: b.card("pm_card_visa"), Amount: "25.00",
		})

		require.NoError(t, err)
		require.Equal(t, client.StatusCompleted, p.Status)
		keys := network.sent()
		require.Len(t, keys, 4)
		require.Len(t, slices.Compact(keys), 1)
		require.NotEmpty(t, keys[0])
		require.Len(t, stored(t, b), 1)
		b.AwaitBalance(2500)
	})

	t.Run("LostAnswersLeaveAPendingErrorWithTheKey", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		r := client.FundRequest{PaymentMethodID: b.card("pm_card_visa"), Amount: "25.00"}
		network := &lossy{method: http.MethodPost, left: 1000}

		_, err := b.client(t, through(network), func(cfg *client.Config) { cfg.MaxAttempts = 2 }).Fund(t.Context(), r)

		var pending *client.PendingError
		require.ErrorAs(t, err, &pending)
		require.Len(t, network.sent(), 2)
		r.IdempotencyKey = pending.IdempotencyKey
		p, err := b.client(t).Fund(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, client.StatusCompleted, p.Status)
		require.Len(t, stored(t, b), 1)
	})

	t.Run("CallersKey", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.client(t)
		r := client.FundRequest{PaymentMethodID: b.card("pm_card_visa"), Amount: "25.00", IdempotencyKey: "order-1"}
		first, err := c.Fund(t.Context(), r)
		require.NoError(t, err)
		again, err := c.Fund(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, first, again)
		require.Len(t, stored(t, b), 1)

		r.Amount = "26.00"
		_, err = c.Fund(t.Context(), r)
		require.True(t, client.HasCode(err, client.CodeIdempotencyKeyReused), "%v", err)
	})

	t.Run("WithoutAKeyTwoCallsAreTwoPayments", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		c := b.client(t)
		r := client.FundRequest{PaymentMethodID: b.card("pm_card_visa"), Amount: "25.00"}
		for range 2 {
			_, err := c.Fund(t.Context(), r)
			require.NoError(t, err)
		}
		require.Len(t, stored(t, b), 2)
	})
}

func TestPayments(t *testing.T) {
	t.Parallel()

	b := setup(t)
	c := b.client(t)
	card := b.card("pm_card_visa")
	var ids []string
	for range 3 {
		p, err := c.Fund(t.Context(), client.FundRequest{PaymentMethodID: card, Amount: "25.00"})
		require.NoError(t, err)
		ids = append([]string{p.ID}, ids...)
	}

	page, err := c.Payments(t.Context(), client.Page{Limit: 2})
	require.NoError(t, err)
	require.Len(t, page.Data, 2)
	require.True(t, page.HasMore)
	page, err = c.Payments(t.Context(), client.Page{Limit: 2, Cursor: page.NextCursor})
	require.NoError(t, err)
	require.Equal(t, ids[2], page.Data[0].ID)
	require.False(t, page.HasMore)
	require.Empty(t, page.NextCursor)

	var seen []string
	for p, err := range c.AllPayments(t.Context()) {
		require.NoError(t, err)
		seen = append(seen, p.ID)
	}
	require.Equal(t, ids, seen)

	for _, err := range newClient(t, b.url, "aks_test_none").AllPayments(t.Context()) {
		require.True(t, client.HasCode(err, client.CodeUnauthorized), "%v", err)
	}
	_, err = c.Payment(t.Context(), "pay_none")
	require.True(t, client.HasCode(err, client.CodePaymentNotFound), "%v", err)
	_, err = c.Await(t.Context(), "pay_none")
	require.True(t, client.HasCode(err, client.CodePaymentNotFound), "%v", err)
}

func TestRefund(t *testing.T) {
	t.Parallel()

	b := setup(t)
	network := &lossy{method: http.MethodPost, left: 0}
	c := b.client(t, through(network))
	p, err := c.Fund(t.Context(), client.FundRequest{PaymentMethodID: b.card("pm_card_visa"), Amount: "25.00"})
	require.NoError(t, err)
	network.mu.Lock()
	network.left = 2
	network.mu.Unlock()

	r, err := c.Refund(t.Context(), p.ID, client.RefundRequest{Amount: "10.00", Reason: client.ReasonDuplicate})

	require.NoError(t, err)
	require.Equal(t, client.StatusCompleted, r.Status)
	now, err := c.Payment(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, client.Amount("10.00"), now.AmountRefunded)
	require.Equal(t, []client.Refund{r}, now.Refunds, "a repeated request makes no second refund")

	_, err = c.Refund(t.Context(), p.ID, client.RefundRequest{Amount: "15.01"})
	require.True(t, client.HasCode(err, client.CodeRefundExceedsPayment), "%v", err)
	rest, err := c.Refund(t.Context(), p.ID, client.RefundRequest{})
	require.NoError(t, err)
	require.Equal(t, client.Amount("15.00"), rest.Amount)
}

func TestTopUp(t *testing.T) {
	t.Parallel()

	b := setup(t)
	network := &lossy{method: http.MethodPost, left: 2}
	c := b.client(t, through(network))
	card := b.Card("pm_card_visa")

	list, err := c.TopUp(t.Context(), client.TopUpRequest{
		WalletID: b.Merchant.Wallet.ID.String(), PaidCredits: "20.0", GrantedCredits: "5.0", Name: "Stars",
		PaymentMethod: &client.TopUpMethod{Type: "provider", ID: card.ID.String()}, Metadata: []client.Pair{{Key: "order", Value: "1"}},
	})

	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "purchased", list[0].Kind)
	require.Equal(t, "20.0", list[0].Amount)
	require.Equal(t, "granted", list[1].Kind)
	b.AwaitBalance(2500)
	now, err := c.WalletTransaction(t.Context(), list[0].ID)
	require.NoError(t, err)
	require.Equal(t, "settled", now.Status)
	require.NotNil(t, now.SettledAt)

	_, err = c.TopUp(t.Context(), client.TopUpRequest{WalletID: b.Merchant.Wallet.ID.String(), PaidCredits: "many"})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeValidation, e.Code)
	require.Equal(t, []string{"invalid_paid_credits", "invalid_amount"}, e.Details["paid_credits"])
	_, err = c.WalletTransaction(t.Context(), "none")
	require.True(t, client.HasCode(err, "wallet_transaction_not_found"), "%v", err)
}

func TestPaymentURL(t *testing.T) {
	t.Parallel()

	b := setup(t)
	c := b.client(t)
	list, err := c.TopUp(t.Context(), client.TopUpRequest{
		WalletID: b.Merchant.Wallet.ID.String(), PaidCredits: "20.0", PaymentMethod: &client.TopUpMethod{Type: "manual"},
	})
	require.NoError(t, err)
	require.Equal(t, "pending", list[0].Status)

	address, err := c.PaymentURL(t.Context(), list[0].ID)

	require.NoError(t, err)
	require.Contains(t, address, b.Sim.URL)
}

// TestContextEnds tests the errors of calls whose context ends.
func TestContextEnds(t *testing.T) {
	t.Parallel()

	const id = "pay_test_01KKP9QZ8JX4R1C6T5W3M0E7AD"
	url, requests := scripted(t,
		says(http.StatusAccepted, `{"status":"processing","payment_id":"`+id+`"}`, "Retry-After", "0"),
		says(http.StatusOK, `{"payment_id":"`+id+`","status":"processing","amount":"25.00"}`))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()

	p, err := newClient(t, url, "aks_test_x").Fund(ctx, client.FundRequest{PaymentMethodID: "pm", Amount: "25.00"})

	var pending *client.PendingError
	require.ErrorAs(t, err, &pending)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, id, pending.PaymentID)
	require.NotEmpty(t, pending.IdempotencyKey)
	require.Equal(t, id, p.ID)
	_, list := requests.all()
	require.Equal(t, "wait=1", list[0].Header.Get("Prefer"), "less than the caller has")
	require.Greater(t, len(list), 2)
	require.NotErrorAs(t, err, new(*client.Error))
}
