// Package batch lets many callers share one transaction. While a write is under
// way the next members gather, and go in as the next write; a lone member never
// waits for company. What is written is the caller's business.
package batch

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrClosed is returned to members that come after Close.
var ErrClosed = errors.New("batch: closed")

// Write writes members in one transaction and returns a result for each, in
// their order, or an error and no effect. A lone member's write carries the values
// of its caller's context, such as the trace that it belongs to.
type Write[T, R any] func(ctx context.Context, members []T) ([]R, error)

// Config says how a Writer gathers.
type Config[T any] struct {
	// Max is how many members share one write, 64 unless given.
	Max int
	// Linger is how long a write waits for company when the one before had a good deal
	// of it: what all members share is then paid for by more of them. None without it.
	Linger time.Duration
	// Key tells members apart that must not share a write, such as two outcomes
	// of one payment: the second one waits for the next. Nil lets all share.
	Key func(T) string
}

// Writer gathers members and writes them, one write at a time.
type Writer[T, R any] struct {
	write  Write[T, R]
	max    int
	linger time.Duration
	full   chan struct{} // holds a token when a whole group waits
	key    func(T) string
	ctx    context.Context //nolint:containedctx // the life of the writer, not of one call
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting []*member[T, R]
	running bool
	closed  bool
	idle    sync.Cond
}

type member[T, R any] struct {
	ctx    context.Context //nolint:containedctx // whose member it is
	value  T
	result R
	err    error
	done   chan struct{}
}

// NewWriter makes a Writer. Its writes run under ctx without ctx's cancellation,
// so that a write under way at shutdown ends; Close waits for it.
func NewWriter[T, R any](ctx context.Context, write Write[T, R], cfg Config[T]) *Writer[T, R] {
	if cfg.Max == 0 {
		cfg.Max = 64
	}
	w := &Writer[T, R]{write: write, max: cfg.Max, linger: cfg.Linger, full: make(chan struct{}, 1), key: cfg.Key}
	w.idle.L = &w.mu
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx)) //nolint:gosec // Close calls it
	return w
}

// Do writes one member and returns its result. When the write of a group fails,
// each of its members is written alone, so one bad member cannot fail its
// neighbours. A caller that gives up leaves its member in the write: ctx ends the
// wait, not the effect.
func (w *Writer[T, R]) Do(ctx context.Context, value T) (R, error) {
	m := &member[T, R]{ctx: ctx, value: value, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		var none R
		return none, ErrClosed
	}
	w.waiting = append(w.waiting, m)
	if len(w.waiting) == w.max {
		select {
		case w.full <- struct{}{}:
		default:
		}
	}
	if !w.running {
		w.running = true
		go w.run()
	}
	w.mu.Unlock()
	select {
	case <-m.done:
		return m.result, m.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

// Close refuses new members and waits until those inside are written. When ctx
// ends first, the write under way is canceled.
func (w *Writer[T, R]) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, w.cancel)
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.running {
		w.idle.Wait()
	}
	w.cancel()
}

func (w *Writer[T, R]) run() {
	for {
		w.mu.Lock()
		group := w.take()
		if len(group) == 0 {
			w.running = false
			w.idle.Broadcast()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		w.flush(group)
		if w.linger > 0 && len(group) >= company {
			w.gather()
		}
	}
}

// company is how many members a write must have had for the next one to wait.
const company = 12

// gather waits for company.
func (w *Writer[T, R]) gather() {
	w.mu.Lock()
	enough := w.closed || len(w.waiting) >= w.max
	w.mu.Unlock()
	if enough {
		return
	}
	timer := time.NewTimer(w.linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.full:
	case <-w.ctx.Done():
	}
}

// take removes the next group from those that wait, in the order in which they
// came. The caller holds the lock.
func (w *Writer[T, R]) take() []*member[T, R] {
	if w.key == nil {
		n := min(len(w.waiting), w.max)
		group := w.waiting[:n:n]
		w.waiting = w.waiting[n:]
		return group
	}
	var group, rest []*member[T, R]
	seen := make(map[string]bool)
	for _, m := range w.waiting {
		k := w.key(m.value)
		if len(group) == w.max || (k != "" && seen[k]) {
			rest = append(rest, m)
			continue
		}
		seen[k] = true
		group = append(group, m)
	}
	w.waiting = rest
	return group
}

func (w *Writer[T, R]) flush(group []*member[T, R]) {
	values := make([]T, len(group))
	for i, m := range group {
		values[i] = m.value
	}
	ctx := w.ctx
	if len(group) == 1 {
		ctx = joined{Context: ctx, values: context.WithoutCancel(group[0].ctx)}
	}
	results, err := w.write(ctx, values)
	if err != nil && len(group) > 1 && w.ctx.Err() == nil {
		for _, m := range group {
			w.flush([]*member[T, R]{m})
		}
		return
	}
	for i, m := range group {
		if err != nil {
			m.err = err
		} else {
			m.result = results[i]
		}
		close(m.done)
	}
}

// joined is the life of one context with the values of another.
type joined struct {
	context.Context //nolint:containedctx // it is one

	values context.Context //nolint:containedctx // the other
}

// Value implements context.Context.
func (j joined) Value(key any) any {
	if v := j.values.Value(key); v != nil {
		return v
	}
	return j.Context.Value(key)
}
