package wallet

import "slices"

// Scope is something that an API key lets its holder do. No scope includes another.
type Scope string

// The scopes of an API key.
const (
	// ScopeAdmin is to change what is set up, and to send money back: customers,
	// wallets, webhooks, refunds.
	ScopeAdmin Scope = "admin"
	// ScopeFund is to put money or credits into wallets.
	ScopeFund Scope = "fund"
	// ScopeRead is to look at everything.
	ScopeRead Scope = "read"
)

// Scopes lists all of them.
var Scopes = []Scope{ScopeAdmin, ScopeFund, ScopeRead}

// ParseScopes puts scopes in order, each once. The second result is the first that
// does not exist.
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
