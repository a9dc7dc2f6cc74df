package stripesim

import "strings"

// expander says which references of an object are rendered as objects. A nil
// expander expands none.
type expander struct {
	acct  *account
	paths []string
}

// newExpander returns an expander for the paths, or nil if they are empty.
func newExpander(a *account, paths []string) *expander {
	if len(paths) == 0 {
		return nil
	}
	return &expander{acct: a, paths: paths}
}

// forData returns the expander for the items of a list, whose paths start with
// "data.".
func (x *expander) forData() *expander {
	sub, _ := x.wants("data")
	return sub
}

// flat returns no expander: nested snapshots are not expanded.
func (x *expander) flat() *expander { return nil }

// wants reports whether field is expanded. It also returns the expander for the
// fields below it.
func (x *expander) wants(field string) (*expander, bool) {
	if x == nil {
		return nil, false
	}
	var sub []string
	found := false
	for _, p := range x.paths {
		head, rest, nested := strings.Cut(p, ".")
		if head != field {
			continue
		}
		found = true
		if nested {
			sub = append(sub, rest)
		}
	}
	return newExpander(x.acct, sub), found
}

// find returns an object by its id.
func (x *expander) find(id string) renderer { return x.acct.lookup(id) }
