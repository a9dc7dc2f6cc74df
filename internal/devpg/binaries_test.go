package devpg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	embedded "github.com/fergusstrange/embedded-postgres"
	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	t.Parallel()

	// install puts a PostgreSQL of the version into dir. Its programs only print
	// the version.
	install := func(t *testing.T, dir, version string) string {
		t.Helper()
		require.NoError(t, os.MkdirAll(dir, 0o755))
		script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s (Some Distribution 1)'\n", version)
		for _, name := range []string{"initdb", "postgres"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
		}
		dir, err := filepath.EvalSymlinks(dir)
		require.NoError(t, err)
		return dir
	}
	offline := func(context.Context, account) (string, error) { return "", errors.New("no network") }

	t.Run("PrefersPathThenTheNewest", func(t *testing.T) {
		t.Parallel()

		root := t.TempDir()
		nine := install(t, filepath.Join(root, "9", "bin"), "9.6.24")
		sixteen := install(t, filepath.Join(root, "16", "bin"), "16.2")
		fifteen := install(t, filepath.Join(root, "15", "bin"), "15.18")
		f := &finder{fetch: offline, globs: []string{filepath.Join(root, "*", "bin")}}

		found, err := f.find(t.Context(), ownAccount(), 0)
		require.NoError(t, err)
		require.Equal(t, sixteen, found.dir)
		require.Equal(t, 16, found.major)

		found, err = f.find(t.Context(), ownAccount(), 15)
		require.NoError(t, err)
		require.Equal(t, fifteen, found.dir)

		links := t.TempDir()
		require.NoError(t, os.Symlink(filepath.Join(fifteen, "postgres"), filepath.Join(links, "postgres")))
		f.path = nine + string(filepath.ListSeparator) + links
		found, err = f.find(t.Context(), ownAccount(), 0)
		require.NoError(t, err)
		require.Equal(t, fifteen, found.dir)
	})

	t.Run("SaysHowToProvidePostgreSQL", func(t *testing.T) {
		t.Parallel()

		root := dataDir(t)
		install(t, filepath.Join(root, "13", "bin"), "13.1")
		f := &finder{fetch: offline, globs: []string{filepath.Join(root, "*", "bin")}}

		_, err := Start(t.Context(), Options{finder: f})

		for _, part := range []string{"package postgresql", "DATABASE_URL", "docker compose up -d", "no network", "has PostgreSQL 13"} {
			require.ErrorContains(t, err, part)
		}
	})

	t.Run("FindsTheVersionOfTheData", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		s := mustStart(t, Options{DataDir: dir})
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, os.WriteFile(filepath.Join(s.home.data, "PG_VERSION"), []byte("99\n"), 0o600))

		_, err := Start(t.Context(), Options{DataDir: dir})

		require.ErrorContains(t, err, "the data directory is of PostgreSQL 99")
	})

	t.Run("SkipsBinariesThatDoNotRun", func(t *testing.T) {
		t.Parallel()

		dir := t.TempDir()
		for _, name := range []string{"initdb", "postgres"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexit 3\n"), 0o700))
		}
		f := &finder{fetch: offline, path: dir}

		_, err := f.find(t.Context(), ownAccount(), 0)

		require.ErrorContains(t, err, "exit status 3")
	})
}

func TestFetch(t *testing.T) {
	t.Parallel()

	t.Run("UnpacksOnce", func(t *testing.T) {
		t.Parallel()

		requests := 0
		repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if filepath.Ext(r.URL.Path) != ".jar" {
				http.NotFound(w, r)
				return
			}
			requests++
			_, _ = w.Write(postgresJar(t))
		}))
		defer repository.Close()
		cache := t.TempDir()
		config := embedded.DefaultConfig().BinaryRepositoryURL(repository.URL)

		for range 2 {
			dir, err := fetchInto(t.Context(), ownAccount(), cache, config)
			require.NoError(t, err)
			b, err := inspect(t.Context(), ownAccount(), dir)
			require.NoError(t, err)
			require.Equal(t, 17, b.major)
		}

		require.Equal(t, 1, requests)
		leftovers, err := filepath.Glob(filepath.Join(cache, "binaries", "new-*"))
		require.NoError(t, err)
		require.Empty(t, leftovers)
	})

	t.Run("SaysWhatWentWrong", func(t *testing.T) {
		t.Parallel()

		repository := httptest.NewServer(http.NotFoundHandler())
		defer repository.Close()

		_, err := fetchInto(t.Context(), ownAccount(), t.TempDir(), embedded.DefaultConfig().BinaryRepositoryURL(repository.URL))

		require.ErrorContains(t, err, "no version found")
	})

	t.Run("GivesUpWithTheContext", func(t *testing.T) {
		t.Parallel()

		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		repository := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-release }))
		defer repository.Close()
		defer close(release)

		_, err := fetchInto(ctx, ownAccount(), t.TempDir(), embedded.DefaultConfig().BinaryRepositoryURL(repository.URL))

		require.ErrorIs(t, err, context.Canceled)
	})
}
