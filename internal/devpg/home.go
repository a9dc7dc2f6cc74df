package devpg

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The files of a home.
const (
	dataDirFile  = "data_dir" // the data directory that this home replaces
	dataName     = "data"     // the cluster; belongs to the server's account
	locationFile = "location" // the path of the home that replaces this one
	logFile      = "postgres.log"
	ownerLock    = "lock" // held by the process that uses the home
	passwordFile = "password"
	serverLock   = "server.lock" // held by the server and its child processes
)

// orphanGrace is how long to wait for a server to end whose owner has died.
const orphanGrace = 5 * time.Second

// home is the directory of a cluster and its other files. This user owns it even if
// another account owns the cluster in it. Otherwise that account could replace a
// file that we write by a link.
type home struct {
	account   account
	data      string // the cluster's directory, in dir
	dir       string
	lock      *fileLock
	outerLock *fileLock // of the data directory that this home replaces
	temporary bool
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// close releases the home and removes a temporary one.
func (h *home) close() error {
	var err error
	if h.temporary {
		h.freeMemory()
		err = os.RemoveAll(h.dir)
	}
	h.lock.unlock()
	h.outerLock.unlock()
	return err
}

// freeMemory frees the System V shared memory segment of a killed server. A restart
// on the same data would free it, but a temporary cluster is not restarted. The
// segment is small, but systems limit the number of segments to a few thousand. A
// server that ended normally has removed the file with the segment's id.
func (h *home) freeMemory() {
	content, err := readSmall(filepath.Join(h.data, "postmaster.pid"))
	if err != nil {
		return
	}
	lines := strings.Split(content, "\n")
	if len(lines) < 7 {
		return
	}
	if key, id, found := strings.Cut(strings.TrimSpace(lines[6]), " "); found && key != "" {
		// The server's account can free only its own segments.
		_ = h.account.command(context.Background(), "ipcrm", "-m", strings.TrimSpace(id)).Run()
	}
}

// major returns the cluster's PostgreSQL version, or 0 if there is no cluster yet.
func (h *home) major() int {
	content, err := readSmall(filepath.Join(h.data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(content))
	return major
}

// readPassword returns the superuser's password. It creates one for a new home.
func (h *home) readPassword() (string, error) {
	path := h.path(passwordFile)
	content, err := readSmall(path)
	if err == nil && content != "" {
		return content, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if h.major() != 0 {
		return "", fmt.Errorf("the password file %s is missing, so the cluster can't be used: remove %s to start afresh", path, h.dir)
	}
	password := randomHex(16)
	return password, os.WriteFile(path, []byte(password), 0o600)
}

// lockServer waits until no process of the cluster's previous server is running. A
// server without owner should end by itself; otherwise lockServer stops it.
func (h *home) lockServer(ctx context.Context, bins binaries) (*fileLock, error) {
	l, err := h.awaitServer(ctx)
	if !errors.Is(err, errLocked) || ctx.Err() != nil {
		return l, err
	}
	if err := stopOrphan(ctx, bins, h); err != nil {
		return nil, fmt.Errorf("an earlier server still runs in %s: %w", h.data, err)
	}
	return h.awaitServer(ctx)
}

// awaitServer takes the server's lock when the server has ended. It returns
// errLocked if that takes too long.
func (h *home) awaitServer(ctx context.Context) (*fileLock, error) {
	ctx, cancel := context.WithTimeout(ctx, orphanGrace)
	defer cancel()
	return waitLock(ctx, h.path(serverLock), syscall.LOCK_EX)
}

// openHome opens a data directory. Its home is the directory itself, or a directory
// elsewhere if the server's account cannot enter it.
func openHome(ctx context.Context, dir string, log *slog.Logger) (*home, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	h, err := takeHome(dir)
	if err != nil {
		return nil, err
	}
	elsewhere, err := h.settle(ctx, log)
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return elsewhere, nil
}

// takeHome locks a directory for this process.
func takeHome(dir string) (*home, error) {
	path := filepath.Join(dir, ownerLock)
	l, err := tryLock(path, syscall.LOCK_EX)
	if errors.Is(err, errLocked) {
		holder, _ := readSmall(path)
		return nil, fmt.Errorf("data directory %s is in use by process %s: stop that one, or choose another directory",
			dir, strings.TrimSpace(holder))
	}
	if err != nil {
		return nil, err
	}
	if err := l.note(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		l.unlock()
		return nil, err
	}
	return &home{data: filepath.Join(dir, dataName), dir: dir, lock: l}, nil
}

// settle determines the account and the place of the cluster. It returns h or the
// home that replaces it.
func (h *home) settle(ctx context.Context, log *slog.Logger) (*home, error) {
	if info, err := os.Lstat(h.data); err == nil {
		return h, h.adopt(ctx, info)
	}
	var err error
	if h.account, err = serverAccount(); err != nil {
		return nil, err
	}
	if noted, err := readSmall(h.path(locationFile)); err == nil {
		return h.standIn(strings.TrimSpace(noted))
	}
	if h.account.reaches(ctx, h.dir) {
		return h, nil
	}
	return h.moveOut(ctx, log)
}

// adopt continues an existing cluster as the user who owns it.
func (h *home) adopt(ctx context.Context, info os.FileInfo) error {
	h.account = ownAccount()
	if os.Geteuid() == 0 {
		stat := info.Sys().(*syscall.Stat_t)
		h.account = account{gid: stat.Gid, lent: true, uid: stat.Uid}
	}
	if h.account.uid == 0 {
		return fmt.Errorf("%s belongs to root, and postgres doesn't run as root: remove it or give it to another user", h.data)
	}
	if !h.account.reaches(ctx, h.data) {
		return fmt.Errorf("user %d, to whom %s belongs, can't enter it", h.account.uid, h.data)
	}
	return nil
}

// moveOut chooses a place for the cluster of a home that the account cannot enter,
// and records it in the home.
func (h *home) moveOut(ctx context.Context, log *slog.Logger) (*home, error) {
	parent, err := sharedParent(ctx, h.account, "/var/tmp", "/tmp", os.TempDir())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(h.dir))
	place := filepath.Join(parent, fmt.Sprintf("%s%d-%s", placePrefix, os.Geteuid(), hex.EncodeToString(sum[:8])))
	if err := os.Mkdir(place, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	elsewhere, err := h.standIn(place)
	if err != nil {
		return nil, err
	}
	if err := elsewhere.clear(ctx); err != nil {
		elsewhere.lock.unlock()
		return nil, err
	}
	log.InfoContext(ctx, "postgres can't enter the data directory, its cluster is kept elsewhere",
		slog.String("data_dir", h.dir), slog.String("location", place))
	return elsewhere, errors.Join(
		os.WriteFile(elsewhere.path(dataDirFile), []byte(h.dir+"\n"), 0o600),
		os.WriteFile(h.path(locationFile), []byte(place+"\n"), 0o600),
	)
}

// standIn opens the home at place. It keeps h locked as well.
func (h *home) standIn(place string) (*home, error) {
	err := checkOurs(place)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the cluster of %s is gone from %s: remove %s to start afresh", h.dir, place, h.path(locationFile))
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(place, 0o711); err != nil { //nolint:gosec // the server's account must be able to enter it
		return nil, err
	}
	elsewhere, err := takeHome(place)
	if err != nil {
		return nil, err
	}
	elsewhere.account, elsewhere.outerLock = h.account, h.lock
	return elsewhere, nil
}

// clear removes what a deleted data directory of the same name has left at the
// place.
func (h *home) clear(ctx context.Context) error {
	l, err := h.awaitServer(ctx)
	if err != nil {
		return err
	}
	defer l.unlock()
	return errors.Join(os.RemoveAll(h.data), os.RemoveAll(h.path(passwordFile)))
}

// sharedParent returns the first directory that the account can enter, that we can
// write to, and in which other users cannot replace our files.
func sharedParent(ctx context.Context, a account, dirs ...string) (string, error) {
	for _, dir := range dirs {
		if usableParent(ctx, a, dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no directory for the cluster: user %d can enter none of %s, or we can't write there",
		a.uid, strings.Join(dirs, ", "))
}

func usableParent(ctx context.Context, a account, dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
		return false
	}
	probe, err := os.MkdirTemp(dir, probePrefix)
	if err != nil {
		return false
	}
	defer os.Remove(probe)
	return a.reaches(ctx, dir)
}

// makeDir creates a directory of ours. If this process runs as root, other accounts
// can pass through it.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Chmod(dir, 0o711) //nolint:gosec // the server's account must be able to pass through it
}

// readSmall reads a short file. It does not follow a symbolic link.
func readSmall(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) //nolint:gosec // only package-internal paths; O_NOFOLLOW refuses links
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 1<<16))
	return string(content), err
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
