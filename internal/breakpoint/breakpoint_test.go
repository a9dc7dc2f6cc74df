package breakpoint_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/breakpoint"
)

// childEnv makes the test binary enable the crash point in it and reach it.
const childEnv = "FUNDRAIL_BREAKPOINT_TEST_CHILD"

func TestMain(m *testing.M) {
	if point := os.Getenv(childEnv); point != "" {
		if breakpoint.Enable("", breakpoint.Point(point)) != nil {
			os.Exit(2)
		}
		for _, p := range breakpoint.Points {
			breakpoint.Reach(p)
		}
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func TestInertUnlessEnabled(t *testing.T) {
	t.Parallel()

	for _, s := range breakpoint.Switches {
		require.False(t, breakpoint.Broken(s))
	}
	for _, p := range breakpoint.Points {
		breakpoint.Reach(p) // must not kill this process
	}
}

func TestEnable(t *testing.T) {
	t.Parallel()

	require.EqualError(t, breakpoint.Enable("gravity", ""), `unknown switch "gravity"`)
	require.EqualError(t, breakpoint.Enable("", "lunch"), `unknown crash point "lunch"`)
	require.False(t, breakpoint.Broken("gravity"))
}

func TestReachKills(t *testing.T) {
	t.Parallel()

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(breakpoint.ChargeAnswered))

	err := cmd.Run()

	exit, ok := err.(*exec.ExitError) //nolint:errorlint // exactly what exec returns
	require.True(t, ok, err)
	status, _ := exit.Sys().(syscall.WaitStatus)
	require.Equal(t, syscall.SIGKILL, status.Signal())
}

// BenchmarkBroken measures the cost of a hook in a production service.
func BenchmarkBroken(b *testing.B) {
	for b.Loop() {
		if breakpoint.Broken(breakpoint.SettleGuard) {
			b.Fatal("nothing is broken")
		}
	}
}
