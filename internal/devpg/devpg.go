// Package devpg runs a private PostgreSQL for development, the demo, the bench and
// the tests. It finds the server's binaries, creates a cluster, starts it on the
// loopback interface, and stops it even if the process that started it is killed.
// It creates no schemas and no databases for tests; other packages do.
//
// A server never outlives its owner, the process that called Start. On Linux the
// kernel signals the server when the owner dies. On all systems a watchdog process,
// connected to the owner by a pipe, stops the server and removes a temporary
// cluster's files. The next Start removes what is left even so. It recognizes
// leftovers by file locks, which the kernel releases when their holder ends.
package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	// role is the cluster's superuser, and database the database of DatabaseURL.
	role     = "fundrail"
	database = "fundrail"

	// startTimeout is long enough for crash recovery on a slow disk.
	startTimeout = 90 * time.Second
	// portAttempts is how often Start tries another port if another process has
	// taken the port after it was found free.
	portAttempts = 10
)

// Options configures Start. The zero value is a temporary cluster that is tuned for
// speed, not for safety.
type Options struct {
	// DataDir keeps the cluster between runs. It must not contain anything else,
	// and is created if it is missing. Empty means a temporary cluster, which Stop
	// removes. If this process ends without Stop, the watchdog removes it.
	DataDir string
	// Durable makes commits survive a crash of the machine, as on a production
	// server. Otherwise they survive only a crash of a process.
	Durable bool
	// Log receives debug messages. Nil means no log.
	Log *slog.Logger
	// Seed fills a temporary cluster. Its result is created once and copied
	// afterwards.
	Seed *Seed
	// Settings are configuration parameters that override those of this package.
	Settings map[string]string

	// cache, finder and watchdogOnly are for this package's own tests.
	cache        string
	finder       *finder
	watchdogOnly bool
}

// Seed fills a new cluster. The result is stored in the user's cache directory and
// copied into every later temporary cluster with the same key.
type Seed struct {
	// Fill fills the running cluster. It must close all connections that it opens.
	Fill func(ctx context.Context, s *Server) error
	// Key identifies the content. It must change whenever the content changes.
	Key string
}

// Server is a running PostgreSQL. Its methods are safe for concurrent use.
type Server struct {
	bins     binaries
	home     *home
	log      *slog.Logger
	opts     Options
	password string
	port     int
	watchdog *watchdog

	mu      sync.Mutex // guards the fields below
	process *process
	stopped bool
}

// Start starts a server and returns when the server accepts connections. The
// context limits the wait only: the server runs until Stop or until this process
// ends.
//
// If no PostgreSQL binaries are found, the error says how to provide them. If
// another process uses DataDir, the error names it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.finder == nil {
		opts.finder = defaultFinder()
	}
	if opts.Seed != nil && opts.DataDir != "" {
		return nil, errors.New("start postgres: a seed is for temporary clusters, and a data directory was given")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	s, err := start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, opts Options) (*Server, error) {
	if opts.DataDir != "" {
		return startPersistent(ctx, opts)
	}
	return startTemporary(ctx, opts)
}

