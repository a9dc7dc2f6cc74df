package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestMoneyBackRows gives every column a value of its own, so that two columns
// which are confused make a difference.
func TestMoneyBackRows(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{RateAmount: decimal.RequireFromString("0.5")})
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Amount: 100_00, Merchant: m, Status: wallet.PaymentSucceeded})
	made := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	refunds := []wallet.RefundState{
		{ID: "re_1", Amount: 11_00, Currency: wallet.USD, Status: wallet.RefundPending, CreatedAt: made(4)},
		{ID: "re_2", Amount: 12_00, Currency: wallet.USD, Status: wallet.RefundFailed, FailureReason: "lost_or_stolen_card", CreatedAt: made(3)},
	}
	disputes := []wallet.DisputeState{
		{
			ID: "dp_1", Amount: 13_00, Currency: wallet.USD, Status: wallet.DisputeUnderReview, Reason: "fraudulent",
			Withdrawn: 13_00, Reinstated: 1_00, FundsCurrency: wallet.USD, CreatedAt: made(2),
		},
		{ID: "dp_2", Amount: 14_00, Currency: wallet.USD, Status: wallet.DisputeWarningClosed, CreatedAt: made(1)},
	}

	bookings := moneyBack(t, pool, p.ID, refunds, disputes)

	require.Len(t, bookings, 2)
	requireReturns(t, pool, p, refunds, disputes, []int64{11_00, 0, 12_00, 0})
	requireBookingRows(t, pool, p, bookings)

	// Each row changes in every column that may.
	refunds[0].Status, refunds[0].FailureReason = wallet.RefundCanceled, "expired_or_canceled_card"
	refunds[1].Status, refunds[1].FailureReason = wallet.RefundRequiresAction, ""
	disputes[0].Amount, disputes[0].Status, disputes[0].Reason = 15_00, wallet.DisputeLost, "duplicate"
	disputes[0].Withdrawn, disputes[0].Reinstated, disputes[0].FundsCurrency = 9_00, 2_00, "EUR"
	disputes[1].Amount, disputes[1].Status, disputes[1].Reason = 16_00, wallet.DisputeNeedsResponse, "general"
	disputes[1].Withdrawn, disputes[1].FundsCurrency = 16_00, wallet.USD

	bookings = moneyBack(t, pool, p.ID, refunds, disputes)

	require.Len(t, bookings, 4)
	requireReturns(t, pool, p, refunds, disputes, []int64{0, 12_00, 15_00, 16_00})
	requireBookingRows(t, pool, p, bookings)
	stored, err := postgres.GetPayment(t.Context(), pool, p.ID)
	require.NoError(t, err)
	require.EqualValues(t, 12_00, stored.Refunded)
	require.EqualValues(t, 31_00, stored.Disputed)
	w := walletNow(t, pool, m.Wallet.ID)
	require.EqualValues(t, 57_00, w.Balance)
	require.True(t, w.CreditsBalance.Equal(decimal.NewFromInt(114)), "%s", w.CreditsBalance)
	require.True(t, w.ConsumedCredits.Equal(decimal.NewFromInt(2*(11+12+12+3+16))), "%s", w.ConsumedCredits)
	require.True(t, now.Equal(*w.LastConsumedCreditAt))
	require.True(t, now.Equal(*w.LastBalanceSyncAt))
	requireAudit(t, pool)
}

