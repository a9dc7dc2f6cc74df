package devpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// A template is a stopped cluster in the user's cache directory. Copying one takes
// less than half the time of initdb, and saves all the time of the seed.
const (
	templateFormat = "1" // to be changed when templates are created differently
	templatePrefix = "template-"
	templatesKept  = 4
)

// cacheDir returns our directory in the user's cache, or dir if it is not empty. It
// returns an error if another user owns the cache, as happens with sudo, because
// root's files there would disturb that user.
func cacheDir(dir string) (string, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "fundrail", "postgres")
	}
	if err := checkOwnAncestor(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, checkOurs(dir)
}

// checkOwnAncestor returns an error if another user owns the nearest existing
// directory of a path.
func checkOwnAncestor(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && path != filepath.Dir(path) {
		return checkOwnAncestor(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	if ownerOf(info) != uint32(os.Geteuid()) { //nolint:gosec // ids have 32 bits
		return fmt.Errorf("%s belongs to another user", path)
	}
	return nil
}

// copyTemplate fills the home from the template for the options, which it creates
// if needed. It returns the copy's password. Without a cache directory it creates a
// new cluster.
func copyTemplate(ctx context.Context, bins binaries, h *home, opts Options) (string, error) {
	cache, err := cacheDir(opts.cache)
	if err != nil {
		password := randomHex(16)
		return password, buildCluster(ctx, bins, h, password, opts)
	}
	template := filepath.Join(cache, templatePrefix+templateKey(bins, opts.Seed))
	lock, err := templateLock(ctx, bins, cache, template, opts)
	if err != nil {
		return "", fmt.Errorf("make a cluster template: %w", err)
	}
	defer lock.unlock()

	password, err := readSmall(filepath.Join(template, passwordFile))
	if err != nil {
		return "", err
	}
	if err := copyTree(ctx, filepath.Join(template, dataName), h.data, h.account); err != nil {
		return "", fmt.Errorf("copy the cluster template: %w", err)
	}
	return password, nil
}

// templateKey identifies a template by its binaries, its content and the boot of
// the machine in which it was created.
func templateKey(bins binaries, seed *Seed) string {
	parts := []string{templateFormat, runtime.GOOS, runtime.GOARCH, bootID(), bins.dir, bins.version}
	if seed != nil {
		parts = append(parts, seed.Key)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:12])
}

// templateLock returns a shared lock with which the template exists.
func templateLock(ctx context.Context, bins binaries, cache, template string, opts Options) (*fileLock, error) {
	path := filepath.Join(cache, "lock")
	for {
		shared, err := waitLock(ctx, path, syscall.LOCK_SH)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(template); err == nil {
			touch(template)
			return shared, nil
		}
		shared.unlock()
		exclusive, err := waitLock(ctx, path, syscall.LOCK_EX)
		if err != nil {
			return nil, err
		}
		err = makeTemplate(ctx, bins, cache, template, opts)
		exclusive.unlock()
		if err != nil {
			return nil, err
		}
	}
}

// touch marks a template as recently used.
func touch(template string) {
	now := time.Now()
	_ = os.Chtimes(template, now, now)
}

// makeTemplate creates a template in the cache, unless another process has just
// done so.
func makeTemplate(ctx context.Context, bins binaries, cache, template string, opts Options) error {
	if _, err := os.Stat(template); err == nil {
		return nil
	}
	account, err := serverAccount()
	if err != nil {
		return err
	}
	h, err := newTempHome(ctx, account, false)
	if err != nil {
		return err
	}
	password := randomHex(16)
	if err := buildCluster(ctx, bins, h, password, opts); err != nil {
		return errors.Join(err, h.close())
	}
	prune(cache)
	return errors.Join(storeTemplate(ctx, h, password, template), h.close())
}

// storeTemplate copies a stopped cluster into the cache, completely or not at all.
func storeTemplate(ctx context.Context, h *home, password, template string) error {
	raw := template + ".new"
	if err := errors.Join(os.RemoveAll(raw), os.Mkdir(raw, 0o700)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(raw, passwordFile), []byte(password), 0o600); err != nil {
		return err
	}
	if err := copyTree(ctx, h.data, filepath.Join(raw, dataName), ownAccount()); err != nil {
		return err
	}
	if bootID() == "" {
		syscall.Sync() // can be slow; see bootID
	}
	return os.Rename(raw, template)
}

// bootID identifies the current boot of the machine, or is empty if the system does
// not provide that. Files that were not yet written to disk are lost at a power
// failure, so a template could look complete without being so. Templates of an
// earlier boot are therefore not used.
func bootID() string {
	id, _ := readSmall("/proc/sys/kernel/random/boot_id")
	return id
}

// buildCluster creates a cluster in the home, seeds it and stops it.
func buildCluster(ctx context.Context, bins binaries, h *home, password string, opts Options) error {
	if err := initCluster(ctx, bins, h, password, false); err != nil {
		return err
	}
	s := &Server{bins: bins, home: h, log: opts.Log, opts: opts, password: password}
	if err := s.launch(ctx); err != nil {
		return err
	}
	err := s.nameDatabase(ctx)
	if err == nil && opts.Seed != nil {
		err = opts.Seed.Fill(ctx, s)
	}
	return errors.Join(err, s.abandon())
}

// prune removes the least recently used templates and those that killed processes
// left incomplete. The caller must hold the exclusive lock.
func prune(cache string) {
	raws, _ := filepath.Glob(filepath.Join(cache, templatePrefix+"*.new"))
	for _, raw := range raws {
		_ = os.RemoveAll(raw)
	}
	for _, old := range oldTemplates(cache) {
		_ = os.RemoveAll(old)
	}
}

// copyTree copies a directory tree. All files of the copy belong to the account.
// The root directory is given to the account last, so that it cannot change the
// tree during the copy.
func copyTree(ctx context.Context, from, to string, a account) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case entry.IsDir():
			return errors.Join(os.Mkdir(target, 0o700), a.own(target))
		case entry.Type().IsRegular():
			group.Go(func() error { return errors.Join(copyFile(path, target), a.own(target)) })
			return nil
		default:
			return fmt.Errorf("%s is neither a file nor a directory", path)
		}
	})
	return errors.Join(err, group.Wait(), a.own(to))
}

func copyFile(from, to string) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW, 0) //nolint:gosec // only package-internal paths; O_NOFOLLOW refuses links
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // a new file in a new directory
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// oldTemplates returns all but the most recently used templates. It leaves room for
// the one that is about to be stored.
func oldTemplates(cache string) []string {
	paths, _ := filepath.Glob(filepath.Join(cache, templatePrefix+"*"))
	used := make(map[string]time.Time, len(paths))
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			used[path] = info.ModTime()
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return used[b].Compare(used[a]) })
	return paths[min(len(paths), templatesKept-1):]
}
