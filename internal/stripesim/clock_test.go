package stripesim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
)

func TestClock(t *testing.T) {
	t.Parallel()

	t.Run("TimersFireAtTheirOwnTimes", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.paid(t, "pm_card_createDispute")
		b.sim.Advance(365 * 24 * time.Hour)
		d := b.sim.Disputes(false)[0]
		require.Equal(t, noon.Add(3*time.Second).Unix(), d.Created)
		require.Equal(t, stripesim.DisputeLost, d.Status, "timers set on the way go off, too")
		closed := b.sim.Events(false, "charge.dispute.closed")[0]
		require.Equal(t, d.DueBy, closed.Created.Unix())
		require.Equal(t, noon.Add(365*24*time.Hour), b.sim.Now())
	})

	t.Run("MovesForwardOnly", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.sim.SetTime(noon.Add(time.Hour))
		require.Equal(t, noon.Add(time.Hour), b.sim.Now())
		b.sim.SetTime(noon)
		b.sim.Advance(-time.Minute)
		require.Equal(t, noon.Add(time.Hour), b.sim.Now())
	})

	t.Run("RunsByItself", func(t *testing.T) {
		t.Parallel()

		sim := simtest.New(t, func(c *stripesim.Config) { c.DisputeDelay = 20 * time.Millisecond })
		b := &bundle{client: sim.Client(), customer: sim.Customer(), sim: sim}
		b.paid(t, "pm_card_createDispute")
		require.Eventually(t, func() bool { return len(sim.Disputes(false)) == 1 }, 5*time.Second, time.Millisecond)
	})
}
