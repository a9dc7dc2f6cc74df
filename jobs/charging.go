package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/fundrail/fundrail/internal/wallet"
)

// charging knows the payments whose charge is under way in this process.
type charging struct {
	mu       sync.Mutex
	payments map[wallet.ID]chan struct{} // closed when the charge was concluded
}

func newCharging() *charging {
	return &charging{payments: make(map[wallet.ID]chan struct{})}
}

// begin notes that a charge is under way, and returns what ends that.
func (c *charging) begin(id wallet.ID) (end func()) {
	done := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.payments[id]; ok {
		return func() {} // somebody else charges it as well, and will say when
	}
	c.payments[id] = done
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.payments, id)
		close(done)
	}
}

// wait returns when no charge of the payment is under way, ctx ends or d is over.
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
