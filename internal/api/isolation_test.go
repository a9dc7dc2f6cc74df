package api_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
)

// TestABlockedMerchantDoesNotHoldAllConnections locks one merchant's wallet, as an
// operator's session does, and has that merchant send many writes that need it. They
// hold a part of the connections only, and another merchant is answered meanwhile.
func TestABlockedMerchantDoesNotHoldAllConnections(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	stranger := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
	tx, err := b.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }() // if the test fails
	_, err = tx.Exec(t.Context(), `set local idle_in_transaction_session_timeout = 0`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select 1 from wallets where id = $1 for update`, b.Wallet.ID)
	require.NoError(t, err)

	var writes sync.WaitGroup
	for range 50 {
		writes.Go(func() { b.TopUp(t, apitest.Fields("granted_credits", `"1"`)) })
	}
	const aQuarter = 2 // of the connections of the test's pool
	waited := false
	for answered := 0; answered < 20 || !waited; answered++ {
		var waiting int
		err := b.Pool.QueryRow(t.Context(), `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting)
		require.NoError(t, err)
		require.LessOrEqual(t, waiting, aQuarter)
		waited = waited || waiting == aQuarter
		rec := b.Do(t, http.MethodGet, "/v1/wallet", "", "Authorization", "Bearer "+stranger.APIKey)
		require.Equal(t, http.StatusOK, rec.Code)
	}
	require.NoError(t, tx.Commit(t.Context()))
	writes.Wait()
}
