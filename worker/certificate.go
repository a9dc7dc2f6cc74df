package worker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is what the service proves its name with. It is read again when its
// files have changed; while they are not what they should be, the one before is
// served.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]fileState
	lookAt  time.Time
}

// fileState tells two contents of a file apart.
type fileState struct {
	changed time.Time
	size    int64
}

// lookForCertificate is how often the files are looked at while callers connect.
const lookForCertificate = time.Second

func loadCertificate(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: now}
	c.seen, c.lookAt = c.look(), now().Add(lookForCertificate)
	loaded, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c.current = &loaded
	return c, nil
}

// config has TLS 1.2 at least, and what Go takes for safe.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	now := c.now()
	if now.Before(c.lookAt) {
		return c.current, nil
	}
	c.lookAt = now.Add(lookForCertificate)
	seen := c.look()
	if seen == c.seen {
		return c.current, nil
	}
	c.seen = seen // one complaint about each change is enough
	loaded, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.WarnContext(hello.Context(), "changed certificate not read", slog.Any("error", err))
		return c.current, nil
	}
	c.current = &loaded
	c.log.InfoContext(hello.Context(), "certificate read again")
	return c.current, nil
}

func (c *certificate) look() (seen [2]fileState) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			seen[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return seen
}
