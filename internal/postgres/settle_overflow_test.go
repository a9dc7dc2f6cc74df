package postgres_test

import (
	"math"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// fill grants what a program without limits could have granted: a balance of
// math.MaxInt64 - room.
func fill(t *testing.T, pool *pgxpool.Pool, m testfactory.Merchant, room int64) {
	t.Helper()

	w, err := postgres.GetWallet(t.Context(), pool, m.Wallet.ID)
	require.NoError(t, err)
	amount := math.MaxInt64 - room - w.Balance
	_, err = pool.Exec(t.Context(), `
		with grants as (
			insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status,
				amount, credit_amount, remaining_amount, created_at, settled_at)
			select $2, organization_id, mode, id, 'inbound', 'granted', 'settled', $3, $4::numeric, $3, $5, $5 from wallets where id = $1
			returning id
		), moved as (
			insert into transfers (debit_account, credit_account, amount, currency, kind, wallet_transaction_id, created_at)
			select a.id, w.id, $3, w.currency, 'grant', grants.id, $5
			from grants, wallets w
			join accounts a on a.organization_id = w.organization_id and a.mode = w.mode and a.currency = w.currency and a.kind = 'promotions'
			where w.id = $1
		)
		update wallets set balance = balance + $3, credits_balance = credits_balance + $4::numeric where id = $1`,
		m.Wallet.ID, wallet.NewID(), amount, wallet.CreditsFor(amount, m.Wallet.RateAmount, m.Wallet.Currency).String(), now)
	require.NoError(t, err)
	requireBooksBalance(t, pool)
}

func discrepancyKinds(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()

	rows, _ := pool.Query(t.Context(), `select kind from payment_discrepancies order by id`)
	kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return kinds
}

// Money that the wallet cannot hold is not credited and not lost: it is a discrepancy,
// and the payment settles once there is room.
func TestSettleIntoFullWallet(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentProcessing})
	fill(t, pool, m, p.Amount-1)
	paid := outcomes(p, p.StripePaymentIntentID)[wallet.PaymentSucceeded]

	got := apply(t, pool, p.ID, paid)

	require.False(t, got.Moved)
	require.Equal(t, wallet.PaymentProcessing, got.Payment.Status)
	require.NotNil(t, got.Payment.NextCheckAt, "it is checked again")
	require.Equal(t, []string{"wallet_full"}, discrepancyKinds(t, pool))
	requireBooksBalance(t, pool)

	void := into(m)
	void.Voided = dec("0.01")
	mustTopUp(t, pool, void)
	got = apply(t, pool, p.ID, paid)

	require.True(t, got.Moved)
	require.Equal(t, int64(math.MaxInt64), *got.Payment.BalanceAfter)
	requireBooksBalance(t, pool)
}

// A group settles what fits.
func TestSettleGroupIntoFullWallet(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	list := make([]wallet.Settlement, 3)
	var amount int64
	for i := range list {
		p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentProcessing})
		list[i], amount = settlement(p.ID, outcomes(p, p.StripePaymentIntentID)[wallet.PaymentSucceeded]), p.Amount
	}
	fill(t, pool, m, 2*amount)

	applied, err := postgres.ApplyOutcomes(t.Context(), pool, list)

	require.NoError(t, err)
	require.Equal(t, []bool{true, true, false}, []bool{applied[0].Moved, applied[1].Moved, applied[2].Moved})
	require.Equal(t, []string{"wallet_full"}, discrepancyKinds(t, pool))
	requireBooksBalance(t, pool)
}

// A refund that fails comes back to the wallet, but not to one that cannot hold it.
func TestRefundComesBackToFullWallet(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentSucceeded})
	r, err := requestRefund(t, pool, postgres.NewRefund{PaymentID: p.ID})
	require.NoError(t, err)
	refuse := func() error {
		return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := postgres.RefuseRefund(t.Context(), tx, r.ID, "charge_disputed", now)
			return err
		})
	}
	fill(t, pool, m, p.Amount-1)

	require.ErrorIs(t, refuse(), moneyback.ErrWalletFull)

	requireBooksBalance(t, pool)
	void := into(m)
	void.Voided = dec("0.01")
	mustTopUp(t, pool, void)
	require.NoError(t, refuse())
	requireBooksBalance(t, pool)
}

// A grant is checked under the wallet's lock, and leaves room for what is charged.
func TestGrantsLeaveRoom(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	full := []wallet.Finding{{Field: wallet.FieldGrantedCredits, Problem: wallet.ProblemAmountInvalid}}
	grant := into(m)
	grant.Granted = dec(wallet.FormatMinor(wallet.MaxBalance+1, wallet.USD))
	_, err := topUp(t, pool, grant)
	requireInvalid(t, err, full)
	grant.Granted = dec(wallet.FormatMinor(wallet.MaxBalance, wallet.USD))
	mustTopUp(t, pool, grant)

	grant.Granted = dec("0.01")
	_, err = topUp(t, pool, grant)
	requireInvalid(t, err, full)
	purchase := into(m)
	purchase.Paid = dec("1")
	_, err = topUp(t, pool, purchase)
	requireInvalid(t, err, []wallet.Finding{{Field: wallet.FieldPaidCredits, Problem: wallet.ProblemAmountInvalid}})
}
