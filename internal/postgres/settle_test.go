package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

var now = testfactory.Now

// outcomes are one of each kind, for a payment whose intent is intentID.
func outcomes(p wallet.Payment, intentID string) map[wallet.PaymentStatus]wallet.Outcome {
	return map[wallet.PaymentStatus]wallet.Outcome{
		wallet.PaymentProcessing: {Kind: wallet.OutcomeProcessing, IntentID: intentID},
		wallet.PaymentRequiresAction: {
			Kind: wallet.OutcomeRequiresAction, IntentID: intentID, RedirectURL: "https://hooks.stripe.com/x?a=1&b=2",
		},
		wallet.PaymentSucceeded: {
			Kind: wallet.OutcomeSucceeded, IntentID: intentID, ChargeID: "ch_1",
			AmountReceived: p.Amount, Currency: p.Currency,
		},
		wallet.PaymentFailed: {
			Kind: wallet.OutcomeDeclined, IntentID: intentID,
			Failure: wallet.Failure{Code: "card_declined", DeclineCode: "do_not_honor", Message: "Your card was declined."},
		},
		wallet.PaymentCanceled: {
			Kind: wallet.OutcomeCanceled, IntentID: intentID,
			Failure: wallet.Failure{Code: wallet.FailureCanceled, Message: "The payment was canceled."},
		},
	}
}

func apply(tb testing.TB, pool *pgxpool.Pool, id wallet.ID, o wallet.Outcome) postgres.Applied {
	tb.Helper()

	applied, err := postgres.ApplyOutcomes(tb.Context(), pool, []wallet.Settlement{settlement(id, o)})
	require.NoError(tb, err)
	return applied[0]
}

func settlement(id wallet.ID, o wallet.Outcome) wallet.Settlement {
	return wallet.Settlement{
		ActionDeadline: now.Add(24 * time.Hour),
		Cause:          wallet.Cause{Kind: wallet.CauseJob, ID: "1"},
		Now:            now,
		Outcome:        o,
		PaymentID:      id,
	}
}

func requireBooksBalance(tb testing.TB, pool *pgxpool.Pool) {
	tb.Helper()

	report, err := postgres.Audit(context.WithoutCancel(tb.Context()), pool)
	require.NoError(tb, err)
	require.Empty(tb, report.Findings)
}

// TestApplyOutcomesMoves walks the whole table of states: every outcome for a
// payment in every state, against the table of moves in package wallet.
func TestApplyOutcomesMoves(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	for _, from := range wallet.PaymentStatuses { //nolint:paralleltest // its subtests share a wallet whose balance is compared
		for _, to := range wallet.PaymentStatuses[1:] { // nothing leads to created
			t.Run(fmt.Sprintf("%s/%s", from, to), func(t *testing.T) {
				p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m})
				intentID := testfactory.Token("pi_")
				if from != wallet.PaymentCreated {
					p = apply(t, pool, p.ID, outcomes(p, intentID)[from]).Payment
					require.Equal(t, from, p.Status)
				}
				before, err := postgres.GetWallet(t.Context(), pool, p.WalletID)
				require.NoError(t, err)

				got := apply(t, pool, p.ID, outcomes(p, intentID)[to])

				after, err := postgres.GetWallet(t.Context(), pool, p.WalletID)
				require.NoError(t, err)
				require.Equal(t, wallet.CanMove(from, to), got.Moved)
				if !got.Moved {
					require.Equal(t, from, got.Payment.Status)
					require.Equal(t, before, after)
					return
				}
				require.Equal(t, to, got.Payment.Status)
				if to == wallet.PaymentSucceeded {
					require.Equal(t, before.Balance+p.Amount, after.Balance)
					require.Equal(t, after.Balance, *got.Payment.BalanceAfter)
				} else {
					require.Equal(t, before.Balance, after.Balance)
				}
			})
		}
	}
	requireBooksBalance(t, pool)
}

