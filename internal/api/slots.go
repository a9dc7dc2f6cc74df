package api

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fundrail/fundrail/internal/wallet"
)

// slots bound how many attempts hold a connection of the pool at once: of one
// organization, and in all. An attempt that waits for a locked row holds its
// connection meanwhile. Without a bound, the writes of one merchant whose wallet is
// locked would take the connections of all others.
type slots struct {
	all    chan struct{}
	perOrg int

	mu            sync.Mutex
	organizations map[wallet.ID]*orgSlots
}

type orgSlots struct {
	taken chan struct{}
	users int // attempts that hold a slot or wait for one
}

// newSlots leaves a part of the pool's connections to writes in groups and jobs. A
// server without a pool makes no attempts.
func newSlots(pool *pgxpool.Pool) *slots {
	var conns int32
	if pool != nil {
		conns = pool.Config().MaxConns
	}
	return &slots{
		all: make(chan struct{}, max(1, conns*5/8)), perOrg: max(1, int(conns/4)), organizations: make(map[wallet.ID]*orgSlots),
	}
}

// acquire waits for a slot of the organization. The caller must release it. The error
// is that of ctx.
func (s *slots) acquire(ctx context.Context, organizationID wallet.ID) (release func(), err error) {
	o := s.join(organizationID)
	select {
	case o.taken <- struct{}{}:
	case <-ctx.Done():
		s.leave(organizationID, o)
		return nil, ctx.Err()
	}
	select {
	case s.all <- struct{}{}:
	case <-ctx.Done():
		<-o.taken
		s.leave(organizationID, o)
		return nil, ctx.Err()
	}
	return func() {
		<-s.all
		<-o.taken
		s.leave(organizationID, o)
	}, nil
}

func (s *slots) join(id wallet.ID) *orgSlots {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.organizations[id]
	if !ok {
		o = &orgSlots{taken: make(chan struct{}, s.perOrg)}
		s.organizations[id] = o
	}
	o.users++
	return o
}

func (s *slots) leave(id wallet.ID, o *orgSlots) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.users--; o.users == 0 {
		delete(s.organizations, id)
	}
}
