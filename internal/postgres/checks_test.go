package postgres_test

import (
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

func TestClaimDueChecks(t *testing.T) {
	t.Parallel()

	ages := []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	claim := func(t *testing.T, pool *pgxpool.Pool, at time.Time) []wallet.ID {
		t.Helper()
		var ids []wallet.ID
		require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			var err error
			ids, err = postgres.ClaimDueChecks(t.Context(), tx, at, ages, time.Hour, 100)
			return err
		}))
		return ids
	}

	t.Run("FollowsTheScheduleWhileThePaymentIsOpen", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		p := testfactory.Payment(t, pool, testfactory.PaymentOpts{})
		var checkedAt []time.Duration
		for age := time.Duration(0); age <= 4*time.Hour; age += 15 * time.Second {
			if len(claim(t, pool, now.Add(age))) > 0 {
				checkedAt = append(checkedAt, age)
			}
		}

		require.Equal(t, []time.Duration{
			time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour,
		}, checkedAt)

		apply(t, pool, p.ID, outcomes(p, "pi_1")[wallet.PaymentSucceeded])
		require.Empty(t, claim(t, pool, now.Add(1000*time.Hour)))
	})

	t.Run("ChecksAtTheDeadlineOfAChallenge", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		p := testfactory.Payment(t, pool, testfactory.PaymentOpts{})
		s := settlement(p.ID, outcomes(p, "pi_1")[wallet.PaymentRequiresAction])
		s.ActionDeadline = now.Add(90 * time.Minute)
		_, err := postgres.ApplyOutcomes(t.Context(), pool, []wallet.Settlement{s})
		require.NoError(t, err)
		require.Len(t, claim(t, pool, now.Add(time.Hour)), 1)

		require.Empty(t, claim(t, pool, now.Add(89*time.Minute)))
		require.Len(t, claim(t, pool, now.Add(90*time.Minute)), 1)
		require.Empty(t, claim(t, pool, now.Add(91*time.Minute)), "the next check is an hour after the deadline")
		require.Len(t, claim(t, pool, now.Add(150*time.Minute)), 1)
	})

	t.Run("ConcurrentCallsClaimDifferentPayments", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		for range 5 {
			testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m})
		}
		at := now.Add(time.Minute)
		require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			ids, err := postgres.ClaimDueChecks(t.Context(), tx, at, ages, time.Hour, 3)
			require.NoError(t, err)
			require.Len(t, ids, 3)
			require.Len(t, claim(t, pool, at), 2, "the first call has locked three rows")
			return nil
		}))
	})
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()

	const operation = "POST /v1/wallet/fund"
	record := func(key string) *postgres.IdempotencyRecord {
		return &postgres.IdempotencyRecord{Operation: operation, Key: key, Fingerprint: [32]byte{7}, WaitUntil: now.Add(20 * time.Second)}
	}
	accept := func(t *testing.T, pool *pgxpool.Pool, list ...postgres.NewPayment) []bool {
		t.Helper()
		var accepted []bool
		require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			var err error
			accepted, err = postgres.AcceptPaymentsTx(t.Context(), tx, list)
			return err
		}))
		return accepted
	}

	t.Run("TakenKeyStoresNothing", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		first := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, Idempotency: record("a")})
		require.Equal(t, []bool{true}, accept(t, pool, first))

		accepted := accept(t, pool,
			testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, Idempotency: record("b")}),
			testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, Idempotency: record("a")}),
			testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m}),
		)

		require.Equal(t, []bool{true, false, true}, accepted)
		list, err := postgres.ListPayments(t.Context(), pool, m.Wallet.ID, wallet.ID{}, 10)
		require.NoError(t, err)
		require.Len(t, list, 3)
		got, id, found, err := postgres.LookUpIdempotencyKey(t.Context(), pool, m.Organization.ID, m.Mode, operation, "a", now)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, first.ID, id)
		require.Equal(t, [32]byte{7}, got.Fingerprint)
	})

	t.Run("KeyIsNewAgainAfterItsLife", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		accept(t, pool, testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, Idempotency: record("a")}))
		look := func(at time.Time) bool {
			_, _, found, err := postgres.LookUpIdempotencyKey(t.Context(), pool, m.Organization.ID, m.Mode, operation, "a", at)
			require.NoError(t, err)
			return found
		}

		require.True(t, look(now.Add(postgres.IdempotencyKeyLife-time.Second)))
		require.False(t, look(now.Add(postgres.IdempotencyKeyLife)))
		require.Equal(t, []bool{true}, accept(t, pool, testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, Idempotency: record("a")})))
	})

	t.Run("KeysAreOfOneModeAndOperation", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		accept(t, pool, testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, Idempotency: record("a")}))

		_, _, found, err := postgres.LookUpIdempotencyKey(t.Context(), pool, m.Organization.ID, wallet.ModeLive, operation, "a", now)
		require.NoError(t, err)
		require.False(t, found)
		_, _, found, err = postgres.LookUpIdempotencyKey(t.Context(), pool, m.Organization.ID, m.Mode, "POST /api/v1/wallets", "a", now)
		require.NoError(t, err)
		require.False(t, found)
	})

	t.Run("OldKeysAreDeleted", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		for _, key := range []string{"a", "b", "c"} {
			accept(t, pool, testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, Idempotency: record(key)}))
		}

		n, err := postgres.DeleteIdempotencyKeys(t.Context(), pool, now.Add(time.Hour), 100)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = postgres.DeleteIdempotencyKeys(t.Context(), pool, now.Add(24*time.Hour), 2)
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
	})
}

