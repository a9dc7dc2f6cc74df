package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// errLocked means that another process holds the lock.
var errLocked = errors.New("locked by another process")

// fileLock is an flock. The kernel releases it when the last process with the open
// file ends, however it ends.
type fileLock struct{ file *os.File }

// tryLock takes the lock, syscall.LOCK_EX or LOCK_SH. It returns errLocked if
// another process holds it.
func tryLock(path string, how int) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // only package-internal paths; O_NOFOLLOW refuses links
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return &fileLock{f}, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// waitLock waits until the lock is free and takes it.
func waitLock(ctx context.Context, path string, how int) (*fileLock, error) {
	for {
		l, err := tryLock(path, how)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return nil, fmt.Errorf("wait for %s: %w", path, err)
		}
	}
}

// note replaces the content of the locked file, which is for people and error
// messages.
func (l *fileLock) note(text string) error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(text), 0)
	return err
}

// unlock releases the lock. It unlocks before it closes, because a program that
// another goroutine is starting may have inherited the open file for a moment.
func (l *fileLock) unlock() {
	if l == nil {
		return
	}
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	_ = l.file.Close()
}

// handOver closes the file of a lock that another process has inherited.
func (l *fileLock) handOver() { _ = l.file.Close() }

// pause waits for d. It returns the context's error if the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
