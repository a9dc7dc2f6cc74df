package wallet

import "slices"

// Scope is a permission of an API key. No scope includes another.
type Scope string

// The scopes of an API key.
const (
	// ScopeAdmin allows changes of customers, wallets and webhook endpoints, and
	// refunds.
	ScopeAdmin Scope = "admin"
	// ScopeFund allows to put money or credits into wallets.
	ScopeFund Scope = "fund"
	// ScopeRead allows to read everything.
	ScopeRead Scope = "read"
)

// Scopes lists all of them.
var Scopes = []Scope{ScopeAdmin, ScopeFund, ScopeRead}

// ParseScopes returns the scopes of these names in their order, each once. The second
// result is the first unknown name, empty if all are known.
func ParseScopes(names []string) ([]Scope, string) {
	var scopes []Scope
	for _, s := range Scopes {
		if slices.Contains(names, string(s)) {
			scopes = append(scopes, s)
		}
	}
	for _, name := range names {
		if !slices.Contains(Scopes, Scope(name)) {
			return nil, name
		}
	}
	return scopes, ""
}
