package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// spreader is a load balancer: it forwards each connection to the next of several
// processes. The kernel copies the bytes.
type spreader struct {
	addr     string
	backends []string
	ctx      context.Context //nolint:containedctx // lives as long as the spreader
	cancel   context.CancelFunc
	listener net.Listener
	open     sync.WaitGroup
}

func newSpreader(ctx context.Context, backends []string) (*spreader, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &spreader{addr: l.Addr().String(), backends: backends, listener: l}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.open.Go(s.accept)
	return s, nil
}

func (s *spreader) accept() {
	for n := 0; ; n++ {
		from, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.open.Go(func() { s.pass(from, s.backends[n%len(s.backends)]) })
	}
}

func (s *spreader) pass(from net.Conn, backend string) {
	defer from.Close()
	to, err := new(net.Dialer).DialContext(s.ctx, "tcp", backend)
	if err != nil {
		return // the caller sees the connection close and retries
	}
	defer to.Close()
	stop := context.AfterFunc(s.ctx, func() { _, _ = from.Close(), to.Close() })
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to) // either end may close first
		_ = from.Close()
	})
	_, _ = io.Copy(to, from)
	_ = to.Close()
	back.Wait()
}

func (s *spreader) close() error {
	s.cancel()
	err := s.listener.Close()
	s.open.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
