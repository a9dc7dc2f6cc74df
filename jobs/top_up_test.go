package jobs_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

func topUpOf(w *enginetest.World) topup.Request {
	m := w.Merchant
	return topup.Request{OrganizationID: m.Organization.ID, Mode: m.Mode, WalletID: m.Wallet.ID, Now: w.Clock.Now()}
}

// topUp asks for a top-up and gives back what it made.
func topUp(t *testing.T, w *enginetest.World, request topup.Request) []wallet.Transaction {
	t.Helper()

	p, err := postgres.PrepareTopUp(t.Context(), w.Pool, request, &wallet.ValidationError{})
	require.NoError(t, err)
	made, err := w.Engine.TopUp(t.Context(), p)
	require.NoError(t, err)
	require.True(t, made)
	list, err := postgres.GetTransactions(t.Context(), w.Pool, p.TransactionIDs())
	require.NoError(t, err)
	return list
}

func transaction(t *testing.T, w *enginetest.World, id wallet.ID) wallet.Transaction {
	t.Helper()

	got, err := postgres.GetTransaction(t.Context(), w.Pool, w.Merchant.Organization.ID, w.Merchant.Mode, id)
	require.NoError(t, err)
	return got
}

// requireAudit wants books that add up, with money in them that Stripe never saw.
func requireAudit(t *testing.T, w *enginetest.World) {
	t.Helper()

	report, err := postgres.Audit(t.Context(), w.Pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}

func TestTopUp(t *testing.T) {
	t.Parallel()

	credits := decimal.NewFromInt
	named := func(card wallet.PaymentMethod) wallet.MethodRequest {
		id := card.ID.String()
		return wallet.MethodRequest{Type: string(wallet.MethodProvider), ID: &id}
	}

	t.Run("PurchaseAloneIsChargedAndSettled", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		request := topUpOf(w)
		request.Paid, request.PaymentMethod = credits(25), named(w.Card("pm_card_visa"))

		got := topUp(t, w, request)[0]

		p := w.Await(got.Payment.ID, wallet.PaymentSucceeded)
		require.True(t, p.OffSession)
		got = transaction(t, w, got.ID)
		require.Equal(t, wallet.TransactionSettled, got.Status)
		require.EqualValues(t, 25_00, *got.RemainingAmount)
		w.RequireBooksBalance()
	})

	t.Run("WithAGrantAndAVoid", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		request := topUpOf(w)
		request.Granted = credits(5)
		topUp(t, w, request)
		request.Paid, request.Voided, request.PaymentMethod = credits(25), credits(3), named(w.Card("pm_card_visa"))

		got := topUp(t, w, request)

		require.Len(t, got, 3)
		w.Await(got[0].Payment.ID, wallet.PaymentSucceeded)
		require.EqualValues(t, 5_00+25_00+5_00-3_00, w.Balance())
		requireAudit(t, w)
	})

	t.Run("ManualChargesNobody", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		w.Card("pm_card_visa")
		request := topUpOf(w)
		request.Paid, request.PaymentMethod.Type = credits(25), string(wallet.MethodManual)

		got := topUp(t, w, request)[0]

		require.Nil(t, got.Payment)
		require.NotNil(t, got.InvoiceID)
		var n int
		require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from river_job`).Scan(&n))
		require.Zero(t, n)
		w.RequireBooksBalance()
	})

	t.Run("CardThatTheWalletStillAsksForIsGone", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_visa")
		_, err := w.Pool.Exec(t.Context(), `update wallets set payment_method_id = $2 where id = $1`, w.Merchant.Wallet.ID, card.ID)
		require.NoError(t, err)
		_, err = postgres.RemovePaymentMethod(t.Context(), w.Pool, w.Merchant.Customer.ID, card.ID, w.Clock.Now())
		require.NoError(t, err)
		request := topUpOf(w)
		request.Paid = credits(25)

		got := topUp(t, w, request)[0]

		p := w.Await(got.Payment.ID, wallet.PaymentFailed)
		require.Equal(t, wallet.FailurePaymentMethodMissing, p.Failure.Code)
		require.Equal(t, wallet.TransactionFailed, transaction(t, w, got.ID).Status)
		require.Zero(t, w.Sim.Requests()["POST "+intents], "nothing else was charged")
		w.RequireBooksBalance()
	})

	t.Run("KeyTakesOnce", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		request := topUpOf(w)
		request.Granted = credits(5)
		key := &postgres.IdempotencyRecord{Operation: "POST /api/v1/wallet_transactions", Key: "k", WaitUntil: w.Clock.Now()}
		first, err := postgres.PrepareTopUp(t.Context(), w.Pool, request, &wallet.ValidationError{})
		require.NoError(t, err)
		made, err := w.Engine.TopUp(t.Context(), first.WithKey(key))
		require.NoError(t, err)
		require.True(t, made)
		p, err := postgres.PrepareTopUp(t.Context(), w.Pool, request, &wallet.ValidationError{})
		require.NoError(t, err)

		made, err = w.Engine.TopUp(t.Context(), p.WithKey(key))

		require.NoError(t, err)
		require.False(t, made)
		require.EqualValues(t, 5_00, w.Balance())
	})
}

func TestCreateWallet(t *testing.T) {
	t.Parallel()

	ask := func(w *enginetest.World) (postgres.NewWallet, topup.Request) {
		m := w.Merchant
		opening := topUpOf(w)
		opening.WalletID = wallet.ID{}
		return postgres.NewWallet{
			Limit: wallet.DefaultWalletLimit,
			Wallet: wallet.Wallet{
				OrganizationID: m.Organization.ID, Mode: m.Mode, ExternalCustomerID: m.Customer.ExternalID,
				Currency: "EUR", RateAmount: decimal.NewFromInt(2), CreatedAt: w.Clock.Now(),
			},
		}, opening
	}

	t.Run("OpensWithCredits", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		card := w.Card("pm_card_visa").ID.String()
		n, opening := ask(w)
		opening.Paid, opening.Granted = decimal.NewFromInt(10), decimal.NewFromInt(1)
		n.PaymentMethod = wallet.MethodRequest{Type: "provider", ID: &card}

		made, ok, err := w.Engine.CreateWallet(t.Context(), n, opening, nil, &wallet.ValidationError{})

		require.NoError(t, err)
		require.True(t, ok)
		require.Zero(t, made.Balance, "as it was before its opening credits")
		list, total, err := postgres.ListTransactions(t.Context(), w.Pool, made.ID, postgres.TransactionFilter{Kind: "purchased"}, wallet.Page{})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		w.Await(list[0].Payment.ID, wallet.PaymentSucceeded)
		stored, err := postgres.GetWallet(t.Context(), w.Pool, made.ID)
		require.NoError(t, err)
		require.EqualValues(t, 22_00, stored.Balance)
		requireAudit(t, w)
	})

	t.Run("WrongCreditsMakeNoWallet", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		n, opening := ask(w)
		opening.Paid = decimal.New(1, -wallet.CreditDecimals)

		_, ok, err := w.Engine.CreateWallet(t.Context(), n, opening, nil, &wallet.ValidationError{})

		require.EqualError(t, err, "invalid: paid credits: rounds to zero")
		require.False(t, ok)
		_, total, err := postgres.ListWallets(t.Context(), w.Pool, postgres.WalletFilter{
			OrganizationID: w.Merchant.Organization.ID, Mode: w.Merchant.Mode,
		}, wallet.Page{}, w.Clock.Now())
		require.NoError(t, err)
		require.Equal(t, 1, total, "the primary one alone")
	})

	t.Run("KeyTakesOnce", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		n, opening := ask(w)
		key := &postgres.IdempotencyRecord{Operation: "POST /api/v1/wallets", Key: "k", WaitUntil: w.Clock.Now()}
		made, ok, err := w.Engine.CreateWallet(t.Context(), n, opening, key, &wallet.ValidationError{})
		require.NoError(t, err)
		require.True(t, ok)

		_, ok, err = w.Engine.CreateWallet(t.Context(), n, opening, key, &wallet.ValidationError{})

		require.NoError(t, err)
		require.False(t, ok)
		record, _, found, err := postgres.LookUpIdempotencyKey(t.Context(), w.Pool, n.Wallet.OrganizationID, n.Wallet.Mode,
			key.Operation, key.Key, w.Clock.Now())
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, []wallet.ID{made.ID}, record.ResultIDs)
	})
}

func TestKeepingJobs(t *testing.T) {
	t.Parallel()

	w := enginetest.NewWorld(t)
	request := topUpOf(w)
	request.Paid, request.PaymentMethod.Type = decimal.NewFromInt(1), string(wallet.MethodManual)
	got := topUp(t, w, request)[0]
	_, err := w.Pool.Exec(t.Context(), `update wallets set expiration_at = $2 where id = $1`, w.Merchant.Wallet.ID, w.Clock.Now())
	require.NoError(t, err)

	w.Work(jobs.NumberInvoicesArgs{})
	w.Work(jobs.ExpireWalletsArgs{})

	var number *string
	require.NoError(t, w.Pool.QueryRow(t.Context(), `select number from invoices where id = $1`, *got.InvoiceID).Scan(&number))
	require.NotNil(t, number)
	stored, err := postgres.GetWallet(t.Context(), w.Pool, w.Merchant.Wallet.ID)
	require.NoError(t, err)
	require.Equal(t, wallet.WalletTerminated, stored.Status)
	w.RequireBooksBalance()
}
