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

// exchange tells the database what was spent, and hears what all processes have.
type exchange = batch.Writer[postgres.Spending, time.Time]

// sharedLimiter is a limiter whose buckets all processes spend from. A process
// decides alone, on what it knows. Once it has spent a tenth of a bucket it tells
// what it spent, after every second of use and after every second's worth of tokens,
// and hears then what the others have. Together the processes so let no more through
// than the limit and, for each of them, about a tenth of it. A key that is far from
// its limit costs nothing, and no request waits but those of a key that spends faster
// than the database can be told.
type sharedLimiter struct {
	*limiter
	name  string
	block int // tokens
	tell  *exchange
	log   *slog.Logger

	mu    sync.Mutex
	spent map[wallet.ID]*spending
}

// spending is what a process has taken from a bucket since it last told.
type spending struct {
	tokens  int
	since   time.Time // the first of them
	toldAt  time.Time
	telling chan struct{} // closed when that is done, nil when nothing is told
}

func newSharedLimiter(name string, perMinute int, tell *exchange, log *slog.Logger) *sharedLimiter {
	const seconds = 60
	return &sharedLimiter{
		limiter: newLimiter(perMinute), name: name, block: max(1, perMinute/seconds), tell: tell, log: log,
		spent: map[wallet.ID]*spending{},
	}
}

// takeOf spends one token of an API key, if it has one.
func (l *sharedLimiter) takeOf(ctx context.Context, id wallet.ID, now time.Time) allowance {
	for telling := l.ahead(id); telling != nil && ctx.Err() == nil; telling = l.ahead(id) {
		select {
		case <-telling:
		case <-ctx.Done(): // whoever asked has gone
		}
	}
	a := l.take(id.String(), now)
	if !a.refused {
		l.note(ctx, id, a, now)
	}
	return a
}

// quietShare is the part of a bucket that may be missing before that is told.
const quietShare = 10

// maxAhead is how many blocks may be spent while others are told of those before.
const maxAhead = 2

// ahead is what has to end before a key may go on, nil when it may.
func (l *sharedLimiter) ahead(id wallet.ID) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.spent[id]; s != nil && s.tokens >= maxAhead*l.block {
		return s.telling
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
	if s.telling != nil || s.tokens < l.block && now.Before(s.toldAt.Add(time.Second)) {
		return
	}
	told := postgres.Spending{
		APIKeyID: id, Name: l.name, Since: s.since, Cost: l.interval * time.Duration(s.tokens),
	}
	tokens := s.tokens
	s.tokens, s.toldAt, s.telling = 0, now, make(chan struct{})
	go l.send(context.WithoutCancel(ctx), s, told, tokens) // the request may be over by then
}

func (l *sharedLimiter) send(ctx context.Context, s *spending, told postgres.Spending, tokens int) {
	fullAt, err := l.tell.Do(ctx, told)

	l.mu.Lock()
	defer l.mu.Unlock()
	close(s.telling)
	s.telling = nil
	if err != nil {
		if s.tokens += tokens; s.tokens > 0 {
			s.since = told.Since
		}
		l.log.WarnContext(ctx, "rate limit not shared",
			slog.String("api_key_id", told.APIKeyID.String()), slog.Any("error", err))
		return
	}
	l.raise(told.APIKeyID.String(), fullAt.Add(l.interval*time.Duration(s.tokens)))
}
