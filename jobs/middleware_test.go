package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// TestBlockedPayment charges two payments while another transaction holds a row that
// one of them needs.
func TestBlockedPayment(t *testing.T) {
	t.Parallel()

	w := enginetest.NewWorld(t, func(w *enginetest.World, _ *stripeapi.Config) {
		w.Database = []testdb.Option{testdb.LockWait(300 * time.Millisecond)}
	})
	w.Sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop}) // only the charge job may settle
	accept := func(m testfactory.Merchant) wallet.ID {
		t.Helper()
		w.Merchant = m
		m.PaymentMethod = w.Card("pm_card_visa")
		p := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m, CreatedAt: w.Clock.Now()})
		p.ReturnURL = "https://fundrail.example/return"
		testfactory.Accept(t, w.Pool, p)
		return p.ID
	}
	charge := func(id wallet.ID) *rivertype.JobRow {
		t.Helper()
		inserted, err := w.River.Insert(t.Context(), jobs.ChargePaymentsArgs{PaymentIDs: []wallet.ID{id}}, nil)
		require.NoError(t, err)
		return inserted.Job
	}
	locked := w.Merchant
	free := testfactory.NewMerchant(t, w.Pool, testfactory.MerchantOpts{})
	_, err := w.Sim.CreateCustomer(stripesim.NewCustomer{ID: free.Customer.StripeCustomerID})
	require.NoError(t, err)
	lockedID, freeID := accept(locked), accept(free)
	other, err := w.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = other.Exec(t.Context(), `select from wallets where id = $1 for no key update`, locked.Wallet.ID)
	require.NoError(t, err)

	job := charge(lockedID)
	charge(freeID)

	w.Await(freeID, wallet.PaymentSucceeded)
	snoozed := func() (n int) {
		row, err := w.River.JobGet(context.Background(), job.ID)
		if err != nil || row.State != rivertype.JobStateAvailable || row.Attempt != 0 {
			return 0
		}
		var metadata struct {
			Snoozes int `json:"snoozes"`
		}
		if json.Unmarshal(row.Metadata, &metadata) != nil || len(row.Errors) > 0 {
			return 0
		}
		return metadata.Snoozes
	}
	require.Eventually(t, func() bool { return snoozed() >= 2 }, 15*time.Second, 5*time.Millisecond, "the job is put off again and again")
	require.NotEqual(t, wallet.PaymentSucceeded, w.Payment(lockedID).Status)

	require.NoError(t, other.Rollback(t.Context()))

	w.Await(lockedID, wallet.PaymentSucceeded)
	row := w.AwaitJob(job.ID)
	require.Equal(t, rivertype.JobStateCompleted, row.State)
	require.Equal(t, 1, row.Attempt, "only the last attempt counts")
	require.Empty(t, row.Errors)
	for _, m := range []testfactory.Merchant{locked, free} {
		w.Merchant = m
		require.EqualValues(t, 2500, w.Balance())
		w.RequireBooksBalance()
	}
}

func TestMiddleware(t *testing.T) {
	t.Parallel()

	locked := fmt.Errorf("settle: %w", &pgconn.PgError{Code: "55P03", Message: "canceling statement due to lock timeout"})
	failure := errors.New("broken")
	job := &rivertype.JobRow{ID: 7, Kind: "charge_payments", EncodedArgs: []byte(`{"payment_ids":[]}`)}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	run := func(m rivertype.Middleware, err error) error {
		worker, ok := m.(rivertype.WorkerMiddleware)
		if !ok {
			return errors.New("not a worker middleware")
		}
		return worker.Work(t.Context(), job, func(context.Context) error { return err })
	}

	t.Run("Delays", func(t *testing.T) {
		t.Parallel()

		m := jobs.Middleware(slog.New(slog.DiscardHandler), func() time.Time { return now })
		for name, tt := range map[string]struct {
			err      error
			min, max time.Duration // zero when the error stays
		}{
			"Success":           {err: nil},
			"Failure":           {err: failure},
			"Canceled":          {err: river.JobCancel(locked)},
			"Locked":            {err: locked, min: 750 * time.Millisecond, max: 1250 * time.Millisecond},
			"Deadlock":          {err: &pgconn.PgError{Code: "40P01"}, min: 750 * time.Millisecond, max: 1250 * time.Millisecond},
			"UniqueViolation":   {err: &pgconn.PgError{Code: "23505"}},
			"Snoozed":           {err: river.JobSnooze(time.Hour), min: time.Hour, max: time.Hour},
			"StripeUnavailable": {err: &stripeapi.Error{Kind: wallet.OutcomeUnavailable}, min: 1500 * time.Millisecond, max: 2500 * time.Millisecond},
			"StripeRefusal":     {err: &stripeapi.Error{Kind: wallet.OutcomeRejected}},
		} {
			err := run(m, tt.err)
			if tt.max == 0 {
				require.Equal(t, tt.err, err, name)
				continue
			}
			var snooze *river.JobSnoozeError
			require.ErrorAs(t, err, &snooze, name)
			require.GreaterOrEqual(t, snooze.Duration, tt.min, name)
			require.LessOrEqual(t, snooze.Duration, tt.max, name)
		}
	})

	t.Run("BlockedJobsAreLoggedOnceAMinute", func(t *testing.T) {
		t.Parallel()

		var out bytes.Buffer
		clock := now
		m := jobs.Middleware(slog.New(slog.NewJSONHandler(&out, nil)), func() time.Time { return clock })

		require.Error(t, run(m, locked))
		clock = clock.Add(59 * time.Second)
		require.Error(t, run(m, locked))
		require.Error(t, run(m, failure))

		require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")))
		var record map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &record))
		delete(record, "time")
		require.Equal(t, map[string]any{
			"level": "WARN", "msg": "payment blocked by another transaction", "kind": "charge_payments", "job_id": 7.0,
			"args": `{"payment_ids":[]}`, "error": locked.Error(),
		}, record)

		clock = clock.Add(time.Second)
		require.Error(t, run(m, locked))
		require.Equal(t, 2, bytes.Count(out.Bytes(), []byte("\n")))
	})
}