func TestApplyOutcomes(t *testing.T) {
	t.Parallel()

	type testBundle struct {
		pool *pgxpool.Pool
		m    testfactory.Merchant
	}
	setup := func(t *testing.T) *testBundle {
		t.Helper()
		pool := testdb.New(t)
		return &testBundle{pool: pool, m: testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})}
	}
	t.Run("SecondCallerChangesNothing", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m})
		o := outcomes(p, "pi_1")[wallet.PaymentSucceeded]

		require.True(t, apply(t, b.pool, p.ID, o).Moved)
		require.False(t, apply(t, b.pool, p.ID, o).Moved)

		w, err := postgres.GetWallet(t.Context(), b.pool, p.WalletID)
		require.NoError(t, err)
		require.Equal(t, p.Amount, w.Balance)
		requireBooksBalance(t, b.pool)
	})

	t.Run("ManyIntoOneWalletShareOneWrite", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		var list []wallet.Settlement
		for i := range 20 {
			p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m, Amount: int64(1000 + i)})
			list = append(list, settlement(p.ID, outcomes(p, testfactory.Token("pi_"))[wallet.PaymentSucceeded]))
		}

		applied, err := postgres.ApplyOutcomes(t.Context(), b.pool, list)

		require.NoError(t, err)
		var sum int64
		for _, a := range applied {
			sum += a.Payment.Amount
			require.Equal(t, sum, *a.Payment.BalanceAfter, "each answer shows the balance after its own credit")
		}
		requireBooksBalance(t, b.pool)
	})

	t.Run("CreditsAtMostWhatStripeReceived", func(t *testing.T) {
		t.Parallel()

		for name, received := range map[string]int64{"Less": 900, "More": 1100} {
			b := setup(t)
			p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m, Amount: 1000})
			o := outcomes(p, "pi_1")[wallet.PaymentSucceeded]
			o.AmountReceived = received

			got := apply(t, b.pool, p.ID, o)

			require.Equal(t, min(received, 1000), *got.Payment.BalanceAfter, name)
			require.Equal(t, []string{"amount_mismatch"}, discrepancyKinds(t, b.pool), name)
			requireBooksBalance(t, b.pool)
		}
	})

	t.Run("OtherCurrencyCreditsNothing", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m})
		o := outcomes(p, "pi_1")[wallet.PaymentSucceeded]
		o.Currency = "JPY"

		got := apply(t, b.pool, p.ID, o)

		require.False(t, got.Moved)
		require.Equal(t, wallet.PaymentCreated, got.Payment.Status)
		require.Equal(t, []string{"currency_mismatch"}, discrepancyKinds(t, b.pool))
	})

	t.Run("SecondIntentIsKeptForAPerson", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m})
		apply(t, b.pool, p.ID, outcomes(p, "pi_1")[wallet.PaymentRequiresAction])

		got := apply(t, b.pool, p.ID, outcomes(p, "pi_2")[wallet.PaymentSucceeded])

		require.False(t, got.Moved)
		require.Equal(t, []string{"second_intent"}, discrepancyKinds(t, b.pool))
	})

	t.Run("PurchasePaidTwiceIsCreditedTwice", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m, Status: wallet.PaymentFailed})
		second := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: b.m})
		_, err := b.pool.Exec(t.Context(), `
			insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
				return_url, status, next_check_at, created_at, updated_at)
			select $2, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency,
				return_url, 'created', $3, $3, $3 from payments where id = $1`, first.ID, second.ID, now)
		require.NoError(t, err)

		applied, err := postgres.ApplyOutcomes(t.Context(), b.pool, []wallet.Settlement{
			settlement(second.ID, outcomes(first, "pi_second")[wallet.PaymentSucceeded]),
			settlement(first.ID, outcomes(first, first.StripePaymentIntentID)[wallet.PaymentSucceeded]),
		})

		require.NoError(t, err)
		require.Equal(t, first.WalletTransactionID, applied[0].Payment.WalletTransactionID)
		require.NotEqual(t, first.WalletTransactionID, applied[1].Payment.WalletTransactionID)
		require.Equal(t, 2*first.Amount, *applied[1].Payment.BalanceAfter)
		require.Equal(t, []string{"paid_twice"}, discrepancyKinds(t, b.pool))
		requireBooksBalance(t, b.pool)
	})

	t.Run("ProcessingLearnsItsIntent", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m})
		apply(t, b.pool, p.ID, wallet.Outcome{Kind: wallet.OutcomeUnknown})

		got := apply(t, b.pool, p.ID, wallet.Outcome{Kind: wallet.OutcomeProcessing, IntentID: "pi_1"})
		again, err := postgres.GetPayment(t.Context(), b.pool, p.ID)

		require.NoError(t, err)
		require.False(t, got.Moved)
		require.Equal(t, "pi_1", again.StripePaymentIntentID)
	})

	t.Run("DeclineMarksTheCardAndSuccessClearsIt", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		card := func() wallet.PaymentMethod {
			list, err := postgres.ListPaymentMethods(t.Context(), b.pool, b.m.Customer.ID)
			require.NoError(t, err)
			return list[0]
		}
		p := testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m})
		apply(t, b.pool, p.ID, outcomes(p, "pi_1")[wallet.PaymentFailed])
		require.Equal(t, "do_not_honor", card().ErrorCode)
		require.Equal(t, now, card().ErrorAt.UTC())

		p = testfactory.Payment(t, b.pool, testfactory.PaymentOpts{Merchant: b.m})
		apply(t, b.pool, p.ID, outcomes(p, "pi_2")[wallet.PaymentSucceeded])

		require.Empty(t, card().ErrorCode)
		require.Nil(t, card().ErrorAt)
	})

	t.Run("UnknownPaymentYieldsNothing", func(t *testing.T) {
		t.Parallel()

		b := setup(t)

		got := apply(t, b.pool, wallet.NewID(), wallet.Outcome{Kind: wallet.OutcomeProcessing})

		require.Zero(t, got)
	})
}

