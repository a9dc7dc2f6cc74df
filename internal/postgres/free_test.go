package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestFreePaymentsAndPurchases(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	open := testfactory.Payment(t, pool, testfactory.PaymentOpts{})
	lockedWallet := testfactory.Payment(t, pool, testfactory.PaymentOpts{})
	locked := testfactory.Payment(t, pool, testfactory.PaymentOpts{})
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `select from wallets where id = $1 for update`, lockedWallet.WalletID)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select from payments where id = $1 for no key update`, locked.ID)
	require.NoError(t, err)

	free, err := postgres.FreePayments(t.Context(), pool, []wallet.ID{lockedWallet.ID, open.ID, locked.ID})
	require.NoError(t, err)
	require.Equal(t, []bool{false, true, false}, free)

	purchase := func(p wallet.Payment) postgres.NewPayment {
		return postgres.NewPayment{WalletID: p.WalletID, PaymentMethodID: *p.PaymentMethodID}
	}
	free, err = postgres.FreePurchases(t.Context(), pool, []postgres.NewPayment{purchase(lockedWallet), purchase(open), purchase(locked)})
	require.NoError(t, err)
	require.Equal(t, []bool{false, true, true}, free)
}
