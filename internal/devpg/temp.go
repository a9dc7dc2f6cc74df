package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The prefixes of directory names in shared places. The user's id and a unique
// suffix follow.
const (
	newPrefix   = "fundrail-new-"
	placePrefix = "fundrail-data-"
	probePrefix = "fundrail-probe-"
	tempPrefix  = "fundrail-pg-"
)

// tempParents returns the directories that temporary clusters can be in.
func tempParents() []string {
	parents := []string{os.TempDir()}
	for _, dir := range []string{"/tmp", "/var/tmp", memoryDir} {
		if !slices.Contains(parents, dir) {
			parents = append(parents, dir)
		}
	}
	return parents
}

// preferredParents returns the directories for a new temporary cluster, best first.
// An in-memory file system is best, because a cluster has a thousand small files
// and each database three hundred. It is not used for a durable cluster, which
// shall be as fast as the disk. It is not used either if TMPDIR names a place for
// temporary files.
func preferredParents(durable bool) []string {
	parents := slices.DeleteFunc(tempParents(), func(dir string) bool { return dir == memoryDir })
	if durable || os.Getenv("TMPDIR") != "" || !memorySuffices() {
		return parents
	}
	return append([]string{memoryDir}, parents...)
}

func tempName(prefix string) string {
	return fmt.Sprintf("%s%d-%s", prefix, os.Geteuid(), randomHex(8))
}

// newTempHome creates the home of a temporary cluster. It locks the directory
// before it gives it its final name, so that another Start cannot take it for a
// leftover.
func newTempHome(ctx context.Context, a account, durable bool) (*home, error) {
	parent, err := sharedParent(ctx, a, preferredParents(durable)...)
	if err != nil {
		return nil, err
	}
	raw := filepath.Join(parent, tempName(newPrefix))
	if err := os.Mkdir(raw, 0o700); err != nil {
		return nil, err
	}
	h, err := takeHome(raw)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(raw))
	}
	h.account, h.temporary = a, true
	dir := filepath.Join(parent, tempName(tempPrefix))
	if err := os.Rename(raw, dir); err != nil {
		return nil, errors.Join(err, h.close())
	}
	h.dir, h.data = dir, filepath.Join(dir, dataName)
	if !a.lent {
		return h, nil
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's account must be able to enter it
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// sweep removes this user's temporary homes that no process uses any more. It also
// removes homes that replaced a data directory in a temporary place, if that
// directory was removed. Errors are ignored: a later sweep tries again.
func sweep(ctx context.Context, a account, bins binaries, log *slog.Logger) {
	for _, parent := range tempParents() {
		for _, prefix := range []string{placePrefix, tempPrefix} {
			dirs, _ := filepath.Glob(filepath.Join(parent, fmt.Sprintf("%s%d-*", prefix, os.Geteuid())))
			for _, dir := range dirs {
				if prefix == placePrefix && !dataDirRemoved(dir) {
					continue
				}
				if err := sweepOne(ctx, dir, a, bins); err == nil {
					log.DebugContext(ctx, "leftover postgres cluster removed", slog.String("dir", dir))
				}
			}
		}
	}
}

// dataDirRemoved reports whether the data directory that the home replaced was in a
// temporary place and has been removed. A data directory elsewhere may be on a disk
// that is not mounted now, so its home is kept.
func dataDirRemoved(dir string) bool {
	content, err := readSmall(filepath.Join(dir, dataDirFile))
	if err != nil {
		return false
	}
	dataDir := strings.TrimSpace(content)
	_, err = os.Lstat(dataDir)
	return errors.Is(err, os.ErrNotExist) && slices.ContainsFunc(tempParents(), func(parent string) bool {
		return strings.HasPrefix(dataDir, parent+string(filepath.Separator))
	})
}

func sweepOne(ctx context.Context, dir string, a account, bins binaries) error {
	if err := checkOurs(dir); err != nil {
		return err
	}
	owner, err := tryLock(filepath.Join(dir, ownerLock), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	h := &home{account: a, data: filepath.Join(dir, dataName), dir: dir, lock: owner, temporary: true}
	server, err := tryLock(h.path(serverLock), syscall.LOCK_EX)
	if errors.Is(err, errLocked) {
		// The server gets the signal now, and the next sweep removes its home.
		err = errors.Join(err, stopOrphan(ctx, bins, h))
	}
	if err != nil {
		owner.unlock()
		return err
	}
	server.unlock()
	return h.close()
}

// stopOrphan stops the server of a home without owner. It runs pg_ctl as the
// server's account, so that a forged process id cannot make root kill another
// process.
func stopOrphan(ctx context.Context, bins binaries, h *home) error {
	out, err := h.account.command(ctx, bins.path("pg_ctl"), "stop", "-D", h.data, "-m", "immediate", "-W").CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_ctl stop: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
