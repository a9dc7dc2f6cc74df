package enginetest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
	"github.com/fundrail/fundrail/webhooks"
)

// WebhookSecret signs the events that a World's simulator sends.
const WebhookSecret = "whsec_enginetest"

// Timeout limits a World's calls to Stripe. It is short, so that a test can wait for a
// lost answer.
const Timeout = 500 * time.Millisecond

// Clock is the real time plus an offset that a test adds.
type Clock struct{ offset atomic.Int64 }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// World is an engine with workers, a simulated Stripe that delivers events to it, and a
// merchant whose customer exists in both.
type World struct {
	*Bundle
	Clock    *Clock
	Merchant testfactory.Merchant
	Sim      *simtest.Sim
	Stripe   *stripeapi.Client
	// Database has the options of the World's database.
	Database []testdb.Option
	// WebhookURL is the address that receives events.
	WebhookURL string

	tb testing.TB
}

// NewWorld starts a World that stops with the test. The test may change the configuration
// of the Stripe client, and set the options of the database.
func NewWorld(tb testing.TB, change ...func(w *World, cfg *stripeapi.Config)) *World {
	tb.Helper()

	w := &World{Clock: &Clock{}, tb: tb}
	w.Sim = simtest.New(tb, simtest.WithNow(w.Clock.Now))
	cfg := stripeapi.Config{Mode: wallet.ModeTest, SecretKey: simtest.Key, URL: w.Sim.URL, Timeout: Timeout}
	for _, c := range change {
		c(w, &cfg)
	}
	var err error
	w.Stripe, err = stripeapi.New(cfg)
	require.NoError(tb, err)
	pool := testdb.New(tb, w.Database...)
	w.Merchant = testfactory.NewMerchant(tb, pool, testfactory.MerchantOpts{})
	_, err = w.Sim.CreateCustomer(stripesim.NewCustomer{ID: w.Merchant.Customer.StripeCustomerID})
	require.NoError(tb, err)
	w.Bundle = New(tb, Options{
		Log:    slog.New(slog.DiscardHandler),
		Now:    w.Clock.Now,
		Pool:   pool,
		Stripe: map[wallet.Mode]jobs.Stripe{wallet.ModeTest: w.Stripe},
		Work:   true,
	})

	e := echo.New()
	(&webhooks.Handler{
		Intake: w.Engine, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now,
		Secrets: map[wallet.Mode][]string{wallet.ModeTest: {WebhookSecret}},
	}).Register(e)
	server := httptest.NewServer(e)
	tb.Cleanup(server.Close)
	w.WebhookURL = server.URL + webhooks.Path
	w.Sim.SetWebhook(w.WebhookURL, WebhookSecret)
	return w
}

// Card saves one of Stripe's test cards, such as pm_card_visa, for the customer.
func (w *World) Card(card string) wallet.PaymentMethod {
	w.tb.Helper()

	m := testfactory.PaymentMethod(w.tb, w.Pool, testfactory.PaymentMethodOpts{Customer: w.Merchant.Customer})
	_, err := w.Sim.CreatePaymentMethod(stripesim.SavedCard{
		Card: card, Customer: w.Merchant.Customer.StripeCustomerID, ID: m.StripePaymentMethodID,
	})
	require.NoError(w.tb, err)
	return m
}

// Fund accepts a payment of 25.00 with a card, which a job charges.
func (w *World) Fund(card wallet.PaymentMethod) wallet.ID {
	w.tb.Helper()

	m := w.Merchant
	m.PaymentMethod = card
	p := testfactory.NewPayment(testfactory.PaymentOpts{CreatedAt: w.Clock.Now(), Merchant: m})
	accepted, err := w.Engine.Accept(w.tb.Context(), p)
	require.NoError(w.tb, err)
	require.True(w.tb, accepted)
	return p.ID
}

// Await waits until the payment has a status.
func (w *World) Await(id wallet.ID, status wallet.PaymentStatus) wallet.Payment {
	w.tb.Helper()

	var p wallet.Payment
	require.Eventually(w.tb, func() bool {
		var err error
		p, err = postgres.GetPayment(context.Background(), w.Pool, id)
		return err == nil && p.Status == status
	}, 15*time.Second, 5*time.Millisecond, "payment should come to %s", status)
	return p
}

