package torture

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWatchdog(t *testing.T) {
	t.Parallel()

	t.Run("KillsItsListWhenTheParentDies", func(t *testing.T) {
		t.Parallel()

		dog, err := startWatchdog()
		require.NoError(t, err)
		first, second, third := sleeper(t), sleeper(t), sleeper(t)
		for _, cmd := range []*exec.Cmd{first, second, third} {
			dog.watch(cmd.Process.Pid)
		}
		dog.forget(second.Process.Pid)

		require.NoError(t, dog.pipe.Close()) // as the kernel does when this process is killed
		require.NoError(t, dog.cmd.Wait())

		require.Equal(t, syscall.SIGKILL, endOf(t, first))
		require.Equal(t, syscall.SIGKILL, endOf(t, third))
		require.NoError(t, syscall.Kill(second.Process.Pid, 0), "a forgotten process is not killed")
	})

	t.Run("DoesNothingAfterDismiss", func(t *testing.T) {
		t.Parallel()

		dog, err := startWatchdog()
		require.NoError(t, err)
		cmd := sleeper(t)
		dog.watch(cmd.Process.Pid)

		dog.dismiss()

		require.NoError(t, syscall.Kill(cmd.Process.Pid, 0))
	})
}

// sleeper returns a process that sleeps until the end of the test.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()

	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func endOf(t *testing.T, cmd *exec.Cmd) syscall.Signal {
	t.Helper()

	_ = cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	return status.Signal()
}
