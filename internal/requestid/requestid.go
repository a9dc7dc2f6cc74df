// Package requestid stores a request's id in its context, so that stored data and
// logs can name the request. The handler of the request chooses the id.
package requestid

import "context"

type key struct{}

// With returns a context with the request's id.
func With(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, key{}, id)
}

// From returns the request's id, or an empty string if ctx has none.
func From(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}
