package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// seedTopUps stores each kind of transaction that a top-up can make: a paid purchase and a
// pending one, both with numbered invoices, a grant, and a void of a part of it.
func seedTopUps(t *testing.T, pool *pgxpool.Pool) testfactory.Merchant {
	t.Helper()

	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	request := into(m)
	request.Paid, request.Granted = dec("25"), dec("5")
	paid := mustTopUp(t, pool, request)[0]
	testfactory.Move(t, pool, paid.Payment.ID, testfactory.Succeeded(25_00, wallet.USD), now)
	request.Granted = decimal.Zero
	mustTopUp(t, pool, request)
	request.Paid, request.Voided = decimal.Zero, dec("3")
	mustTopUp(t, pool, request)
	require.NoError(t, postgres.NumberAllInvoices(t.Context(), pool))
	return m
}

// TestAuditOfTopUps breaks the books of top-ups in a way that each check must find.
func TestAuditOfTopUps(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ check, corruption string }{
		"CreditsBalance":   {"credits_balance_equals_transactions", `update wallets set credits_balance = credits_balance + 0.00001`},
		"ConsumedCredits":  {"consumed_credits_equal_transactions", `update wallets set consumed_credits = 0`},
		"Remaining":        {"remaining_equals_inbound_less_consumed", `update wallet_transactions set remaining_amount = remaining_amount - 1 where transaction_status = 'granted'`},
		"RemainingMissing": {"remaining_equals_inbound_less_consumed", `update wallet_transactions set remaining_amount = null where transaction_status = 'purchased'`},
		"LinkMissing": {"outbound_equals_consumed", `
			alter table wallet_transaction_consumptions disable trigger user; delete from wallet_transaction_consumptions`},
		"LinkToAnotherMode": {"consumption_stays_in_its_wallet", `update wallet_transactions set mode = 'live' where transaction_status = 'voided'`},
		"InvoiceUnpaid":     {"invoice_agrees_with_its_transaction", `update invoices set payment_status = 'pending', paid_amount = 0`},
		"InvoicePaid":       {"invoice_agrees_with_its_transaction", `update invoices set payment_status = 'succeeded', paid_amount = amount`},
		"InvoiceAmount":     {"invoice_agrees_with_its_transaction", `update invoices set amount = amount + 1`},
		"InvoiceUnlinked":   {"invoice_agrees_with_its_transaction", `update wallet_transactions set invoice_id = null`},
		"NumberGap":         {"invoice_numbers_have_no_gaps", `update invoices set sequential_id = 3 where sequential_id = 1`},
		"NumberLost":        {"invoice_numbers_have_no_gaps", `update invoices set sequential_id = null, number = null where sequential_id = 2`},
		"CounterLost":       {"invoice_numbers_have_no_gaps", `delete from invoice_numbers`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pool := testdb.New(t)
			seedTopUps(t, pool)
			requireBooksBalance(t, pool)

			_, err := pool.Exec(t.Context(), tc.corruption)
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

func TestSchemaRefusesTopUps(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	seedTopUps(t, pool)
	for name, statement := range map[string]string{
		"RemainderAboveAmount":  `update wallet_transactions set remaining_amount = amount + 1 where transaction_status = 'granted'`,
		"RemainderOfAVoid":      `update wallet_transactions set remaining_amount = 0 where transaction_status = 'voided'`,
		"PendingGrant":          `update wallet_transactions set status = 'pending', settled_at = null, remaining_amount = null where transaction_status = 'granted'`,
		"Priority":              `update wallet_transactions set priority = 51`,
		"ManualWithACard":       `update wallets set payment_method_type = 'manual', payment_method_id = (select id from payment_methods)`,
		"ChangeOfALink":         `update wallet_transaction_consumptions set amount = 1`,
		"SecondLink":            `insert into wallet_transaction_consumptions select gen_random_uuid(), inbound_transaction_id, outbound_transaction_id, amount, created_at from wallet_transaction_consumptions`,
		"SecondInvoice":         `insert into invoices (id, organization_id, mode, customer_id, wallet_id, wallet_transaction_id, status, payment_status, currency, amount, credit_amount, rate_amount, description, issuing_date, created_at, updated_at, finalized_at) select gen_random_uuid(), organization_id, mode, customer_id, wallet_id, wallet_transaction_id, status, payment_status, currency, amount, credit_amount, rate_amount, description, issuing_date, created_at, updated_at, finalized_at from invoices limit 1`,
		"NumberTwice":           `update invoices set sequential_id = 1`,
		"OpenWithNumber":        `update invoices set status = 'open', finalized_at = null, payment_status = 'pending', paid_amount = 0`,
		"PaidWithoutMoney":      `update invoices set payment_status = 'succeeded', paid_amount = 0`,
		"TerminatedWithoutTime": `update wallets set status = 'terminated'`,
		"MinimumAboveMaximum":   `update wallets set paid_top_up_min_amount = 2, paid_top_up_max_amount = 1`,
		"ChallengeWithoutIntent": `update payments set status = 'requires_action', redirect_url = 'https://stripe.example', action_deadline_at = now(),
			stripe_payment_intent_id = null where status = 'created'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := pool.Exec(t.Context(), statement)
			require.Error(t, err)
		})
	}
}
