package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// However many ask, the database is tried once a second.
func TestAbilityIsTriedOnceASecond(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		a := &ability{log: slog.New(slog.DiscardHandler), now: time.Now, try: func(context.Context) []string {
			<-time.After(time.Second / 2)
			if tries.Add(1) == 2 {
				return []string{"database: no answer"}
			}
			return nil
		}}
		ask := func() (found [][]string) {
			var mu sync.Mutex
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					problems := a.problems(t.Context())
					mu.Lock()
					defer mu.Unlock()
					found = append(found, problems)
				})
			}
			all.Wait()
			return found
		}

		for _, problems := range ask() {
			require.Empty(t, problems)
		}
		<-time.After(tryEvery - time.Millisecond)
		ask()
		require.EqualValues(t, 1, tries.Load())
		<-time.After(time.Millisecond)
		for _, problems := range ask() {
			require.Equal(t, []string{"database: no answer"}, problems)
		}
		require.EqualValues(t, 2, tries.Load())

		<-time.After(tryEvery)
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.Equal(t, []string{"not known yet"}, a.problems(impatient))
		require.Empty(t, a.problems(t.Context()))
		require.EqualValues(t, 3, tries.Load(), "the try goes on without the one who asked for it")
	})
}