// TestApplyOutcomesHistories proves the books over random histories: many
// callers with random outcomes for the same few payments, at once and in groups.
func TestApplyOutcomesHistories(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		payments := make([]wallet.Payment, rapid.IntRange(1, 6).Draw(rt, "payments"))
		for i := range payments {
			payments[i] = testfactory.Payment(t, pool, testfactory.PaymentOpts{
				Merchant: m, Amount: rapid.Int64Range(1, 1_000_000).Draw(rt, "amount"),
			})
		}
		callers := make([][][]wallet.Settlement, rapid.IntRange(1, 4).Draw(rt, "callers"))
		succeeds := make(map[wallet.ID]bool)
		for c := range callers {
			callers[c] = make([][]wallet.Settlement, rapid.IntRange(1, 5).Draw(rt, "groups"))
			for g := range callers[c] {
				for i, p := range payments {
					if !rapid.Bool().Draw(rt, "member") {
						continue
					}
					to := rapid.SampledFrom(wallet.PaymentStatuses[1:]).Draw(rt, "to")
					succeeds[p.ID] = succeeds[p.ID] || to == wallet.PaymentSucceeded
					intentID := fmt.Sprintf("pi_%s_%d", p.ID, i)
					callers[c][g] = append(callers[c][g], settlement(p.ID, outcomes(p, intentID)[to]))
				}
			}
		}

		var wg sync.WaitGroup
		errs := make([]error, len(callers))
		moved := make([]int, len(callers))
		for c, groups := range callers {
			wg.Go(func() {
				for _, group := range groups {
					applied, err := postgres.ApplyOutcomes(context.Background(), pool, group)
					if err != nil {
						errs[c] = err
						return
					}
					for _, a := range applied {
						if a.Moved && a.Payment.Status == wallet.PaymentSucceeded {
							moved[c]++
						}
					}
				}
			})
		}
		wg.Wait()

		for _, err := range errs {
			require.NoError(rt, err)
		}
		var want, got int64
		settled := 0
		for _, p := range payments {
			now, err := postgres.GetPayment(context.Background(), pool, p.ID)
			require.NoError(rt, err)
			require.Equal(rt, succeeds[p.ID], now.Status == wallet.PaymentSucceeded,
				"a payment has succeeded exactly when an outcome said so")
			if succeeds[p.ID] {
				want += p.Amount
				settled++
			}
		}
		w, err := postgres.GetWallet(context.Background(), pool, m.Wallet.ID)
		require.NoError(rt, err)
		got = w.Balance
		require.Equal(rt, want, got, "each success is credited once")
		total := 0
		for _, n := range moved {
			total += n
		}
		require.Equal(rt, settled, total, "exactly one caller moved each")
	})
	requireBooksBalance(t, pool)
}
