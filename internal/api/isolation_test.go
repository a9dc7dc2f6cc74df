package api_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
)

// TestABlockedMerchantDoesNotHoldAllConnections locks one merchant's wallet, as an
// operator's session does, and has that merchant send many writes that need it. The
// requests of another merchant are answered as usual meanwhile.
func TestABlockedMerchantDoesNotHoldAllConnections(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	stranger := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
	tx, err := b.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `set local idle_in_transaction_session_timeout = 0`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select 1 from wallets where id = $1 for update`, b.Wallet.ID)
	require.NoError(t, err)

	var writes sync.WaitGroup
	for range 100 {
		writes.Go(func() { b.TopUp(t, apitest.Fields("granted_credits", `"1"`)) })
	}
	slowest := time.Duration(0)
	for range 20 {
		start := time.Now()
		rec := b.Do(t, http.MethodGet, "/v1/wallet", "", "Authorization", "Bearer "+stranger.APIKey)
		slowest = max(slowest, time.Since(start))
		if !assertOK(t, rec.Code) || slowest > time.Second {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.NoError(t, tx.Rollback(t.Context()))
	writes.Wait()
	require.Less(t, slowest, time.Second, "another merchant waits for the blocked one")
}

func assertOK(t *testing.T, code int) bool {
	t.Helper()

	if code != http.StatusOK {
		t.Errorf("another merchant was answered %d", code)
	}
	return code == http.StatusOK
}
