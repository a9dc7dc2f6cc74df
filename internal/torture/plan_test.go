package torture

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/stripesim"
)

func TestNewPlan(t *testing.T) {
	t.Parallel()

	o := Options{Duration: 30 * time.Second, Processes: 3, Rate: 8, Seed: 7}

	t.Run("SameSeedSamePlan", func(t *testing.T) {
		t.Parallel()

		first, second := NewPlan(o), NewPlan(o)
		require.Equal(t, first, second)
		require.Equal(t, first.Digest(), second.Digest())
	})

	t.Run("AnotherSeedAnotherPlan", func(t *testing.T) {
		t.Parallel()

		other := o
		other.Seed++
		require.NotEqual(t, NewPlan(o).Digest(), NewPlan(other).Digest())
	})

	t.Run("InOrderAndInTime", func(t *testing.T) {
		t.Parallel()

		p := NewPlan(o)
		require.Len(t, p.Payments, 240)
		for i, pay := range p.Payments {
			require.Less(t, pay.At, o.Duration)
			require.GreaterOrEqual(t, pay.At, p.Payments[max(i-1, 0)].At)
		}
		for i, a := range p.Actions {
			require.Less(t, a.At, o.Duration)
			require.GreaterOrEqual(t, a.At, p.Actions[max(i-1, 0)].At)
			require.Less(t, a.Process, o.Processes)
		}
	})

	t.Run("KeysAreUsedOnce", func(t *testing.T) {
		t.Parallel()

		seen := map[string]bool{}
		for _, p := range NewPlan(o).Payments {
			require.False(t, p.Key != "" && seen[p.Key])
			seen[p.Key] = true
		}
	})

	t.Run("ShortestStormHasEveryAction", func(t *testing.T) {
		t.Parallel()

		kinds := map[ActionKind]bool{}
		for _, a := range NewPlan(Options{Duration: time.Second, Processes: 1, Rate: 1, Seed: 1}).Actions {
			kinds[a.Kind] = true
		}
		require.Len(t, kinds, len(actionsEvery)+1, "and the restart")
	})
}

// TestEveryFaultIsUsed checks that a storm uses every fault of the simulator.
func TestEveryFaultIsUsed(t *testing.T) {
	t.Parallel()

	kinds, bodies := map[string]bool{}, map[string]bool{}
	sim, err := stripesim.New(stripesim.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close(context.WithoutCancel(t.Context()))) })
	for _, f := range apiFaults() {
		kinds[f.Kind], bodies[f.Body] = true, true
		_, err := sim.AddFault(f)
		require.NoError(t, err, f.ID)
	}
	require.Len(t, sim.Faults(), len(apiFaults()), "no two have the same name")
	for _, kind := range []string{
		stripesim.FaultBody, stripesim.FaultHang, stripesim.FaultLatency, stripesim.FaultProcessing,
		stripesim.FaultReset, stripesim.FaultStatus, // FaultPruneKey is not used: forgetKeys removes keys by age
	} {
		require.True(t, kinds[kind], kind)
	}
	for _, body := range []string{stripesim.BodyCut, stripesim.BodyEmpty, stripesim.BodyInvalid, stripesim.BodyTruncated} {
		require.True(t, bodies[body], body)
	}

	hooks := map[string]bool{}
	for _, f := range webhookFaults() {
		hooks[f.Kind] = true
		_, err := sim.AddWebhookFault(f)
		require.NoError(t, err, f.ID)
	}
	for _, kind := range []string{
		stripesim.HookAPIVersion, stripesim.HookBeforeAnswer, stripesim.HookDelay, stripesim.HookDrop, stripesim.HookDuplicate,
		stripesim.HookLivemode, stripesim.HookOversize, stripesim.HookReorder, stripesim.HookStale, stripesim.HookTamper,
		stripesim.HookUnknownType, stripesim.HookWrongSecret,
	} {
		require.True(t, hooks[kind], kind)
	}
}

// TestEveryLineFaultIsPlanned checks that a minute of storm has every fault of the line
// to the database, and that each makes sense to the proxy.
func TestEveryLineFaultIsPlanned(t *testing.T) {
	t.Parallel()

	planned, names := map[uint64]bool{}, map[string]bool{}
	for _, a := range NewPlan(Options{Duration: time.Minute, Processes: 3, Rate: 8, Seed: 1}).Actions {
		if a.Kind == ActionLine {
			planned[a.Pick%uint64(len(lineFaults))] = true
		}
	}
	require.Len(t, planned, len(lineFaults))
	proxy, err := pgproxy.Start(t.Context(), "127.0.0.1:1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	for _, f := range lineFaults {
		names[f.name] = true
		if f.begin == nil {
			proxy.Inject(f.fault).Remove() // panics if the fault makes no sense
		}
	}
	require.Len(t, names, len(lineFaults), "no two have the same name")
}

// TestProportions checks that the storm's durations have the same order as in
// production.
func TestProportions(t *testing.T) {
	t.Parallel()

	longestFreeze := rescueAfter + 2*time.Second
	require.Greater(t, keysKept-keyLife, longestFreeze+rescueAfter/3, "a request that was due in time reaches Stripe in time")
	require.Greater(t, longestFreeze, rescueAfter, "a frozen process loses its jobs")
	require.Greater(t, balancerPatience, api.DefaultPatience, "clients get the answer to a write in doubt")
	require.Greater(t, longestLineFault, api.DefaultPatience, "some writes stay in doubt for longer than their clients wait")
	require.Greater(t, listLag, keysKept, "keys are forgotten before lists show intents")
}
