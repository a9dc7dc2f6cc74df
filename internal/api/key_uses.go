package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/batch"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// keyUses remembers which API keys were used when, and writes it down once a minute
// for each key. No request waits for that.
type keyUses struct {
	log   *slog.Logger
	write *batch.Writer[keyUse, struct{}]

	mu   sync.Mutex
	next map[wallet.ID]time.Time // when a key's use is written down again
}

type keyUse struct {
	id wallet.ID
	at time.Time
}

func newKeyUses(db *pgxpool.Pool, log *slog.Logger) *keyUses {
	return &keyUses{
		log:  log,
		next: map[wallet.ID]time.Time{},
		write: batch.NewWriter(context.Background(), func(ctx context.Context, uses []keyUse) ([]struct{}, error) {
			ids, at := make([]wallet.ID, len(uses)), make([]time.Time, len(uses))
			for i, u := range uses {
				ids[i], at[i] = u.id, u.at
			}
			return make([]struct{}, len(uses)), postgres.NoteKeyUse(ctx, db, ids, at)
		}, batch.Config[keyUse]{}),
	}
}

// note says that a key has just been used.
func (u *keyUses) note(id wallet.ID, now time.Time) {
	u.mu.Lock()
	due := !now.Before(u.next[id])
	if due {
		u.next[id] = now.Add(time.Minute)
	}
	u.mu.Unlock()
	if !due {
		return
	}
	go func() {
		ctx := context.Background() // the request may be over by then
		if _, err := u.write.Do(ctx, keyUse{id, now}); err != nil {
			u.log.WarnContext(ctx, "use of an API key not written down",
				slog.String("api_key_id", id.String()), slog.Any("error", err))
		}
	}()
}
