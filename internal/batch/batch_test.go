package batch_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/batch"
)

func TestWriter(t *testing.T) {
	t.Parallel()

	t.Run("UnderLoadAWriteWaitsForCompany", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			var groups []int
			w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
				<-time.After(time.Millisecond)
				groups = append(groups, len(members))
				return texts(members), nil
			}, batch.Config[int]{Linger: time.Second, Max: 16})
			do := func(n int) (took time.Duration) {
				start := time.Now()
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() { _, _ = w.Do(t.Context(), i) })
				}
				wg.Wait()
				return time.Since(start)
			}

			require.Equal(t, time.Millisecond, do(1), "a lone member waits for nobody")
			require.Equal(t, 2*time.Millisecond, do(13), "nor does the first under load, or those behind it")
			require.Equal(t, time.Second+time.Millisecond, do(3), "but those behind a group do")
			synctest.Wait()
			require.Equal(t, time.Millisecond, do(1), "until there are few again")
			require.Equal(t, []int{1, 1, 12, 3, 1}, groups)

			groups = nil
			require.Less(t, do(100), 10*time.Millisecond, "and a whole group does not wait")
			w.Close(t.Context())
		})
	})

	t.Run("ALoneMembersWriteHasTheValuesOfItsCaller", func(t *testing.T) {
		t.Parallel()

		type key struct{}
		w := batch.NewWriter(t.Context(), func(ctx context.Context, members []int) ([]string, error) {
			inner, cancel := context.WithCancel(ctx)
			defer cancel()
			value, _ := inner.Value(key{}).(string)
			return []string{value}, inner.Err()
		}, batch.Config[int]{})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "mine"))
		defer cancel()

		r, err := w.Do(ctx, 1)

		require.NoError(t, err)
		require.Equal(t, "mine", r)
	})

	t.Run("MembersGatherWhileAWriteIsUnderWay", func(t *testing.T) {
		t.Parallel()

		entered, release := make(chan []int, 10), make(chan struct{})
		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			entered <- slices.Clone(members)
			<-release
			return texts(members), nil
		}, batch.Config[int]{})
		results := make(chan string, 4)
		do := func(v int) {
			r, err := w.Do(t.Context(), v)
			if err != nil {
				r = err.Error()
			}
			results <- r
		}

		go do(1)
		require.Equal(t, []int{1}, <-entered, "a lone member does not wait")
		var started sync.WaitGroup
		for v := 2; v <= 4; v++ {
			started.Go(func() { _, _ = w.Do(cancelled(), v) }) // leaves at once; the member stays
		}
		started.Wait()
		close(release)
		second := <-entered

		slices.Sort(second)
		require.Equal(t, []int{2, 3, 4}, second, "those who came meanwhile share the next write")
		require.Equal(t, "1", <-results)
		w.Close(t.Context())
	})

	t.Run("FailingMemberDoesNotFailItsNeighbours", func(t *testing.T) {
		t.Parallel()

		bad := errors.New("bad member")
		first := make(chan struct{})
		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			if members[0] == 0 {
				<-first
			}
			if slices.Contains(members, 13) {
				return nil, bad
			}
			return texts(members), nil
		}, batch.Config[int]{})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = w.Do(t.Context(), 0) })
		errs := make([]error, 20)
		for i := 1; i < 20; i++ {
			wg.Go(func() {
				r, err := w.Do(t.Context(), i)
				errs[i] = err
				if err == nil && r != strconv.Itoa(i) {
					errs[i] = errors.New("result of another member: " + r)
				}
			})
		}
		close(first)
		wg.Wait()

		for i, err := range errs {
			if i == 13 {
				require.ErrorIs(t, err, bad)
			} else {
				require.NoError(t, err, "member %d", i)
			}
		}
	})

	t.Run("SameKeyNeverSharesAWrite", func(t *testing.T) {
		t.Parallel()

		var mu sync.Mutex
		var doubled bool
		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			sorted := slices.Sorted(slices.Values(members))
			doubled = doubled || len(slices.Compact(sorted)) != len(members)
			return texts(members), nil
		}, batch.Config[int]{Key: strconv.Itoa})
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { _, _ = w.Do(t.Context(), i%7) })
		}
		wg.Wait()

		require.False(t, doubled)
	})

	t.Run("CloseRefusesNewMembers", func(t *testing.T) {
		t.Parallel()

		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			return texts(members), nil
		}, batch.Config[int]{})
		w.Close(t.Context())

		_, err := w.Do(t.Context(), 1)

		require.ErrorIs(t, err, batch.ErrClosed)
	})
}

func texts(members []int) []string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = strconv.Itoa(m)
	}
	return list
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
