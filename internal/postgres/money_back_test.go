package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/moneyback"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func applyMoneyBack(tb testing.TB, pool *pgxpool.Pool, m postgres.MoneyBack) ([]moneyback.Booking, error) {
	tb.Helper()

	m.Now = now
	var bookings []moneyback.Booking
	err := pgx.BeginFunc(tb.Context(), pool, func(tx pgx.Tx) error {
		var err error
		bookings, err = postgres.ApplyMoneyBack(tb.Context(), tx, m)
		return err
	})
	return bookings, err
}

// moneyBack applies what Stripe says now, with the version as it is now.
func moneyBack(tb testing.TB, pool *pgxpool.Pool, id wallet.ID, refunds []wallet.RefundState, disputes []wallet.DisputeState) []moneyback.Booking {
	tb.Helper()

	version, err := postgres.MoneyBackVersion(tb.Context(), pool, id)
	require.NoError(tb, err)
	bookings, err := applyMoneyBack(tb, pool, postgres.MoneyBack{PaymentID: id, Version: version, Refunds: refunds, Disputes: disputes})
	require.NoError(tb, err)
	return bookings
}

func refundState(id string, amount int64, status wallet.RefundStatus) []wallet.RefundState {
	return []wallet.RefundState{{ID: id, Amount: amount, Currency: wallet.USD, Status: status, CreatedAt: now}}
}

func disputeState(id string, amount int64, status wallet.DisputeStatus) []wallet.DisputeState {
	return []wallet.DisputeState{{ID: id, Amount: amount, Currency: wallet.USD, Status: status, CreatedAt: now}}
}

func requestRefund(tb testing.TB, pool *pgxpool.Pool, n postgres.NewRefund) (wallet.Refund, error) {
	tb.Helper()

	if n.ID == (wallet.ID{}) {
		n.ID = wallet.NewID()
	}
	n.Now = now
	var r wallet.Refund
	err := pgx.BeginFunc(tb.Context(), pool, func(tx pgx.Tx) error {
		var err error
		r, err = postgres.RequestRefund(tb.Context(), tx, n)
		return err
	})
	return r, err
}

func requireAudit(tb testing.TB, pool *pgxpool.Pool) {
	tb.Helper()

	report, err := postgres.Audit(tb.Context(), pool)
	require.NoError(tb, err)
	require.Empty(tb, report.Findings)
}

func walletNow(tb testing.TB, pool *pgxpool.Pool, id wallet.ID) wallet.Wallet {
	tb.Helper()

	w, err := postgres.GetWallet(tb.Context(), pool, id)
	require.NoError(tb, err)
	return w
}

func remaining(tb testing.TB, pool *pgxpool.Pool, transactionID wallet.ID) int64 {
	tb.Helper()

	var left int64
	require.NoError(tb, pool.QueryRow(tb.Context(), `select remaining_amount from wallet_transactions where id = $1`, transactionID).Scan(&left))
	return left
}

