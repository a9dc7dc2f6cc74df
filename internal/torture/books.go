package torture

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/wallet"
)

// books are the payments of the service and of Stripe, read at a moment at which
// nothing changes.
type books struct {
	paid     []stripesim.Paid   // succeeded at Stripe
	intents  []stripesim.Intent // all intents at Stripe
	payments map[wallet.ID]payment
	credits  map[wallet.ID][]int64 // the settlements of each payment, in minor units
	balances map[wallet.ID]int64   // the balances of wallets
	pending  int                   // the number of unhandled events
	at       time.Time
}

// payment holds the columns of a payment that are checked.
type payment struct {
	ID        wallet.ID
	WalletID  wallet.ID
	Status    wallet.PaymentStatus
	IntentID  string
	Amount    int64
	CreatedAt time.Time
}

func (s *storm) openBooks(ctx context.Context) (b books, err error) {
	b = books{at: s.Now(), payments: map[wallet.ID]payment{}, credits: map[wallet.ID][]int64{}, balances: map[wallet.ID]int64{}}
	rows, _ := s.pool.Query(ctx, `
		select id, wallet_id, status, coalesce(stripe_payment_intent_id, '') as intent_id, amount, created_at from payments`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[payment])
	if err != nil {
		return b, fmt.Errorf("read payments: %w", err)
	}
	for _, p := range list {
		b.payments[p.ID] = p
	}
	var id wallet.ID
	var amount int64
	rows, _ = s.pool.Query(ctx, `select payment_id, amount from transfers where kind = 'settlement'`)
	if _, err = pgx.ForEachRow(rows, []any{&id, &amount}, func() error {
		b.credits[id] = append(b.credits[id], amount)
		return nil
	}); err != nil {
		return b, fmt.Errorf("read transfers: %w", err)
	}
	rows, _ = s.pool.Query(ctx, `select id, balance from wallets`)
	if _, err = pgx.ForEachRow(rows, []any{&id, &amount}, func() error {
		b.balances[id] = amount
		return nil
	}); err != nil {
		return b, fmt.Errorf("read wallets: %w", err)
	}
	err = s.pool.QueryRow(ctx, `select count(*) from stripe_events where status = 'pending'`).Scan(&b.pending)
	if err != nil {
		return b, fmt.Errorf("read events: %w", err)
	}
	b.paid, b.intents = s.sim.Export(false), s.sim.Intents(false)
	return b, nil
}

// paymentOf returns the payment that an intent's metadata names.
func (b books) paymentOf(m stripesim.Metadata) (payment, bool) {
	id, err := uuid.Parse(m.Get("payment_id"))
	if err != nil {
		return payment{}, false
	}
	p, ok := b.payments[id]
	return p, ok
}

// waiting returns the payments that are rightly open: Stripe has no intent of them,
// and the charge cannot be repeated. Either the repetition returns a failure that
// Stripe stored under the key, or the key became too old before the first attempt.
// A missing intent proves nothing, so an operator has to decide.
func (b books) waiting() map[wallet.ID]bool {
	known := map[wallet.ID]bool{}
	for _, in := range b.intents {
		if p, ok := b.paymentOf(in.Metadata); ok {
			known[p.ID] = true
		}
	}
	waiting := map[wallet.ID]bool{}
	for _, p := range b.payments {
		old := b.at.Sub(p.CreatedAt) > keyLife
		if (p.Status == wallet.PaymentProcessing || p.Status == wallet.PaymentCreated && old) && !known[p.ID] {
			waiting[p.ID] = true
		}
	}
	return waiting
}

// unfinished returns what must still happen before the books can be checked.
func (b books) unfinished(all []merchant) (reasons []string) {
	waiting := b.waiting()
	open := 0
	for _, p := range b.payments {
		if p.Status.Open() && !waiting[p.ID] {
			open++
		}
	}
	note := func(n int, what string) {
		if n > 0 {
			reasons = append(reasons, fmt.Sprintf("%d %s", n, what))
		}
	}
	note(open, "payments are open")
	note(b.pending, "events are not handled")
	note(len(b.lost()), "charges are not credited")
	note(len(b.wrongBalances(all)), "wallets do not hold what Stripe took for them")
	note(len(b.leftOpen()), "intents of payments that are over are open")
	return reasons
}

