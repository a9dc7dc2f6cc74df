package topup_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

var start = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// ids is a source of ids: 1, 2, 3 and so on.
type ids struct{ last uint64 }

func (s *ids) next() wallet.ID {
	s.last++
	var id wallet.ID
	binary.BigEndian.PutUint64(id[8:], s.last)
	return id
}

// world holds one wallet and its lots in memory, as package postgres stores them.
type world struct {
	t      require.TestingT
	ids    ids
	now    time.Time
	wallet wallet.Wallet
	lots   []wallet.Lot
	stored topup.Stored // besides the wallet and the target
}

func newWorld(t require.TestingT) *world {
	w := &world{t: t, now: start}
	w.wallet = wallet.Wallet{
		ID: w.ids.next(), OrganizationID: w.ids.next(), CustomerID: w.ids.next(), Mode: wallet.ModeTest, Currency: wallet.USD,
		RateAmount: dec("1"), Status: wallet.WalletActive, Traceable: true,
	}
	w.stored.Timezone = "UTC"
	return w
}

// request returns a request that asks for nothing yet.
func (w *world) request() topup.Request {
	return topup.Request{
		OrganizationID: w.wallet.OrganizationID, Mode: w.wallet.Mode, WalletID: w.wallet.ID, IDs: topup.NewIDs(w.ids.next), Now: w.now,
	}
}

// read returns what package postgres reads for a request.
func (w *world) read(r topup.Request) topup.Stored {
	s := w.stored
	s.Wallet = new(w.wallet)
	for _, l := range w.lots {
		if r.VoidedTransactionID != nil && l.ID == *r.VoidedTransactionID {
			s.Target = &topup.Target{WalletID: w.wallet.ID, Type: wallet.TransactionInbound, Remaining: l.Remaining}
		}
	}
	return s
}

func (w *world) prepare(r topup.Request) (topup.Plan, error) {
	return topup.Prepare(r, w.read(r), &wallet.ValidationError{})
}

// state returns what package postgres reads of the locked wallet: no more lots than
// the void needs.
func (w *world) state(p topup.Plan) topup.State {
	s := topup.State{Wallet: w.wallet}
	if p.Void == nil || !w.wallet.Traceable {
		return s
	}
	var left int64
	for _, l := range w.lots {
		named := p.VoidedTransactionID == nil || *p.VoidedTransactionID == l.ID
		if l.Remaining > 0 && named && (left < p.Void.Amount || left == 0) {
			s.Lots = append(s.Lots, l)
			left += l.Remaining
		}
	}
	return s
}

// move makes the grant and the void of a plan, and checks what no movement may do.
func (w *world) move(p topup.Plan) (topup.Changes, error) {
	before := w.state(p)
	c, err := topup.Move(p, before, w.ids.next)
	require.Equal(w.t, w.state(p), before, "the state stays as it is")
	if err != nil {
		_ = requireFinding(w.t, err)
		require.Empty(w.t, c.Movements)
		return c, err
	}
	w.checkMovements(c)
	w.write(p, c)
	return c, nil
}

// checkMovements checks that the sums of the wallet changed by what moved, and that a
// void did not take more than there was.
func (w *world) checkMovements(c topup.Changes) {
	balance, credits, consumed := w.wallet.Balance, w.wallet.CreditsBalance, w.wallet.ConsumedCredits
	for _, m := range c.Movements {
		require.GreaterOrEqual(w.t, m.Amount, int64(0))
		require.False(w.t, m.Credits.IsNegative())
		if m.Kind == wallet.TransactionGranted {
			balance += m.Amount
			credits = credits.Add(m.Credits)
			continue
		}
		balance -= m.Amount
		credits, consumed = credits.Sub(m.Credits), consumed.Add(m.Credits)
		require.GreaterOrEqual(w.t, balance, min(0, w.wallet.Balance), "a void takes no more money than there is")
		require.False(w.t, credits.IsNegative() && m.Credits.IsPositive(), "nor more credits")
		if m.Amount > 0 {
			require.GreaterOrEqual(w.t, balance, int64(0))
		}
	}
	require.Equal(w.t, w.wallet.Balance, c.BalanceBefore)
	require.Equal(w.t, balance, c.Wallet.Balance)
	require.True(w.t, credits.Equal(c.Wallet.CreditsBalance))
	require.True(w.t, consumed.Equal(c.Wallet.ConsumedCredits))
}

