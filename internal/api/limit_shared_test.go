package api

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/batch"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestSharedLimiter(t *testing.T) {
	t.Parallel()

	now := testfactory.Now

	t.Run("FewTokensAreNotReported", func(t *testing.T) {
		t.Parallel()

		book := &ledger{}
		l := newSharedLimiter("requests", 6000, book.writer(), slog.New(slog.DiscardHandler))
		key := wallet.NewID()
		for range 599 {
			l.takeOf(t.Context(), key, now)
		}
		require.Empty(t, book.costs(), "far from the limit")
		require.False(t, l.takeOf(t.Context(), key, now).refused)
		book.await(t, 1) // a tenth of the bucket
		l.awaitReport(t, key)
		for range 100 {
			require.False(t, l.takeOf(t.Context(), key, now).refused)
		}
		book.await(t, 2) // a second's worth
		l.awaitReport(t, key)
		require.Equal(t, []time.Duration{600 * l.interval, 100 * l.interval}, book.costs())
		l.takeOf(t.Context(), key, now.Add(time.Second))
		book.await(t, 3) // a second later

		for i := range 10_000 {
			require.False(t, l.takeOf(t.Context(), key, now.Add(time.Hour+time.Duration(i)*time.Second)).refused)
		}
		require.Len(t, book.costs(), 3, "what has come back is forgotten")
	})

	t.Run("SpendingWaitsForTheReport", func(t *testing.T) {
		t.Parallel()

		book := &ledger{others: time.Minute, slow: make(chan struct{})}
		l := newSharedLimiter("requests", 600, book.writer(), slog.New(slog.DiscardHandler))
		key := wallet.NewID()
		passed := make(chan int, 1)
		go func() {
			n := 0
			for !l.takeOf(t.Context(), key, now).refused {
				n++
			}
			passed <- n
		}()
		require.Eventually(t, func() bool { return l.ahead(key) != nil }, 10*time.Second, time.Millisecond, "no request waits")
		book.slow <- struct{}{}
		require.Equal(t, 60+maxAhead*10, <-passed, "a tenth of the bucket, and two blocks")

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.True(t, l.takeOf(gone, key, now).refused)
	})

	t.Run("TokensSpentElsewhereAreSubtracted", func(t *testing.T) {
		t.Parallel()

		book := &ledger{others: 30 * time.Second}
		l := newSharedLimiter("requests", 60, book.writer(), slog.New(slog.DiscardHandler))
		key := wallet.NewID()
		for i := range 6 {
			require.Equal(t, 59-i, l.takeOf(t.Context(), key, now).remaining)
		}
		book.await(t, 1)
		require.Eventually(t, func() bool { return l.fullAtOf(key).Equal(now.Add(36 * time.Second)) }, 10*time.Second, time.Millisecond)
		require.Equal(t, 23, l.takeOf(t.Context(), key, now).remaining)
	})

	t.Run("FailedReportIsRepeated", func(t *testing.T) {
		t.Parallel()

		book := &ledger{fail: true}
		l := newSharedLimiter("requests", 600, book.writer(), slog.New(slog.DiscardHandler))
		key := wallet.NewID()
		for range 60 {
			l.takeOf(t.Context(), key, now)
		}
		book.await(t, 1)
		l.awaitReport(t, key)
		book.setFail(false)
		for range 10 {
			l.takeOf(t.Context(), key, now.Add(time.Second))
		}
		book.await(t, 2)
		require.Equal(t, 70*l.interval, book.costs()[1])
	})
}

// ledger stands in for the database, where other processes have spent as well.
type ledger struct {
	others time.Duration
	slow   chan struct{} // if there is one, each answer waits for it

	mu   sync.Mutex
	fail bool
	told []postgres.Spending
}

func (b *ledger) writer() *spendingWriter {
	return batch.NewWriter(context.Background(), func(_ context.Context, list []postgres.Spending) ([]time.Time, error) {
		if b.slow != nil {
			<-b.slow
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, list...)
		if b.fail {
			return nil, context.DeadlineExceeded
		}
		fullAt := make([]time.Time, len(list))
		for i, s := range list {
			fullAt[i] = s.Since.Add(b.others + s.Cost)
		}
		return fullAt, nil
	}, batch.Config[postgres.Spending]{})
}

func (b *ledger) setFail(fail bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
}

func (b *ledger) costs() (list []time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.told {
		list = append(list, s.Cost)
	}
	return list
}

func (b *ledger) await(t *testing.T, n int) {
	t.Helper()

	require.Eventually(t, func() bool { return len(b.costs()) >= n }, 10*time.Second, time.Millisecond)
	require.Len(t, b.costs(), n)
}

// awaitReport waits until no report of a key is under way.
func (l *sharedLimiter) awaitReport(t *testing.T, id wallet.ID) {
	t.Helper()

	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.spent[id].reporting == nil
	}, 10*time.Second, time.Millisecond)
}

func (l *sharedLimiter) fullAtOf(id wallet.ID) time.Time {
	l.limiter.mu.Lock()
	defer l.limiter.mu.Unlock()
	return l.fullAt[id.String()]
}
