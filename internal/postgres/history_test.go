package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// step is one act on a wallet.
type step struct {
	kind    string // top_up, settle, attempt, number, terminate
	request topup.Request
	// target is which of the wallet's transactions so far is meant, for a targeted
	// void, a settlement or another attempt; negative for none.
	target  int
	outcome wallet.PaymentStatus
}

// history runs the steps of concurrent callers on one wallet and keeps their results.
type history struct {
	pool *pgxpool.Pool
	m    testfactory.Merchant

	mu     sync.Mutex
	made   []wallet.Transaction
	failed []error
}

func drawSteps(rt *rapid.T, m testfactory.Merchant) []step {
	credits := func(label string) decimal.Decimal {
		if !rapid.Bool().Draw(rt, label) {
			return decimal.Zero
		}
		return decimal.New(rapid.Int64Range(1, 5_000_000).Draw(rt, label), -wallet.CreditDecimals) // up to 50
	}
	steps := make([]step, rapid.IntRange(1, 12).Draw(rt, "steps"))
	for i := range steps {
		s := step{
			kind:    rapid.SampledFrom([]string{"top_up", "top_up", "top_up", "settle", "settle", "attempt", "number", "terminate"}).Draw(rt, "kind"),
			target:  rapid.IntRange(-3, 10).Draw(rt, "target"),
			outcome: rapid.SampledFrom(wallet.PaymentStatuses[1:]).Draw(rt, "outcome"),
		}
		if s.kind == "terminate" && rapid.IntRange(0, 3).Draw(rt, "rarely") > 0 {
			s.kind = "number"
		}
		s.request = into(m)
		s.request.Paid, s.request.Granted, s.request.Voided = credits("paid"), credits("granted"), credits("voided")
		s.request.Priority = rapid.IntRange(1, 3).Draw(rt, "priority")
		s.request.Now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "second")) * time.Second)
		if rapid.Bool().Draw(rt, "requires") {
			yes := true
			s.request.InvoiceRequiresSuccessfulPayment = &yes
		}
		steps[i] = s
	}
	return steps
}

func (h *history) transaction(n int) (wallet.Transaction, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n < 0 || n >= len(h.made) {
		return wallet.Transaction{}, false
	}
	return h.made[n], true
}

// do runs one step. A validation error is not a failure.
func (h *history) do(ctx context.Context, s step) error {
	switch s.kind {
	case "top_up":
		return h.topUp(ctx, s)
	case "settle":
		return h.settle(ctx, s)
	case "attempt":
		t, ok := h.transaction(s.target)
		if !ok {
			return nil
		}
		_, err := postgres.OpenAttempt(ctx, h.pool, postgres.Attempt{
			PaymentID: wallet.NewID(), OrganizationID: h.m.Organization.ID, Mode: h.m.Mode, TransactionID: t.ID, Now: now,
		})
		return err
	case "number":
		return postgres.NumberInvoices(ctx, h.pool, h.m.Organization.ID, h.m.Mode)
	case "terminate":
		return pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
			_, _, err := postgres.TerminateWallet(ctx, tx, refTo(h.m.Wallet), now)
			return err
		})
	}
	return fmt.Errorf("no such step: %s", s.kind)
}

func (h *history) topUp(ctx context.Context, s step) error {
	if t, ok := h.transaction(s.target); ok {
		s.request.VoidedTransactionID = &t.ID
	}
	var ids []wallet.ID
	err := pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
		p, err := postgres.PrepareTopUp(ctx, tx, s.request, &wallet.ValidationError{})
		if err != nil {
			return err
		}
		ids = p.TransactionIDs()
		_, _, err = postgres.MakeTopUp(ctx, tx, p)
		return err
	})
	if _, refused := errors.AsType[*wallet.ValidationError](err); refused {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := postgres.GetTransactions(ctx, h.pool, ids)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made = append(h.made, list...)
	return err
}

// settle applies an outcome to the newest payment of a purchase.
func (h *history) settle(ctx context.Context, s step) error {
	made, ok := h.transaction(max(s.target, 0))
	if !ok {
		return nil
	}
	t, err := postgres.GetTransaction(ctx, h.pool, h.m.Organization.ID, h.m.Mode, made.ID)
	if err != nil || t.Payment == nil {
		return err
	}
	p, err := postgres.GetPayment(ctx, h.pool, t.Payment.ID)
	if err != nil {
		return err
	}
	intentID := "pi_" + p.ID.String()
	_, err = postgres.ApplyOutcomes(ctx, h.pool, []wallet.Settlement{settlement(p.ID, outcomes(p, intentID)[s.outcome])})
	return err
}

func (h *history) run(ctx context.Context, steps []step) {
	for _, s := range steps {
		if err := h.do(ctx, s); err != nil {
			h.mu.Lock()
			h.failed = append(h.failed, fmt.Errorf("%s: %w", s.kind, err))
			h.mu.Unlock()
			return
		}
	}
}

// TestWalletHistories checks the books of wallets after random histories, in which several
// callers concurrently top up, grant, void, settle, fail, retry, number invoices and
// terminate.
func TestWalletHistories(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{
			Currency:   rapid.SampledFrom([]wallet.Currency{"EUR", "JPY", "KWD"}).Draw(rt, "currency"),
			RateAmount: rapid.SampledFrom([]decimal.Decimal{dec("1"), dec("1.375"), dec("0.01"), dec("3")}).Draw(rt, "rate"),
		})
		h := &history{pool: pool, m: m}
		callers := make([][]step, rapid.IntRange(1, 4).Draw(rt, "callers"))
		for i := range callers {
			callers[i] = drawSteps(rt, m)
		}
		ctx := context.Background()

		var wg sync.WaitGroup
		for _, steps := range callers {
			wg.Go(func() { h.run(ctx, steps) })
		}
		wg.Wait()

		require.NoError(rt, errors.Join(h.failed...))
		w, err := postgres.GetWallet(ctx, pool, m.Wallet.ID)
		require.NoError(rt, err)
		list, _, err := postgres.ListTransactions(ctx, pool, m.Wallet.ID, postgres.TransactionFilter{}, wallet.Page{Size: 1000})
		require.NoError(rt, err)
		var in, out, left int64
		credits := decimal.Zero
		for _, one := range list {
			switch {
			case one.Status != wallet.TransactionSettled:
				require.Nil(rt, one.RemainingAmount)
			case one.Type == wallet.TransactionInbound:
				in += one.Amount
				left += *one.RemainingAmount
				credits = credits.Add(one.CreditAmount)
			default:
				out += one.Amount
				credits = credits.Sub(one.CreditAmount)
			}
		}
		require.Equal(rt, in-out, w.Balance)
		require.Equal(rt, w.Balance, left, "the remaining amounts add up to the balance")
		require.True(rt, credits.Equal(w.CreditsBalance), "%s and %s", credits, w.CreditsBalance)
		require.GreaterOrEqual(rt, w.Balance, int64(0))
		require.False(rt, w.CreditsBalance.IsNegative())
	})
	requireBooksBalance(t, pool)
}