func TestApplyMoneyBack(t *testing.T) {
	t.Parallel()

	succeeded := func(t *testing.T, pool *pgxpool.Pool, m testfactory.Merchant, amount int64) wallet.Payment {
		t.Helper()
		return testfactory.Payment(t, pool, testfactory.PaymentOpts{Amount: amount, Merchant: m, Status: wallet.PaymentSucceeded})
	}

	t.Run("RefundInParts", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{RateAmount: decimal.RequireFromString("0.03")})
		p := succeeded(t, pool, m, 10_00)

		bookings := moneyBack(t, pool, p.ID, refundState("re_1", 3_33, wallet.RefundSucceeded), nil)
		require.Len(t, bookings, 1)
		require.Equal(t, moneyback.KindRefund, bookings[0].Kind)
		require.EqualValues(t, 6_67, bookings[0].BalanceAfter)
		require.Empty(t, moneyBack(t, pool, p.ID, refundState("re_1", 3_33, wallet.RefundSucceeded), nil), "the second time books nothing")
		moneyBack(t, pool, p.ID, refundState("re_2", 6_67, wallet.RefundPending), nil)

		w := walletNow(t, pool, m.Wallet.ID)
		require.Zero(t, w.Balance)
		require.True(t, w.CreditsBalance.IsZero(), "the parts of the credits add up to the whole: %s", w.CreditsBalance)
		requireAudit(t, pool)
	})

	t.Run("RefundThatFailsAfterItSucceeded", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		p := succeeded(t, pool, m, 25_00)
		moneyBack(t, pool, p.ID, refundState("re_1", 25_00, wallet.RefundSucceeded), nil)

		bookings := moneyBack(t, pool, p.ID, refundState("re_1", 25_00, wallet.RefundFailed), nil)

		require.Equal(t, moneyback.KindRefundReversal, bookings[0].Kind)
		require.EqualValues(t, 25_00, walletNow(t, pool, m.Wallet.ID).Balance)
		refunds, err := postgres.RefundsOf(t.Context(), pool, p.ID)
		require.NoError(t, err)
		require.Len(t, refunds, 1)
		require.Equal(t, wallet.RefundFailed, refunds[0].Status)
		require.Zero(t, refunds[0].Debited)
		requireAudit(t, pool)
	})

	t.Run("DisputeTakesBackWhatIsLeft", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		p := succeeded(t, pool, m, 25_00)
		require.Empty(t, moneyBack(t, pool, p.ID, nil, disputeState("dp_1", 25_00, wallet.DisputeWarningNeedsResponse)), "an inquiry moves nothing")
		moneyBack(t, pool, p.ID, refundState("re_1", 10_00, wallet.RefundSucceeded), nil)

		bookings := moneyBack(t, pool, p.ID, nil, disputeState("dp_1", 25_00, wallet.DisputeNeedsResponse))
		require.EqualValues(t, 15_00, bookings[0].Amount, "the same money does not go back twice")
		require.Zero(t, walletNow(t, pool, m.Wallet.ID).Balance)

		moneyBack(t, pool, p.ID, refundState("re_1", 10_00, wallet.RefundCanceled), nil)
		require.Zero(t, walletNow(t, pool, m.Wallet.ID).Balance, "now the dispute takes all of it")
		moneyBack(t, pool, p.ID, nil, disputeState("dp_1", 25_00, wallet.DisputeWon))
		require.EqualValues(t, 25_00, walletNow(t, pool, m.Wallet.ID).Balance)
		requireAudit(t, pool)
	})

	t.Run("OlderAnswerIsNotApplied", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		p := succeeded(t, pool, m, 25_00)
		older, err := postgres.MoneyBackVersion(t.Context(), pool, p.ID)
		require.NoError(t, err)
		moneyBack(t, pool, p.ID, refundState("re_1", 25_00, wallet.RefundFailed), nil)

		_, err = applyMoneyBack(t, pool, postgres.MoneyBack{
			PaymentID: p.ID, Version: older, Refunds: refundState("re_1", 25_00, wallet.RefundSucceeded),
		})

		require.ErrorIs(t, err, moneyback.ErrOvertaken)
		require.EqualValues(t, 25_00, walletNow(t, pool, m.Wallet.ID).Balance)
	})

	t.Run("PaymentThatIsNotCredited", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		p := testfactory.Payment(t, pool, testfactory.PaymentOpts{})

		_, err := applyMoneyBack(t, pool, postgres.MoneyBack{PaymentID: p.ID, Refunds: refundState("re_1", 1, wallet.RefundSucceeded)})

		require.ErrorIs(t, err, moneyback.ErrNotCredited)
	})

	t.Run("NegativeBalanceIsFilledFirst", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		first, second := succeeded(t, pool, m, 20_00), succeeded(t, pool, m, 30_00)
		testfactory.Spend(t, pool, m, 40_00) // all of the first lot, and some of the second

		moneyBack(t, pool, first.ID, nil, disputeState("dp_1", 20_00, wallet.DisputeNeedsResponse))

		require.EqualValues(t, -10_00, walletNow(t, pool, m.Wallet.ID).Balance)
		require.Zero(t, remaining(t, pool, second.WalletTransactionID), "what the payment's lot lacks is taken from the others")
		third := succeeded(t, pool, m, 4_00)
		require.Zero(t, remaining(t, pool, third.WalletTransactionID))
		fourth := succeeded(t, pool, m, 25_00)
		require.EqualValues(t, 19_00, remaining(t, pool, fourth.WalletTransactionID))
		require.EqualValues(t, 19_00, walletNow(t, pool, m.Wallet.ID).Balance)
		require.EqualValues(t, 19_00, *fourth.BalanceAfter)
		requireAudit(t, pool)

		moneyBack(t, pool, first.ID, nil, disputeState("dp_1", 20_00, wallet.DisputeWon))
		require.EqualValues(t, 39_00, walletNow(t, pool, m.Wallet.ID).Balance)
		requireAudit(t, pool)
	})

	t.Run("OwnLotGoesFirst", func(t *testing.T) {
		t.Parallel()

		pool := testdb.New(t)
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		first, second := succeeded(t, pool, m, 20_00), succeeded(t, pool, m, 30_00)

		moneyBack(t, pool, second.ID, refundState("re_1", 30_00, wallet.RefundSucceeded), nil)

		require.EqualValues(t, 20_00, remaining(t, pool, first.WalletTransactionID))
		require.Zero(t, remaining(t, pool, second.WalletTransactionID))
	})
}

