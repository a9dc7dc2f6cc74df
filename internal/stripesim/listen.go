package stripesim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Running is a simulator that listens on an address.
type Running struct {
	// Addr is the listener's host and port.
	Addr string
	// URL is the address for clients, such as http://127.0.0.1:12111.
	URL string

	http     *http.Server
	requests inFlight
	served   chan error
	sim      *Server
}

// Listen serves the simulator on addr. Port 0 means any free port. If
// Config.BaseURL is empty, links to hosted pages use the listener's address.
func (s *Server) Listen(addr string) (*Running, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the simulator: %w", err)
	}
	run := &Running{
		Addr:   ln.Addr().String(),
		URL:    "http://" + reachable(ln.Addr().String()),
		served: make(chan error, 1),
		sim:    s,
	}
	if s.cfg.BaseURL == "" {
		s.SetBaseURL(run.URL)
	}
	run.http = &http.Server{Handler: run.requests.count(s), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute}
	go func() { run.served <- run.http.Serve(ln) }()
	return run, nil
}

// reachable replaces a listener's wildcard address by one that a client can dial.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Close stops the server and closes the simulator. Requests in flight may take
// until ctx ends. Then their connections are closed.
func (r *Running) Close(ctx context.Context) error {
	simErr := r.sim.Close(ctx) // first, because it wakes requests that a fault delays
	// Shutdown alone would wait several seconds for connections that were opened
	// and never used. It is canceled as soon as no request is in flight.
	stopping, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		r.requests.wait(ctx)
	}()
	err := r.http.Shutdown(stopping)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = nil
	}
	err = errors.Join(err, r.http.Close())
	if serveErr := <-r.served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return errors.Join(simErr, err)
}

// inFlight counts requests.
type inFlight struct {
	closing bool
	idle    chan struct{} // closed when the count reaches zero while closing
	mu      sync.Mutex
	n       int
}

func (f *inFlight) count(next http.Handler) http.Handler {
	f.idle = make(chan struct{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.add(1)
		defer f.add(-1)
		next.ServeHTTP(w, r)
	})
}

func (f *inFlight) add(delta int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n += delta
	if f.closing && f.n == 0 {
		f.closing = false
		close(f.idle)
	}
}

// wait returns when no request is in flight or ctx ends.
func (f *inFlight) wait(ctx context.Context) {
	f.mu.Lock()
	f.closing = f.n > 0
	busy := f.closing
	f.mu.Unlock()
	if !busy {
		return
	}
	select {
	case <-f.idle:
	case <-ctx.Done():
	}
}