func startPersistent(ctx context.Context, opts Options) (*Server, error) {
	h, err := openHome(ctx, opts.DataDir, opts.Log)
	if err != nil {
		return nil, err
	}
	s := &Server{home: h, log: opts.Log, opts: opts}
	if err := s.startOwn(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return s, nil
}

// startOwn starts the cluster in s.home. It creates the cluster if there is none
// yet.
func (s *Server) startOwn(ctx context.Context) (err error) {
	s.bins, err = s.opts.finder.find(ctx, s.home.account, s.home.major())
	if err != nil {
		return err
	}
	if s.password, err = s.home.readPassword(); err != nil {
		return err
	}
	if s.home.major() == 0 {
		if err := initCluster(ctx, s.bins, s.home, s.password, s.opts.Durable); err != nil {
			return err
		}
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	if err := s.nameDatabase(ctx); err != nil {
		return errors.Join(err, s.abandon())
	}
	return nil
}

func startTemporary(ctx context.Context, opts Options) (*Server, error) {
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	bins, err := opts.finder.find(ctx, account, 0)
	if err != nil {
		return nil, err
	}
	sweep(ctx, account, bins, opts.Log)

	h, err := newTempHome(ctx, account, opts.Durable)
	if err != nil {
		return nil, err
	}
	s := &Server{bins: bins, home: h, log: opts.Log, opts: opts}
	if err := s.startCopy(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return s, nil
}

// startCopy starts the cluster in s.home as a copy of the cached template, with its
// own password.
func (s *Server) startCopy(ctx context.Context) error {
	password, err := s.home.readPassword()
	if err != nil {
		return err
	}
	if s.password, err = copyTemplate(ctx, s.bins, s.home, s.opts); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	if err := s.exec(ctx, database, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", role, password)); err != nil {
		return errors.Join(err, s.abandon())
	}
	s.password = password
	return nil
}

// BinDir returns the directory of the server's binaries. Client programs such as
// pgbench usually are in it too, but some packages install them elsewhere.
func (s *Server) BinDir() string { return s.bins.dir }

// DatabaseURL returns the URL of the cluster's main database. It is empty at first.
// Other databases are created and dropped from it.
func (s *Server) DatabaseURL() string { return s.URL(database) }

// LogPath returns the path of the server's log file. The file of a temporary
// cluster is removed with it.
func (s *Server) LogPath() string { return s.home.path(logFile) }

// PID returns the server's process id, or 0 if it is not running.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || s.process.ended() {
		return 0
	}
	return s.process.pid()
}

// URL returns the connection URL of the named database, with the password. It does
// not change over Restart.
func (s *Server) URL(name string) string {
	u := url.URL{
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + name,
		RawQuery: "sslmode=disable",
		Scheme:   "postgres",
		User:     url.UserPassword(role, s.password),
	}
	return u.String()
}

// Kill kills the server with SIGKILL and returns when its child processes have
// ended too. Restart starts it again.
func (s *Server) Kill(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	if err := s.process.kill(ctx); err != nil {
		return fmt.Errorf("kill postgres: %w", err)
	}
	s.process = nil
	// The server's child processes share its lock, so the lock is free when the
	// last of them has ended.
	l, err := s.home.lockServer(ctx, s.bins)
	if err != nil {
		return fmt.Errorf("kill postgres: %w", err)
	}
	l.unlock()
	return nil
}

// Restart stops the server, if it is running, and starts it again with the same
// data on the same port.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("restart postgres: the server was stopped for good")
	}
	if err := s.stopProcess(ctx); err != nil {
		return fmt.Errorf("restart postgres: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.relaunch(ctx); err != nil {
		return fmt.Errorf("restart postgres: %w", err)
	}
	return nil
}

// Stop disconnects all clients, shuts the server down and removes a temporary
// cluster. When the context ends, or after ten seconds, it shuts the server down
// immediately. The server has ended when Stop returns. Further calls do nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	err := s.stopProcess(ctx)
	if err == nil {
		s.log.DebugContext(ctx, "postgres stopped")
	}
	if err = errors.Join(err, s.home.close(), s.watchdog.dismiss()); err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}

// abandon stops a server that Start does not return.
func (s *Server) abandon() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.stopProcess(context.Background())
	return errors.Join(err, s.watchdog.dismiss())
}

// launch starts the process for the first time, on any free port.
func (s *Server) launch(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := ""
	if s.home.temporary {
		dir = s.home.dir
	}
	var err error
	if s.watchdog, err = startWatchdog(dir); err != nil {
		return err
	}
	for range portAttempts {
		if s.port, err = freePort(ctx); err != nil {
			break
		}
		if err = s.startProcess(ctx); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return errors.Join(err, s.watchdog.dismiss())
	}
	s.log.DebugContext(ctx, "postgres started", slog.String("dir", s.home.dir), slog.Int("port", s.port),
		slog.String("version", s.bins.version))
	return nil
}

// relaunch starts the process again on the same port. A connection of another
// program may use the port for a short time, so relaunch retries until the context
// ends.
func (s *Server) relaunch(ctx context.Context) error {
	for {
		err := s.startProcess(ctx)
		if !errors.Is(err, errPortTaken) {
			return err
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}

func (s *Server) startProcess(ctx context.Context) error {
	serverLock, err := s.home.lockServer(ctx, s.bins)
	if err != nil {
		return err
	}
	defer serverLock.handOver()
	// No process of this cluster holds the lock any more, so a remaining
	// postmaster.pid is from a server that was killed. It would prevent the start
	// if another process now has that process id.
	if err := os.Remove(filepath.Join(s.home.data, "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	p, err := startProcess(processOptions{
		account:     s.home.account,
		args:        serverArgs(s.home.data, s.port, s.opts),
		bins:        s.bins,
		deathSignal: !s.opts.watchdogOnly,
		lock:        serverLock,
		onEnd:       func() { s.watchdog.watch(0) },
		logPath:     s.LogPath(),
	})
	if err != nil {
		return err
	}
	s.process = p
	s.watchdog.watch(p.pid())
	if err := p.waitReady(ctx, s.home.data); err != nil {
		return errors.Join(err, s.stopProcess(context.Background()))
	}
	return nil
}

func (s *Server) stopProcess(ctx context.Context) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.stop(ctx); err != nil {
		return err
	}
	s.process = nil
	return nil
}
