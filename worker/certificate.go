package worker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is the service's TLS certificate. It is loaded again when its files
// have changed. If they are invalid, the previous certificate stays in use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu        sync.Mutex
	current   *tls.Certificate
	seen      [2]fileState
	nextCheck time.Time
}

// fileState is used to detect changes of a file.
type fileState struct {
	changed time.Time
	size    int64
}

// certificateCheckInterval is the minimum interval between checks of the files. They are
// checked when a client connects.
const certificateCheckInterval = time.Second

func loadCertificate(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: now}
	c.seen, c.nextCheck = c.fileStates(), now().Add(certificateCheckInterval)
	loaded, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c.current = &loaded
	return c, nil
}

// config returns a configuration that requires TLS 1.2 or newer.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	now := c.now()
	if now.Before(c.nextCheck) {
		return c.current, nil
	}
	c.nextCheck = now.Add(certificateCheckInterval)
	seen := c.fileStates()
	if seen == c.seen {
		return c.current, nil
	}
	c.seen = seen // so that an invalid certificate is logged once only
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.WarnContext(hello.Context(), "changed certificate not read", slog.Any("error", err))
		return c.current, nil
	}
	c.current = &loaded
	c.log.InfoContext(hello.Context(), "certificate read again")
	return c.current, nil
}

func (c *certificate) fileStates() (seen [2]fileState) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			seen[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return seen
}
