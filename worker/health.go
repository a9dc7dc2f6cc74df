package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/migrations"
)

// healthy reports that the process is alive, for supervisors.
func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }

// ready answers 200 if requests can be served, for load balancers. Otherwise it
// answers 503 with the names of the problems.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	problems := s.problems(ctx)
	if len(problems) == 0 {
		_, _ = w.Write([]byte("ready\n"))
		return
	}
	w.Header().Set("Retry-After", "5")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte("not ready: " + strings.Join(problems, ", ") + "\n"))
}

// problems returns the names of the problems that keep the process from serving.
// These are a database that does not answer or has another schema, workers that are
// not running, and events or payments that are open for longer than the settings
// allow.
func (s *service) problems(ctx context.Context) []string {
	if err := migrations.Check(ctx, s.pool); err != nil {
		if errors.Is(err, migrations.ErrUnknownSchema) {
			return []string{"schema"}
		}
		return []string{"database"}
	}
	var problems []string
	if s.leaving.Load() {
		problems = append(problems, "stopping")
	}
	if !s.WithoutWorkers && !s.working.Load() {
		problems = append(problems, "workers")
	}
	for _, line := range []struct {
		name   string
		limit  time.Duration
		oldest func(context.Context, postgres.DB, time.Time) (time.Duration, error)
	}{
		{"unhandled events", s.Settings.ReadyMaxEventAge, postgres.OldestUnhandledEvent},
		{"payments in processing", s.Settings.ReadyMaxPaymentAge, postgres.OldestProcessing},
	} {
		if line.limit == 0 {
			continue
		}
		age, err := line.oldest(ctx, s.pool, s.Now())
		switch {
		case err != nil:
			return append(problems, "database")
		case age > line.limit:
			problems = append(problems, line.name)
		}
	}
	return problems
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
