package devpg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestSeed(t *testing.T) {
	t.Parallel()

	// seed returns a seed that counts its calls.
	seed := func(key string) (*Seed, *atomic.Int64) {
		var sown atomic.Int64
		return &Seed{
			Fill: func(ctx context.Context, s *Server) error {
				sown.Add(1)
				return s.exec(ctx, database, "CREATE TABLE seeded AS SELECT '"+key+"' AS key")
			},
			Key: key,
		}, &sown
	}

	t.Run("IsFilledOnce", func(t *testing.T) {
		t.Parallel()

		cache := dataDir(t)
		first, sown := seed("first")
		var group errgroup.Group
		servers := make([]*Server, 3)
		for i := range servers {
			group.Go(func() (err error) {
				servers[i], err = Start(t.Context(), Options{Seed: first, cache: cache})
				return err
			})
		}
		require.NoError(t, group.Wait())
		for _, s := range servers {
			require.Equal(t, "first", query(t, s.DatabaseURL(), "SELECT key FROM seeded"))
			require.NoError(t, s.Stop(t.Context()))
		}
		require.EqualValues(t, 1, sown.Load())

		second, _ := seed("second")
		s := mustStart(t, Options{Seed: second, cache: cache})

		require.Equal(t, "second", query(t, s.DatabaseURL(), "SELECT key FROM seeded"))
		require.EqualValues(t, 1, sown.Load())
	})

	t.Run("LeavesNothingWhenItFails", func(t *testing.T) {
		t.Parallel()

		cache := dataDir(t)
		fails := &Seed{Fill: func(context.Context, *Server) error { return errors.New("no seed today") }, Key: "fails"}

		_, err := Start(t.Context(), Options{Seed: fails, cache: cache})

		require.ErrorContains(t, err, "no seed today")
		templates, err := filepath.Glob(filepath.Join(cache, templatePrefix+"*"))
		require.NoError(t, err)
		require.Empty(t, templates)
	})

	t.Run("WorksWithoutACache", func(t *testing.T) {
		t.Parallel()

		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		only, _ := seed("only")

		s := mustStart(t, Options{Seed: only, cache: filepath.Join(file, "cache")})

		require.Equal(t, "only", query(t, s.DatabaseURL(), "SELECT key FROM seeded"))
	})
}

func TestPruneKeepsTheTemplatesInUse(t *testing.T) {
	t.Parallel()

	cache := t.TempDir()
	for i := range templatesKept + 2 {
		template := filepath.Join(cache, templatePrefix+strconv.Itoa(i))
		require.NoError(t, os.Mkdir(template, 0o700))
		used := time.Date(2025, 1, 1+i, 0, 0, 0, 0, time.UTC)
		require.NoError(t, os.Chtimes(template, used, used))
	}
	half := filepath.Join(cache, templatePrefix+"9.new")
	require.NoError(t, os.Mkdir(half, 0o700))

	prune(cache)

	// One place is left for the template that is about to be stored.
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{
		filepath.Join(cache, templatePrefix+"3"),
		filepath.Join(cache, templatePrefix+"4"),
		filepath.Join(cache, templatePrefix+"5"),
	}, left)
}

func TestCacheDirOfAnotherUser(t *testing.T) {
	t.Parallel()

	// The root directory belongs to another user, unless the test runs as root.
	base := "/"
	if os.Geteuid() == 0 {
		base = t.TempDir()
		require.NoError(t, os.Lchown(base, 1, 1))
	}
	dir := filepath.Join(base, "home-of-devpg-test", "cache")

	_, err := cacheDir(dir)

	require.ErrorContains(t, err, "belongs to another user")
	require.NoDirExists(t, dir)
}

func TestCopyTree(t *testing.T) {
	t.Parallel()

	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.MkdirAll(filepath.Join(from, "a", "b"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(from, "a", "file"), []byte("content"), 0o600))

	require.NoError(t, copyTree(t.Context(), from, to, ownAccount()))

	content, err := os.ReadFile(filepath.Join(to, "a", "file"))
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
	require.DirExists(t, filepath.Join(to, "a", "b"))

	require.NoError(t, os.Symlink("/etc", filepath.Join(from, "link")))
	require.ErrorContains(t, copyTree(t.Context(), from, to+"2", ownAccount()), "neither a file nor a directory")
}
