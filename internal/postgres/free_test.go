package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
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
		return postgres.NewPayment{
			ID: wallet.NewID(), OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentMethodID: *p.PaymentMethodID,
		}
	}
	free, err = postgres.FreePurchases(t.Context(), pool, []postgres.NewPayment{purchase(lockedWallet), purchase(open), purchase(locked)})
	require.NoError(t, err)
	require.Equal(t, []bool{false, true, true}, free)
}

// TestFreePurchasesKnowsEveryWait locks all rows of one table after another, whatever
// tables there are, and compares what FreePurchases says with what waits in fact. The
// merchant of the second purchase came after the lock.
func TestFreePurchasesKnowsEveryWait(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	var blocked []string
	for _, table := range tables(t, pool) { //nolint:paralleltest // each one locks all rows of a table
		t.Run(table, func(t *testing.T) {
			held := buyer(t, pool)
			lockTable(t, pool, table)
			list := []postgres.NewPayment{held.purchase(), buyer(t, pool).purchase()}

			free, err := postgres.FreePurchases(t.Context(), pool, list)

			require.NoError(t, err)
			accept := func(p postgres.NewPayment) func(tx pgx.Tx) error {
				return func(tx pgx.Tx) error {
					_, err := postgres.AcceptPaymentsTx(t.Context(), tx, []postgres.NewPayment{p})
					return err
				}
			}
			waited := waits(t, pool, accept(list[0]))
			if waited {
				blocked = append(blocked, table)
			}
			require.Equal(t, []bool{!waited, true}, free)
			require.False(t, waits(t, pool, accept(list[1])))
		})
	}
	require.Equal(t, []string{"customers", "organizations", "payment_methods", "wallets", "webhook_endpoints"}, blocked)
}

// TestFreePaymentsKnowsEveryWait is the same test for settling.
func TestFreePaymentsKnowsEveryWait(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	var blocked []string
	for _, table := range tables(t, pool) { //nolint:paralleltest // each one locks all rows of a table
		t.Run(table, func(t *testing.T) {
			held := buyer(t, pool).open(t, pool)
			lockTable(t, pool, table)
			list := []wallet.Payment{held, buyer(t, pool).open(t, pool)}

			free, err := postgres.FreePayments(t.Context(), pool, []wallet.ID{list[0].ID, list[1].ID})

			require.NoError(t, err)
			for i, p := range list {
				waited := false
				for _, o := range []wallet.Outcome{testfactory.Succeeded(p.Amount, p.Currency), stolen(), testfactory.RequiresAction()} {
					o.IntentID = p.StripePaymentIntentID
					waited = waits(t, pool, func(tx pgx.Tx) error {
						_, err := postgres.ApplyOutcomesTx(t.Context(), tx, []wallet.Settlement{settlement(p.ID, o)})
						return err
					}) || waited
				}
				require.Equal(t, !waited, free[i])
				require.False(t, waited && i == 1)
				if waited {
					blocked = append(blocked, table)
				}
			}
		})
	}
	require.Equal(t, []string{
		"accounts", "card_declines", "delivery_lanes", "invoices", "merchant_event_sequences", "organizations", "payment_methods",
		"payments", "wallet_transactions", "wallets", "webhook_endpoints",
	}, blocked)
}

// TestFreePaymentsThatLearnTheirIntent locks a payment as a foreign key does. Only one
// that has no intent yet waits for that.
func TestFreePaymentsThatLearnTheirIntent(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	created := testfactory.Payment(t, pool, testfactory.PaymentOpts{})
	processing := testfactory.Payment(t, pool, testfactory.PaymentOpts{Status: wallet.PaymentProcessing})
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), `select from payments for key share`)
	require.NoError(t, err)

	free, err := postgres.FreePayments(t.Context(), pool, []wallet.ID{created.ID, processing.ID})

	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, free)
	for i, p := range []wallet.Payment{created, processing} {
		o := testfactory.Succeeded(p.Amount, p.Currency)
		if p.StripePaymentIntentID != "" {
			o.IntentID = p.StripePaymentIntentID
		}
		require.Equal(t, !free[i], waits(t, pool, func(tx pgx.Tx) error {
			_, err := postgres.ApplyOutcomesTx(t.Context(), tx, []wallet.Settlement{settlement(p.ID, o)})
			return err
		}))
	}
}

