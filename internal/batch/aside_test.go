package batch_test

import (
	"context"
	"errors"
	"slices"
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
		var alone []int
		w := batch.NewWriter(t.Context(), func(_ context.Context, members []int) ([]string, error) {
			time.Sleep(time.Second) // the wait for a lock
			if slices.Equal(members, []int{0}) {
				return texts(members), nil
			}
			if len(members) == 1 {
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
		time.Sleep(10 * time.Second)
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
