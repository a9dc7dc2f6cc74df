package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/fundrail/fundrail/internal/postgres"
)

// shareEvery is the interval at which the processes are counted.
const shareEvery = 5 * time.Second

// shareLimits divides the rate limits for Stripe by the number of processes that
// work jobs. It returns when ctx ends.
func (s *service) shareLimits(ctx context.Context) {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	for {
		n, err := postgres.CountWorkers(ctx, s.pool)
		switch {
		case err == nil:
			for _, l := range s.limits {
				l.Share(n)
			}
		case ctx.Err() == nil:
			s.Log.WarnContext(ctx, "processes not counted", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