// TestAudit breaks the books in a way that each check must find. It disables triggers that
// would prevent this: the audit must also find what was done without them.
func TestAudit(t *testing.T) {
	t.Parallel()

	for check, corruption := range map[string]string{
		"balance_equals_account":                  `update wallets set balance = balance + 1`,
		"succeeded_payment_has_one_settlement":    `alter table transfers disable trigger user; delete from transfers`,
		"settlement_has_one_succeeded_payment":    `update payments set status = 'failed', failed_at = now(), failure_code = 'x', succeeded_at = null, balance_after = null`,
		"settled_transaction_has_transfer":        `update wallet_transactions set amount = amount + 1`,
		"transfer_has_settled_transaction":        `update wallet_transactions set status = 'pending', settled_at = null, remaining_amount = null`,
		"transfer_stays_in_its_currency_and_mode": `update accounts set mode = 'live' where kind = 'stripe_clearing'`,
		"moves_lead_to_the_state":                 `alter table payment_moves disable trigger user; delete from payment_moves`,
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()

			pool := testdb.New(t)
			testfactory.Payment(t, pool, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded})
			requireBooksBalance(t, pool)

			_, err := pool.Exec(t.Context(), corruption)
			require.NoError(t, err)

			report, err := postgres.Audit(t.Context(), pool)
			require.NoError(t, err)
			var found []string
			for _, f := range report.Findings {
				found = append(found, f.Check)
			}
			require.Contains(t, found, check)
		})
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	testfactory.Payment(t, pool, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded, IntentID: "pi_1"})
	for name, statement := range map[string]string{
		"ChangeOfAMove":           `update payment_moves set cause_id = 'x'`,
		"DeletionOfATransfer":     `delete from transfers`,
		"SecondSettlement":        `insert into transfers (debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id, created_at) select debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id, created_at from transfers`,
		"TransferToItself":        `insert into transfers (debit_account, credit_account, amount, currency, kind, wallet_transaction_id, created_at) select debit_account, debit_account, amount, currency, 'grant', wallet_transaction_id, created_at from transfers`,
		"SucceededWithoutBalance": `update payments set balance_after = null`,
		"SucceededWithCheck":      `update payments set next_check_at = now()`,
		"FailedWithoutReason":     `update payments set status = 'failed', succeeded_at = null, balance_after = null, failed_at = now()`,
		"UnknownStatus":           `update payments set status = 'done'`,
		"MoveOutOfSucceeded":      `insert into payment_moves (payment_id, from_status, to_status, cause_kind, cause_id, moved_at) select id, 'succeeded', 'failed', 'job', '1', now() from payments`,
		"RemainderBelowZero":      `update wallet_transactions set remaining_amount = -1`,
		"SettledWithoutTime":      `update wallet_transactions set settled_at = null`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := pool.Exec(t.Context(), statement)
			require.Error(t, err)
		})
	}
}
