package jobs

import (
	"sync"
	"time"
)

// wakes tells workers of jobs that River did not announce: at once, and once more
// a cooldown later if there were others meanwhile.
type wakes struct {
	after time.Duration
	send  func(queues []string)

	mu     sync.Mutex
	queues map[string]*waking
	closed bool
}

// waking is a queue that was woken within the cooldown.
type waking struct {
	again bool // something came since
	timer *time.Timer
}

func newWakes(after time.Duration, send func(queues []string)) *wakes {
	return &wakes{after: after, send: send, queues: make(map[string]*waking)}
}

func (w *wakes) wake(queue string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if q, ok := w.queues[queue]; ok {
		q.again = true
		return
	}
	w.start(queue)
}

// start sends a wake and begins the cooldown. The caller holds the lock.
func (w *wakes) start(queue string) {
	w.queues[queue] = &waking{timer: time.AfterFunc(w.after, func() { w.cooled(queue) })}
	go w.send([]string{queue})
}

func (w *wakes) cooled(queue string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := w.queues[queue].again
	delete(w.queues, queue)
	if again && !w.closed {
		w.start(queue)
	}
}

func (w *wakes) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, q := range w.queues {
		q.timer.Stop()
	}
}