// Work inserts a job and waits until it has completed, failed or been canceled.
func (w *World) Work(args river.JobArgs) *rivertype.JobRow {
	w.tb.Helper()

	inserted, err := w.River.Insert(w.tb.Context(), args, nil)
	require.NoError(w.tb, err)
	return w.AwaitJob(inserted.Job.ID)
}

// AwaitJob waits until a job's attempt has ended.
func (w *World) AwaitJob(id int64) *rivertype.JobRow {
	w.tb.Helper()

	var job *rivertype.JobRow
	require.Eventually(w.tb, func() bool {
		var err error
		job, err = w.River.JobGet(context.Background(), id)
		return err == nil && job.Attempt > 0 && job.State != rivertype.JobStateRunning && job.State != rivertype.JobStateAvailable
	}, 15*time.Second, 5*time.Millisecond, "job %d should end", id)
	return job
}

// Balance returns the balance of the merchant's wallet.
func (w *World) Balance() int64 {
	w.tb.Helper()

	found, err := postgres.GetWallet(w.tb.Context(), w.Pool, w.Merchant.Wallet.ID)
	require.NoError(w.tb, err)
	return found.Balance
}

// RequireBooksBalance audits the database and compares it with the simulator: the wallet
// holds what every succeeded intent received, less what was returned, and nothing else.
func (w *World) RequireBooksBalance() {
	w.tb.Helper()

	report, err := postgres.Audit(w.tb.Context(), w.Pool)
	require.NoError(w.tb, err)
	require.Empty(w.tb, report.Findings)
	require.Equal(w.tb, w.BalanceAtStripe(), w.Balance(), "what Stripe took and kept is what the wallet has")
}

// BalanceAtStripe returns what Stripe received for the wallet, less what it returned.
func (w *World) BalanceAtStripe() int64 {
	var sum int64
	for _, paid := range w.Sim.Export(false) {
		if paid.Metadata.Get("wallet_id") != w.Merchant.Wallet.ID.String() {
			continue
		}
		gone := paid.AmountRefunded
		for _, d := range paid.Disputes {
			for _, entry := range d.Transactions {
				gone -= entry.Amount
			}
		}
		sum += paid.AmountReceived - min(paid.AmountReceived, gone)
	}
	return sum
}

// Payment reads the payment.
func (w *World) Payment(id wallet.ID) wallet.Payment {
	w.tb.Helper()

	p, err := postgres.GetPayment(w.tb.Context(), w.Pool, id)
	require.NoError(w.tb, err)
	return p
}

// AwaitEvent waits until a stored event is no longer pending.
func (w *World) AwaitEvent(id string) postgres.Event {
	w.tb.Helper()

	var e postgres.Event
	require.Eventually(w.tb, func() bool {
		var err error
		e, err = postgres.GetEvent(context.Background(), w.Pool, id)
		return err == nil && e.Status != postgres.EventPending
	}, 15*time.Second, 5*time.Millisecond, "event %s should be handled", id)
	return e
}

// AwaitIntent waits until an intent has a status at Stripe.
func (w *World) AwaitIntent(id, status string) {
	w.tb.Helper()

	require.Eventually(w.tb, func() bool {
		return w.Sim.MustIntent(id).Status == status
	}, 15*time.Second, 5*time.Millisecond, "intent should come to %s", status)
}

// AwaitBalance waits until the merchant's wallet has a balance.
func (w *World) AwaitBalance(want int64) {
	w.tb.Helper()

	var have int64
	require.Eventually(w.tb, func() bool {
		found, err := postgres.GetWallet(context.Background(), w.Pool, w.Merchant.Wallet.ID)
		have = found.Balance
		return err == nil && have == want
	}, 15*time.Second, 5*time.Millisecond, "balance should come to %d", want)
}

// AwaitQuiet waits until no event is pending and no job is available or running, except
// periodic ones.
func (w *World) AwaitQuiet() {
	w.tb.Helper()

	require.Eventually(w.tb, func() bool {
		var busy int
		err := w.Pool.QueryRow(context.Background(), `
			select (select count(*) from stripe_events where status = 'pending')
				+ (select count(*) from river_job where finalized_at is null)`).Scan(&busy)
		return err == nil && busy == 0
	}, 30*time.Second, 10*time.Millisecond, "everything should come to an end")
}
