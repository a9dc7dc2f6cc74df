package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

const (
	fetchedVersion = embedded.V17
	fetchTimeout   = 80 * time.Second
)

// fetchBinaries downloads and unpacks PostgreSQL with embedded-postgres, once per
// user and version.
func fetchBinaries(ctx context.Context, a account) (string, error) {
	return fetchInto(ctx, a, "", embedded.DefaultConfig())
}

func fetchInto(ctx context.Context, a account, cache string, config embedded.Config) (string, error) {
	base, err := fetchDir(ctx, a, cache)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	l, err := waitLock(ctx, filepath.Join(base, "lock"), syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer l.unlock()

	root := filepath.Join(base, string(fetchedVersion))
	dir := filepath.Join(root, "bin")
	if _, err := inspect(ctx, a, dir); err == nil {
		return dir, nil
	}
	unpacked := filepath.Join(base, "new-"+randomHex(4))
	defer os.RemoveAll(unpacked)
	if err := unpack(ctx, config, base, unpacked); err != nil {
		return "", err
	}
	if err := errors.Join(os.RemoveAll(root), os.Rename(filepath.Join(unpacked, "postgres"), root)); err != nil {
		return "", err
	}
	return dir, nil
}

// fetchDir returns the directory for downloaded binaries: the user's cache
// directory, or a shared one if another account must run them.
func fetchDir(ctx context.Context, a account, cache string) (string, error) {
	if base, err := cacheDir(cache); err == nil && !a.lent {
		base = filepath.Join(base, "binaries")
		return base, os.MkdirAll(base, 0o700)
	}
	parent, err := sharedParent(ctx, a, "/var/tmp", "/tmp", os.TempDir())
	if err != nil {
		return "", err
	}
	base := filepath.Join(parent, "fundrail-binaries-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	if err := checkOurs(base); err != nil {
		return "", err
	}
	return base, os.Chmod(base, 0o711) //nolint:gosec // the server's account must be able to enter it
}

// unpack unpacks the installation into dir/postgres. The library cannot download
// without starting a server. Therefore it gets a data directory on which no server
// starts, and its error is ignored if it has unpacked the binaries.
func unpack(ctx context.Context, config embedded.Config, base, dir string) error {
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil { //nolint:gosec // the server's account must be able to enter it
		return err
	}
	major, _, _ := strings.Cut(string(fetchedVersion), ".")
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major+"\n"), 0o600); err != nil {
		return err
	}
	db := embedded.NewDatabase(config.
		BinariesPath(filepath.Join(dir, "postgres")).
		CachePath(base).
		DataPath(data).
		Logger(io.Discard).
		RuntimePath(filepath.Join(dir, "runtime")).
		Version(fetchedVersion))
	done := make(chan error, 1)
	go func() { done <- db.Start() }()
	select {
	case <-ctx.Done():
		return fmt.Errorf("download: %w", ctx.Err())
	case err := <-done:
		if _, statErr := os.Stat(filepath.Join(dir, "postgres", "bin", "postgres")); statErr != nil {
			return err
		}
		if err == nil {
			return db.Stop()
		}
		return nil
	}
}