func TestRequestRefund(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	newPayment := func(t *testing.T) (wallet.Payment, testfactory.Merchant) {
		t.Helper()
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		return testfactory.Payment(t, pool, testfactory.PaymentOpts{Amount: 25_00, Merchant: m, Status: wallet.PaymentSucceeded}), m
	}
	requireCode := func(t *testing.T, code wallet.Code, err error) {
		t.Helper()
		require.True(t, wallet.HasCode(err, code), "%v", err)
	}

	t.Run("DebitsAtOnce", func(t *testing.T) {
		t.Parallel()

		p, m := newPayment(t)
		r, err := requestRefund(t, pool, postgres.NewRefund{PaymentID: p.ID, Amount: 10_00})
		require.NoError(t, err)
		require.EqualValues(t, 10_00, r.Debited)
		require.EqualValues(t, 15_00, walletNow(t, pool, m.Wallet.ID).Balance)

		moneyBack(t, pool, p.ID, []wallet.RefundState{{
			ID: "re_" + r.ID.String(), RefundID: r.ID, Amount: 10_00, Currency: wallet.USD, Status: wallet.RefundSucceeded, CreatedAt: now,
		}}, nil)

		require.EqualValues(t, 15_00, walletNow(t, pool, m.Wallet.ID).Balance, "Stripe's refund is the one that was asked for")
		r, err = postgres.GetRefund(t.Context(), pool, r.ID)
		require.NoError(t, err)
		require.Equal(t, wallet.RefundSucceeded, r.Status)
		requireAudit(t, pool)
	})

	t.Run("RefusedByStripe", func(t *testing.T) {
		t.Parallel()

		p, m := newPayment(t)
		r, err := requestRefund(t, pool, postgres.NewRefund{PaymentID: p.ID})
		require.NoError(t, err)
		require.EqualValues(t, 25_00, r.Amount, "all of it, without an amount")
		for range 2 {
			require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				_, err := postgres.RefuseRefund(t.Context(), tx, r.ID, "charge_disputed", now)
				return err
			}))
		}
		require.EqualValues(t, 25_00, walletNow(t, pool, m.Wallet.ID).Balance)
		r, err = postgres.GetRefund(t.Context(), pool, r.ID)
		require.NoError(t, err)
		require.Equal(t, wallet.RefundFailed, r.Status)
		require.Equal(t, "charge_disputed", r.FailureReason)
	})

	t.Run("SpentMoneyNeedsForce", func(t *testing.T) {
		t.Parallel()

		p, m := newPayment(t)
		testfactory.Spend(t, pool, m, 20_00)
		_, err := requestRefund(t, pool, postgres.NewRefund{PaymentID: p.ID, Amount: 5_01})
		requireCode(t, wallet.CodeRefundSpent, err)
		_, err = requestRefund(t, pool, postgres.NewRefund{PaymentID: p.ID, Amount: 25_00, Force: true})
		require.NoError(t, err)
		require.EqualValues(t, -20_00, walletNow(t, pool, m.Wallet.ID).Balance)
		requireAudit(t, pool)
	})
}

