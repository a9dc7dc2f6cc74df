package stripesim

import (
	"cmp"
	"container/heap"
	"sync"
	"time"
)

// What a timer does when it is due.
const (
	timerAuthExpiry      = "authorization_expiry"
	timerCheckoutExpiry  = "checkout_expiry"
	timerDelivery        = "delivery"
	timerDispute         = "dispute"
	timerDisputeDeadline = "dispute_deadline"
	timerDisputeReview   = "dispute_review"
	timerProcessing      = "processing"
	timerRefund          = "refund"
)

// timer is an action at a time of the virtual clock. It holds the id of its object
// and none of its state. The action checks the object's current state, so a timer
// that has become obsolete does nothing.
type timer struct {
	Arg  string `json:"arg,omitempty"`
	Due  int64  `json:"due"` // nanoseconds of the virtual clock
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Live bool   `json:"live"`
	Seq  int    `json:"seq"`

	run func() // for timers that are not kept across a restart
}

// clock is the virtual clock: a base clock plus an offset that never decreases.
type clock struct {
	base func() time.Time
	done chan struct{}
	fire func(*timer)
	wake chan struct{}
	wg   sync.WaitGroup

	firing sync.Mutex // held while timers fire, so that they fire one at a time and in order

	mu     sync.Mutex
	offset time.Duration
	seq    int
	timers timerHeap
}

func newClock(base func() time.Time) *clock {
	return &clock{base: base, done: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// now returns the time of the virtual clock.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base().Add(c.offset)
}

func (c *clock) start(fire func(*timer)) {
	c.fire = fire
	c.wg.Go(c.loop)
}

func (c *clock) stop() {
	close(c.done)
	c.wg.Wait()
}

// schedule sets a timer. A timer that is already due fires soon.
func (c *clock) schedule(t *timer) {
	c.mu.Lock()
	if t.Seq == 0 { // a timer from the state file keeps its number
		c.seq++
		t.Seq = c.seq
	}
	c.seq = max(c.seq, t.Seq)
	heap.Push(&c.timers, t)
	first := c.timers[0] == t
	c.mu.Unlock()
	if first {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *clock) loop() {
	idle := time.NewTimer(time.Hour)
	defer idle.Stop()
	for {
		c.fireDue()
		idle.Reset(c.untilNext())
		select {
		case <-c.done:
			return
		case <-c.wake:
		case <-idle.C:
		}
	}
}

func (c *clock) untilNext() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return time.Hour
	}
	wait := time.Duration(c.timers[0].Due - c.base().Add(c.offset).UnixNano())
	return max(wait, time.Millisecond)
}

func (c *clock) fireDue() {
	c.firing.Lock()
	defer c.firing.Unlock()
	for {
		t := c.pop(0)
		if t == nil {
			return
		}
		c.run(t)
	}
}

func (c *clock) run(t *timer) {
	if t.run != nil {
		t.run()
		return
	}
	c.fire(t)
}

// pop removes and returns the next timer that is due within ahead, and moves the
// clock to its time. It returns nil if no timer is.
func (c *clock) pop(ahead time.Duration) *timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return nil
	}
	now := c.base().Add(c.offset).UnixNano()
	wait := time.Duration(c.timers[0].Due - now)
	if wait > ahead {
		return nil
	}
	c.offset += max(wait, 0)
	t, _ := heap.Pop(&c.timers).(*timer)
	return t
}

// advance moves the clock forward by d. The timers that become due fire at their
// own times, and so do timers that these set.
func (c *clock) advance(d time.Duration) {
	c.firing.Lock()
	defer c.firing.Unlock()
	c.mu.Lock()
	target := c.offset + d
	c.mu.Unlock()
	for {
		c.mu.Lock()
		left := target - c.offset
		c.mu.Unlock()
		t := c.pop(max(left, 0))
		if t == nil {
			break
		}
		c.run(t)
	}
	c.mu.Lock()
	c.offset = max(c.offset, target)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// pending returns the timers that are set.
func (c *clock) pending() []*timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*timer(nil), c.timers...)
}

// clear removes all timers.
func (c *clock) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timers = nil
}

func (c *clock) getOffset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

func (c *clock) setOffset(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = d
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].Due, h[j].Due), cmp.Compare(h[i].Seq, h[j].Seq)) < 0
}

func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements [heap.Interface].
func (h *timerHeap) Push(x any) {
	t, _ := x.(*timer)
	*h = append(*h, t)
}

// Pop implements [heap.Interface].
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
