package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/migrations"
)

const (
	// tryLimit bounds each try of the database. A database that takes longer cannot serve.
	tryLimit = 2 * time.Second
	// tryEvery is how long an outcome is remembered, however often the process is asked.
	tryEvery = time.Second
)

// ability is what is known about whether the process can do what it is for.
type ability struct {
	try func(ctx context.Context) []string
	now func() time.Time
	log *slog.Logger

	mu      sync.Mutex
	tries   chan struct{} // closed when the try under way is over; nil if there is none
	triedAt time.Time
	known   []string // the problems that the last try found
}

// problems tries what the process is for, and returns the names of the problems. All who
// ask within a second get the outcome of one try. They wait for it no longer than their
// contexts allow.
func (a *ability) problems(ctx context.Context) []string {
	a.mu.Lock()
	if !a.triedAt.IsZero() && a.now().Sub(a.triedAt) < tryEvery && a.tries == nil {
		defer a.mu.Unlock()
		return slices.Clip(a.known)
	}
	over := a.tries
	if over == nil {
		over = make(chan struct{})
		a.tries = over
		go a.find(context.WithoutCancel(ctx), over)
	}
	a.mu.Unlock()
	select {
	case <-over:
	case <-ctx.Done():
		return []string{"not known yet"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clip(a.known)
}

func (a *ability) find(ctx context.Context, over chan struct{}) {
	found := a.try(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	was := strings.Join(a.known, ", ")
	is := strings.Join(found, ", ")
	switch {
	case was == is:
	case is == "":
		a.log.InfoContext(ctx, "ready again", slog.String("problems_before", was))
	default:
		a.log.WarnContext(ctx, "not ready", slog.String("problems", is))
	}
	a.known, a.triedAt, a.tries = found, a.now(), nil
	close(over)
}

// tryAbility does once what the process is for: it finds a key on the pool for look-ups,
// and writes on the pool for money. It returns the names of the problems, in a fixed
// vocabulary, because strangers may read them. Events or payments that are open for longer
// than the settings allow are problems, too.
func (s *service) tryAbility(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	written := make(chan error, 1)
	go func() { written <- postgres.Beat(ctx, s.pool, s.id, s.Now()) }()
	lateness, readErr := s.readAbility(ctx)
	writeErr := <-written
	if errors.Is(readErr, migrations.ErrUnknownSchema) {
		return []string{"schema"}
	}
	var problems []string
	if name := problemOf(readErr); name != "" {
		s.Log.WarnContext(ctx, "the database cannot be read", slog.Any("error", readErr))
		problems = append(problems, "database: "+name)
	} else if name := problemOf(writeErr); name != "" {
		s.Log.WarnContext(ctx, "the database cannot be written", slog.Any("error", writeErr))
		problems = append(problems, "database: "+name)
	}
	return append(problems, lateness...)
}

// readAbility reads as a request does, and returns what has been open for too long.
func (s *service) readAbility(ctx context.Context) (late []string, err error) {
	if err := migrations.Check(ctx, s.lookUps); err != nil {
		return nil, err
	}
	if _, err := postgres.GetCallers(ctx, s.lookUps, []string{"no key"}, s.Now()); err != nil {
		return nil, err
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
		age, err := line.oldest(ctx, s.lookUps, s.Now())
		if err != nil {
			return nil, err
		}
		if age > line.limit {
			late = append(late, line.name)
		}
	}
	return late, nil
}

// problemOf names an error of the database.
func problemOf(err error) string {
	if err == nil {
		return ""
	}
	if unfit, ok := errors.AsType[*postgres.UnfitError](err); ok {
		return unfit.Reason
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pgErr.Code == "25006":
			return "read-only"
		case pgErr.Code == "53100":
			return "disk full"
		case strings.HasPrefix(pgErr.Code, "53"):
			return "out of resources"
		case strings.HasPrefix(pgErr.Code, "42"):
			return "a right or a table is missing"
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err) {
		return "no answer"
	}
	return "not reachable"
}
