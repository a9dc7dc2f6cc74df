package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// An event gets a job exactly when it can be news for where its payment stands.
func TestEventsThatAreNoNews(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	const (
		succeeded, failed = "payment_intent.succeeded", "payment_intent.payment_failed"
		challenged        = "payment_intent.requires_action"
	)
	for status, news := range map[wallet.PaymentStatus][]string{
		wallet.PaymentProcessing:     {}, // they wait for the charge first
		wallet.PaymentRequiresAction: {succeeded, failed},
		wallet.PaymentSucceeded:      {},
		wallet.PaymentFailed:         {succeeded},
		wallet.PaymentCanceled:       {succeeded},
	} {
		p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: status})
		for _, eventType := range []string{succeeded, failed, challenged} {
			id := "evt_" + string(status) + eventType
			stored, err := postgres.StoreEvents(t.Context(), pool, []postgres.Event{{
				ID: id, Mode: p.Mode, Type: eventType, StripePaymentIntentID: p.StripePaymentIntentID, PaymentID: p.ID,
				Status: postgres.EventPending, Source: "webhook", Body: []byte("{}"), CreatedAt: now, ReceivedAt: now,
			}}, []bool{true}, time.Minute, &postgres.Job{Kind: "handle_event", Queue: "settle", MaxAttempts: 3})
			require.NoError(t, err)

			isNews := false
			for _, n := range news {
				isNews = isNews || n == eventType
			}
			require.Equal(t, isNews, stored[0].NeedsJob, id)
			handled := !isNews && status != wallet.PaymentProcessing
			require.Equal(t, handled, stored[0].Status == postgres.EventHandled, id)
			var jobs int
			require.NoError(t, pool.QueryRow(t.Context(), `
				select count(*) from river_job where kind = 'handle_event' and queue = 'settle' and max_attempts = 3
					and state = 'available' and args = jsonb_build_object('event_id', $1::text)`, id).Scan(&jobs))
			require.Equal(t, isNews, jobs == 1, id)
		}
	}
}
