package devpg

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSweep(t *testing.T) {
	t.Parallel()

	a, err := serverAccount()
	require.NoError(t, err)
	sweepNow := func(t *testing.T) {
		t.Helper()
		sweep(t.Context(), a, binaries{dir: "/nowhere"}, slog.New(slog.DiscardHandler))
	}
	leftover := func(t *testing.T) *home {
		t.Helper()
		h, err := newTempHome(t.Context(), a, true)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(h.dir)) })
		return h
	}

	t.Run("RemovesUnlockedHomes", func(t *testing.T) {
		t.Parallel()

		h := leftover(t)
		require.NoError(t, os.Mkdir(h.data, 0o700))
		sweepNow(t)
		require.DirExists(t, h.data)

		h.lock.unlock()
		sweepNow(t)

		require.NoDirExists(t, h.dir)
	})

	t.Run("LeavesOneWithAServer", func(t *testing.T) {
		t.Parallel()

		h := leftover(t)
		server, err := h.awaitServer(t.Context())
		require.NoError(t, err)
		h.lock.unlock()
		sweepNow(t)
		require.DirExists(t, h.dir)

		server.unlock()
		sweepNow(t)

		require.NoDirExists(t, h.dir)
	})

	t.Run("FollowsNoLinks", func(t *testing.T) {
		t.Parallel()

		precious := t.TempDir()
		link := filepath.Join(os.TempDir(), tempName(tempPrefix))
		require.NoError(t, os.Symlink(precious, link))
		defer os.Remove(link)

		sweepNow(t)

		require.DirExists(t, precious)
		_, err := os.Readlink(link)
		require.NoError(t, err)
	})
}

func TestDataDirRemoved(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name    string
		dataDir string
		want    bool
	}{
		{name: "GoneFromATemporaryPlace", dataDir: filepath.Join(os.TempDir(), "devpg-gone", "data"), want: true},
		{name: "OutOfSightElsewhere", dataDir: "/mnt/devpg-not-mounted/data"},
		{name: "StillThere", dataDir: os.TempDir() + "/."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			place := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(place, dataDirFile), []byte(test.dataDir+"\n"), 0o600))

			require.Equal(t, test.want, dataDirRemoved(place))
		})
	}

	require.False(t, dataDirRemoved(t.TempDir()), "without a note")
}

func TestPreferredParents(t *testing.T) {
	t.Setenv("TMPDIR", "")
	require.NotContains(t, preferredParents(true), memoryDir, "a durable cluster belongs on a disk")
	require.Equal(t, memorySuffices(), preferredParents(false)[0] == memoryDir)

	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	require.Equal(t, dir, preferredParents(false)[0], "TMPDIR comes first")
}
