// Package batch lets many callers share one transaction. While a write is under
// way the next members gather, and go in as the next write; a lone member never
// waits for others. What a write does, and what its errors mean, is the caller's
// business.
package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is returned to members that come after Close.
var ErrClosed = errors.New("batch: closed")

// ErrUnderWay is returned to a caller that stopped waiting while its member was
// being written: the write goes on, and may succeed.
var ErrUnderWay = errors.New("batch: the write is under way")

// ErrNotTried is returned to members of a refused group that were not tried alone,
// because a write before theirs failed. They were not written.
var ErrNotTried = errors.New("batch: not tried")

// Write writes members in one transaction and returns a result for each, in
// their order, or an error for all. The context ends after Config.Limit. A lone
// member's write carries the values of its caller's context, such as the trace
// that it belongs to.
type Write[T, R any] func(ctx context.Context, members []T) ([]R, error)

// Verdict says what an error of a group's write means for its members.
type Verdict int

// The verdicts.
const (
	// Refused: nothing was written, and perhaps because of one member. Each is
	// written alone, so a bad member fails alone.
	Refused Verdict = iota
	// Failed: each member gets the error. The write could not be made, or it is in
	// doubt; in both cases trying each member would only hide that.
	Failed
	// Blocked: nothing was written, because another transaction holds what some
	// member needs. The members that are free are written without the others, and
	// those are written alone, beside the groups that follow.
	Blocked
)

// Config says how a Writer gathers.
type Config[T any] struct {
	// Max is how many members share one write, 64 unless given.
	Max int
	// Linger is how long a write waits for more members when the one before had
	// many: what all members share is then paid for by more of them. None without it.
	Linger time.Duration
	// Limit bounds one write, DefaultLimit unless given.
	Limit time.Duration
	// Key tells members apart that must not share a write, such as two outcomes of
	// one payment: the second one waits for the next. Nil lets all share.
	Key func(T) string
	// Scope names what a member may be blocked by, such as its wallet. After a member
	// was blocked, others of its scope do not hold up a group. It is Key unless given.
	Scope func(T) string
	// Judge sorts the errors of a group. Nil takes each for Refused.
	Judge func(error) Verdict
	// Free reports for each member of a blocked group whether it can be written now.
	// Nil takes none for free.
	Free func(ctx context.Context, members []T) ([]bool, error)
}

// DefaultLimit bounds a write. It takes milliseconds; one that takes this long
// hangs.
const DefaultLimit = 5 * time.Second

// grace is how long a caller whose context has ended waits for a write that has its
// member. It is longer than a write waits for a locked row, so that such a write is
// known to have failed, and not in doubt.
const grace = time.Second

// beside is how many members of blocked groups are written at once. Each may hold a
// connection until its lock times out.
const beside = 2

// Writer gathers members and writes them, one group at a time.
type Writer[T, R any] struct {
	write  Write[T, R]
	cfg    Config[T]
	full   chan struct{}   // holds a token when a whole group waits
	ctx    context.Context //nolint:containedctx // the life of the writer, not of one call
	cancel context.CancelFunc
	places chan struct{} // holds a token for each member that is written beside

	mu      sync.Mutex
	waiting []*member[T, R]
	running bool
	closed  bool
	aside   int             // members that are written beside, or wait for a place
	blocked map[string]bool // scopes of members that were blocked, until one is written
	idle    sync.Cond
}

type member[T, R any] struct {
	ctx    context.Context //nolint:containedctx // whose member it is
	value  T
	result R
	err    error
	taken  bool // by a write; guarded by Writer.mu
	done   chan struct{}
}

// NewWriter makes a Writer. Its writes run under ctx without ctx's cancellation,
// so that a write under way at shutdown ends; Close waits for it.
func NewWriter[T, R any](ctx context.Context, write Write[T, R], cfg Config[T]) *Writer[T, R] {
	if cfg.Max == 0 {
		cfg.Max = 64
	}
	if cfg.Limit == 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Judge == nil {
		cfg.Judge = func(error) Verdict { return Refused }
	}
	w := &Writer[T, R]{write: write, cfg: cfg, full: make(chan struct{}, 1), places: make(chan struct{}, beside), blocked: make(map[string]bool)}
	w.idle.L = &w.mu
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx)) //nolint:gosec // Close calls it
	return w
}

