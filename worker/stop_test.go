package worker

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
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
		const rest = 3 // writes, traces, pools
		require.LessOrEqual(t, s.jobs+s.cutOff+rest*s.rest, within)
	}
	// A write that began before the end is answered.
	require.Greater(t, stopTimesOf(config.Stopping{}).jobs, 5*time.Second)
}

// A job that ignores its canceled context must not keep the process running.
func TestClosePoolsHasALimit(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	var log bytes.Buffer
	o := Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Settings: config.Settings{Stopping: config.Stopping{StopWithin: time.Second}}}

	closePools(t.Context(), o, []*pgxpool.Pool{pool})

	require.Contains(t, log.String(), "connections left open")
}
