// Package nullable converts between values that may be empty and pointers that may be
// nil, which are null in JSON and in SQL.
package nullable

// From returns a pointer to v, or nil if v is the zero value.
func From[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
