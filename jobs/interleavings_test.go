package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// history is one random order of events: payments into one wallet, two processes that
// work on them, and a Stripe whose answers wait until the history releases them.
type history struct {
	rt       *rapid.T
	clock    *enginetest.Clock
	engines  [2]*jobs.Engine // two processes that share no memory
	m        testfactory.Merchant
	payments []wallet.ID
	stripe   *scripted
	stored   []string // events that have been taken in, and whose job may run
	actors   []*actor
	next     int64 // number of the next job
}

// job returns a row such as River passes to a worker.
func (h *history) job() *rivertype.JobRow {
	h.next++
	return &rivertype.JobRow{Attempt: 1, ID: h.next}
}

// start starts an actor, and keeps it if it waits for Stripe.
func (h *history) start(name string, work func(ctx context.Context) error) {
	if a, parked := begin(name, work); parked {
		h.actors = append(h.actors, a)
	}
}

func (h *history) startCharge(e *jobs.Engine, id wallet.ID) {
	h.start("charge", func(ctx context.Context) error {
		w := &jobs.ChargePaymentsWorker{Engine: e}
		return w.Work(ctx, &river.Job[jobs.ChargePaymentsArgs]{
			Args: jobs.ChargePaymentsArgs{PaymentIDs: []wallet.ID{id}}, JobRow: h.job(),
		})
	})
}

func (h *history) startCheck(e *jobs.Engine, id wallet.ID) {
	h.start("check", func(ctx context.Context) error {
		w := &jobs.CheckPaymentWorker{Engine: e}
		return w.Work(ctx, &river.Job[jobs.CheckPaymentArgs]{Args: jobs.CheckPaymentArgs{PaymentID: id}, JobRow: h.job()})
	})
}

func (h *history) startEvent(e *jobs.Engine, eventID string) {
	h.start("event", func(ctx context.Context) error {
		w := &jobs.HandleEventWorker{Engine: e}
		return w.Work(ctx, &river.Job[jobs.HandleEventArgs]{Args: jobs.HandleEventArgs{EventID: eventID}, JobRow: h.job()})
	})
}

// startOperator starts an operator who retrieves the intent and settles it.
func (h *history) startOperator(e *jobs.Engine, id wallet.ID) {
	h.start("operator", func(ctx context.Context) error {
		o := h.stripe.Retrieve(ctx, "pi_"+id.String())
		_, err := e.Settle(ctx, wallet.Settlement{
			ActionDeadline: h.clock.Now().Add(time.Hour), Cause: wallet.Cause{Kind: wallet.CauseOperator, ID: "ada"},
			Now: h.clock.Now(), Outcome: o, PaymentID: id,
		})
		return err
	})
}

// deliver delivers a webhook.
func (h *history) deliver(e *jobs.Engine, n int) {
	event := h.stripe.events[n]
	in, err := jobs.ParseEvent(event.Raw, wallet.ModeTest)
	require.NoError(h.rt, err)
	in.Event.Source, in.Event.ReceivedAt = "webhook", h.clock.Now()
	_, err = e.TakeIn(context.Background(), in)
	require.NoError(h.rt, err)
	if !slices.Contains(h.stored, event.ID) {
		h.stored = append(h.stored, event.ID)
	}
}

func (h *history) sweep(e *jobs.Engine) {
	_, err := e.SweepEvents(context.Background(), wallet.ModeTest, time.Second)
	require.NoError(h.rt, err)
	for _, event := range h.stripe.events {
		if !h.stripe.hidden && !slices.Contains(h.stored, event.ID) {
			h.stored = append(h.stored, event.ID)
		}
	}
}

// step takes one random step.
func (h *history) step() {
	e := h.engines[rapid.IntRange(0, 1).Draw(h.rt, "process")]
	id := rapid.SampledFrom(h.payments).Draw(h.rt, "payment")
	switch rapid.SampledFrom([]string{
		"answer", "answer", "answer", "answer", "lose", "charge", "check", "deliver", "handle", "challenge", "operator", "sweep", "hide", "wait",
	}).Draw(h.rt, "what") {
	case "answer":
		h.proceed(true)
	case "lose":
		h.proceed(false)
	case "charge":
		h.startCharge(e, id)
	case "check":
		h.startCheck(e, id)
	case "deliver":
		if n := len(h.stripe.events); n > 0 {
			h.deliver(e, rapid.IntRange(0, n-1).Draw(h.rt, "event"))
		}
	case "handle":
		if len(h.stored) > 0 {
			h.startEvent(e, rapid.SampledFrom(h.stored).Draw(h.rt, "event"))
		}
	case "challenge":
		if in, ok := h.stripe.intents[id]; ok && in.state == wallet.OutcomeRequiresAction {
			h.stripe.answer(id, rapid.Bool().Draw(h.rt, "passed"))
		}
	case "operator":
		h.startOperator(e, id)
	case "sweep":
		h.sweep(e)
	case "hide":
		h.stripe.hidden = !h.stripe.hidden
	case "wait":
		h.clock.Advance(rapid.SampledFrom([]time.Duration{time.Minute, 25 * time.Hour}).Draw(h.rt, "time"))
	}
}

