package postgres_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func createWallet(t *testing.T, pool *pgxpool.Pool, n postgres.NewWallet) (wallet.Wallet, error) {
	t.Helper()

	if n.Limit == 0 {
		n.Limit = wallet.DefaultWalletLimit
	}
	var w wallet.Wallet
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		var err error
		w, err = postgres.CreateWallet(t.Context(), tx, n, &wallet.ValidationError{})
		return err
	})
	return w, err
}

func updateWallet(t *testing.T, pool *pgxpool.Pool, w wallet.Wallet, change postgres.WalletChange) (wallet.Wallet, error) {
	t.Helper()

	var got wallet.Wallet
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		var err error
		got, err = postgres.UpdateWallet(t.Context(), tx, refTo(w), change, &wallet.ValidationError{}, now)
		return err
	})
	return got, err
}

func terminate(t *testing.T, pool *pgxpool.Pool, w wallet.Wallet, at time.Time) (wallet.Wallet, bool) {
	t.Helper()

	var (
		got     wallet.Wallet
		changed bool
	)
	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		var err error
		got, changed, err = postgres.TerminateWallet(t.Context(), tx, refTo(w), at)
		return err
	}))
	return got, changed
}

func refTo(w wallet.Wallet) postgres.WalletRef {
	return postgres.WalletRef{OrganizationID: w.OrganizationID, Mode: w.Mode, ID: w.ID}
}

// walletOf is what a client that names a customer asks for at least.
func walletOf(c postgres.Customer) postgres.NewWallet {
	return postgres.NewWallet{Wallet: wallet.Wallet{
		OrganizationID: c.OrganizationID, Mode: c.Mode, ExternalCustomerID: c.ExternalID,
		Currency: "EUR", RateAmount: dec("1"), CreatedAt: now,
	}}
}

