package worker

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/testdb"
)

func TestStopTimes(t *testing.T) {
	t.Parallel()

	for _, within := range []time.Duration{0, time.Second, 25 * time.Second} {
		s := stopTimesOf(config.Stopping{StopWithin: within})

		if within == 0 {
			within = 9 * time.Second
		}
		const rest = 4 // writes, traces, two pools
		require.LessOrEqual(t, s.requests+s.jobs+s.cutOff+rest*s.rest, within)
		require.Greater(t, s.jobs, s.requests)
	}
}

// A job that ignores its canceled context must not keep the process running.
func TestClosePoolHasALimit(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	var log bytes.Buffer
	o := Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Settings: config.Settings{Stopping: config.Stopping{StopWithin: time.Second}}}

	closePool(t.Context(), o, pool)

	require.Contains(t, log.String(), "connections left open")
}
