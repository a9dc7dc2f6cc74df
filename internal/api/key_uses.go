package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// keyUses stores when API keys were last used: once a minute for each key, and all
// keys of a few seconds in one statement. No request waits for that.
type keyUses struct {
	db  *pgxpool.Pool
	log *slog.Logger

	mu      sync.Mutex
	next    map[wallet.ID]time.Time // when a key's use is stored again
	pending map[wallet.ID]time.Time // uses that are not stored yet
	writing bool
}

// writeUsesEvery is the time between two writes.
const writeUsesEvery = 2 * time.Second

func newKeyUses(db *pgxpool.Pool, log *slog.Logger) *keyUses {
	return &keyUses{db: db, log: log, next: map[wallet.ID]time.Time{}, pending: map[wallet.ID]time.Time{}}
}

// note records that a key was used now.
func (u *keyUses) note(id wallet.ID, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Before(u.next[id]) {
		return
	}
	u.next[id], u.pending[id] = now.Add(time.Minute), now
	if !u.writing {
		u.writing = true
		go u.writeLoop()
	}
}

// writeLoop writes until nothing is left to write.
func (u *keyUses) writeLoop() {
	pause := time.NewTicker(writeUsesEvery)
	defer pause.Stop()
	for {
		u.mu.Lock()
		uses := u.pending
		u.pending, u.writing = map[wallet.ID]time.Time{}, len(uses) > 0
		u.mu.Unlock()
		if len(uses) == 0 {
			return
		}
		u.write(uses)
		<-pause.C
	}
}

func (u *keyUses) write(uses map[wallet.ID]time.Time) {
	ctx := context.Background() // the requests may be over by then
	ids, at := make([]wallet.ID, 0, len(uses)), make([]time.Time, 0, len(uses))
	for id, t := range uses {
		ids, at = append(ids, id), append(at, t)
	}
	err := postgres.NoteKeyUse(ctx, u.db, ids, at)
	if err != nil && !errors.Is(err, puddle.ErrClosedPool) { // the process ends
		u.log.WarnContext(ctx, "uses of API keys not written down", slog.Int("keys", len(uses)), slog.Any("error", err))
	}
}
