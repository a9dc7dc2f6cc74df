package jobs

import (
	"slices"
	"sync"
	"time"
)

// wakes sends one late wake for all the jobs of a queue that were inserted
// within a cooldown.
type wakes struct {
	after time.Duration
	send  func(queues []string)

	mu     sync.Mutex
	queues []string
	timer  *time.Timer
	closed bool
}

func newWakes(after time.Duration, send func(queues []string)) *wakes {
	return &wakes{after: after, send: send}
}

func (w *wakes) wake(queue string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || slices.Contains(w.queues, queue) {
		return
	}
	w.queues = append(w.queues, queue)
	if w.timer == nil {
		w.timer = time.AfterFunc(w.after, w.fire)
	}
}

func (w *wakes) fire() {
	w.mu.Lock()
	queues := w.queues
	w.queues, w.timer = nil, nil
	w.mu.Unlock()
	if len(queues) > 0 {
		w.send(queues)
	}
}

func (w *wakes) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
