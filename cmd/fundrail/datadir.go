package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The files of a data directory.
const (
	lockFile    = "lock"
	postgresDir = "postgres"
	seedFile    = "seed.json"
	stripeFile  = "stripe.state"
)

// dataDir is where dev, and a demo that is kept, leave what the next start goes
// on with. One process at a time may use it.
type dataDir struct {
	lock *os.File
	path string
}

func openDataDir(path string) (*dataDir, error) {
	// Whoever runs PostgreSQL for root passes through, and sees nothing.
	if err := os.MkdirAll(path, 0o711); err != nil { //nolint:gosec // what is in it is for its owner only
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	// The kernel gives the lock back when its holder ends, however that comes.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("--data-dir: another fundrail is using %s; stop it, or name another directory", path)
		}
		return nil, fmt.Errorf("--data-dir: lock %s: %w", path, err)
	}
	return &dataDir{lock: lock, path: path}, nil
}

func (d *dataDir) close() error { return d.lock.Close() }

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// newDataDir makes a data directory in the place for temporary files.
func newDataDir() (string, error) {
	dir, err := os.MkdirTemp("", "fundrail-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711) //nolint:gosec // what is in it is for its owner only
}

// writeFileAtomically makes a file that is there completely or not at all, for
// its owner only.
func writeFileAtomically(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func writeJSONAtomically(path string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFileAtomically(path, append(content, '\n'))
}
