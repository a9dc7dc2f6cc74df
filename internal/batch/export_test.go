package batch

// Waiting counts the members that wait for a write.
func (w *Writer[T, R]) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

// Writing reports whether a write is under way and no member waits.
func (w *Writer[T, R]) Writing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running && len(w.waiting) == 0
}
