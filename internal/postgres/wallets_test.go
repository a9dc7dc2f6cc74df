package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

func createWallet(t testing.TB, pool *pgxpool.Pool, n postgres.NewWallet) (wallet.Wallet, error) {
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

func updateWallet(t testing.TB, pool *pgxpool.Pool, w wallet.Wallet, change postgres.WalletChange) (wallet.Wallet, error) {
	t.Helper()

	var got wallet.Wallet
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		var err error
		got, err = postgres.UpdateWallet(t.Context(), tx, refTo(w), change, &wallet.ValidationError{}, now)
		return err
	})
	return got, err
}

func terminate(t testing.TB, pool *pgxpool.Pool, w wallet.Wallet, at time.Time) (wallet.Wallet, bool) {
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
		n.SectionCodes = []string{"nobody", "bank"}

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
		requireInvalid(t, err, map[string][]string{"code": {"value_already_exist"}})

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

		requireInvalid(t, err, map[string][]string{
			"currency": {"value_is_invalid"}, "priority": {"value_is_invalid"},
			"expiration_at": {"invalid_date"}, "payment_method": {"invalid_payment_method"},
		})
		n = walletOf(customer)
		n.Wallet.ExternalCustomerID, n.Wallet.Currency = "nobody", ""
		_, err = createWallet(t, pool, n)
		requireInvalid(t, err, map[string][]string{"customer": {"customer_not_found"}})
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
			requireInvalid(t, err, map[string][]string{"customer": {"wallet_limit_reached"}})
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

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	other := testfactory.Wallet(t, pool, testfactory.WalletOpts{Customer: m.Customer})
	require.NotEqual(t, "default", other.Code)

	t.Run("ChangesWhatWasSent", func(t *testing.T) {
		w, err := updateWallet(t, pool, m.Wallet, postgres.WalletChange{
			Change: func(w *wallet.Wallet) error {
				w.Name, w.Metadata = "Renamed", json.RawMessage(`{"k":null}`)
				return nil
			},
			PaymentMethod: &wallet.MethodRequest{Type: "manual"},
			Sections:      &postgres.SectionRequest{Skip: true},
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
		stored, err := postgres.GetWallet(t.Context(), pool, other.ID)
		require.NoError(t, err)
		_, err = updateWallet(t, pool, m.Wallet, postgres.WalletChange{Change: func(w *wallet.Wallet) error {
			w.Code = stored.Code
			return nil
		}})
		requireInvalid(t, err, map[string][]string{"code": {"value_already_exist"}})
		_, err = updateWallet(t, pool, m.Wallet, postgres.WalletChange{Change: func(w *wallet.Wallet) error {
			w.Priority, w.ExpirationAt = 0, &now
			return nil
		}})
		requireInvalid(t, err, map[string][]string{"priority": {"value_is_invalid"}, "expiration_at": {"invalid_date"}})
		_, err = updateWallet(t, pool, wallet.Wallet{ID: wallet.NewID()}, postgres.WalletChange{})
		require.True(t, wallet.HasCode(err, wallet.CodeWalletNotFound))
	})

	t.Run("TerminatedStaysTerminated", func(t *testing.T) {
		got, changed := terminate(t, pool, other, now)
		require.True(t, changed)
		require.Equal(t, wallet.WalletTerminated, got.Status)
		again, changed := terminate(t, pool, other, now.Add(time.Hour))
		require.False(t, changed)
		require.Equal(t, now, again.TerminatedAt.UTC())
		_, err := updateWallet(t, pool, other, postgres.WalletChange{Change: func(*wallet.Wallet) error { return nil }})
		requireInvalid(t, err, map[string][]string{"wallet_id": {"wallet_is_terminated"}})
	})

	t.Run("Metadata", func(t *testing.T) {
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
	require.Equal(t, now, w.TerminatedAt.UTC(), "when it expired, not when somebody noticed")
	_, changed := terminate(t, pool, w, now.Add(2*time.Hour))
	require.False(t, changed)
}

func TestListTransactions(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	pairs := func(key, value string) []wallet.MetadataPair {
		return []wallet.MetadataPair{{Key: key, Value: json.RawMessage(value)}, {Key: "all", Value: json.RawMessage(`"yes"`)}}
	}
	request := into(m)
	request.Granted, request.Metadata = dec("9"), pairs("color", `"red"`)
	grant := mustTopUp(t, pool, request)[0]
	request = into(m)
	request.Now, request.Voided, request.Metadata = now.Add(time.Second), dec("1"), pairs("color", `"blue"`)
	void := mustTopUp(t, pool, request)[0]
	request = into(m)
	request.Now, request.Paid, request.Metadata = now.Add(2*time.Second), dec("1"), pairs("count", `5`)
	purchase := mustTopUp(t, pool, request)[0]

	for name, tc := range map[string]struct {
		filter postgres.TransactionFilter
		want   []wallet.ID
	}{
		"All":          {want: []wallet.ID{purchase.ID, void.ID, grant.ID}},
		"Pending":      {filter: postgres.TransactionFilter{Status: "pending"}, want: []wallet.ID{purchase.ID}},
		"Settled":      {filter: postgres.TransactionFilter{Status: "settled"}, want: []wallet.ID{void.ID, grant.ID}},
		"Granted":      {filter: postgres.TransactionFilter{Kind: "granted"}, want: []wallet.ID{grant.ID}},
		"Inbound":      {filter: postgres.TransactionFilter{Type: "inbound"}, want: []wallet.ID{purchase.ID, grant.ID}},
		"Metadata":     {filter: postgres.TransactionFilter{Metadata: map[string]string{"color": "blue"}}, want: []wallet.ID{void.ID}},
		"MetadataBoth": {filter: postgres.TransactionFilter{Metadata: map[string]string{"color": "red", "all": "yes"}}, want: []wallet.ID{grant.ID}},
		"MetadataNone": {filter: postgres.TransactionFilter{Metadata: map[string]string{"color": "red", "all": "no"}}, want: []wallet.ID{}},
		"MetadataNumber": {
			filter: postgres.TransactionFilter{Metadata: map[string]string{"count": "5"}}, want: []wallet.ID{},
		},
		"MetadataOdd": {filter: postgres.TransactionFilter{Metadata: map[string]string{`a"]`: `\`}}, want: []wallet.ID{}},
		"Combined": {
			filter: postgres.TransactionFilter{Status: "settled", Type: "inbound", Metadata: map[string]string{"all": "yes"}},
			want:   []wallet.ID{grant.ID},
		},
	} {
		list, total, err := postgres.ListTransactions(t.Context(), pool, m.Wallet.ID, tc.filter, wallet.Page{})
		require.NoError(t, err, name)
		got := []wallet.ID{}
		for _, one := range list {
			got = append(got, one.ID)
		}
		require.Equal(t, tc.want, got, name)
		require.Equal(t, len(tc.want), total, name)
	}

	list, total, err := postgres.ListTransactions(t.Context(), pool, m.Wallet.ID, postgres.TransactionFilter{}, wallet.Page{Number: 2, Size: 2})
	require.NoError(t, err)
	require.Equal(t, 3, total)
	require.Equal(t, grant.ID, list[0].ID)
	list, total, err = postgres.ListTransactions(t.Context(), pool, m.Wallet.ID, postgres.TransactionFilter{}, wallet.Page{Number: 3, Size: 2})
	require.NoError(t, err)
	require.Equal(t, 3, total)
	require.Empty(t, list)
}

func TestInvoiceNumbers(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	other := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	const count = 30
	var wg sync.WaitGroup
	errs := make([]error, 2*count)
	for i := range count {
		wg.Go(func() {
			request := into(m)
			request.Paid = dec("1")
			if i%5 == 0 {
				request = into(other)
				request.Paid = dec("1")
			}
			_, errs[2*i] = topUp(t, pool, request)
		})
		wg.Go(func() { errs[2*i+1] = postgres.NumberAllInvoices(t.Context(), pool) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}

	list, total, err := postgres.ListInvoices(t.Context(), pool, postgres.InvoiceFilter{
		OrganizationID: m.Organization.ID, Mode: m.Mode, CustomerID: m.Customer.ID, PaymentStatus: wallet.InvoicePaymentPending,
	}, wallet.Page{})

	require.NoError(t, err)
	require.Equal(t, count-count/5, total)
	var numbers []int64
	for _, i := range list {
		numbers = append(numbers, i.SequentialID)
		require.Contains(t, i.Number, fmt.Sprintf("-202603-%03d", i.SequentialID))
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		require.Equal(t, int64(i+1), n)
	}
	require.NoError(t, postgres.NumberAllInvoices(t.Context(), pool))
	requireBooksBalance(t, pool)
}

// TestInvoiceNumbersWait: who numbers while another one does waits for that one's
// numbers, and goes on from there.
func TestInvoiceNumbersWait(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	buy := func() wallet.ID {
		request := into(m)
		request.Paid = dec("1")
		return *mustTopUp(t, pool, request)[0].InvoiceID
	}
	numbered := []wallet.ID{buy()}
	require.NoError(t, postgres.NumberAllInvoices(t.Context(), pool))
	numbered = append(numbered, buy())
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, postgres.NumberInvoices(t.Context(), tx, m.Organization.ID, m.Mode))
	numbered = append(numbered, buy())
	done := make(chan error, 1)
	go func() { done <- postgres.NumberInvoices(t.Context(), pool, m.Organization.ID, m.Mode) }()
	require.Eventually(t, func() bool {
		var waiting int
		err := pool.QueryRow(t.Context(), `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == 1
	}, 10*time.Second, 5*time.Millisecond)

	require.NoError(t, tx.Commit(t.Context()))

	require.NoError(t, <-done)
	for i, id := range numbered {
		invoice, err := postgres.GetInvoice(t.Context(), pool, m.Organization.ID, m.Mode, id)
		require.NoError(t, err)
		require.Equal(t, int64(i+1), invoice.SequentialID)
	}
	requireBooksBalance(t, pool)
}

// TestGetInvoiceWaitsForItsSettlement: an invoice that is being settled is left out
// when others are numbered, but whoever asks for it gets it with its number.
func TestGetInvoiceWaitsForItsSettlement(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	request := into(m)
	request.Paid = dec("1")
	id := *mustTopUp(t, pool, request)[0].InvoiceID
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update invoices set updated_at = $2 where id = $1`, id, now)
	require.NoError(t, err)
	require.NoError(t, postgres.NumberAllInvoices(t.Context(), pool))
	var number *string
	require.NoError(t, pool.QueryRow(t.Context(), `select number from invoices where id = $1`, id).Scan(&number))
	require.Nil(t, number)

	time.AfterFunc(20*time.Millisecond, func() { _ = tx.Commit(context.Background()) })
	invoice, err := postgres.GetInvoice(t.Context(), pool, m.Organization.ID, m.Mode, id)

	require.NoError(t, err)
	require.Equal(t, int64(1), invoice.SequentialID)
}
