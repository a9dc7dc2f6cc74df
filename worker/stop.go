package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
)

// stopTimes limit the time of each part of stopping.
type stopTimes struct {
	jobs   time.Duration // for running jobs to end, and requests to be answered
	cutOff time.Duration // to cancel what has not ended
	rest   time.Duration // for each of the other parts: writes, traces, pools
}

// stopTimesOf divides the time that the process has to stop. Jobs and requests get the
// largest share, together: jobs wait for Stripe's answers, and requests for the
// database to say what became of their writes.
func stopTimesOf(s config.Stopping) stopTimes {
	within := s.StopWithin
	if within == 0 {
		const usual = 9 * time.Second
		within = usual
	}
	part := within / 11
	return stopTimes{jobs: 7 * part, cutOff: part, rest: part}
}

// leave makes the process report not ready, so that load balancers stop sending
// requests to it, and waits until they have noticed.
func (s *service) leave(ctx context.Context) {
	s.leaving.Store(true)
	delay := s.Settings.StopDelay
	if delay <= 0 || s.server == nil {
		return
	}
	s.Log.InfoContext(ctx, "stopping", slog.String("id", s.id), slog.Duration("delay", delay))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	<-timer.C
}

// stop stops the HTTP server, which answers waiting requests with the current status,
// and River, which lets running jobs finish for some seconds and then cancels them.
// Another process continues canceled jobs.
func (s *service) stop(ctx context.Context) error {
	var (
		failed error
		ending sync.WaitGroup
	)
	times := stopTimesOf(s.Settings.Stopping)
	s.engine.Drain()
	if s.server != nil {
		s.api.Drain()
		s.dashboard.Close() // ends its streams, which Shutdown would wait for
		ending.Go(func() {
			within, cancel := context.WithTimeout(ctx, times.jobs)
			defer cancel()
			if err := s.server.Shutdown(within); err != nil {
				failed = s.server.Close() // drops requests that are still incomplete
			}
		})
	}
	if !s.WithoutWorkers {
		s.working.Store(false)
		within, cancel := context.WithTimeout(ctx, times.jobs+times.cutOff)
		if err := s.river.Stop(within); err != nil {
			s.Log.WarnContext(ctx, "jobs cut off; they go on elsewhere", slog.Any("error", err))
		}
		cancel()
	}
	ending.Wait()
	within, cancel := context.WithTimeout(ctx, times.rest)
	defer cancel()
	if s.api != nil {
		s.api.Close(within)
	}
	s.engine.Close(within)
	s.Log.InfoContext(ctx, "stopped", slog.String("id", s.id))
	return failed
}

// closeTraces exports the remaining spans, for a limited time.
func closeTraces(ctx context.Context, o Options) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimesOf(o.Settings.Stopping).rest)
	defer cancel()
	if err := o.Traces.Close(within); err != nil {
		o.Log.WarnContext(within, "traces not sent", slog.Any("error", err))
	}
}

// closePools closes the connections of the pools. A job that ignores its canceled
// context can hold a connection, so closePools waits for a limited time. The database
// closes such a connection when the process ends.
func closePools(ctx context.Context, o Options, pools []*pgxpool.Pool) {
	closed := make(chan struct{})
	go func() {
		var closing sync.WaitGroup
		for _, p := range pools {
			closing.Go(p.Close)
		}
		closing.Wait()
		close(closed)
	}()
	timer := time.NewTimer(stopTimesOf(o.Settings.Stopping).rest)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
		o.Log.WarnContext(context.WithoutCancel(ctx), "connections left open")
	}
}