// requireReturns compares the refunds and disputes of a payment with Stripe's. The
// debits are those of the refunds, then those of the disputes.
func requireReturns(
	t *testing.T, pool *pgxpool.Pool, p wallet.Payment, refunds []wallet.RefundState, disputes []wallet.DisputeState, debits []int64,
) {
	t.Helper()

	stored, err := postgres.RefundsOf(t.Context(), pool, p.ID)
	require.NoError(t, err)
	require.Len(t, stored, len(refunds))
	for i, got := range stored {
		s := refunds[i]
		require.True(t, s.CreatedAt.Equal(got.CreatedAt))
		require.True(t, now.Equal(got.UpdatedAt))
		require.Equal(t, wallet.Refund{
			ID: got.ID, OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID, StripeRefundID: s.ID,
			Amount: s.Amount, Currency: s.Currency, Status: s.Status, FailureReason: s.FailureReason, Debited: debits[i],
			CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt,
		}, got)
		rows, _ := pool.Query(t.Context(), `select next_check_at, requested from refunds where id = $1`, got.ID)
		check, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct {
			NextCheckAt *time.Time
			Requested   bool
		}])
		require.NoError(t, err)
		require.Equal(t, s.Status.Open(), check.NextCheckAt != nil)
		require.False(t, check.Requested)
	}
	storedDisputes, err := postgres.DisputesOf(t.Context(), pool, p.ID)
	require.NoError(t, err)
	require.Len(t, storedDisputes, len(disputes))
	for i, got := range storedDisputes {
		s := disputes[i]
		require.True(t, s.CreatedAt.Equal(got.CreatedAt))
		require.True(t, now.Equal(got.UpdatedAt))
		require.Equal(t, wallet.Dispute{
			ID: got.ID, OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID, StripeDisputeID: s.ID,
			Amount: s.Amount, Currency: s.Currency, Status: s.Status, Reason: s.Reason, Withdrawn: s.Withdrawn,
			Reinstated: s.Reinstated, FundsCurrency: s.FundsCurrency, Debited: debits[len(refunds)+i],
			CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt,
		}, got)
	}
}

// requireBookingRows compares bookings with their stored lines and transfers, whose
// ids have the order of the bookings. A dollar buys two credits.
func requireBookingRows(t *testing.T, pool *pgxpool.Pool, p wallet.Payment, bookings []moneyback.Booking) {
	t.Helper()

	type row struct {
		Kind                moneyback.Kind
		Amount              int64
		Currency            wallet.Currency
		PaymentID           wallet.ID
		RefundID            *wallet.ID
		DisputeID           *wallet.ID
		Debit               string
		Credit              string
		Name                string
		TransactionType     wallet.TransactionType
		TransactionStatus   wallet.TransactionKind
		CreditAmount        decimal.Decimal
		RemainingAmount     *int64
		Priority            int
		WalletID            wallet.ID
		CreatedAt           time.Time
		SettledAt           time.Time
		WalletTransactionID wallet.ID
	}
	lines := make([]wallet.ID, len(bookings))
	for i, b := range bookings {
		lines[i] = b.Line.ID
	}
	rows, _ := pool.Query(t.Context(), `
		select x.kind, x.amount, x.currency, x.payment_id, x.refund_id, x.dispute_id, d.kind as debit, c.kind as credit,
			l.name, l.transaction_type, l.transaction_status, l.credit_amount, l.remaining_amount, l.priority, l.wallet_id,
			l.created_at, l.settled_at, l.id as wallet_transaction_id
		from transfers x
		join accounts d on d.id = x.debit_account
		join accounts c on c.id = x.credit_account
		join wallet_transactions l on l.id = x.wallet_transaction_id
		where l.id = any ($1)
		order by x.id`, lines)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	require.NoError(t, err)
	require.Len(t, stored, len(bookings))
	for i, b := range bookings {
		got := stored[i]
		require.True(t, now.Equal(got.CreatedAt))
		require.True(t, now.Equal(got.SettledAt))
		require.True(t, got.CreditAmount.Equal(decimal.New(2*b.Amount, -2)), "%s", got.CreditAmount)
		want := row{
			Kind: b.Kind, Amount: b.Amount, Currency: p.Currency, PaymentID: p.ID, RefundID: b.RefundID(), DisputeID: b.DisputeID(),
			Debit: "wallet", Credit: b.Kind.Account(), Name: b.Line.Name, TransactionType: wallet.TransactionOutbound,
			TransactionStatus: wallet.TransactionVoided, CreditAmount: got.CreditAmount, Priority: wallet.DefaultPriority, WalletID: p.WalletID,
			CreatedAt: got.CreatedAt, SettledAt: got.SettledAt, WalletTransactionID: b.Line.ID,
		}
		if b.Kind.Reverses() {
			want.Debit, want.Credit = want.Credit, want.Debit
			want.TransactionType, want.TransactionStatus = wallet.TransactionInbound, wallet.TransactionPurchased
			want.RemainingAmount = b.Line.Remaining
		}
		require.Equal(t, want, got)
	}
}

