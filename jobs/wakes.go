package jobs

import (
	"sync"
	"time"
)

// wakes notifies the workers of a queue about jobs that River did not announce. The
// first wake of a queue is sent immediately. Wakes within the cooldown after it are
// sent as one, when the cooldown is over.
type wakes struct {
	cooldown time.Duration
	send     func(queues []string)

	mu     sync.Mutex
	queues map[string]*waking
	closed bool
}

// waking is a queue within its cooldown.
type waking struct {
	again bool // wake was called within the cooldown
	timer *time.Timer
}

func newWakes(cooldown time.Duration, send func(queues []string)) *wakes {
	return &wakes{cooldown: cooldown, send: send, queues: make(map[string]*waking)}
}

// wake notifies the workers of a queue.
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

// start sends a wake and starts the cooldown. The caller must hold the lock.
func (w *wakes) start(queue string) {
	w.queues[queue] = &waking{timer: time.AfterFunc(w.cooldown, func() { w.endCooldown(queue) })}
	go w.send([]string{queue})
}

func (w *wakes) endCooldown(queue string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := w.queues[queue].again
	delete(w.queues, queue)
	if again && !w.closed {
		w.start(queue)
	}
}

// close ends all cooldowns. Nothing is sent afterwards.
func (w *wakes) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, q := range w.queues {
		q.timer.Stop()
	}
}