// lost returns the charges that are not credited.
func (b books) lost() (list []string) {
	for _, in := range b.paid {
		p, ok := b.paymentOf(in.Metadata)
		switch {
		case !ok:
			list = append(list, fmt.Sprintf("%s took %d for a payment that does not exist", in.ID, in.AmountReceived))
		case p.IntentID != in.ID:
			list = append(list, fmt.Sprintf("%s took %d for payment %s, which is %s with intent %q", in.ID, in.AmountReceived, p.ID, p.Status, p.IntentID))
		case len(b.credits[p.ID]) == 0:
			list = append(list, fmt.Sprintf("%s took %d for payment %s, which is %s", in.ID, in.AmountReceived, p.ID, p.Status))
		case b.credits[p.ID][0] != in.AmountReceived:
			list = append(list, fmt.Sprintf("%s took %d, payment %s credited %d", in.ID, in.AmountReceived, p.ID, b.credits[p.ID][0]))
		}
	}
	return list
}

// doubled returns the credits without a charge of their own.
func (b books) doubled() (list []string) {
	paid := map[string]bool{}
	for _, in := range b.paid {
		paid[in.ID] = true
	}
	for id, credits := range b.credits {
		p := b.payments[id]
		if len(credits) > 1 {
			list = append(list, fmt.Sprintf("payment %s is credited %d times", id, len(credits)))
		}
		if !paid[p.IntentID] {
			list = append(list, fmt.Sprintf("payment %s is credited, its intent %q took nothing", id, p.IntentID))
		}
	}
	return list
}

// chargedTwice returns the payments that Stripe charged more than once.
func (b books) chargedTwice() (list []string) {
	charges := map[string]int{}
	for _, in := range b.paid {
		charges[in.Metadata.Get("payment_id")]++
	}
	for id, n := range charges {
		if n > 1 {
			list = append(list, fmt.Sprintf("payment %s was charged %d times", id, n))
		}
	}
	return list
}

// leftOpen returns the intents that could still charge a payment that has failed or
// was canceled.
func (b books) leftOpen() (list []string) {
	for _, in := range b.intents {
		p, ok := b.paymentOf(in.Metadata)
		if !ok || p.Status.Open() || in.Status == stripesim.StatusSucceeded || in.Status == stripesim.StatusCanceled {
			continue
		}
		list = append(list, fmt.Sprintf("payment %s is %s, its intent %s is %s", p.ID, p.Status, in.ID, in.Status))
	}
	return list
}

// wrongBalances returns the wallets whose balance is not what Stripe took for them,
// less what it sent back.
func (b books) wrongBalances(all []merchant) (list []string) {
	took := map[string]int64{}
	for _, in := range b.paid {
		gone := in.AmountRefunded
		for _, d := range in.Disputes {
			for _, entry := range d.Transactions {
				gone -= entry.Amount
			}
		}
		took[in.Customer] += in.AmountReceived - min(in.AmountReceived, gone)
	}
	for _, m := range all {
		if want, got := took[m.stripeCustomerID], b.balances[m.walletID]; want != got {
			list = append(list, fmt.Sprintf("wallet %s holds %d, Stripe took and kept %d for it", m.walletID, got, want))
		}
	}
	return list
}

// notFinal returns the payments that are open and not waiting.
func (b books) notFinal() (list []string) {
	waiting := b.waiting()
	for _, p := range b.payments {
		if p.Status.Open() && !waiting[p.ID] {
			list = append(list, fmt.Sprintf("payment %s of %s is %s with intent %q", p.ID, p.CreatedAt.Format(time.TimeOnly), p.Status, p.IntentID))
		}
	}
	return list
}
