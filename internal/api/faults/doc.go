// Package faults holds the tests of the rule that every write of the API keeps,
// whatever happens between the service and its database: a request that is answered
// with 4xx or 5xx has had no effect and never will have one, and one that may have
// had an effect is answered with 2xx and its ids. The rule itself is in package api.
package faults
