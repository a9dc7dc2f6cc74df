package jobs

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A wake that is never sent costs a poll interval and nothing else, so no other test
// would miss it.
func TestWakes(t *testing.T) {
	t.Parallel()

	const cooldown = 5 * time.Millisecond

	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sent := map[string][]time.Duration{}
		start := time.Now()
		w := newWakes(cooldown, func(queues []string) {
			mu.Lock()
			defer mu.Unlock()
			for _, q := range queues {
				sent[q] = append(sent[q], time.Since(start))
			}
		})
		after := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		synctest.Wait()

		w.wake("charge")
		synctest.Wait()
		require.Equal(t, []time.Duration{0}, sent["charge"], "at once")
		after(cooldown)
		require.Len(t, sent["charge"], 1, "and once, for one job")

		for range 10 {
			w.wake("charge")
		}
		w.wake("settle")
		after(cooldown)
		require.Equal(t, []time.Duration{0, cooldown, 2 * cooldown}, sent["charge"], "what came meanwhile is told a cooldown later")
		require.Equal(t, []time.Duration{cooldown}, sent["settle"], "queues do not wait for each other")

		after(cooldown)
		w.wake("charge")
		w.wake("charge")
		synctest.Wait()
		w.close()
		w.wake("settle")
		after(time.Second)
		require.Len(t, sent["charge"], 4, "nothing is sent behind the end")
		require.Len(t, sent["settle"], 1)
	})
}