// write stores changes as package postgres does.
func (w *world) write(p topup.Plan, c topup.Changes) {
	w.wallet = c.Wallet
	var voided int64
	for _, m := range c.Movements {
		if m.Kind == wallet.TransactionVoided {
			voided = m.Amount
			require.Nil(w.t, m.Remaining)
			continue
		}
		require.Equal(w.t, w.wallet.Traceable, m.Remaining != nil)
		if m.Remaining != nil {
			w.addLot(wallet.Lot{
				ID: m.TransactionID, Priority: p.PriorityOrDefault(), Kind: m.Kind, CreatedAt: c.Now, Remaining: *m.Remaining,
			})
		}
	}
	for _, change := range c.Lots {
		i := slices.IndexFunc(w.lots, func(l wallet.Lot) bool { return l.ID == change.ID })
		require.Equal(w.t, w.lots[i].Remaining, change.Before)
		require.GreaterOrEqual(w.t, change.After, int64(0))
		w.lots[i].Remaining = change.After
	}
	var debited int64
	for _, d := range c.Debits {
		require.Positive(w.t, d.Amount)
		require.Equal(w.t, p.IDs.Void, d.OutboundID)
		debited += d.Amount
	}
	if w.wallet.Traceable {
		require.Equal(w.t, voided, debited, "what is voided lies in lots")
	} else {
		require.Zero(w.t, debited)
	}
}

func (w *world) addLot(l wallet.Lot) {
	w.lots = append(w.lots, l)
	slices.SortFunc(w.lots, wallet.CompareLots)
}

// settle puts the money of a purchase into the wallet, as wallet.Settle does.
func (w *world) settle(p topup.Plan) {
	w.wallet.Balance += p.Purchase.Amount
	w.wallet.CreditsBalance = w.wallet.CreditsBalance.Add(p.Purchase.Credits)
	if w.wallet.Traceable {
		w.addLot(wallet.Lot{
			ID: p.IDs.Purchase, Priority: p.PriorityOrDefault(), Kind: wallet.TransactionPurchased, CreatedAt: p.Now,
			Remaining: wallet.RemainingOf(p.Purchase.Amount, w.wallet.Balance),
		})
	}
}

// sendBack takes money out of the wallet as a refund does, below zero if it must.
func (w *world) sendBack(amount int64) {
	w.wallet.Balance -= amount
	w.wallet.CreditsBalance = w.wallet.CreditsBalance.Sub(wallet.CreditsFor(amount, w.wallet.RateAmount, w.wallet.Currency))
	for i := range w.lots {
		taken := min(amount, w.lots[i].Remaining)
		w.lots[i].Remaining -= taken
		amount -= taken
	}
}

// requireLots checks that the lots hold the balance.
func (w *world) requireLots() {
	if !w.wallet.Traceable {
		return
	}
	var left int64
	for _, l := range w.lots {
		left += l.Remaining
	}
	require.Equal(w.t, max(0, w.wallet.Balance), left)
}

// requireFinding checks that an error is a finding that the domain lists.
func requireFinding(t require.TestingT, err error) *wallet.ValidationError {
	v, ok := errors.AsType[*wallet.ValidationError](err)
	require.True(t, ok, "%v", err)
	require.NotEmpty(t, v.Findings)
	for _, f := range v.Findings {
		require.Contains(t, wallet.Findings, f)
	}
	return v
}

// drawWorld draws a wallet that is empty.
func drawWorld(rt *rapid.T) *world {
	w := newWorld(rt)
	w.wallet.Currency = rapid.SampledFrom([]wallet.Currency{"EUR", "JPY", "KWD"}).Draw(rt, "currency")
	w.wallet.RateAmount = rapid.SampledFrom([]decimal.Decimal{dec("1"), dec("1.375"), dec("0.01"), dec("3")}).Draw(rt, "rate")
	w.wallet.Traceable = rapid.Bool().Draw(rt, "traceable")
	return w
}

// drawRequest draws a request, which may be one that is refused.
func (w *world) drawRequest(rt *rapid.T) topup.Request {
	credits := func(name string) decimal.Decimal {
		if rapid.Bool().Draw(rt, "no "+name) {
			return decimal.Zero
		}
		return decimal.New(rapid.Int64Range(0, 2_000_000).Draw(rt, name), -wallet.CreditDecimals)
	}
	r := w.request()
	r.Paid, r.Granted, r.Voided = credits("paid"), credits("granted"), credits("voided")
	r.Priority = rapid.IntRange(0, 3).Draw(rt, "priority")
	if len(w.lots) > 0 && rapid.IntRange(0, 3).Draw(rt, "named") == 0 {
		r.VoidedTransactionID = new(rapid.SampledFrom(w.lots).Draw(rt, "target").ID)
	}
	return r
}
