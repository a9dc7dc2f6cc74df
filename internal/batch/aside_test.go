package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/batch"
)

// A member of a blocked group that waits for its turn to be written alone has not been
// sent. When its caller goes, nothing happens, as for any member that was not sent.
func TestWriterDropsMembersThatWaitToBeWrittenAlone(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		errBlocked := errors.New("blocked")
		var mu sync.Mutex // two members are tried alone at once
		var alone []int
		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			<-time.After(time.Second) // the wait for a lock
			if slices.Equal(members, []int{0}) {
				return texts(members), nil
			}
			if len(members) == 1 {
				mu.Lock()
				defer mu.Unlock()
				alone = append(alone, members[0])
			}
			return nil, errBlocked
		}, batch.Config[int]{Judge: func(error) batch.Verdict { return batch.Blocked }})
		errs := make([]error, 6)
		go func() { _, errs[0] = w.Do(t.Context(), 0) }()
		synctest.Wait() // the others gather
		for i := 1; i < 6; i++ {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond) // while the first two are tried alone
				defer cancel()
				_, errs[i] = w.Do(ctx, i)
			}()
		}
		<-time.After(10 * time.Second)
		w.Close(t.Context())

		blocked, dropped := 0, 0
		for _, err := range errs[1:] {
			switch {
			case errors.Is(err, errBlocked):
				blocked++
			case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, batch.ErrUnderWay):
				dropped++
			}
		}
		require.Equal(t, 2, blocked, "those that were under way waited for their locks in vain: %v", errs)
		require.Equal(t, 3, dropped, "%v", errs)
		require.Len(t, alone, 2)
	})
}

// After a member was blocked, the next one of its scope does not take others along.
func TestWriterKeepsTheScopeOfABlockedMemberApart(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		errBlocked := errors.New("blocked")
		var mu sync.Mutex
		locked := true
		var groups [][]int
		odd := func(v int) bool { return v%2 == 1 }
		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			mu.Lock()
			groups = append(groups, slices.Clone(members))
			blocked := locked && slices.ContainsFunc(members, odd)
			mu.Unlock()
			if blocked {
				<-time.After(time.Second) // the wait for a lock
				return nil, errBlocked
			}
			return texts(members), nil
		}, batch.Config[int]{
			Judge: func(error) batch.Verdict { return batch.Blocked },
			Scope: func(v int) string { return fmt.Sprint("odd: ", odd(v)) },
		})
		_, err := w.Do(t.Context(), 1)
		require.ErrorIs(t, err, errBlocked)

		third := make(chan error)
		go func() {
			_, err := w.Do(t.Context(), 3)
			third <- err
		}()
		synctest.Wait()
		began := time.Now()
		_, err = w.Do(t.Context(), 2)
		require.NoError(t, err)
		require.Zero(t, time.Since(began), "it did not wait for the other scope's lock")
		require.ErrorIs(t, <-third, errBlocked)

		mu.Lock()
		locked = false
		mu.Unlock()
		_, err = w.Do(t.Context(), 5)
		require.NoError(t, err)
		w.Close(t.Context())
		require.Equal(t, [][]int{{1}, {3}, {2}, {5}}, groups)
	})
}