// TestMoneyBackConverges plays random histories of payments, refunds and disputes
// at Stripe against the books, where answers are applied late, twice and in any
// order. Once Stripe was asked about everything, the books agree with Stripe.
func TestMoneyBackConverges(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{
			RateAmount: decimal.New(rapid.Int64Range(1, 10_000_000).Draw(rt, "rate"), -5),
		})
		world := &stripeModel{t: t, rt: rt, pool: pool, merchant: m}
		for range rapid.IntRange(1, 3).Draw(rt, "payments") {
			world.payments = append(world.payments, &modelPayment{
				Payment: testfactory.Payment(t, pool, testfactory.PaymentOpts{
					Amount: rapid.Int64Range(1, 100_00).Draw(rt, "amount"), Merchant: m,
				}),
			})
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			p := rapid.SampledFrom(world.payments).Draw(rt, "payment")
			rapid.SampledFrom([]func(*modelPayment){
				world.settle, world.refund, world.endRefund, world.request, world.dispute, world.moveDispute, world.ask, world.answer, world.answer,
			}).Draw(rt, "step")(p)
		}
		world.settleEverything()
		require.Equal(rt, world.balance(), walletNow(t, pool, m.Wallet.ID).Balance)
		report, err := postgres.Audit(t.Context(), pool)
		require.NoError(rt, err)
		require.Empty(rt, report.Findings)
	})
}

type stripeModel struct {
	t        *testing.T
	rt       *rapid.T
	pool     *pgxpool.Pool
	merchant testfactory.Merchant
	payments []*modelPayment
	made     int
}

type modelPayment struct {
	wallet.Payment
	settled  bool
	refunds  []wallet.RefundState
	disputes []wallet.DisputeState
	answers  []postgres.MoneyBack // not applied yet, or to be applied again
}

func (w *stripeModel) id(prefix string) string {
	w.made++
	return fmt.Sprintf("%s_%s_%d", prefix, w.merchant.Wallet.ID, w.made)
}

func (w *stripeModel) createdAt() time.Time {
	return now.Add(time.Duration(rapid.IntRange(0, 3).Draw(w.rt, "created")) * time.Second)
}

func (w *stripeModel) settle(p *modelPayment) {
	if !p.settled {
		testfactory.Move(w.t, w.pool, p.ID, testfactory.Succeeded(p.Amount, p.Currency), now)
		p.settled = true
	}
}

func (w *stripeModel) refund(p *modelPayment) {
	p.refunds = append(p.refunds, wallet.RefundState{
		ID: w.id("re"), Amount: rapid.Int64Range(1, p.Amount).Draw(w.rt, "refund"), Currency: p.Currency,
		Status:    rapid.SampledFrom([]wallet.RefundStatus{wallet.RefundPending, wallet.RefundSucceeded}).Draw(w.rt, "status"),
		CreatedAt: w.createdAt(),
	})
}

func (w *stripeModel) endRefund(p *modelPayment) {
	if len(p.refunds) > 0 {
		i := rapid.IntRange(0, len(p.refunds)-1).Draw(w.rt, "refund")
		p.refunds[i].Status = rapid.SampledFrom([]wallet.RefundStatus{
			wallet.RefundSucceeded, wallet.RefundFailed, wallet.RefundCanceled,
		}).Draw(w.rt, "end")
	}
}

