package pgproxy

import "sync/atomic"

// gate lets data through, or makes it wait. The zero gate is open.
type gate struct {
	// barrier is nil in an open gate, and otherwise closed when the gate opens.
	barrier atomic.Pointer[chan struct{}]
}

func (g *gate) shut() {
	barrier := make(chan struct{})
	g.barrier.CompareAndSwap(nil, &barrier)
}

func (g *gate) open() {
	if barrier := g.barrier.Swap(nil); barrier != nil {
		close(*barrier)
	}
}

func (g *gate) isShut() bool { return g.barrier.Load() != nil }

// wait returns when the gate is open, or false as soon as one of the channels is
// closed. A nil channel never is.
func (g *gate) wait(done, gone <-chan struct{}) bool {
	for {
		barrier := g.barrier.Load()
		if barrier == nil {
			return true
		}
		select {
		case <-*barrier:
		case <-done:
			return false
		case <-gone:
			return false
		}
	}
}
