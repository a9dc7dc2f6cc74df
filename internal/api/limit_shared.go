package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/batch"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// spendingWriter writes to the database what this process spent, and returns for
// each bucket when it is full again after what all processes spent.
type spendingWriter = batch.Writer[postgres.Spending, time.Time]

// sharedLimiter is a limiter whose buckets are shared by all processes. Each process
// decides alone, by what it knows. Once a tenth of a bucket is spent, the process
// reports what it spent to the database: after a second of use, or after as many
// tokens as come back within a second. The answer says what all processes spent. So
// together they exceed the limit by at most about a tenth for each process. A key
// far from its limit costs no query. A request waits only if its key spends faster
// than the database answers.
type sharedLimiter struct {
	*limiter
	name   string
	block  int // tokens
	writer *spendingWriter
	log    *slog.Logger

	mu    sync.Mutex
	spent map[wallet.ID]*spending
}

// spending is what this process has taken from a bucket since its last report.
type spending struct {
	tokens     int
	since      time.Time // the first of them
	reportedAt time.Time
	reporting  chan struct{} // closed when the report under way is done, nil without one
}

func newSharedLimiter(name string, perMinute int, writer *spendingWriter, log *slog.Logger) *sharedLimiter {
	const seconds = 60
	return &sharedLimiter{
		limiter: newLimiter(perMinute), name: name, block: max(1, perMinute/seconds), writer: writer, log: log,
		spent: map[wallet.ID]*spending{},
	}
}

// takeOf spends one token of an API key, if it has one.
func (l *sharedLimiter) takeOf(ctx context.Context, id wallet.ID, now time.Time) allowance {
	for reporting := l.ahead(id); reporting != nil && ctx.Err() == nil; reporting = l.ahead(id) {
		select {
		case <-reporting:
		case <-ctx.Done(): // the caller is gone
		}
	}
	a := l.take(id.String(), now)
	if !a.refused {
		l.note(ctx, id, a, now)
	}
	return a
}

// quietShare: a bucket is not reported while less than one part in quietShare of it
// is spent.
const quietShare = 10

// maxAhead is how many blocks may be spent while a report is under way.
const maxAhead = 2

// ahead returns the channel of the report that a key has to wait for, or nil when
// it need not wait.
func (l *sharedLimiter) ahead(id wallet.ID) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.spent[id]; s != nil && s.tokens >= maxAhead*l.block {
		return s.reporting
	}
	return nil
}

func (l *sharedLimiter) note(ctx context.Context, id wallet.ID, a allowance, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()

	s := l.spent[id]
	if s == nil {
		s = &spending{}
		l.spent[id] = s
	}
	if wasFull := !a.fullAt.After(now.Add(l.interval)); wasFull || s.tokens == 0 {
		s.tokens, s.since = 0, now
	}
	s.tokens++
	if quietShare*(l.perMinute-a.remaining) < l.perMinute {
		return
	}
	if s.reporting != nil || s.tokens < l.block && now.Before(s.reportedAt.Add(time.Second)) {
		return
	}
	report := postgres.Spending{
		APIKeyID: id, Name: l.name, Since: s.since, Cost: l.interval * time.Duration(s.tokens),
	}
	tokens := s.tokens
	s.tokens, s.reportedAt, s.reporting = 0, now, make(chan struct{})
	go l.send(context.WithoutCancel(ctx), s, report, tokens) // the request may be over by then
}

func (l *sharedLimiter) send(ctx context.Context, s *spending, report postgres.Spending, tokens int) {
	fullAt, err := l.writer.Do(ctx, report)

	l.mu.Lock()
	defer l.mu.Unlock()
	close(s.reporting)
	s.reporting = nil
	if err != nil {
		if s.tokens += tokens; s.tokens > 0 {
			s.since = report.Since
		}
		l.log.WarnContext(ctx, "rate limit not shared",
			slog.String("api_key_id", report.APIKeyID.String()), slog.Any("error", err))
		return
	}
	l.raise(report.APIKeyID.String(), fullAt.Add(l.interval*time.Duration(s.tokens)))
}
