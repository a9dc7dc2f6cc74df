package batch_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/batch"
)

func TestWriter(t *testing.T) {
	t.Parallel()

	t.Run("UnderLoadAWriteWaitsForMoreMembers", func(t *testing.T) {
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
					if i == 0 {
						synctest.Wait() // the first one is being written, or waits for more
					}
				}
				wg.Wait()
				return time.Since(start)
			}

			require.Equal(t, time.Millisecond, do(1), "a lone member does not wait")
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
		for v := 2; v <= 4; v++ {
			go do(v)
		}
		require.Eventually(t, func() bool { return w.Waiting() == 3 }, time.Minute, time.Millisecond)
		close(release)
		second := <-entered

		slices.Sort(second)
		require.Equal(t, []int{2, 3, 4}, second, "those who came meanwhile share the next write")
		for range 4 {
			require.Contains(t, []string{"1", "2", "3", "4"}, <-results)
		}
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

	t.Run("AMemberWhoseCallerHasGoneIsDropped", func(t *testing.T) {
		t.Parallel()

		entered, release := make(chan []int, 10), make(chan struct{})
		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			entered <- slices.Clone(members)
			<-release
			return texts(members), nil
		}, batch.Config[int]{})
		ctx, leave := context.WithCancel(t.Context())
		first := make(chan error)
		go func() {
			_, err := w.Do(ctx, 1)
			first <- err
		}()
		require.Equal(t, []int{1}, <-entered)
		second := make(chan error)
		go func() {
			_, err := w.Do(ctx, 2)
			second <- err
		}()
		require.Eventually(t, func() bool { return w.Waiting() == 1 }, time.Minute, time.Millisecond)

		leave()

		require.ErrorIs(t, <-first, batch.ErrUnderWay, "its write goes on")
		err := <-second
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, batch.ErrUnderWay, "nothing happens")
		close(release)
		w.Close(t.Context())
		require.Empty(t, entered)
	})

	t.Run("AWriteHasALimit", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			w := batch.NewWriter(t.Context(), func(ctx context.Context, _ []int) ([]string, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}, batch.Config[int]{Limit: 3 * time.Second})
			start := time.Now()

			_, err := w.Do(t.Context(), 1)

			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 3*time.Second, time.Since(start))
			w.Close(t.Context())
		})
	})

	t.Run("DoubtIsHandedToEachMember", func(t *testing.T) {
		t.Parallel()

		lost := errors.New("the answer was lost")
		writes := 0
		w := batch.NewWriter(t.Context(), gated(func(members []int) ([]string, error) {
			writes++
			if len(members) > 1 {
				return nil, lost
			}
			return texts(members), nil
		}), batch.Config[int]{Judge: func(error) batch.Verdict { return batch.Failed }})

		errs := together(t, w, 1, 2, 3)

		for v := 1; v <= 3; v++ {
			require.ErrorIs(t, errs[v], lost, "trying it alone would hide the doubt")
		}
		require.Equal(t, 2, writes)
	})

	t.Run("MembersOfARefusedGroupAreNotTriedOnceTheDatabaseIsGone", func(t *testing.T) {
		t.Parallel()

		bad, gone := errors.New("bad member"), errors.New("gone")
		w := batch.NewWriter(t.Context(), gated(func(members []int) ([]string, error) {
			switch {
			case len(members) > 1:
				return nil, bad
			case members[0] == 0:
				return texts(members), nil
			default:
				return nil, gone
			}
		}), batch.Config[int]{Judge: func(err error) batch.Verdict {
			if errors.Is(err, gone) {
				return batch.Failed
			}
			return batch.Refused
		}})

		errs := together(t, w, 1, 2, 3)

		tried := 0
		for v := 1; v <= 3; v++ {
			require.ErrorIs(t, errs[v], gone)
			if !errors.Is(errs[v], batch.ErrNotTried) {
				tried++
			}
		}
		require.Equal(t, 1, tried)
	})

	t.Run("ABlockedMemberLeavesItsGroup", func(t *testing.T) {
		t.Parallel()

		blocked := errors.New("blocked")
		var locked atomic.Bool
		locked.Store(true)
		var mu sync.Mutex
		var groups [][]int
		w := batch.NewWriter(t.Context(), gated(func(members []int) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			groups = append(groups, slices.Sorted(slices.Values(members)))
			if slices.Contains(members, 13) && locked.Load() {
				return nil, blocked
			}
			return texts(members), nil
		}), batch.Config[int]{
			Key:   strconv.Itoa,
			Judge: func(error) batch.Verdict { return batch.Blocked },
			Free: func(_ context.Context, members []int) ([]bool, error) {
				free := make([]bool, len(members))
				for i, v := range members {
					free[i] = v != 13
				}
				return free, nil
			},
		})

		errs := together(t, w, 1, 2, 13)

		require.NoError(t, errs[1])
		require.NoError(t, errs[2])
		require.ErrorIs(t, errs[13], blocked)
		require.Equal(t, [][]int{{0}, {1, 2, 13}, {1, 2}, {13}}, groups)

		locked.Store(false)
		_, err := w.Do(t.Context(), 13)
		require.NoError(t, err, "it is tried again when it comes again")
		w.Close(t.Context())
	})

	t.Run("MembersThatWereFreeGetTheErrorOfTheirWrite", func(t *testing.T) {
		t.Parallel()

		blocked, doubtful := errors.New("blocked"), errors.New("connection lost")
		var groups [][]int
		w := batch.NewWriter(t.Context(), gated(func(members []int) ([]string, error) {
			groups = append(groups, slices.Sorted(slices.Values(members)))
			switch {
			case len(members) > 1 && slices.Contains(members, 13):
				return nil, blocked
			case len(members) > 1:
				return nil, doubtful
			default:
				return texts(members), nil
			}
		}), batch.Config[int]{
			Judge: func(err error) batch.Verdict {
				if errors.Is(err, doubtful) {
					return batch.Failed
				}
				return batch.Blocked
			},
			Free: func(_ context.Context, members []int) ([]bool, error) {
				free := make([]bool, len(members))
				for i, v := range members {
					free[i] = v != 13
				}
				return free, nil
			},
		})

		errs := together(t, w, 1, 2, 13)

		require.ErrorIs(t, errs[1], doubtful, "a second write would hide the doubt")
		require.ErrorIs(t, errs[2], doubtful)
		require.NoError(t, errs[13])
		require.Equal(t, [][]int{{0}, {1, 2, 13}, {1, 2}, {13}}, groups)
		w.Close(t.Context())
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

// gated holds the first write, which is that of member 0, until together lets it go.
func gated(write func([]int) ([]string, error)) batch.Write[int, string] {
	return func(ctx context.Context, members []int) ([]string, error) {
		if gate, ok := ctx.Value(gateKey{}).(chan struct{}); ok {
			<-gate
		}
		return write(members)
	}
}

type gateKey struct{}

// together has members share one write, and returns their errors.
func together(t *testing.T, w *batch.Writer[int, string], members ...int) map[int]error {
	t.Helper()

	gate := make(chan struct{})
	var (
		mu   sync.Mutex
		errs = make(map[int]error)
		wg   sync.WaitGroup
	)
	do := func(ctx context.Context, v int) {
		_, err := w.Do(ctx, v)
		mu.Lock()
		defer mu.Unlock()
		errs[v] = err
	}
	wg.Go(func() { do(context.WithValue(t.Context(), gateKey{}, gate), 0) })
	require.Eventually(t, func() bool { return w.Writing() }, time.Minute, time.Millisecond)
	for _, v := range members {
		wg.Go(func() { do(t.Context(), v) })
	}
	require.Eventually(t, func() bool { return w.Waiting() == len(members) }, time.Minute, time.Millisecond)
	close(gate)
	wg.Wait()
	return errs
}
