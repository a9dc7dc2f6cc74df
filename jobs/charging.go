package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// charging is the set of payments whose charge is under way in this process.
type charging struct {
	mu       sync.Mutex
	payments map[wallet.ID]chan struct{} // closed when the outcome was acted on
}

func newCharging() *charging {
	return &charging{payments: make(map[wallet.ID]chan struct{})}
}

// begin adds a payment. The caller must call end when it has acted on the outcome.
func (c *charging) begin(id wallet.ID) (end func()) {
	done := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.payments[id]; ok {
		return func() {} // another job of this process charges it, and removes it
	}
	c.payments[id] = done
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.payments, id)
		close(done)
	}
}

// wait returns when no charge of the payment is under way, d is over or ctx ends.
func (c *charging) wait(ctx context.Context, id wallet.ID, d time.Duration) {
	c.mu.Lock()
	done, ok := c.payments[id]
	c.mu.Unlock()
	if !ok {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}