func TestCreateWallet(t *testing.T) {
	t.Parallel()

	t.Run("KeepsWhatIsSaid", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		_, err := postgres.UpsertSection(t.Context(), pool, m.Organization.ID, m.Mode, postgres.Section{
			Code: "bank", Name: "Bank", Details: "IBAN",
		}, now)
		require.NoError(t, err)
		expiry := now.Add(time.Hour)
		low, high, card := int64(1_00), int64(9_00), m.PaymentMethod.ID.String()
		n := walletOf(m.Customer)
		n.Wallet.Name, n.Wallet.Priority, n.Wallet.PurchaseOrderNumber = "My Wallet", 3, "PO"
		n.Wallet.ExpirationAt, n.Wallet.PaidTopUpMinAmount, n.Wallet.PaidTopUpMaxAmount = &expiry, &low, &high
		n.Wallet.InvoiceRequiresSuccessfulPayment = true
		n.Wallet.AppliesTo = json.RawMessage(`{"fee_types":["charge"]}`)
		n.Wallet.RecurringTransactionRules = json.RawMessage(`[{"trigger":"interval"}]`)
		n.Wallet.Metadata = json.RawMessage(`{"a":"b"}`)
		n.PaymentMethod = wallet.MethodRequest{Type: "provider", ID: &card}
		n.SectionCodes = []string{"unknown", "bank"}

		w, err := createWallet(t, pool, n)

		require.NoError(t, err)
		require.Equal(t, "my_wallet", w.Code)
		require.Equal(t, "My Wallet", w.Name)
		require.Equal(t, 3, w.Priority)
		require.Equal(t, "PO", w.PurchaseOrderNumber)
		require.Equal(t, wallet.WalletActive, w.Status)
		require.Equal(t, "default", w.BillingEntityCode)
		require.True(t, w.Traceable)
		require.True(t, w.InvoiceRequiresSuccessfulPayment)
		require.Equal(t, expiry, w.ExpirationAt.UTC())
		require.Equal(t, []int64{low, high}, []int64{*w.PaidTopUpMinAmount, *w.PaidTopUpMaxAmount})
		require.JSONEq(t, `{"fee_types":["charge"]}`, string(w.AppliesTo))
		require.JSONEq(t, `[{"trigger":"interval"}]`, string(w.RecurringTransactionRules))
		require.JSONEq(t, `{"a":"b"}`, string(w.Metadata))
		require.Equal(t, m.PaymentMethod.ID, *w.PaymentMethod.ID)
		require.Len(t, w.Sections.List, 1)
		require.Equal(t, "IBAN", w.Sections.List[0].Details)
		require.Equal(t, m.Customer.ExternalID, w.ExternalCustomerID)
		byCode, err := postgres.FindWallet(t.Context(), pool, postgres.WalletRef{
			OrganizationID: m.Organization.ID, Mode: m.Mode, ExternalCustomerID: m.Customer.ExternalID, Code: "my_wallet",
		}, now)
		require.NoError(t, err)
		require.Equal(t, w, byCode)
	})

	t.Run("LeavesTheRestEmpty", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		w, err := createWallet(t, pool, walletOf(testfactory.Customer(t, pool, testfactory.CustomerOpts{})))

		require.NoError(t, err)
		require.Equal(t, "default", w.Code)
		require.Equal(t, 50, w.Priority)
		require.Nil(t, w.AppliesTo)
		require.Nil(t, w.RecurringTransactionRules)
		require.Nil(t, w.Metadata)
		require.Nil(t, w.Sections.List)
		require.Nil(t, w.ExpirationAt)
		require.Nil(t, w.PaidTopUpMinAmount)
		require.Equal(t, wallet.MethodChoice{Type: wallet.MethodProvider}, w.PaymentMethod)
	})

	t.Run("CodesAreUniqueAmongActiveWallets", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		customer := testfactory.Customer(t, pool, testfactory.CustomerOpts{})
		first, err := createWallet(t, pool, walletOf(customer))
		require.NoError(t, err)
		second, err := createWallet(t, pool, walletOf(customer))
		require.NoError(t, err)
		third, err := createWallet(t, pool, walletOf(customer))
		require.NoError(t, err)
		require.Equal(t, []string{"default", fmt.Sprintf("default_%d", now.Unix()), fmt.Sprintf("default_%d", now.Unix()+1)},
			[]string{first.Code, second.Code, third.Code})

		n := walletOf(customer)
		n.Wallet.Code = "default"
		_, err = createWallet(t, pool, n)
		requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldCode, Problem: wallet.ProblemTaken}})

		terminate(t, pool, first, now)
		again, err := createWallet(t, pool, n)
		require.NoError(t, err)
		ref := postgres.WalletRef{OrganizationID: customer.OrganizationID, Mode: customer.Mode, ExternalCustomerID: customer.ExternalID, Code: "default"}
		found, err := postgres.FindWallet(t.Context(), pool, ref, now)
		require.NoError(t, err)
		require.Equal(t, again.ID, found.ID, "the active one")
	})

	t.Run("EverythingWrongAtOnce", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		customer := testfactory.Customer(t, pool, testfactory.CustomerOpts{})
		n := walletOf(customer)
		n.Wallet.Currency, n.Wallet.Priority, n.Wallet.ExpirationAt = "", 51, &now
		n.PaymentMethod.Type = "cash"

		_, err := createWallet(t, pool, n)

		requireInvalid(t, err, []wallet.Finding{
			{Field: wallet.FieldCurrency, Problem: wallet.ProblemInvalid},
			{Field: wallet.FieldPriority, Problem: wallet.ProblemInvalid},
			{Field: wallet.FieldExpirationAt, Problem: wallet.ProblemInvalid},
			{Field: wallet.FieldPaymentMethod, Problem: wallet.ProblemInvalid},
		})
		n = walletOf(customer)
		n.Wallet.ExternalCustomerID, n.Wallet.Currency = "unknown", ""
		_, err = createWallet(t, pool, n)
		requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldCustomer, Problem: wallet.ProblemNotFound}})
	})

	t.Run("CurrencyFallsBackToTheCustomers", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		o := testfactory.Organization(t, pool, testfactory.OrganizationOpts{})
		yen := "JPY"
		customer, err := postgres.UpsertCustomer(t.Context(), pool, o.ID, wallet.ModeTest, "c", postgres.CustomerChange{Currency: &yen}, now)
		require.NoError(t, err)
		n := walletOf(customer)
		n.Wallet.Currency = ""

		w, err := createWallet(t, pool, n)

		require.NoError(t, err)
		require.Equal(t, wallet.Currency("JPY"), w.Currency)
	})

	t.Run("LimitHoldsForManyAtOnce", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		customer := testfactory.Customer(t, pool, testfactory.CustomerOpts{})
		soon := now.Add(time.Minute)
		expiring := walletOf(customer)
		expiring.Wallet.ExpirationAt = &soon
		_, err := createWallet(t, pool, expiring)
		require.NoError(t, err)
		n := walletOf(customer)
		n.Wallet.CreatedAt = soon // so that one does not count any more
		errs := make([]error, 12)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = createWallet(t, pool, n) })
		}
		wg.Wait()

		made := 0
		for _, err := range errs {
			if err == nil {
				made++
				continue
			}
			requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldCustomer, Problem: wallet.ProblemLimitReached}})
		}
		require.Equal(t, wallet.DefaultWalletLimit, made)
		_, total, err := postgres.ListWallets(t.Context(), pool, postgres.WalletFilter{
			OrganizationID: customer.OrganizationID, Mode: customer.Mode, CustomerID: customer.ID, Currency: "EUR",
		}, wallet.Page{}, now)
		require.NoError(t, err)
		require.Equal(t, 7, total)
	})
}

