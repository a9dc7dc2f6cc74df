package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

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

// TestInvoiceNumbersWait tests that NumberInvoices waits for a concurrent call and continues
// from its last number.
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

// TestGetInvoiceWaitsForItsSettlement tests that NumberAllInvoices skips an invoice that is
// being settled, and that GetInvoice waits for the settlement and numbers the invoice.
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
