package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestAuditFindsWhatIsWrongWithMoneyBack breaks the books of refunds and disputes
// in each way that the audit has a check for.
func TestAuditFindsWhatIsWrongWithMoneyBack(t *testing.T) {
	t.Parallel()

	const unlock = `alter table transfers disable trigger user; `
	for name, tc := range map[string]struct{ check, vandalism string }{
		"RefundLessThanBooked":  {"refund_transfers_equal_debited", `update refunds set debited = debited - 1`},
		"RefundUnbooked":        {"refund_transfers_equal_debited", unlock + `delete from transfers where kind = 'refund'`},
		"DisputeLessThanBooked": {"dispute_transfers_equal_debited", `update disputes set debited = debited - 1`},
		"DisputeUnbooked":       {"dispute_transfers_equal_debited", unlock + `delete from transfers where kind = 'dispute'`},
		"OtherPayment": {"money_back_stays_with_its_payment", unlock + `
			update transfers set payment_id = (select id from payments where refunded = 0) where kind = 'refund'`},
		"WrongWayRound": {"money_back_stays_with_its_payment", unlock + `
			update transfers set debit_account = credit_account, credit_account = debit_account where kind = 'dispute'`},
		"PaymentSaysOtherwise": {"money_back_is_at_most_what_was_credited", `update payments set refunded = 0`},
		"MoreThanCredited": {"money_back_is_at_most_what_was_credited", `
			update payments set amount_received = refunded + disputed - 1 where refunded > 0`},
		"Remaining": {"remaining_equals_balance", `update wallet_transactions set remaining_amount = remaining_amount - 1 where remaining_amount > 0`},
		"Hole":      {"remaining_equals_balance", `update wallets set balance = -1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pool := testdb.New(t)
			m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
			p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentSucceeded})
			testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentSucceeded})
			moneyBack(t, pool, p.ID, refundState("re_1", 10_00, wallet.RefundSucceeded), disputeState("dp_1", 5_00, wallet.DisputeLost))
			requireBooksBalance(t, pool)

			_, err := pool.Exec(t.Context(), tc.vandalism)
			require.NoError(t, err)

			report, err := postgres.Audit(t.Context(), pool)
			require.NoError(t, err)
			var found []string
			for _, f := range report.Findings {
				found = append(found, f.Check)
			}
			require.Contains(t, found, tc.check)
		})
	}
}
