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
	dataDirFile  = "data_dir" // the data directory that this home stands in for
	dataName     = "data"     // the cluster itself; belongs to the server's account
	locationFile = "location" // where the cluster is, when it isn't here
	logFile      = "postgres.log"
	ownerLock    = "lock" // held by the process that uses the home
	passwordFile = "password"
	serverLock   = "server.lock" // held by the server and all its children
)

// orphanGrace is how long a server whose owner died may take to go by itself.
const orphanGrace = 5 * time.Second

// home is a directory of ours with a cluster and what belongs to it. We own the
// directory even where another account owns the cluster inside, so that nobody
// can put a link in the way of a file that we write.
type home struct {
	account   account
	data      string // the cluster's own directory, in dir
	dir       string
	lock      *fileLock
	outerLock *fileLock // of the data directory that this home stands in for
	temporary bool
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// close gives the home free; a temporary one is removed.
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

// freeMemory frees the System V segment of a server that was killed, which it
// would have found and freed itself at its next start. The segment is tiny, but a
// system has room for a few thousand only. A server that ended well has left no
// file to read the segment's number from.
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
		// As the server's account, which can free nothing but its own.
		_ = h.account.command(context.Background(), "ipcrm", "-m", strings.TrimSpace(id)).Run()
	}
}

// major is the PostgreSQL version of the cluster, or 0 when there is none yet.
func (h *home) major() int {
	content, err := readSmall(filepath.Join(h.data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(content))
	return major
}

// readPassword returns the superuser's password, a new one for a new home.
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
		return "", fmt.Errorf("%s is gone, and with it the way into the cluster: remove %s to start afresh", path, h.dir)
	}
	password := randomHex(16)
	return password, os.WriteFile(path, []byte(password), 0o600)
}

// lockServer waits until no process of the cluster's earlier server is left. One
// that lost its owner ends by itself; one that doesn't is told to.
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

// awaitServer takes the server's lock as soon as the server is gone, and gives
// up with errLocked when that takes too long.
func (h *home) awaitServer(ctx context.Context) (*fileLock, error) {
	ctx, cancel := context.WithTimeout(ctx, orphanGrace)
	defer cancel()
	return waitLock(ctx, h.path(serverLock), syscall.LOCK_EX)
}

// openHome takes possession of a data directory. Its home is the directory
// itself or, when the server's account can't enter that, a place elsewhere.
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

// settle finds out who runs the cluster and where it can be. It returns the home
// itself or the one that stands in for it.
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

// adopt goes on with a cluster as the user it belongs to.
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

// moveOut picks a place for the cluster of a home that the account can't enter,
// and notes it in the home.
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

// standIn returns the home at the place, which keeps this one locked too.
func (h *home) standIn(place string) (*home, error) {
	err := checkOurs(place)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the cluster of %s is gone from %s: remove %s to start afresh", h.dir, place, h.path(locationFile))
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(place, 0o711); err != nil { //nolint:gosec // the server's account has to pass
		return nil, err
	}
	elsewhere, err := takeHome(place)
	if err != nil {
		return nil, err
	}
	elsewhere.account, elsewhere.outerLock = h.account, h.lock
	return elsewhere, nil
}

// clear removes what an earlier data directory of the same name, since deleted,
// left at the place.
func (h *home) clear(ctx context.Context) error {
	l, err := h.awaitServer(ctx)
	if err != nil {
		return err
	}
	defer l.unlock()
	return errors.Join(os.RemoveAll(h.data), os.RemoveAll(h.path(passwordFile)))
}

// sharedParent returns the first of the directories that the account can enter,
// that we can write to, and in which others can't replace what is ours.
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

// makeDir creates a directory for ourselves that a lent account may pass
// through, if its parents let it.
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
	return os.Chmod(dir, 0o711) //nolint:gosec // the server's account has to pass
}

// readSmall reads a short file without following a link in its place.
func readSmall(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) //nolint:gosec // a file of its own, not through a link
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