// TestMoneyBackTakesFromManyLots debits more lots than are read at a time.
func TestMoneyBackTakesFromManyLots(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Amount: 15_00, Merchant: m, Status: wallet.PaymentSucceeded})
	testfactory.Spend(t, pool, m, 15_00)
	const lots = 1200 // of one cent
	_, err := pool.Exec(t.Context(), `
		with lots as (
			insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status,
				amount, credit_amount, remaining_amount, created_at, settled_at)
			select gen_random_uuid(), organization_id, mode, id, 'inbound', 'granted', 'settled', 1, 0.01, 1, created_at, created_at
			from wallets, generate_series(1, $2::bigint)
			where id = $1
			returning *
		), booked as (
			insert into transfers (debit_account, credit_account, amount, currency, kind, wallet_transaction_id, created_at)
			select a.id, l.wallet_id, l.amount, a.currency, 'grant', l.id, l.created_at
			from lots l
			join accounts a on a.organization_id = l.organization_id and a.mode = l.mode and a.kind = 'promotions' and a.currency = 'USD'
		)
		update wallets set balance = balance + $2::bigint, credits_balance = credits_balance + 0.01 * $2::bigint where id = $1`, m.Wallet.ID, lots)
	require.NoError(t, err)
	requireAudit(t, pool)

	moneyBack(t, pool, p.ID, refundState("re_1", 15_00, wallet.RefundSucceeded), nil)

	require.EqualValues(t, lots-15_00, walletNow(t, pool, m.Wallet.ID).Balance)
	var consumed int64
	require.NoError(t, pool.QueryRow(t.Context(), `
		select count(*) from wallet_transaction_consumptions c
		join transfers t on t.wallet_transaction_id = c.outbound_transaction_id and t.kind = 'refund'`).Scan(&consumed))
	require.EqualValues(t, lots, consumed)
	requireAudit(t, pool)
}

// TestMoneyBackWaitsForTheWallet applies an answer while another transaction has
// the wallet locked. What that one wrote is what the decision is made from.
func TestMoneyBackWaitsForTheWallet(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	first := testfactory.Payment(t, pool, testfactory.PaymentOpts{Amount: 20_00, Merchant: m, Status: wallet.PaymentSucceeded})
	second := testfactory.Payment(t, pool, testfactory.PaymentOpts{Amount: 30_00, Merchant: m, Status: wallet.PaymentSucceeded})
	testfactory.Spend(t, pool, m, 15_00) // of the first one

	// The first payment's refund takes 15.00 out of the second one's lot.
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = postgres.ApplyMoneyBack(t.Context(), tx, postgres.MoneyBack{
		PaymentID: first.ID, Refunds: refundState("re_1", 20_00, wallet.RefundSucceeded), Now: now,
	})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := applyMoneyBack(t, pool, postgres.MoneyBack{PaymentID: second.ID, Refunds: refundState("re_2", 30_00, wallet.RefundSucceeded)})
		done <- err
	}()
	require.Eventually(t, func() bool {
		var waits bool
		err := pool.QueryRow(t.Context(), `
			select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waits)
		return err == nil && waits
	}, 15*time.Second, 5*time.Millisecond, "the second one waits for the wallet")
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-done)

	require.EqualValues(t, -15_00, walletNow(t, pool, m.Wallet.ID).Balance)
	require.Zero(t, remaining(t, pool, second.WalletTransactionID))
	requireAudit(t, pool)
}

// TestMoneyBackIsWrittenAsAWhole lets the step fail that inserts the transfers.
func TestMoneyBackIsWrittenAsAWhole(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Amount: 20_00, Merchant: m, Status: wallet.PaymentSucceeded})
	_, err := pool.Exec(t.Context(), `delete from accounts where kind = 'refunds'`)
	require.NoError(t, err)

	_, err = applyMoneyBack(t, pool, postgres.MoneyBack{PaymentID: p.ID, Refunds: refundState("re_1", 5_00, wallet.RefundSucceeded)})

	require.Error(t, err, "the transfer has no other side")
	refunds, err := postgres.RefundsOf(t.Context(), pool, p.ID)
	require.NoError(t, err)
	require.Empty(t, refunds)
	require.EqualValues(t, 20_00, walletNow(t, pool, m.Wallet.ID).Balance)
}