// proceed releases one of the actors that wait for Stripe.
func (h *history) proceed(answered bool) {
	if len(h.actors) == 0 {
		return
	}
	i := rapid.IntRange(0, len(h.actors)-1).Draw(h.rt, "who")
	if !h.actors[i].step(answered) {
		h.actors = slices.Delete(h.actors, i, i+1)
	}
}

// finish lets all actors end, and runs what the periodic jobs would run in time. From
// here on nothing is lost.
func (h *history) finish() {
	for len(h.actors) > 0 {
		if !h.actors[0].step(true) {
			h.actors = h.actors[1:]
		}
	}
	h.stripe.calm, h.stripe.hidden = true, false
	e := h.engines[0]
	for _, id := range h.payments {
		if h.stripe.intents[id] == nil {
			h.startCharge(e, id) // its job is still there
		}
	}
	for n := range h.stripe.events {
		h.deliver(e, n)
	}
	for range 3 { // the first may find a challenge, and the next one that it was not passed
		h.clock.Advance(25 * time.Hour)
		for _, id := range h.payments {
			h.startCheck(e, id)
		}
		for _, id := range h.stored {
			h.startEvent(e, id)
		}
	}
}

// TestInterleavings runs charge jobs, webhooks and their jobs, checks, sweeps and
// operators of two processes in random orders. Stripe's answers arrive late or never. In
// the end each charge must be credited once.
func TestInterleavings(t *testing.T) {
	t.Parallel()

	pool, clock := testdb.New(t), &enginetest.Clock{}
	stripe := newScripted()
	var engines [2]*jobs.Engine
	for i := range engines {
		engines[i] = enginetest.New(t, enginetest.Options{
			Log: slog.New(slog.DiscardHandler), Now: clock.Now, Pool: pool, Stripe: map[wallet.Mode]jobs.Stripe{wallet.ModeTest: stripe},
		}).Engine
	}
	rapid.Check(t, func(rt *rapid.T) {
		*stripe = *newScripted()
		h := &history{clock: clock, engines: engines, rt: rt, stripe: stripe}
		h.m = testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
		for range rapid.IntRange(1, 3).Draw(rt, "payments") {
			p := testfactory.NewPayment(testfactory.PaymentOpts{
				Amount: rapid.Int64Range(1, 100_000).Draw(rt, "amount"), CreatedAt: clock.Now(), Merchant: h.m,
			})
			accepted, err := engines[0].Accept(context.Background(), p)
			require.NoError(rt, err)
			require.True(rt, accepted)
			h.payments = append(h.payments, p.ID)
			stripe.cards[p.ID] = rapid.SampledFrom([]wallet.OutcomeKind{
				wallet.OutcomeSucceeded, wallet.OutcomeRequiresAction, wallet.OutcomeRequiresAction, wallet.OutcomeDeclined,
			}).Draw(rt, "card")
		}

		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			h.step()
		}
		h.finish()

		h.requireBooks(t)
	})
	report, err := postgres.Audit(t.Context(), pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}

// requireBooks compares the payments with what Stripe received.
func (h *history) requireBooks(t *testing.T) {
	t.Helper()

	var took int64
	for _, id := range h.payments {
		p, err := postgres.GetPayment(context.Background(), h.engines[0].Pool, id)
		require.NoError(h.rt, err)
		in := h.stripe.intents[id]
		if in == nil { // never asked while the key was good, and never again
			require.True(h.rt, p.Status.Open(), "absence proves nothing")
			continue
		}
		what := fmt.Sprintf("Stripe's intent is %s", in.state)
		if in.state == wallet.OutcomeSucceeded {
			took += in.amount
			require.Equal(h.rt, wallet.PaymentSucceeded, p.Status, what)
			continue
		}
		require.Contains(h.rt, []wallet.PaymentStatus{wallet.PaymentFailed, wallet.PaymentCanceled}, p.Status, what)
		require.Equal(h.rt, wallet.OutcomeCanceled, in.state, "an open intent could still take money")
	}
	w, err := postgres.GetWallet(context.Background(), h.engines[0].Pool, h.m.Wallet.ID)
	require.NoError(h.rt, err)
	require.Equal(h.rt, took, w.Balance)
	var gaveUp int
	require.NoError(h.rt, h.engines[0].Pool.QueryRow(context.Background(), `
		select count(*) from payment_moves
		where payment_id = any ($1) and from_status in ('canceled', 'failed') and to_status = 'succeeded'`, h.payments).Scan(&gaveUp))
	require.Zero(h.rt, gaveUp, "no paid payment was given up")
}
