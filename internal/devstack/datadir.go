package devstack

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

// DataDir is a directory that keeps the state of a stack for the next start. One
// process at a time may use it.
type DataDir struct {
	lock *os.File
	path string
}

// OpenDataDir creates the directory at path if there is none, and locks it.
func OpenDataDir(path string) (*DataDir, error) {
	// Root runs PostgreSQL as another user, who must be able to pass through the
	// directory but not to list it.
	if err := os.MkdirAll(path, 0o711); err != nil { //nolint:gosec // the files in it are for their owner only
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	// The kernel releases the lock when the process ends, even if it is killed.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("--data-dir: another fundrail is using %s; stop it, or name another directory", path)
		}
		return nil, fmt.Errorf("--data-dir: lock %s: %w", path, err)
	}
	return &DataDir{lock: lock, path: path}, nil
}

// Close releases the directory.
func (d *DataDir) Close() error { return d.lock.Close() }

func (d *DataDir) file(name string) string { return filepath.Join(d.path, name) }

// NewDataDir creates a data directory among the system's temporary files and returns
// its path.
func NewDataDir() (string, error) {
	dir, err := os.MkdirTemp("", "fundrail-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711) //nolint:gosec // the files in it are for their owner only
}

// writeFile replaces the file at path, which a reader finds either complete or not at
// all. Only its owner may read it.
func writeFile(path string, content []byte) (err error) {
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

// WriteJSON replaces the file at path with v as indented JSON. A reader finds the file
// either complete or not at all. Only its owner may read it.
func WriteJSON(path string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(content, '\n'))
}