// Do writes one member and returns its result.
//
// When ctx ends before the member was taken by a write, the member is dropped and
// the error is that of ctx: nothing happens. When ctx ends later, and the write does
// not end soon after, the error is ErrUnderWay.
func (w *Writer[T, R]) Do(ctx context.Context, value T) (R, error) {
	var none R
	if err := ctx.Err(); err != nil {
		return none, err
	}
	m := &member[T, R]{ctx: ctx, value: value, done: make(chan struct{})}
	if err := w.enqueue(m); err != nil {
		return none, err
	}
	select {
	case <-m.done:
		return m.result, m.err
	case <-ctx.Done():
	}
	w.mu.Lock()
	taken := m.taken
	if !taken {
		m.taken = true // take must not find it any more
		m.err = ctx.Err()
	}
	w.mu.Unlock()
	if !taken {
		return none, ctx.Err()
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-m.done:
		return m.result, m.err
	case <-timer.C:
		return none, fmt.Errorf("%w: %w", ErrUnderWay, ctx.Err())
	}
}

func (w *Writer[T, R]) enqueue(m *member[T, R]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	if w.blocked[w.scope(m)] {
		// It may still be blocked: others must not wait with it.
		w.aside++
		go w.writeBeside(m)
		return nil
	}
	w.waiting = append(w.waiting, m)
	if len(w.waiting) == w.cfg.Max {
		select {
		case w.full <- struct{}{}:
		default:
		}
	}
	if !w.running {
		w.running = true
		go w.run()
	}
	return nil
}

// Close refuses new members and waits until those inside are written. When ctx
// ends first, the writes under way are canceled.
func (w *Writer[T, R]) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, w.cancel)
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.running || w.aside > 0 {
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
		w.writeGroup(group)
		if w.cfg.Linger > 0 && len(group) >= many {
			w.gather()
		}
	}
}

// many is how many members a write must have had for the next one to wait.
const many = 12

// gather waits for more members.
func (w *Writer[T, R]) gather() {
	w.mu.Lock()
	enough := w.closed || len(w.waiting) >= w.cfg.Max
	w.mu.Unlock()
	if enough {
		return
	}
	timer := time.NewTimer(w.cfg.Linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.full:
	case <-w.ctx.Done():
	}
}

// take removes the next group from those that wait, in the order in which they
// came, and drops those whose callers have gone. The caller holds the lock.
func (w *Writer[T, R]) take() []*member[T, R] {
	var group, rest []*member[T, R]
	seen := make(map[string]bool)
	for _, m := range w.waiting {
		key := w.key(m)
		switch {
		case m.taken: // its caller has gone
		case len(group) == w.cfg.Max, key != "" && seen[key]:
			rest = append(rest, m)
		default:
			seen[key] = true
			m.taken = true
			group = append(group, m)
		}
	}
	w.waiting = rest
	return group
}

// key is what tells a member apart, empty when nothing does.
func (w *Writer[T, R]) key(m *member[T, R]) string {
	if w.cfg.Key == nil {
		return ""
	}
	return w.cfg.Key(m.value)
}

// scope is what a member may be blocked by, empty when that is not known.
func (w *Writer[T, R]) scope(m *member[T, R]) string {
	if w.cfg.Scope == nil {
		return w.key(m)
	}
	return w.cfg.Scope(m.value)
}

// writeGroup writes a group, and what is left of it when that fails.
func (w *Writer[T, R]) writeGroup(group []*member[T, R]) {
	err := w.attempt(group)
	if err == nil {
		return
	}
	if w.ctx.Err() != nil {
		fail(group, err)
		return
	}
	switch verdict := w.cfg.Judge(err); {
	case verdict == Failed, verdict == Refused && len(group) == 1:
		fail(group, err)
	case verdict == Refused:
		w.writeAlone(group)
	default:
		w.writeFree(group, err)
	}
}

