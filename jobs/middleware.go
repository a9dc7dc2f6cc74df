package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	// blockedWait is how long a job is put off when another transaction holds a row
	// that the job needs.
	blockedWait = time.Second
	// unavailableWait is how long a job is put off when Stripe does not serve it.
	unavailableWait = 2 * time.Second
	// blockedLogEvery is the shortest time between two records about blocked jobs. A
	// lock that is held for long blocks many jobs, and each of them every second.
	blockedLogEvery = time.Minute
)

// Middleware puts off jobs that could not be tried, without counting the attempt: when
// another transaction holds a row that the job needs, and when Stripe is unavailable.
// It logs what was blocked, at most once a minute.
func Middleware(log *slog.Logger, now func() time.Time) rivertype.Middleware {
	blocked := &blockedLog{log: log, now: now}
	return river.WorkerMiddlewareFunc(func(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
		err := work(ctx)
		delay, ok := delayOf(err)
		if !ok {
			return err
		}
		if postgres.Blocked(err) {
			blocked.record(ctx, job, err)
		}
		return river.JobSnooze(delay)
	})
}

// delayOf returns how long a job is put off because of an error. The second result is
// false when the error ends the attempt instead.
func delayOf(err error) (time.Duration, bool) {
	if _, ok := errors.AsType[*river.JobCancelError](err); ok {
		return 0, false
	}
	if snooze, ok := errors.AsType[*river.JobSnoozeError](err); ok {
		return snooze.Duration, true
	}
	switch {
	case postgres.Blocked(err):
		return jitter(blockedWait), true
	case unavailableAtStripe(err):
		return jitter(unavailableWait), true
	default:
		return 0, false
	}
}

// unavailableAtStripe reports whether a call to Stripe was not made or was turned away.
// The call had no effect.
func unavailableAtStripe(err error) bool {
	e, ok := errors.AsType[*stripeapi.Error](err)
	return ok && e.Kind == wallet.OutcomeUnavailable
}

// refusal returns Stripe's refusal of a request. Repeating the request cannot help.
func refusal(err error) (*stripeapi.Error, bool) {
	e, ok := errors.AsType[*stripeapi.Error](err)
	return e, ok && e.Kind == wallet.OutcomeRejected
}

// blockedLog logs jobs that another transaction blocks, at most once per
// blockedLogEvery.
type blockedLog struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last time.Time
}

func (l *blockedLog) record(ctx context.Context, job *rivertype.JobRow, err error) {
	now := l.now()
	l.mu.Lock()
	due := l.last.IsZero() || now.Sub(l.last) >= blockedLogEvery
	if due {
		l.last = now
	}
	l.mu.Unlock()
	if due {
		l.log.WarnContext(ctx, "payment blocked by another transaction",
			slog.String("kind", job.Kind), slog.Int64("job_id", job.ID),
			slog.String("args", string(job.EncodedArgs)), slog.Any("error", err))
	}
}
