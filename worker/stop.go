package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/config"
)

// stopTimes are how long each part may take to stop.
type stopTimes struct {
	requests time.Duration // to be answered
	jobs     time.Duration // to come to their end by themselves
	cutOff   time.Duration // to give back those that did not
	rest     time.Duration // each of what is left: writes, traces, two pools
}

// stopTimesOf divides the time that a process has to stop. Stripe's answers are
// what takes long, so jobs get most of it.
func stopTimesOf(s config.Stopping) stopTimes {
	within := s.StopWithin
	if within == 0 {
		const usual = 9 * time.Second
		within = usual
	}
	part := within / 11
	return stopTimes{requests: 2 * part, jobs: 4 * part, cutOff: part, rest: part}
}

// leave lets load balancers know that the process is about to stop, and gives them
// the time to send their requests elsewhere.
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

// stop stops the HTTP server first, which answers those who wait with how things
// stand; then River, which lets jobs in flight finish for some seconds. It hands
// back what it cuts off, and so does a successor or the rescue if it cannot.
func (s *service) stop(ctx context.Context) error {
	var problems []error
	times := stopTimesOf(s.Settings.Stopping)
	s.engine.Drain()
	if s.server != nil {
		s.dashboard.Close() // ends its streams, for which the server would wait
		within, cancel := context.WithTimeout(ctx, times.requests)
		if err := s.server.Shutdown(within); err != nil {
			problems = append(problems, s.server.Close()) // half-sent requests are dropped
		}
		cancel()
	}
	if !s.WithoutWorkers {
		s.working.Store(false)
		within, cancel := context.WithTimeout(ctx, times.jobs+times.cutOff)
		if err := s.river.Stop(within); err != nil {
			s.Log.WarnContext(ctx, "jobs cut off; they go on elsewhere", slog.Any("error", err))
		}
		cancel()
	}
	within, cancel := context.WithTimeout(ctx, times.rest)
	defer cancel()
	s.engine.Close(within)
	s.Log.InfoContext(ctx, "stopped", slog.String("id", s.id))
	return errors.Join(problems...)
}

// closeTraces sends what has not been sent, if whoever takes it is there.
func closeTraces(ctx context.Context, o Options) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimesOf(o.Settings.Stopping).rest)
	defer cancel()
	if err := o.Traces.Close(within); err != nil {
		o.Log.WarnContext(within, "traces not sent", slog.Any("error", err))
	}
}

// closePool closes connections. One that a job has which does not end when it is
// told to is not waited for longer than the process has: the database notices when
// that is gone.
func closePool(ctx context.Context, o Options, pool *pgxpool.Pool) {
	closed := make(chan struct{})
	go func() {
		pool.Close()
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
