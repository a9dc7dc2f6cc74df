package devpg

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeathSignalAloneIsEnough(t *testing.T) {
	t.Parallel()

	owner, report := startOwner(t, ownerRequest{DataDir: dataDir(t)})
	require.NoError(t, syscall.Kill(report.Watchdog, syscall.SIGKILL))
	killOwner(t, owner)

	requireGone(t, report)
}
