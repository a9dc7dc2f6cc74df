package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestWaiters(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	settled := func(id wallet.ID) wallet.Payment { return wallet.Payment{ID: id, Status: wallet.PaymentSucceeded} }

	t.Run("AnswerBeforeTheCallerIsKept", func(t *testing.T) {
		t.Parallel()

		w, id := newWaiters(), wallet.NewID()
		w.expect(id, now)
		w.resolve(settled(id))
		require.Empty(t, w.unanswered(now.Add(keepUnclaimed)))

		x := w.await(id)

		<-x.done
		require.Equal(t, settled(id), x.payment)
		w.forget(id)
		require.Empty(t, w.payments)
	})

	t.Run("OnlyAwaitedPaymentsAreLookedUp", func(t *testing.T) {
		t.Parallel()

		w, accepted, awaited := newWaiters(), wallet.NewID(), wallet.NewID()
		w.expect(accepted, now)
		w.expect(awaited, now)
		w.await(awaited)

		require.Equal(t, []wallet.ID{awaited}, w.unanswered(now))
		w.resolve(settled(awaited))
		require.Empty(t, w.unanswered(now))
	})

	t.Run("UnclaimedExpectationsAreDropped", func(t *testing.T) {
		t.Parallel()

		w, first, second, awaited := newWaiters(), wallet.NewID(), wallet.NewID(), wallet.NewID()
		w.expect(first, now)
		w.expect(awaited, now)
		w.await(awaited)
		w.resolve(settled(first))
		w.expect(second, now.Add(time.Second))

		w.unanswered(now.Add(keepUnclaimed + time.Millisecond))

		require.NotContains(t, w.payments, first)
		require.Contains(t, w.payments, awaited)
		require.Contains(t, w.payments, second)
		w.unanswered(now.Add(time.Minute))
		require.Len(t, w.payments, 1)
		require.Empty(t, w.fresh)
	})

	t.Run("LastCallerRemovesTheExpectation", func(t *testing.T) {
		t.Parallel()

		w, id := newWaiters(), wallet.NewID()
		a, b := w.await(id), w.await(id)
		require.Same(t, a, b)

		w.forget(id)
		require.Equal(t, []wallet.ID{id}, w.unanswered(now), "the other caller still waits")
		w.forget(id)

		require.Empty(t, w.payments)
		require.Empty(t, w.awaited)
	})
}
