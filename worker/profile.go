package worker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// serveProfiles serves Go's profiles on a separate address, which package config
// restricts to this machine.
func (s *service) serveProfiles(ctx context.Context, addr string) (stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for profiles: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	const longest = 10 * time.Minute // a profile takes as long as its caller asks for
	server := newInnerServer(s, mux, longest)
	go func() { _ = server.Serve(l) }() // returns when the server is closed
	return func() { _ = server.Close() }, nil
}
