package postgres_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// group is how many payments or events a step takes at once under load. The benchmarks
// report the time and allocations of a whole group.
const group = 32

// newGroup returns a payment of each merchant, each with an idempotency key.
func newGroup(merchants []testfactory.Merchant) []postgres.NewPayment {
	list := make([]postgres.NewPayment, len(merchants))
	for i, m := range merchants {
		id := wallet.NewID()
		list[i] = testfactory.NewPayment(testfactory.PaymentOpts{
			ID: id, Merchant: m,
			Idempotency: &postgres.IdempotencyRecord{Operation: "POST /v1/wallet/fund", Key: id.String(), WaitUntil: now},
		})
	}
	return list
}

func newMerchants(b *testing.B, db testfactory.DB) []testfactory.Merchant {
	b.Helper()

	list := make([]testfactory.Merchant, group)
	for i := range list {
		list[i] = testfactory.NewMerchant(b, db, testfactory.MerchantOpts{})
	}
	return list
}

func acceptGroup(b *testing.B, pool testfactory.DB, list []postgres.NewPayment) {
	b.Helper()

	err := pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
		_, err := postgres.AcceptPaymentsTx(b.Context(), tx, list)
		return err
	})
	require.NoError(b, err)
}

func BenchmarkAcceptPayments(b *testing.B) {
	pool := testdb.New(b)
	merchants := newMerchants(b, pool)
	b.ReportAllocs()
	for b.Loop() {
		acceptGroup(b, pool, newGroup(merchants))
	}
}

// BenchmarkApplyOutcomes settles one payment at a time, and a group of them.
func BenchmarkApplyOutcomes(b *testing.B) {
	for _, size := range []int{1, group} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			pool := testdb.New(b)
			merchants := newMerchants(b, pool)[:size]
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				list := newGroup(merchants)
				acceptGroup(b, pool, list)
				settlements := make([]wallet.Settlement, len(list))
				for i, p := range list {
					settlements[i] = settlement(p.ID, wallet.Outcome{
						Kind: wallet.OutcomeSucceeded, IntentID: "pi_" + p.ID.String(), ChargeID: "ch_" + p.ID.String(),
						AmountReceived: p.Amount, Currency: p.Currency,
					})
				}
				b.StartTimer()
				_, err := postgres.ApplyOutcomes(b.Context(), pool, settlements)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkStoreEvents stores events of payments that have succeeded, which is
// what most events are about.
func BenchmarkStoreEvents(b *testing.B) {
	pool := testdb.New(b)
	list := make([]wallet.Payment, group)
	for i, m := range newMerchants(b, pool) {
		list[i] = testfactory.Payment(b, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentSucceeded})
	}
	body := make([]byte, 2500)
	for i := range body {
		body[i] = '0' + byte(i*i%43)
	}
	ignorable := make([]bool, group)
	round := 0
	b.ReportAllocs()
	for b.Loop() {
		round++
		events := make([]postgres.Event, group)
		for i, p := range list {
			ignorable[i] = true
			events[i] = postgres.Event{
				ID: fmt.Sprintf("evt_%d_%d", round, i), Mode: p.Mode, Type: "payment_intent.succeeded", APIVersion: "2023-10-16",
				ObjectID: p.StripePaymentIntentID, StripePaymentIntentID: p.StripePaymentIntentID, PaymentID: p.ID,
				Status: postgres.EventPending, Source: "webhook", Body: body, CreatedAt: now, ReceivedAt: now,
			}
		}
		err := pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
			_, err := postgres.StoreEvents(b.Context(), tx, events, ignorable, time.Minute, nil)
			return err
		})
		require.NoError(b, err)
	}
}