// aBuyer is a merchant that is told of everything, with a customer whose card was
// declined before.
type aBuyer struct {
	testfactory.Merchant

	card, ownCard wallet.PaymentMethod // ownCard is what the client named
}

func buyer(t *testing.T, pool *pgxpool.Pool) aBuyer {
	t.Helper()

	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	testfactory.Endpoint(t, pool, testfactory.EndpointOpts{OrganizationID: m.Organization.ID})
	return aBuyer{
		Merchant: m,
		card:     testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{Customer: m.Customer, Fingerprint: testfactory.Token("fp_")}),
		ownCard:  testfactory.PaymentMethod(t, pool, testfactory.PaymentMethodOpts{Customer: m.Customer}),
	}
}

// purchase returns a new purchase of the Lago dialect.
func (b aBuyer) purchase() postgres.NewPayment {
	p := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: b.Merchant})
	p.PaymentMethodID = b.card.ID
	p.Idempotency = &postgres.IdempotencyRecord{Operation: "fund", Key: testfactory.Token("key_")}
	p.Purchase = &postgres.Purchase{
		Priority: 50, Source: wallet.SourceManual, MethodType: wallet.MethodProvider, MethodID: &b.ownCard.ID,
		InvoiceID: wallet.NewID(), CustomerID: b.Customer.ID, RateAmount: decimal.NewFromInt(1), Timezone: "UTC",
		InvoiceRequiresSuccessfulPayment: true,
	}
	return p
}

// open stores a payment that is charged, after one that was declined.
func (b aBuyer) open(t *testing.T, pool *pgxpool.Pool) wallet.Payment {
	t.Helper()

	succeeded, declined, open := b.purchase(), b.purchase(), b.purchase()
	for _, p := range []postgres.NewPayment{succeeded, declined, open} {
		testfactory.Accept(t, pool, p)
	}
	testfactory.Move(t, pool, succeeded.ID, testfactory.Succeeded(succeeded.Amount, succeeded.Currency), now)
	testfactory.Move(t, pool, declined.ID, stolen(), now)
	return testfactory.Move(t, pool, open.ID, testfactory.Processing(), now)
}

// stolen is the outcome of a charge of a card that must not be charged again.
func stolen() wallet.Outcome {
	o := testfactory.Declined()
	o.Failure.DeclineCode, o.Failure.Class = "stolen_card", wallet.DeclineDoNotRetry
	return o
}

func tables(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()

	rows, _ := pool.Query(t.Context(), `
		select table_name from information_schema.tables
		where table_schema = 'public' and table_type = 'BASE TABLE'
		order by table_name`)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// lockTable locks the rows that a table has until the test ends.
func lockTable(t *testing.T, pool *pgxpool.Pool, table string) {
	t.Helper()

	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), `select from `+pgx.Identifier{table}.Sanitize()+` for update`)
	require.NoError(t, err)
}

// waits reports whether do waits for a lock. What do writes is rolled back.
func waits(t *testing.T, pool *pgxpool.Pool, do func(tx pgx.Tx) error) bool {
	t.Helper()

	rolledBack := errors.New("rolled back")
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select set_config('lock_timeout', $1, true)`, (20 * time.Millisecond).String()); err != nil {
			return err
		}
		if err := do(tx); err != nil {
			return err
		}
		return rolledBack
	})
	if !postgres.Blocked(err) {
		require.ErrorIs(t, err, rolledBack)
	}
	return postgres.Blocked(err)
}
