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

// books are our side and Stripe's, of one moment in which nothing moves.
type books struct {
	paid     []stripesim.Paid   // at Stripe, succeeded
	intents  []stripesim.Intent // at Stripe, all of them
	payments map[wallet.ID]payment
	credits  map[wallet.ID][]int64 // the settlements of each payment, in minor units
	balances map[wallet.ID]int64   // of wallets
	pending  int                   // events that nobody has handled
	at       time.Time
}

// payment is what is looked at of a payment.
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

// paymentOf finds the payment that an intent names.
func (b books) paymentOf(m stripesim.Metadata) (payment, bool) {
	id, err := uuid.Parse(m.Get("payment_id"))
	if err != nil {
		return payment{}, false
	}
	p, ok := b.payments[id]
	return p, ok
}

// waiting tells whether a payment is open with good reason: Stripe has no intent
// of it, and repeating the charge brings nothing but the failure that Stripe
// stored under its key, or is not safe any more because nobody came to charge it
// while its key was good. Absence proves nothing, so it is left to a person.
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

// unfinished says what has still to happen before the books can be judged.
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

// lost lists the intents that took money which is not credited.
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

// doubled lists the credits that stand on no charge of their own.
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

// chargedTwice lists the payments that Stripe took money for more than once.
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

// leftOpen lists the intents that could still take money for a payment that has
// failed or was given up.
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

// wrongBalances lists the wallets that do not hold what Stripe took for them, less
// what went back.
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

// notFinal lists the payments that are open without good reason.
func (b books) notFinal() (list []string) {
	waiting := b.waiting()
	for _, p := range b.payments {
		if p.Status.Open() && !waiting[p.ID] {
			list = append(list, fmt.Sprintf("payment %s of %s is %s with intent %q", p.ID, p.CreatedAt.Format(time.TimeOnly), p.Status, p.IntentID))
		}
	}
	return list
}
