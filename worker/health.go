package worker

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/wallet"
)

// healthy reports that the process is alive, for supervisors.
func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }

// ready answers 200 if the process can do what it is for, for load balancers. Otherwise
// it answers 503 with the names of the problems.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	problems := s.ability.problems(r.Context())
	if s.leaving.Load() {
		problems = append(problems, "stopping")
	}
	if !s.WithoutWorkers && !s.working.Load() {
		problems = append(problems, "workers")
	}
	if len(problems) == 0 {
		_, _ = w.Write([]byte("ready\n"))
		return
	}
	w.Header().Set("Retry-After", "5")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte("not ready: " + strings.Join(problems, ", ") + "\n"))
}

// serveMetrics serves metrics and health checks for operators on a separate
// address.
func (s *service) serveMetrics(ctx context.Context, addr string) (stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", s.ready)
	server := newInnerServer(s, mux, writeGrace)
	go func() { _ = server.Serve(l) }() // returns when the server is closed
	s.Log.InfoContext(ctx, "metrics served", slog.String("address", l.Addr().String()))
	return func() { _ = server.Close() }, nil
}

// servedModes returns the modes for which a Stripe key is configured.
func servedModes(s config.Settings) []wallet.Mode {
	var modes []wallet.Mode
	for _, mode := range wallet.Modes {
		if s.SecretKey(mode) != "" {
			modes = append(modes, mode)
		}
	}
	return modes
}
