// Package requestid carries the id of a request along with its context, so that
// what is stored and logged on its behalf can name it. Choosing the id is left to
// whoever answers the request.
package requestid

import "context"

type key struct{}

// With returns ctx with the id of the request that it serves.
func With(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, key{}, id)
}

// From is the id of the request that ctx serves, empty when it serves none.
func From(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}
