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

// What our directories in shared places are called; the user's number and
// something unique follow.
const (
	newPrefix   = "fundrail-new-"
	placePrefix = "fundrail-data-"
	probePrefix = "fundrail-probe-"
	tempPrefix  = "fundrail-pg-"
)

// tempParents lists where temporary clusters may be, or may have been.
func tempParents() []string {
	parents := []string{os.TempDir()}
	for _, dir := range []string{"/tmp", "/var/tmp", memoryDir} {
		if !slices.Contains(parents, dir) {
			parents = append(parents, dir)
		}
	}
	return parents
}

// preferredParents lists where to put a new one, best first. Memory is best: a
// cluster is a thousand small files, and every database in it three hundred. It
// is no place for a durable cluster, whose speed is to be that of a disk, and it
// is left alone when TMPDIR says where temporary files go.
func preferredParents(durable bool) []string {
	parents := slices.DeleteFunc(tempParents(), func(dir string) bool { return dir == memoryDir })
	if durable || os.Getenv("TMPDIR") != "" || !memoryRoomy() {
		return parents
	}
	return append([]string{memoryDir}, parents...)
}

func tempName(prefix string) string {
	return fmt.Sprintf("%s%d-%s", prefix, os.Geteuid(), randomHex(8))
}

// newTempHome makes the home of a temporary cluster. It appears under its final
// name only once it is locked, so that nobody can mistake it for a leftover.
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
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's account has to pass
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// sweep removes the temporary homes of this user that nobody holds any more, and
// those that stood in for a data directory in a temporary place, since removed.
// It is a courtesy: whatever stands in its way is left for another time.
func sweep(ctx context.Context, a account, bins binaries, log *slog.Logger) {
	for _, parent := range tempParents() {
		for _, prefix := range []string{placePrefix, tempPrefix} {
			dirs, _ := filepath.Glob(filepath.Join(parent, fmt.Sprintf("%s%d-*", prefix, os.Geteuid())))
			for _, dir := range dirs {
				if prefix == placePrefix && !forsaken(dir) {
					continue
				}
				if err := sweepOne(ctx, dir, a, bins); err == nil {
					log.DebugContext(ctx, "leftover postgres cluster removed", slog.String("dir", dir))
				}
			}
		}
	}
}

// forsaken reports whether the data directory that the home stands in for was in
// a temporary place and is gone. Elsewhere it may just be out of sight, on a disk
// that will be mounted again.
func forsaken(dir string) bool {
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
		// Told to go now, it is gone by the next sweep.
		err = errors.Join(err, stopOrphan(ctx, bins, h))
	}
	if err != nil {
		owner.unlock()
		return err
	}
	server.unlock()
	return h.close()
}

// stopOrphan ends the server of a home whose owner is gone. pg_ctl runs as the
// server's account, so a forged process id can't make root kill anything else.
func stopOrphan(ctx context.Context, bins binaries, h *home) error {
	out, err := h.account.command(ctx, bins.path("pg_ctl"), "stop", "-D", h.data, "-m", "immediate", "-W").CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_ctl stop: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
