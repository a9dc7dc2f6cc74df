package pgproxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Proxy listens on a port of the loopback interface and relays each connection
// to a PostgreSQL server. Its methods may be called at any time and by any
// number of goroutines.
type Proxy struct {
	address  string // of the server
	network  string
	listener net.Listener
	ctx      context.Context //nolint:containedctx // the life of the proxy, not of one call
	cancel   context.CancelFunc
	frozen   gate
	armed    atomic.Bool // whether injections has any
	running  sync.WaitGroup

	mu         sync.Mutex
	accepted   int // connections ever, cancel requests included
	closed     bool
	injections []*Injection            // that may strike
	known      map[*Injection]struct{} // that haven't been removed and may hold something
	refusing   bool
	sessions   map[*session]struct{}
	struck     map[Action]int
}

// Stats counts what a proxy does.
type Stats struct {
	// Open is the number of connections that are relayed now, frozen and held ones
	// included. A connection that a fault has closed doesn't count, even if the
	// client hasn't noticed yet.
	Open int
	// Accepted is the number of connections since the start, including refused
	// connections and cancel requests.
	Accepted int
	// Struck is how often each action has struck.
	Struck map[Action]int
}

// Start starts a proxy for the server at upstream, which is either "host:port" or
// the path of a Unix socket or of the directory that holds the socket of port
// 5432. The proxy runs until Close, whatever becomes of ctx.
func Start(ctx context.Context, upstream string) (*Proxy, error) {
	p := &Proxy{address: upstream, network: "tcp"}
	p.known, p.sessions, p.struck = map[*Injection]struct{}{}, map[*session]struct{}{}, map[Action]int{}
	if strings.HasPrefix(upstream, "/") {
		p.network = "unix"
		if !strings.HasPrefix(filepath.Base(upstream), ".s.PGSQL.") {
			p.address = filepath.Join(upstream, ".s.PGSQL.5432")
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("pgproxy: %w", err)
	}
	p.listener = l
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the proxy's address as "host:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close stops listening, closes all connections and returns when every goroutine
// of the proxy has ended. Requests that are still held back are never sent.
func (p *Proxy) Close() error {
	p.cancel()
	p.mu.Lock()
	p.closed = true
	sessions := p.open()
	p.mu.Unlock()
	err := p.listener.Close()
	for _, s := range sessions {
		s.abort()
	}
	p.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// FreezeAll stops relaying on all connections, in both directions, as a network
// does that loses every packet. New connections are accepted, because the kernel
// does that, and hear nothing. Nothing is lost for good: Thaw relays what was sent
// in the meantime. What is on its way through the proxy when FreezeAll is called
// may still arrive.
func (p *Proxy) FreezeAll() { p.frozen.shut() }

// Thaw ends FreezeAll and every freeze by a fault.
func (p *Proxy) Thaw() {
	p.frozen.open()
	p.mu.Lock()
	sessions := p.open()
	p.mu.Unlock()
	for _, s := range sessions {
		s.thaw()
	}
}

// RefuseNew makes the proxy reset each new connection as soon as it is accepted,
// as happens while a server restarts. Connections that are open stay open.
func (p *Proxy) RefuseNew(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = refuse
}

// CloseAll closes all connections as CloseConn does.
func (p *Proxy) CloseAll() {
	p.mu.Lock()
	sessions := p.open()
	p.mu.Unlock()
	for _, s := range sessions {
		s.sever(false)
	}
}

// Stats returns the counts of this moment.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := Stats{Accepted: p.accepted, Struck: map[Action]int{}}
	for s := range p.sessions {
		if !s.ended() {
			st.Open++
		}
	}
	maps.Copy(st.Struck, p.struck)
	return st
}

// open lists the sessions. The caller holds p.mu.
func (p *Proxy) open() []*session {
	sessions := make([]*session, 0, len(p.sessions))
	for s := range p.sessions {
		sessions = append(sessions, s)
	}
	return sessions
}

// accept runs until the listener is closed.
func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			continue // the client has gone before it was accepted
		}
		client := conn.(*net.TCPConn) //nolint:forcetypeassert // the listener's network is tcp
		p.mu.Lock()
		p.accepted++
		switch {
		case p.closed:
			_ = client.Close()
		case p.refusing:
			reset(client)
		default:
			s := newSession(p, client, p.accepted)
			p.sessions[s] = struct{}{}
			p.running.Go(s.run)
		}
		p.mu.Unlock()
	}
}

func (p *Proxy) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
}

// dial connects to the server.
func (p *Proxy) dial() (net.Conn, error) {
	return new(net.Dialer).DialContext(p.ctx, p.network, p.address)
}

// cancelRequest passes a client's cancel request on to the server, unless a fault
// has cut the connection that it is about off from the server: the cancel request
// takes the same way.
func (p *Proxy) cancelRequest(packet []byte) {
	p.mu.Lock()
	blocked := slices.ContainsFunc(p.open(), func(s *session) bool { return s.blocks(packet[8:]) })
	p.mu.Unlock()
	if blocked {
		return
	}
	server, err := p.dial()
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(p.ctx, func() { _ = server.Close() })()
	if _, err := server.Write(packet); err == nil {
		// The server closes the connection when it has sent the signal.
		_, _ = io.Copy(io.Discard, server)
	}
}

// reset closes a connection with a RST in place of a FIN.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// headerSize is the size of a message's type and length.
const headerSize = 5

// header waits for the next message and returns its type and its whole size in
// bytes, header included. The message stays in r.
func header(r *bufio.Reader) (kind byte, size int, err error) {
	h, err := r.Peek(headerSize)
	if err != nil {
		return 0, 0, err
	}
	size = int(binary.BigEndian.Uint32(h[1:])) + 1
	if size < headerSize {
		return 0, 0, fmt.Errorf("pgproxy: a message of %d bytes", size)
	}
	return h[0], size, nil
}

// hasMessage reports whether a whole message can be read without waiting.
func hasMessage(r *bufio.Reader) bool {
	if r.Buffered() < headerSize {
		return false
	}
	_, size, err := header(r)
	return err == nil && r.Buffered() >= size
}

// appendMessage reads a message of the size and appends it to out.
func appendMessage(out []byte, r *bufio.Reader, size int) ([]byte, error) {
	start := len(out)
	out = slices.Grow(out, size)[:start+size]
	if _, err := io.ReadFull(r, out[start:]); err != nil {
		return out[:start], err
	}
	return out, nil
}
