package devpg

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnreachableDataDir(t *testing.T) {
	t.Parallel()

	// closedDir returns a data directory that other users cannot enter.
	closedDir := func(t *testing.T) string {
		t.Helper()
		closed := t.TempDir()
		require.NoError(t, os.Chmod(closed, 0o700))
		return filepath.Join(closed, "data")
	}
	// place returns the recorded place of the cluster. It is empty unless the test
	// runs as root.
	place := func(t *testing.T, dir string) string {
		t.Helper()
		note, err := os.ReadFile(filepath.Join(dir, locationFile))
		if os.Geteuid() != 0 {
			require.ErrorIs(t, err, os.ErrNotExist)
			require.FileExists(t, filepath.Join(dir, dataName, "PG_VERSION"))
			return ""
		}
		require.NoError(t, err)
		where := strings.TrimSpace(string(note))
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(where)) })
		require.FileExists(t, filepath.Join(where, dataName, "PG_VERSION"))
		return where
	}

	t.Run("KeepsItsData", func(t *testing.T) {
		t.Parallel()

		dir := closedDir(t)
		first := mustStart(t, Options{DataDir: dir})
		query(t, first.DatabaseURL(), "CREATE TABLE kept AS SELECT 42 AS n")
		require.NoError(t, first.Stop(t.Context()))
		place(t, dir)

		second := mustStart(t, Options{DataDir: dir})

		require.Equal(t, "42", query(t, second.DatabaseURL(), "SELECT n FROM kept"))
		_, err := Start(t.Context(), Options{DataDir: dir})
		require.ErrorContains(t, err, dir+" is in use by process")
	})

	t.Run("IsFreshAfterItsRemoval", func(t *testing.T) {
		t.Parallel()

		dir := closedDir(t)
		first := mustStart(t, Options{DataDir: dir})
		query(t, first.DatabaseURL(), "CREATE TABLE forgotten ()")
		require.NoError(t, first.Stop(t.Context()))
		place(t, dir)
		require.NoError(t, os.RemoveAll(dir))

		second := mustStart(t, Options{DataDir: dir})

		require.Equal(t, "0", query(t, second.DatabaseURL(), "SELECT count(*) FROM pg_class WHERE relname = 'forgotten'"))
	})

	t.Run("PlaceIsSweptAfterTheDataDirIsRemoved", func(t *testing.T) {
		t.Parallel()

		dir := closedDir(t)
		s := mustStart(t, Options{DataDir: dir})
		require.NoError(t, s.Stop(t.Context()))
		where := place(t, dir)
		mustStart(t, Options{})
		require.True(t, where == "" || exists(where))

		require.NoError(t, os.RemoveAll(dir))
		mustStart(t, Options{})

		require.False(t, where != "" && exists(where))
	})
}

func TestStandInRefusesAnotherUsersPlace(t *testing.T) {
	t.Parallel()

	for name, prepare := range map[string]func(t *testing.T, place string){
		"AFile": func(t *testing.T, place string) {
			t.Helper()
			require.NoError(t, os.WriteFile(place, nil, 0o600))
		},
		"ALink": func(t *testing.T, place string) {
			t.Helper()
			require.NoError(t, os.Symlink(t.TempDir(), place))
		},
		"Gone": func(*testing.T, string) {},
		"OpenToOthers": func(t *testing.T, place string) {
			t.Helper()
			require.NoError(t, os.Mkdir(place, 0o700))
			require.NoError(t, os.Chmod(place, 0o777))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			dir := t.TempDir()
			h, err := takeHome(dir)
			require.NoError(t, err)
			defer h.close()
			prepare(t, dir+"-place")

			_, err = h.standIn(dir + "-place")

			require.Error(t, err)
		})
	}

	t.Run("AnotherUsers", func(t *testing.T) {
		t.Parallel()

		// The root directory belongs to another user, unless the test runs as root.
		dir := "/"
		if os.Geteuid() == 0 {
			dir = dataDir(t)
			require.NoError(t, os.Lchown(dir, 1, 1))
		}

		require.ErrorContains(t, checkOurs(dir), "belongs to another user")
	})
}

func TestSharedParent(t *testing.T) {
	t.Parallel()

	a, err := serverAccount()
	require.NoError(t, err)

	t.Run("ReturnsTheFirstUsable", func(t *testing.T) {
		t.Parallel()

		open := dataDir(t)
		require.NoError(t, os.Chmod(open, 0o777)) // other users could replace our files
		good := dataDir(t)

		parent, err := sharedParent(t.Context(), a, filepath.Join(good, "missing"), open, good)

		require.NoError(t, err)
		require.Equal(t, good, parent)
	})

	t.Run("SkipsUnusable", func(t *testing.T) {
		t.Parallel()

		closed, good := filepath.Join(dataDir(t), "closed"), dataDir(t)
		require.NoError(t, os.Mkdir(closed, 0o700))

		parent, err := sharedParent(t.Context(), a, closed, good)

		require.NoError(t, err)
		require.Equal(t, a.lent, parent == good)
	})

	t.Run("NamesTheDirectories", func(t *testing.T) {
		t.Parallel()

		_, err := sharedParent(t.Context(), a, "/nowhere", "/nowhere-else")

		require.ErrorContains(t, err, "/nowhere, /nowhere-else")
	})
}

func TestAccountCommandKeepsItsEnvironmentSmall(t *testing.T) {
	t.Setenv("STRIPE_TEST_SECRET_KEY", "sk_test_1")
	t.Setenv("LD_LIBRARY_PATH", "/opt/lib")

	cmd := ownAccount().command(context.Background(), "true")

	require.Contains(t, cmd.Env, "LD_LIBRARY_PATH=/opt/lib")
	require.NotContains(t, strings.Join(cmd.Env, "\n"), "sk_test_1")
}