func TestUpdateWallet(t *testing.T) {
	t.Parallel()

	setup := func(t *testing.T) (*pgxpool.Pool, testfactory.Merchant) {
		t.Helper()
		pool := testdb.New(t)
		return pool, testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	}

	t.Run("ChangesWhatWasSent", func(t *testing.T) {
		t.Parallel()

		pool, m := setup(t)
		w, err := updateWallet(t, pool, m.Wallet, postgres.WalletChange{
			Change: func(w *wallet.Wallet) error {
				w.Name, w.Metadata = "Renamed", json.RawMessage(`{"k":null}`)
				return nil
			},
			PaymentMethod: &wallet.MethodRequest{Type: "manual"},
			Sections:      &wallet.SectionRequest{Skip: true},
		})
		require.NoError(t, err)
		stored, err := postgres.FindWallet(t.Context(), pool, refTo(m.Wallet), now)
		require.NoError(t, err)
		require.Equal(t, "Renamed", stored.Name)
		require.Equal(t, wallet.MethodManual, stored.PaymentMethod.Type)
		require.True(t, stored.Sections.Skip)
		require.Equal(t, w.Code, stored.Code)
		require.JSONEq(t, `{"k":null}`, string(stored.Metadata))
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()

		pool, m := setup(t)
		other := testfactory.Wallet(t, pool, testfactory.WalletOpts{Customer: m.Customer})
		stored, err := postgres.GetWallet(t.Context(), pool, other.ID)
		require.NoError(t, err)
		_, err = updateWallet(t, pool, m.Wallet, postgres.WalletChange{Change: func(w *wallet.Wallet) error {
			w.Code = stored.Code
			return nil
		}})
		requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldCode, Problem: wallet.ProblemTaken}})
		_, err = updateWallet(t, pool, m.Wallet, postgres.WalletChange{Change: func(w *wallet.Wallet) error {
			w.Priority, w.ExpirationAt = 0, &now
			return nil
		}})
		requireInvalid(t, err, []wallet.Finding{
			{Field: wallet.FieldPriority, Problem: wallet.ProblemInvalid},
			{Field: wallet.FieldExpirationAt, Problem: wallet.ProblemInvalid},
		})
		_, err = updateWallet(t, pool, wallet.Wallet{ID: wallet.NewID()}, postgres.WalletChange{})
		require.True(t, wallet.HasCode(err, wallet.CodeWalletNotFound))
	})

	t.Run("TerminatedStaysTerminated", func(t *testing.T) {
		t.Parallel()

		pool, m := setup(t)
		got, changed := terminate(t, pool, m.Wallet, now)
		require.True(t, changed)
		require.Equal(t, wallet.WalletTerminated, got.Status)
		again, changed := terminate(t, pool, m.Wallet, now.Add(time.Hour))
		require.False(t, changed)
		require.Equal(t, now, again.TerminatedAt.UTC())
		_, err := updateWallet(t, pool, m.Wallet, postgres.WalletChange{Change: func(*wallet.Wallet) error { return nil }})
		requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldWallet, Problem: wallet.ProblemTerminated}})
	})

	t.Run("Metadata", func(t *testing.T) {
		t.Parallel()

		pool, m := setup(t)
		change := func(with func(map[string]any) (map[string]any, error)) map[string]any {
			var got map[string]any
			require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				var err error
				got, err = postgres.ChangeWalletMetadata(t.Context(), tx, refTo(m.Wallet), now, with)
				return err
			}))
			return got
		}
		change(func(map[string]any) (map[string]any, error) { return nil, nil })
		change(func(was map[string]any) (map[string]any, error) {
			require.Nil(t, was)
			return map[string]any{"a": "1"}, nil
		})
		change(func(was map[string]any) (map[string]any, error) {
			require.Equal(t, map[string]any{"a": "1"}, was)
			return map[string]any{}, nil
		})
		require.Equal(t, map[string]any{}, change(func(was map[string]any) (map[string]any, error) { return was, nil }))
	})
}

func TestExpireWallets(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	_, err := pool.Exec(t.Context(), `update wallets set expiration_at = $2 where id = $1`, m.Wallet.ID, now)
	require.NoError(t, err)

	early, err := postgres.ExpireWallets(t.Context(), pool, now.Add(-time.Second), 10)
	require.NoError(t, err)
	require.Empty(t, early)
	caller, err := postgres.GetCaller(t.Context(), pool, m.APIKey, now.Add(-time.Second))
	require.NoError(t, err)
	require.False(t, caller.WalletEnded)
	caller, err = postgres.GetCaller(t.Context(), pool, m.APIKey, now)
	require.NoError(t, err)
	require.True(t, caller.WalletEnded)

	ids, err := postgres.ExpireWallets(t.Context(), pool, now.Add(time.Hour), 10)

	require.NoError(t, err)
	require.Equal(t, []wallet.ID{m.Wallet.ID}, ids)
	w, err := postgres.GetWallet(t.Context(), pool, m.Wallet.ID)
	require.NoError(t, err)
	require.Equal(t, wallet.WalletTerminated, w.Status)
	require.Equal(t, now, w.TerminatedAt.UTC(), "when it expired, not when a job noticed")
	_, changed := terminate(t, pool, w, now.Add(2*time.Hour))
	require.False(t, changed)
}
