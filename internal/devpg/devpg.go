// Package devpg runs a private PostgreSQL for development, the demo, the bench
// and the tests: it finds the server's binaries, makes a cluster, starts it on
// the loopback interface and takes it down again, whatever becomes of the
// process that asked. Schemas, and a database per test, are left to others.
//
// A server never outlives its owner. On Linux the kernel tells it when the owner
// dies; everywhere a small watchdog at the end of a pipe does the same and
// removes a temporary cluster's files. What even that leaves behind is found by
// the next Start, through locks that the kernel gives back when their holder ends.
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
	// role is the cluster's superuser, and database what DatabaseURL names.
	role     = "fundrail"
	database = "fundrail"

	// startTimeout leaves room for crash recovery on a slow disk.
	startTimeout = 90 * time.Second
	// portAttempts bounds how often a port that was taken between our look and
	// the server's is replaced by another one.
	portAttempts = 10
)

// Options says what kind of server Start starts. The zero value is a temporary
// cluster, tuned for speed and not for safety.
type Options struct {
	// DataDir holds the cluster from one run to the next, and nothing else may
	// live in it. It is created when missing. Empty means a temporary cluster,
	// which is removed by Stop or, failing that, when the process ends.
	DataDir string
	// Durable makes commits survive a crash of the machine, as they do on a
	// server in production. Without it they survive that of a process only.
	Durable bool
	// Log hears what the server goes through. Nil keeps quiet.
	Log *slog.Logger
	// Seed is content for a temporary cluster, made once and copied afterwards.
	Seed *Seed
	// Settings are configuration parameters that override the ones Start picks.
	Settings map[string]string

	// cache, finder and watchdogOnly are for this package's own tests.
	cache        string
	finder       *finder
	watchdogOnly bool
}

// Seed fills a new cluster. The result is kept in the user's cache directory and
// copied into every later temporary cluster that asks for the same key.
type Seed struct {
	// Fill is given the running cluster to put things into. It must leave no
	// connection open.
	Fill func(ctx context.Context, s *Server) error
	// Key names the content: whatever changes the content changes the key.
	Key string
}

// Server is a running PostgreSQL. Its methods may be called concurrently.
type Server struct {
	bins     binaries
	home     *home
	log      *slog.Logger
	opts     Options
	password string
	port     int
	watchdog *watchdog

	mu      sync.Mutex // guards the life of the process below
	process *process
	stopped bool
}

// Start starts a server and returns when it takes connections. The context ends
// the wait and not the server, which runs until Stop or the end of this process.
//
// The error names the ways out when there are no PostgreSQL binaries to be had,
// and the process in the way when another one has DataDir in use.
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

// startOwn starts the cluster in s.home, which it makes when it isn't there yet.
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

// startCopy starts the cluster in s.home from the cached template, and gives it
// a password of its own.
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

// BinDir is the directory of the server's binaries. Client programs such as
// pgbench are there too, unless the machine's packages put them elsewhere.
func (s *Server) BinDir() string { return s.bins.dir }

// DatabaseURL is the URL of the cluster's own database, which is empty at first
// and where other databases are created and dropped from.
func (s *Server) DatabaseURL() string { return s.URL(database) }

// LogPath is the file that the server logs to. It goes away with a temporary
// cluster.
func (s *Server) LogPath() string { return s.home.path(logFile) }

// PID is the process id of the server, or 0 while it doesn't run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || s.process.ended() {
		return 0
	}
	return s.process.pid()
}

// URL is the connection URL of the named database, password included. It stays
// the same over Restart.
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

// Kill ends the server the hard way, with SIGKILL, and returns when it and its
// children are gone. Restart brings it back.
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
	// The children keep the server's lock for as long as they live.
	l, err := s.home.lockServer(ctx, s.bins)
	if err != nil {
		return fmt.Errorf("kill postgres: %w", err)
	}
	l.unlock()
	return nil
}

// Restart stops the server, unless it is down already, and starts it again with
// the same data on the same port.
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
// cluster. When the context ends, or after ten seconds, it stops being polite;
// the server is down in any case when Stop returns. A second call does nothing.
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

// abandon takes down a server that Start can't hand out.
func (s *Server) abandon() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.stopProcess(context.Background())
	return errors.Join(err, s.watchdog.dismiss())
}

// launch starts the process for the first time, on whatever port is free.
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

// relaunch starts the process once more. Its port may be in use by a passing
// connection of somebody else's, so it insists for as long as the context lets it.
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
	// With the lock in hand no process of this cluster is left, so the file of
	// one that was killed means nothing, even if its number is in use again.
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