// request asks for a refund here. Stripe then makes it or refuses it.
func (w *stripeModel) request(p *modelPayment) {
	r, err := requestRefund(w.t, w.pool, postgres.NewRefund{
		PaymentID: p.ID, Amount: rapid.Int64Range(0, p.Amount).Draw(w.rt, "refund"), Force: rapid.Bool().Draw(w.rt, "force"),
	})
	if err != nil {
		require.ErrorAs(w.rt, err, new(*wallet.Error))
		return
	}
	if rapid.Bool().Draw(w.rt, "refused") {
		require.NoError(w.rt, pgx.BeginFunc(w.t.Context(), w.pool, func(tx pgx.Tx) error {
			_, err := postgres.RefuseRefund(w.t.Context(), tx, r.ID, "charge_disputed", now)
			return err
		}))
		return
	}
	p.refunds = append(p.refunds, wallet.RefundState{
		ID: w.id("re"), RefundID: r.ID, Amount: r.Amount, Currency: p.Currency, Status: wallet.RefundPending, CreatedAt: now,
	})
}

func (w *stripeModel) dispute(p *modelPayment) {
	p.disputes = append(p.disputes, wallet.DisputeState{
		ID: w.id("dp"), Amount: rapid.Int64Range(1, p.Amount).Draw(w.rt, "dispute"), Currency: p.Currency, FundsCurrency: p.Currency,
		Status: wallet.DisputeWarningNeedsResponse, CreatedAt: w.createdAt(),
	})
}

func (w *stripeModel) moveDispute(p *modelPayment) {
	if len(p.disputes) == 0 {
		return
	}
	d := &p.disputes[rapid.IntRange(0, len(p.disputes)-1).Draw(w.rt, "dispute")]
	d.Status = rapid.SampledFrom([]wallet.DisputeStatus{
		wallet.DisputeNeedsResponse, wallet.DisputeUnderReview, wallet.DisputeLost, wallet.DisputeWon,
	}).Draw(w.rt, "dispute status")
	if rapid.Bool().Draw(w.rt, "withdrawn") {
		d.Withdrawn = d.Amount
	}
	if d.Status == wallet.DisputeWon && d.Withdrawn > 0 {
		d.Reinstated = d.Withdrawn
	}
}

// ask keeps an answer for later: some of what Stripe says at this moment.
func (w *stripeModel) ask(p *modelPayment) {
	version, err := postgres.MoneyBackVersion(w.t.Context(), w.pool, p.ID)
	require.NoError(w.rt, err)
	a := postgres.MoneyBack{PaymentID: p.ID, Version: version}
	for _, r := range p.refunds {
		if rapid.Bool().Draw(w.rt, "about") {
			a.Refunds = append(a.Refunds, r)
		}
	}
	for _, d := range p.disputes {
		if rapid.Bool().Draw(w.rt, "about") {
			a.Disputes = append(a.Disputes, d)
		}
	}
	p.answers = append(p.answers, a)
}

// answer applies one of the answers that were kept, in any order. It may be applied
// again later.
func (w *stripeModel) answer(p *modelPayment) {
	if len(p.answers) == 0 {
		return
	}
	_, err := applyMoneyBack(w.t, w.pool, p.answers[rapid.IntRange(0, len(p.answers)-1).Draw(w.rt, "answer")])
	if !errors.Is(err, moneyback.ErrOvertaken) && (p.settled || !errors.Is(err, moneyback.ErrNotCredited)) {
		require.NoError(w.rt, err)
	}
}

func (w *stripeModel) settleEverything() {
	for _, p := range w.payments {
		w.settle(p)
		moneyBack(w.t, w.pool, p.ID, p.refunds, p.disputes)
	}
}

// balance is the balance that follows from what Stripe says.
func (w *stripeModel) balance() int64 {
	var sum int64
	for _, p := range w.payments {
		var gone int64
		for _, r := range p.refunds {
			gone += r.Debit()
		}
		for _, d := range p.disputes {
			gone += d.Debit()
		}
		sum += p.Amount - min(gone, p.Amount)
	}
	return sum
}
