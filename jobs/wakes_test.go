package jobs

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWakes covers what no other test would notice: without a wake, a job only waits
// for River's next poll.
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
		require.Equal(t, []time.Duration{0}, sent["charge"], "immediately")
		after(cooldown)
		require.Len(t, sent["charge"], 1, "a single wake is not repeated")

		for range 10 {
			w.wake("charge")
		}
		w.wake("settle")
		after(cooldown)
		require.Equal(t, []time.Duration{0, cooldown, 2 * cooldown}, sent["charge"], "wakes within the cooldown are sent after it, as one")
		require.Equal(t, []time.Duration{cooldown}, sent["settle"], "each queue has its own cooldown")

		after(cooldown)
		w.wake("charge")
		w.wake("charge")
		synctest.Wait()
		w.close()
		w.wake("settle")
		after(time.Second)
		require.Len(t, sent["charge"], 4, "nothing is sent after close")
		require.Len(t, sent["settle"], 1)
	})
}