// writeAlone writes the members of a refused group one after another.
func (w *Writer[T, R]) writeAlone(group []*member[T, R]) {
	for i := range group {
		one := group[i : i+1]
		err := w.attempt(one)
		switch {
		case err == nil:
		case w.cfg.Judge(err) == Failed:
			fail(one, err)
			fail(group[i+1:], fmt.Errorf("%w: %w", ErrNotTried, err))
			return
		default:
			fail(one, err)
		}
	}
}

// writeFree writes the members of a blocked group that are free, and leaves the
// others to be written beside the groups that follow. A lone member has waited for
// its lock already.
func (w *Writer[T, R]) writeFree(group []*member[T, R], cause error) {
	if len(group) == 1 {
		w.setBlocked(group[0], true)
		fail(group, cause)
		return
	}
	free, blocked := w.split(group)
	if len(free) > 0 {
		switch err := w.attempt(free); {
		case err == nil:
		case w.cfg.Judge(err) == Failed:
			fail(free, err) // it may have been written, and another error would hide that
		default:
			blocked = append(blocked, free...)
		}
	}
	w.mu.Lock()
	w.aside += len(blocked)
	for _, m := range blocked {
		m.taken = false // nothing of it was written, and its caller may go again
	}
	w.mu.Unlock()
	for _, m := range blocked {
		go w.writeBeside(m)
	}
}

// setBlocked remembers that a member was blocked, or forgets it.
func (w *Writer[T, R]) setBlocked(m *member[T, R], blocked bool) {
	const most = 10_000 // scopes of which no member came again
	scope := w.scope(m)
	if scope == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !blocked {
		delete(w.blocked, scope)
		return
	}
	if len(w.blocked) >= most {
		clear(w.blocked)
	}
	w.blocked[scope] = true
}

func (w *Writer[T, R]) split(group []*member[T, R]) (free, blocked []*member[T, R]) {
	if w.cfg.Free == nil {
		return nil, group
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.cfg.Limit)
	defer cancel()
	list, err := w.cfg.Free(ctx, values(group))
	if err != nil {
		return nil, group
	}
	for i, m := range group {
		if list[i] {
			free = append(free, m)
		} else {
			blocked = append(blocked, m)
		}
	}
	return free, blocked
}

func (w *Writer[T, R]) writeBeside(m *member[T, R]) {
	select {
	case w.places <- struct{}{}:
		if w.takeBeside(m) {
			err := w.attempt([]*member[T, R]{m})
			w.setBlocked(m, err != nil && w.cfg.Judge(err) == Blocked)
			if err != nil {
				fail([]*member[T, R]{m}, err)
			}
		}
		<-w.places
	case <-m.ctx.Done(): // its caller goes, and nothing happens
	}
	w.mu.Lock()
	w.aside--
	w.idle.Broadcast()
	w.mu.Unlock()
}

// takeBeside marks a member as taken by a write, unless its caller has gone.
func (w *Writer[T, R]) takeBeside(m *member[T, R]) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.taken || m.ctx.Err() != nil {
		return false
	}
	m.taken = true
	return true
}

// attempt writes members in one transaction and, if that succeeds, hands out their
// results.
func (w *Writer[T, R]) attempt(group []*member[T, R]) error {
	ctx := w.ctx
	if len(group) == 1 {
		ctx = joined{Context: ctx, values: context.WithoutCancel(group[0].ctx)}
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Limit)
	defer cancel()
	results, err := w.write(ctx, values(group))
	if err != nil {
		return err
	}
	for i, m := range group {
		m.result = results[i]
		close(m.done)
	}
	return nil
}

func values[T, R any](group []*member[T, R]) []T {
	list := make([]T, len(group))
	for i, m := range group {
		list[i] = m.value
	}
	return list
}

func fail[T, R any](group []*member[T, R], err error) {
	for _, m := range group {
		m.err = err
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
